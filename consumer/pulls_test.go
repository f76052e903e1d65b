package consumer

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// pulled is a consumer of a stream, and what became of pulling from it.
type pulled struct {
	*pulls
	testing.TB
	conn  *connection
	of    jetstream.Consumer
	taken chan *nats.Msg
	ended chan error
}

func newPulled(t *testing.T, largest int) *pulled {
	t.Helper()
	conn, _ := connected(t)
	p := &pulled{TB: t, conn: conn, taken: make(chan *nats.Msg), ended: make(chan error, 100)}
	var err error
	if p.of, err = makeSource(t, conn).CreateConsumer(t.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy}); err != nil {
		t.Fatal(err)
	}
	p.pulls, err = pull(conn.Conn, "S", p.of.CachedInfo().Name, largest, func(m *nats.Msg) { p.taken <- m }, func(why error) { p.ended <- why })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	p.awaitPulls(p.ahead)
	return p
}

// awaitPulls waits until the server has so many pulls.
func (p *pulled) awaitPulls(want int) {
	p.Helper()
	is := -1
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && is != want; time.Sleep(10 * time.Millisecond) {
		info, err := p.of.Info(p.Context())
		if err != nil {
			p.Fatal(err)
		}
		is = info.NumWaiting
	}
	if is != want {
		p.Fatalf("the server has %d pulls, want %d", is, want)
	}
}

// say has the server say something of a pull.
func (p *pulled) say(status, description, left string) {
	p.Helper()
	m := nats.NewMsg(p.pulls.sub.Subject)
	m.Header = nats.Header{"Status": {status}, "Description": {description}}
	if left != "" {
		m.Header.Set("Nats-Pending-Messages", left)
	}
	if err := p.conn.PublishMsg(m); err != nil {
		p.Fatal(err)
	}
}

// Of each pull that ends before its time there is another one, and of those that go on there is none.
func TestPulls_AskedForAnew(t *testing.T) {
	p := newPulled(t, 1<<20)
	p.say("100", "Idle Heartbeat", "")
	p.say("409", "Message Size Exceeds MaxBytes", "4999")
	p.say("409", "Batch Completed", "0")
	time.Sleep(100 * time.Millisecond)
	p.awaitPulls(pullsAhead) // one message of the first may still come
	p.say("408", "Request Timeout", "1")
	p.awaitPulls(pullsAhead + 1) // the server has not ended the two
	p.say("408", "Interest Expired", "5000")
	p.say("409", "Message Size Exceeds MaxBytes", "4000")
	p.say("408", "Request Timeout", "1000")
	p.awaitPulls(pullsAhead + 3)
	select {
	case err := <-p.ended:
		t.Error(err)
	default:
	}
}

// Whatever else the server says ends the reading, with its words.
func TestPulls_End(t *testing.T) {
	p := newPulled(t, 1<<20)
	for _, c := range [][3]string{{"409", "Consumer Deleted", ""}, {"409", "Server Shutdown", "5000"}, {"409", "Leadership Change", ""}, {"503", "", ""},
		{"400", "Bad Request", ""}, {"408", "Request Timeout", ""}, {"409", "Batch Completed", "many"}, {"", "", ""},
		{"409", "Message Size Exceeds MaxBytes", ""}, {"409", "Message Size Exceeds MaxBytes", "5000"}} {
		p.say(c[0], c[1], c[2])
		select {
		case err := <-p.ended:
			if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), c[0]) || !strings.Contains(err.Error(), strings.ToLower(c[1])) {
				t.Errorf("%q: %v", c, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%q ended nothing", c)
		}
	}
}

// A server that has no such consumer says so at once.
func TestPulls_NoConsumer(t *testing.T) {
	conn, _ := connected(t)
	ended := make(chan error, pullsAhead)
	p, err := pull(conn.Conn, "S", "none", 1<<20, func(*nats.Msg) {}, func(why error) { ended <- why })
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	if err := <-ended; !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "503") {
		t.Error(err)
	}
}

// However many messages there are and however large, each comes once: pulls end by their number or by their bytes, and what
// they hold waits here as long as it must.
func TestPulls_Deliver(t *testing.T) {
	for name, c := range map[string]struct{ empty, messages, size, largest int }{ // the first of them are empty
		"many":               {3*pullMessages + 1, 3*pullMessages + 1, 0, 1 << 20},
		"large":              {0, 90, 900 << 10, 1 << 20},
		"large, in one pull": {0, 90, 900 << 10, 50 << 20},
		"large behind empty": {pullMessages + 1, 15_000, 10_000, 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPulled(t, c.largest)
			sizeOf := func(n int) int {
				if n < c.empty {
					return 0
				}
				return c.size
			}
			for n := range c.messages {
				m := &nats.Msg{Subject: "jobs.a", Data: make([]byte, sizeOf(n)), Header: nats.Header{"N": {fmt.Sprint(n)}}}
				if err := p.conn.PublishMsg(m); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.conn.Flush(); err != nil {
				t.Fatal(err)
			}
			for n := range c.messages {
				if n == 0 || n == c.empty {
					time.Sleep(500 * time.Millisecond) // all that the pulls hold waits here
				}
				select {
				case m := <-p.taken:
					if m.Header.Get("N") != fmt.Sprint(n) || len(m.Data) != sizeOf(n) {
						t.Fatalf("message %d came as number %s, with %d bytes", n, m.Header.Get("N"), len(m.Data))
					}
				case err := <-p.ended:
					t.Fatal(err)
				case <-time.After(10 * time.Second):
					t.Fatalf("%d messages came", n)
				}
			}
		})
	}
}

// A server that says nothing is noticed; one that waits until what it sent is taken is not silent.
func TestPulls_Silence(t *testing.T) {
	for name, waits := range map[string]bool{"nothing comes": false, "something waits": true} {
		t.Run(name, func(t *testing.T) {
			conn, _ := connected(t)
			ended, over := make(chan error, 1), make(chan struct{})
			p := &pulls{take: func(*nats.Msg) { <-over }, end: func(why error) { ended <- why }, stopped: make(chan struct{}), heartbeat: 50 * time.Millisecond}
			var err error
			if p.sub, err = conn.Subscribe("here.*", p.handle); err != nil {
				t.Fatal(err)
			}
			defer p.stop()
			defer close(over)
			if waits {
				for n := range 3 {
					if err := conn.Publish(fmt.Sprint("here.", n), nil); err != nil {
						t.Fatal(err)
					}
				}
				if err := conn.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			go p.watch()
			select {
			case err = <-ended:
			case <-time.After(time.Second):
				err = nil
			}
			if (err == nil) != waits || err != nil && !errors.Is(err, errBroken) {
				t.Error(err)
			}
		})
	}
}
