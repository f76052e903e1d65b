package consumer_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer"
	"faultd/consumer/embedded"
	"faultd/statemachine"
	"faultd/storage"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// bench is a server with a connection to it.
type bench struct {
	testing.TB
	server *embedded.Server
	config embedded.Config
	js     jetstream.JetStream
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{TB: t, config: embedded.Config{StoreDir: t.TempDir(), Addr: "127.0.0.1:0", Sync: "2m"}}
	b.start()
	t.Cleanup(func() { _ = b.server.Stop() })
	return b
}

// start starts the server, at the address that it had before.
func (b *bench) start() {
	b.Helper()
	s, err := embedded.Start(b.config)
	if err != nil {
		b.Fatal(err)
	}
	b.server, b.config.Addr = s, strings.TrimPrefix(s.URL(), "nats://")
	nc, err := nats.Connect(s.URL(), nats.MaxReconnects(-1))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	if b.js, err = jetstream.New(nc); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) stop() {
	b.Helper()
	if err := b.server.Stop(); err != nil {
		b.Fatal(err)
	}
}

// makeStream makes the stream as the consumer would, if it is to be there before. Just after one of that name
// was deleted the server may need a second try.
func (b *bench) makeStream() jetstream.Stream {
	b.Helper()
	cfg := jetstream.StreamConfig{Name: "JOBS", Subjects: consumer.Subjects, AllowAtomicPublish: true}
	s, err := b.js.CreateStream(b.Context(), cfg)
	for n := 0; err != nil && n < 100; n++ {
		time.Sleep(10 * time.Millisecond)
		s, err = b.js.CreateStream(b.Context(), cfg)
	}
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func (b *bench) deleteStream() {
	b.Helper()
	if err := b.js.DeleteStream(b.Context(), "JOBS"); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) stream() jetstream.Stream {
	b.Helper()
	s, err := b.js.Stream(b.Context(), "JOBS")
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// publish publishes the events numbered from to to-1.
func (b *bench) publish(from, to int) {
	b.Helper()
	r, err := consumer.Publish(b.Context(), b.js.Conn(), strings.NewReader(lines(from, to)), consumer.PublishOptions{})
	if err != nil || r.Messages != to-from {
		b.Fatalf("published %+v: %v", r, err)
	}
}

// line is a job event, a different one for each number.
func line(n int) string {
	return fmt.Sprintf(`{"specversion":"1.0","type":"io.faultd.v1.job.started","source":"test","id":"e%d","time":"2026-11-21T02:00:00Z",`+
		`"data":{"job":{"id":"j%d","action":"build"},"resource":{"kind":"server","id":"s%d","tenant_id":"t1"}}}`, n, n, n)
}

func lines(from, to int) string {
	var s strings.Builder
	for n := from; n < to; n++ {
		s.WriteString(line(n))
		s.WriteByte('\n')
	}
	return s.String()
}

// recorder is a real store that notes what it was given.
type recorder struct {
	*storage.DB
	path   string
	before func([]statemachine.Entry) error // called first; an error is the store's

	mu      sync.Mutex
	batches []int    // their sizes
	seen    []uint64 // sequences, counted on over epochs
	behind  []uint64 // where the stream of faults ended when an epoch began; the consumer's alone while it runs
	tried   []uint64 // for a test's own use
}

func (r *recorder) Apply(batch []statemachine.Entry, to statemachine.Position, gaps ...statemachine.Gap) (apply, commit time.Duration, err error) {
	if r.before != nil {
		if err := r.before(batch); err != nil {
			return 0, 0, err
		}
	}
	apply, commit, err = r.DB.Apply(batch, to, gaps...)
	if err != nil {
		return apply, commit, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = append(r.batches, len(batch))
	for i := range batch {
		r.seen = append(r.seen, batch[i].Sequence)
	}
	return apply, commit, err
}

func (r *recorder) NewEpoch(stream string, epoch statemachine.Time, first, behind uint64) error {
	r.behind = append(r.behind, behind)
	return r.DB.NewEpoch(stream, epoch, first, behind)
}

func (r *recorder) sequences() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

func newStore(t testing.TB) *recorder {
	t.Helper()
	path := filepath.Join(t.TempDir(), "faultd.db")
	db, err := storage.Open(storage.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &recorder{DB: db, path: path}
}

// running is a consumer at work.
type running struct {
	testing.TB
	*consumer.Consumer
	store  *recorder
	cancel context.CancelFunc
	done   chan error
}

func (b *bench) run(store *recorder, change ...func(*consumer.Config)) *running {
	b.Helper()
	return b.runAt(b.server.URL(), store, change...)
}

func (b *bench) runAt(url string, store *recorder, change ...func(*consumer.Config)) *running {
	b.Helper()
	cfg := consumer.Config{Store: store, URL: url, CheckEvery: 50 * time.Millisecond, MaxBytes: 1 << 30}
	for _, c := range change {
		c(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{TB: b.TB, Consumer: consumer.New(cfg), store: store, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- r.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		r.end()
	})
	return r
}

// end waits for the consumer's end and returns its error; a second call returns the same.
func (r *running) end() error {
	r.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(patience):
		r.Fatalf("Run has not returned; %+v", r.Status())
		return nil
	}
}

func (r *running) stop() {
	r.Helper()
	r.cancel()
	if err := r.end(); err != nil {
		r.Fatal(err)
	}
}

// await waits for a state, and for the position.
func (r *running) await(state consumer.State, sequence uint64) consumer.Status {
	r.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if s := r.Status(); s.State == state && r.store.Position().Sequence == sequence {
			return s
		}
	}
	r.Fatalf("waited for %s at %d, got %+v at %+v", state, sequence, r.Status(), r.store.Position())
	return consumer.Status{}
}

// wantOnce checks that the store was given the messages from to to-1, each once and in order.
func (r *running) wantOnce(from, to uint64) {
	r.Helper()
	var want []uint64
	for n := from; n < to; n++ {
		want = append(want, n)
	}
	if got := r.store.sequences(); !slices.Equal(got, want) {
		r.Fatalf("applied %v, want %d to %d", got, from, to-1)
	}
	if c := r.store.Counters(); c.Received != to-from || c.Received != c.Applied+c.Ignored+c.Rejected {
		r.Fatalf("counters do not balance: %+v", c)
	}
}

// wantApplied checks that the store was given the messages of these ordinals, each once and in order, and that all that it
// keeps fits together. The store is at rest then.
func (r *running) wantApplied(want ...uint64) {
	r.Helper()
	r.stop()
	if got := r.store.sequences(); !slices.Equal(got, want) {
		r.Fatalf("applied %v, want %v", got, want)
	}
	if c := r.store.Counters(); c.Received != uint64(len(want)) || c.Received != c.Applied+c.Ignored+c.Rejected {
		r.Fatalf("counters do not balance: %+v", c)
	}
	if err := r.store.Close(); err != nil {
		r.Fatal(err)
	}
	if report, err := storage.Check(r.store.path); err != nil || len(report.Problems) > 0 {
		r.Fatalf("%v %v", report.Problems, err)
	}
}

// span is the numbers from to to-1.
func span(from, to uint64) (all []uint64) {
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}

// freeAddress is one that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// deleteMessages deletes the messages from to to-1 from the stream.
func (b *bench) deleteMessages(from, to uint64) error {
	stream := b.stream()
	for n := from; n < to; n++ {
		if err := stream.DeleteMsg(b.Context(), n); err != nil {
			return err
		}
	}
	return nil
}

// copyStreams keeps what the server holds at this moment; the function that it returns puts that back.
func (b *bench) copyStreams() (restore func()) {
	b.Helper()
	kept := filepath.Join(b.TempDir(), "copy")
	b.stop()
	if err := os.CopyFS(kept, os.DirFS(b.config.StoreDir)); err != nil {
		b.Fatal(err)
	}
	b.start()
	return func() {
		b.Helper()
		b.stop()
		if err := os.RemoveAll(b.config.StoreDir); err != nil {
			b.Fatal(err)
		}
		if err := os.CopyFS(b.config.StoreDir, os.DirFS(kept)); err != nil {
			b.Fatal(err)
		}
		b.start()
	}
}
