package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// hurried is a pace for tests.
func hurried() *pace {
	p := defaultPace
	p.lease, p.renew, p.look = 1200*time.Millisecond, 200*time.Millisecond, 50*time.Millisecond
	p.ackWait, p.again, p.report, p.grace = 1500*time.Millisecond, 100*time.Millisecond, 200*time.Millisecond, time.Second
	p.recall = 100 * time.Millisecond
	p.strays = 300 * time.Millisecond
	p.firing, p.resolved, p.remind = 200*time.Millisecond, 2*time.Second, 50*time.Millisecond
	p.jitter = 0
	p.retries = []time.Duration{20 * time.Millisecond, 40 * time.Millisecond, 80 * time.Millisecond}
	return &p
}

// rig is a server with the stream of faults.
type rig struct {
	testing.TB
	url  string
	js   jetstream.JetStream
	nats *server.Server
	opts *server.Options
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{TB: t, opts: &server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true}}
	r.start()
	t.Cleanup(func() { r.nats.Shutdown(); r.nats.WaitForShutdown() })
	r.makeFaults()
	return r
}

func (r *rig) start() {
	r.Helper()
	s, err := server.NewServer(r.opts)
	if err != nil {
		r.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		r.Fatal("the server does not listen")
	}
	r.nats, r.url = s, s.ClientURL()
	if r.js != nil {
		return
	}
	nc, err := nats.Connect(r.url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(nc.Close)
	if r.js, err = jetstream.New(nc); err != nil {
		r.Fatal(err)
	}
}

// restart stops the server and starts it at the same address.
func (r *rig) restart() {
	r.Helper()
	r.opts.Port = r.nats.Addr().(*net.TCPAddr).Port
	r.nats.Shutdown()
	r.nats.WaitForShutdown()
	r.start()
	r.eventually("connected again", func() bool { _, err := r.js.Stream(r.Context(), faultsStream); return err == nil })
}

func (r *rig) makeFaults() {
	r.Helper()
	r.eventually("stream made", func() bool {
		_, err := r.js.CreateStream(r.Context(), jetstream.StreamConfig{Name: faultsStream, Subjects: []string{"faults.>"}, AllowDirect: true})
		return err == nil
	})
}

// eventually waits until something holds.
func (r *rig) eventually(what string, holds func() bool) {
	r.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	r.Fatalf("waited in vain: %s", what)
}

// fault is an event's body. The message is the fault's; an id is unique by number, resource and raised.
func fault(n int, id string, raised bool, previous string) []byte {
	at := time.Now().UTC().Format(time.RFC3339Nano)
	resource := map[string]any{"kind": "server", "id": id, "tenant_id": "t1", "name": id, "status": "ACTIVE", "attributes": map[string]any{"hostId": "h1"},
		"job": map[string]any{"id": "j", "action": "build", "phase": "failed"}}
	f := map[string]any{"code": 500, "created": "2026-11-21T02:00:00Z", "message": "no room"}
	diagnosis := map[string]any{"cause": "capacity", "retry": true, "advice": "wait", "fingerprint": "1:0011223344556677"}
	word, data := "cleared", map[string]any{"resource": resource, "fault": f, "previous_status": previous, "action": "build", "diagnosis": diagnosis}
	if raised {
		word, data = "raised", map[string]any{"resource": resource, "fault": f, "previous_status": previous}
		resource["status"], resource["fault"], resource["diagnosis"] = "ERROR", f, diagnosis
	} else {
		resource["job"] = map[string]any{"id": "k", "action": "rebuild", "phase": "succeeded"}
	}
	return encode(map[string]any{"specversion": "1.0", "type": typePrefix + word, "source": "faultd", "id": eventID(n, id, raised), "time": at,
		"subject": "t1/server/" + id, "datacontenttype": "application/json",
		"data": data})
}

func eventID(n int, id string, raised bool) string { return fmt.Sprintf("e%d-%s-%t", n, id, raised) }

// raise and clear publish an event of a server and return its id.
func (r *rig) raise(n int, id string) string {
	r.Helper()
	r.publish("faults.t1.server."+id+".raised", fault(n, id, true, "BUILD"))
	return eventID(n, id, true)
}

func (r *rig) clear(n int, id string) string {
	r.Helper()
	r.publish("faults.t1.server."+id+".cleared", fault(n, id, false, "ERROR"))
	return eventID(n, id, false)
}

func (r *rig) publish(subject string, body []byte) {
	r.Helper()
	if _, err := r.js.Publish(r.Context(), subject, body); err != nil {
		r.Fatal(err)
	}
}

// storm publishes one raised event of each of n servers.
func (r *rig) storm(from, n int) {
	r.Helper()
	for i := from; i < from+n; i++ {
		id := fmt.Sprintf("s%d", i)
		if _, err := r.js.PublishAsync("faults.t1.server."+id+".raised", fault(i, id, true, "BUILD")); err != nil {
			r.Fatal(err)
		}
	}
	select {
	case <-r.js.PublishAsyncComplete():
	case <-time.After(patience):
		r.Fatal("the storm was not published")
	}
}

// receiver takes what hooks send, and answers as told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(n int, got received) int     // status for the n-th request, from 1; nil: 200
	got    []received                        // all requests
	took   []received                        // those that were answered 2xx
	cut    func(n int, done <-chan struct{}) // waits, maybe until the sender ends the request
	header string                            // Retry-After of each answer
}

