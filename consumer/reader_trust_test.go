package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/statemachine"
	"faultd/storage"
)

// newDB is an empty store.
func newDB(t *testing.T) *storage.DB {
	t.Helper()
	db, err := storage.Open(storage.Options{Path: filepath.Join(t.TempDir(), "faultd.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// The headers of a message lie in one piece with its data, and wait as long.
func TestQueue_CountsHeaders(t *testing.T) {
	for _, name := range []string{"X", msgIDHeader} {
		t.Run(name, func(t *testing.T) { countsHeader(t, nats.Header{name: {strings.Repeat("x", 512<<10)}}) })
	}
}

func countsHeader(t *testing.T, big nats.Header) {
	q := newQueue(Config{BatchBytes: 1 << 20}.withDefaults())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range uint64(100) {
			m := received{sequence: n + 1, Message: Message{Subject: "jobs.t.server.s.started", Header: big, Data: []byte("{}"), Sequence: n + 1}}
			e := Decode(m.Message)
			q.put(&e, &m, nil)
		}
	}()
	select {
	case <-done:
		t.Error("50 MiB were taken into a queue of 1 MiB")
	case <-time.After(200 * time.Millisecond):
		q.close(errBroken)
		<-done
	}
}

// Whoever delivers may be a replica that lacks messages: what the stream's leader has is no gap.
func TestOnGap_HoleThatIsNone(t *testing.T) {
	conn, _ := connected(t)
	js, err := jetstream.New(conn.Conn)
	if err != nil {
		t.Fatal(err)
	}
	found, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "JOBS", Subjects: Subjects})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := js.Publish(t.Context(), "jobs.t.server.s.started", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	db := newDB(t)
	c := New(Config{Store: db, OnGap: ContinueAtGap})
	q := newQueue(c.cfg)
	r := &reader{stream: "JOBS", queue: q, lag: &c.lag, next: 0, hole: c.hole()}
	r.handle(deliver(1, 1))
	r.handle(deliver(2, 5)) // a replica that lacks 2 to 4 delivers so
	q.close(errBroken)
	err = c.commits(t.Context(), source{found, conn.Conn}, q, sight{created: statemachine.At(found.CachedInfo().Created), first: 1, last: 5})
	if !errors.Is(err, errBroken) || len(db.Gaps()) > 0 || db.Position().Sequence > 1 {
		t.Errorf("messages that are in the stream were left out: %+v at %d, %v", db.Gaps(), db.Position().Sequence, err)
	}
}

// A store that has read nothing yet notices, too, that nothing comes.
func TestStall_OfANewStore(t *testing.T) {
	conn, _ := connected(t)
	stream := makeSource(t, conn)
	for range 3 {
		if _, err := conn.Request("jobs.a", []byte("{}"), answerWithin); err != nil {
			t.Fatal(err)
		}
	}
	db := newDB(t)
	c := New(Config{Store: db, Stream: "S", StallAfter: time.Nanosecond})
	q := newQueue(c.cfg)
	c.lag.began(3, 0)
	for range 3 {
		seen, err := stream.look(t.Context(), db.Position())
		if err != nil {
			t.Fatal(err)
		}
		c.compare(db.Position(), &seen, q)
		time.Sleep(time.Millisecond)
	}
	if !errors.Is(q.reason(), errStalled) {
		t.Errorf("three messages wait and none comes, and nobody minds: %v", q.reason())
	}
}

// What the server takes as one message fits into a pull: one that did not would never come.
func TestRun_MessageLargerThanAPull(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 60 << 20, MaxPending: 256 << 20, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("not ready")
	}
	db := newDB(t)
	c := New(Config{Store: db, URL: s.ClientURL(), CheckEvery: 200 * time.Millisecond})
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, _ := jetstream.New(nc)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "JOBS", Subjects: Subjects}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{10, 30 << 20, 10} {
		if _, err := js.Publish(t.Context(), "jobs.t.server.s.started", make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	for end := time.Now().Add(12 * time.Second); time.Now().Before(end) && db.Position().Sequence < 3; time.Sleep(50 * time.Millisecond) {
	}
	if at := db.Position().Sequence; at < 3 {
		t.Errorf("stands still at %d: %+v", at, c.Status())
	}
	cancel()
	<-done
}

// A stream that a subject is taken from while faultd runs is no longer fit.
func TestRun_SubjectTakenAway(t *testing.T) {
	conn, s := connected(t)
	db := newDB(t)
	c := New(Config{Store: db, URL: s.URL(), CheckEvery: 50 * time.Millisecond, MaxBytes: 1 << 30})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && c.Status().State != Ready; time.Sleep(10 * time.Millisecond) {
	}
	js, _ := jetstream.New(conn.Conn)
	st, err := js.Stream(t.Context(), "JOBS")
	if err != nil {
		t.Fatal(err)
	}
	cfg := st.CachedInfo().Config
	cfg.Subjects = []string{"jobs.>"}
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); c.Status().State != Failed; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("notifications go nowhere, and it is %+v", c.Status())
		}
	}
	cancel()
	<-done
}

