package consumer

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What one pull asks for, and for how many messages, in pulls, the server is asked ahead: it has the next pull before what it
// was asked for has come. It serves its pulls in turn, so that where messages are of many sizes up to four are under way. All
// together stay below the 64 MiB that the server holds for a connection, and the client library for a subscription; beyond
// that the one hangs up and the other drops messages. Where messages may be large there is one pull at a time.
const (
	pullMessages = 5000
	pullBytes    = 15_728_611 // a prime: of a pull that its last message fills to the byte nobody says that it has ended
	pullSpare    = 64 << 10   // beyond the largest message
	pullExpires  = 30 * time.Second
	pullsAhead   = 2
	// A pull that was lost on the way is noticed when two of the server's heartbeats have not come.
	pullHeartbeat = 5 * time.Second
)

// pulls has a consumer's messages delivered, by asking for more before what was asked for has come. jetstream's own Consume
// does so too, with a timer and locks at each message: a backlog comes 7 % faster without. And it takes each message that has
// no data and a header Status for a word of the server's; anyone who may publish could end the reading with one, for ever.
type pulls struct {
	conn    *nats.Conn
	subject string             // to ask at
	request []byte             // one pull
	take    func(m *nats.Msg)  // is given each message
	end     func(reason error) // is told why no more will come
	sub     *nats.Subscription
	stopped chan struct{}

	ahead     int // pulls
	heartbeat time.Duration

	owed  int         // messages that the server was asked for and that have not come; the callback's, once there is one
	heard atomic.Bool // of the server, since this was looked at last
}

// pull begins to pull messages from a consumer of a stream, of which none is larger than the given size in bytes. take is
// called by one goroutine; end by any, and maybe more than once. Whatever was the end, it must be stopped.
func pull(conn *nats.Conn, stream, consumer string, largest int, take func(*nats.Msg), end func(error)) (*pulls, error) {
	p := &pulls{conn: conn, subject: jetstream.DefaultAPIPrefix + "CONSUMER.MSG.NEXT." + stream + "." + consumer, take: take, end: end,
		stopped: make(chan struct{}), ahead: pullsAhead, heartbeat: pullHeartbeat}
	size := largest + pullSpare
	if size > pullBytes {
		p.ahead = 1
	}
	p.request = fmt.Appendf(nil, `{"batch":%d,"max_bytes":%d,"expires":%d,"idle_heartbeat":%d}`,
		pullMessages, max(pullBytes, size), pullExpires, p.heartbeat)
	var err error
	if p.sub, err = conn.Subscribe(conn.NewInbox(), p.handle); err != nil {
		return nil, err
	}
	if err = p.ask(p.ahead); err != nil {
		_ = p.sub.Unsubscribe() // the connection is gone
		return nil, err
	}
	go p.watch()
	return p, nil
}

// stop ends the reading. It must be called once.
func (p *pulls) stop() {
	close(p.stopped)
	_ = p.sub.Unsubscribe() // the server forgets a consumer in whose messages nobody is interested
}

func (p *pulls) ask(times int) error {
	p.owed += times * pullMessages // before the first of them can come
	for range times {
		if err := p.conn.PublishRequest(p.subject, p.sub.Subject, p.request); err != nil {
			return err
		}
	}
	return nil
}

// handle takes what comes. A message has the subject that it was published to; what is said of a pull, that of the inbox.
func (p *pulls) handle(m *nats.Msg) {
	p.heard.Store(true)
	if m.Subject != p.sub.Subject {
		p.take(m)
		p.owed--
	} else if err := p.hear(m); err != nil {
		p.end(fmt.Errorf("%w: %w", errBroken, err))
		return
	}
	if p.owed > (p.ahead-1)*pullMessages {
		return
	}
	if err := p.ask(1); err != nil {
		p.end(fmt.Errorf("%w: %w", errBroken, err))
	}
}

// hear takes what the server says of a pull: that it lives, or that it has ended before all of its messages were sent.
// Anything else is an error.
func (p *pulls) hear(m *nats.Msg) error {
	status, description := m.Header.Get("Status"), strings.ToLower(m.Header.Get("Description"))
	left, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
	large := status == "409" && strings.Contains(description, "exceeds maxbytes")
	switch {
	case status == "100": // a heartbeat
		return nil
	case large && left == pullMessages: // nothing came by it, and nothing would by the next
		return fmt.Errorf("a pull ended: %s %.200q: the stream has a message that is larger than the server takes now; raise its max_payload", status, description)
	case err == nil && (status == "408" || large || status == "409" && description == "batch completed"):
		p.owed = max(0, p.owed-left)
		return nil
	}
	return fmt.Errorf("a pull ended: %s %.200q", status, description)
}

// watch ends the reading when two heartbeats have not come. While something waits to be taken it is not the server that is
// late.
func (p *pulls) watch() {
	tick := time.NewTicker(p.heartbeat)
	defer tick.Stop()
	for silent := 0; silent < 2; {
		select {
		case <-p.stopped:
			return
		case <-tick.C:
		}
		if waiting, _, err := p.sub.Pending(); p.heard.Swap(false) || err == nil && waiting > 0 {
			silent = 0
		} else {
			silent++
		}
	}
	p.end(fmt.Errorf("%w: neither a message nor a heartbeat came for %s", errBroken, 2*p.heartbeat))
}