type received struct {
	ID    string // of the event or group
	Type  string `json:"type"`
	Count int
	Body  []byte
	At    time.Time
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := new(receiver)
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(func() { r.CloseClientConnections(); r.Close() })
	return r
}

func (r *receiver) serve(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	var e struct {
		ID   string `json:"id"`
		Type string `json:"type"`
		Data struct {
			Count int `json:"count"`
		} `json:"data"`
	}
	_ = json.Unmarshal(body, &e)
	one := received{ID: e.ID, Type: e.Type, Count: max(e.Data.Count, 1), Body: body, At: time.Now()}
	r.mu.Lock()
	r.got = append(r.got, one)
	n, answer := len(r.got), r.answer
	r.mu.Unlock()
	if r.cut != nil {
		r.cut(n, q.Context().Done())
		if q.Context().Err() != nil {
			return
		}
	}
	status := 200
	if answer != nil {
		status = answer(n, one)
	}
	if status < 300 {
		r.mu.Lock()
		r.took = append(r.took, one)
		r.mu.Unlock()
	}
	if r.header != "" {
		w.Header().Set("Retry-After", r.header)
	}
	w.WriteHeader(status)
}

func (r *receiver) answers(f func(n int, got received) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func always(status int) func(int, received) int { return func(int, received) int { return status } }

func (r *receiver) taken() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.took...)
}

func (r *receiver) requests() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

func (r *receiver) ids() (all []string) {
	for _, one := range r.taken() {
		all = append(all, one.ID)
	}
	return all
}

// hookTo is a webhook that wants everything.
func hookTo(r *receiver, change ...func(*Hook)) Hook {
	h := Hook{Name: "pager", Kind: Webhook, URLs: []string{r.URL}, Secrets: [][]byte{[]byte("0123456789abcdef0123456789abcdef")},
		Match: Match{Raised: true, Cleared: true}, AllowPrivate: true, AllowHTTP: true, Digest: "1"}
	for _, c := range change {
		c(&h)
	}
	return h
}

// running is an alerter at work.
type running struct {
	*Alerter
	cancel context.CancelFunc
	done   chan struct{}
}

func (r *rig) run(hooks []Hook, change ...func(*Config)) *running {
	r.Helper()
	cfg := Config{URL: r.url, Hooks: hooks, pace: hurried(), Version: "test", Options: []nats.Option{nats.ReconnectWait(20 * time.Millisecond)}}
	if os.Getenv("HOOKS_LOG") != "" {
		cfg.Logger = zerolog.New(os.Stderr).With().Timestamp().Logger()
	}
	for _, c := range change {
		c(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &running{Alerter: New(cfg), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		if err := a.Run(ctx); err != nil {
			r.Errorf("Run: %v", err)
		}
	}()
	r.Cleanup(a.stop)
	return a
}

func (a *running) stop() {
	a.cancel()
	<-a.done
}

// crash cuts the alerter off from the server: it neither acknowledges nor gives anything back.
func (a *running) crash() {
	a.mu.Lock()
	l := a.link
	a.mu.Unlock()
	if l != nil {
		l.Close()
	}
	a.cancel()
}

// active waits until a hook is sent from here and reads the stream.
func (r *rig) active(a *running, name string) {
	r.Helper()
	r.eventually("hook "+name+" active", func() bool {
		s := a.local()[name]
		if s.State != Active || s.Reason != "" {
			return false
		}
		_, err := r.js.Consumer(r.Context(), faultsStream, durable(name))
		return err == nil
	})
}

func (r *rig) await(to *receiver, n int) []received {
	r.Helper()
	var all []received
	r.eventually(fmt.Sprintf("%d messages", n), func() bool { all = to.taken(); return len(all) >= n })
	return all
}

// settled waits until the server waits for no acknowledgement, and all was handed out.
func (r *rig) settled(name string) {
	r.Helper()
	r.eventually("all acknowledged", func() bool {
		c, err := r.js.Consumer(r.Context(), faultsStream, durable(name))
		return err == nil && c.CachedInfo().NumAckPending == 0 && c.CachedInfo().NumPending == 0
	})
}

// keys are those of the bucket that match a pattern.
func (r *rig) keys(pattern string) (all []string) {
	r.Helper()
	kv, err := r.js.KeyValue(r.Context(), Bucket)
	if err != nil {
		r.Fatal(err)
	}
	list, err := kv.ListKeysFiltered(r.Context(), pattern)
	if err != nil {
		r.Fatal(err)
	}
	for key := range list.Keys() {
		all = append(all, key)
	}
	return all
}