// A deadline that was proposed in a later epoch means the same to a store that has seen that epoch alone.
func TestWatchdog_DeadlineOverEpochs(t *testing.T) {
	conn, s := connected(t)
	js, _ := jetstream.New(conn.Conn)
	makeStream := func() {
		var err error
		for range 100 {
			if _, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "JOBS", Subjects: Subjects}); err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatal(err)
	}
	send := func(id string) {
		body, _ := json.Marshal(map[string]any{"specversion": "1.0", "type": "io.faultd.v1.job.started", "source": "t", "id": id, "time": time.Now().UTC().Format(time.RFC3339Nano),
			"data": map[string]any{"job": map[string]any{"id": "j" + id, "action": "build"}, "resource": map[string]any{"kind": "server", "id": id, "tenant_id": "t"}}})
		if _, err := js.Publish(t.Context(), "jobs.t.server."+id+".started", body); err != nil {
			t.Fatal(err)
		}
	}
	start := func(db *storage.DB, watched Watched) func() {
		var d Deadlines
		if err := d.Set("server.build=1s"); err != nil {
			t.Fatal(err)
		}
		c := New(Config{Store: db, URL: s.URL(), CheckEvery: 50 * time.Millisecond, MaxBytes: 1 << 30, OnRewind: NewEpochAtRewind, Watched: watched, Deadlines: d})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		return func() { cancel(); <-done }
	}
	status := func(db *storage.DB) statemachine.Status {
		r, err := db.Resource(statemachine.Key{Tenant: "t", Kind: statemachine.Server, ID: "new"})
		if err != nil {
			return 0
		}
		return r.Status
	}
	await := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if ok() {
				return
			}
		}
		t.Error("waited for " + what)
	}
	makeStream()
	old := newDB(t)
	stop := start(old, old)
	send("a")
	send("b")
	await("two", func() bool { return old.Position().Sequence >= 2 })
	_ = js.DeleteStream(t.Context(), "JOBS")
	makeStream()
	send("new")
	await("the epoch", func() bool { return len(old.Epochs()) == 1 && status(old) != 0 })
	await("the deadline", func() bool { return status(old) == statemachine.Error })
	stop()
	fresh := newDB(t)
	stop = start(fresh, nil)
	st, _ := js.Stream(t.Context(), "JOBS")
	await("the rest", func() bool { return fresh.Position().Sequence == st.CachedInfo().State.LastSeq })
	stop()
	if status(old) != status(fresh) {
		t.Errorf("the store that went on says %s, a fresh one of the same stream %s; %+v", status(old), status(fresh), fresh.Counters())
	}
}

// Where nothing comes no commit says that the store has fallen behind.
func TestReady_FarBehind(t *testing.T) {
	c := New(Config{Store: newDB(t)})
	q := newQueue(c.cfg)
	c.lag.began(1, 1)
	c.condition.enter(Ready, "")
	pos := statemachine.Position{}
	c.compare(pos, &sight{first: 1, last: 1_000_000, next: 2}, q)
	if s := c.Status(); s.State == Ready {
		t.Errorf("%+v", s)
	}
}
