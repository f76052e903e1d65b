package consumer_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer"
	"faultd/statemachine"
)

func goOn(c *consumer.Config) {
	c.OnGap, c.OnRewind = consumer.ContinueAtGap, consumer.NewEpochAtRewind
}

// Messages 1 to 10 are applied, 11 to 20 are in the stream, and some of those are lost before they are read.
func TestOnGap_Continue(t *testing.T) {
	middle := func(b *bench) error { return errors.Join(b.deleteMessages(13, 14), b.deleteMessages(16, 18)) }
	for name, c := range map[string]struct {
		lose    func(b *bench) error
		applied []uint64 // of 11 to 20
		gaps    [][2]uint64
		cause   string
	}{
		"head purged": {func(b *bench) error { return b.stream().Purge(b.Context(), jetstream.WithPurgeSequence(15)) },
			span(15, 21), [][2]uint64{{11, 14}}, "purged"},
		"all purged": {func(b *bench) error { return b.stream().Purge(b.Context()) }, nil, [][2]uint64{{11, 20}}, "purged"},
		"next one deleted": {func(b *bench) error { return b.deleteMessages(11, 12) },
			span(12, 21), [][2]uint64{{11, 11}}, "deleted"},
		"some in the middle": {middle, []uint64{11, 12, 14, 15, 18, 19, 20}, [][2]uint64{{13, 13}, {16, 17}}, "deleted"},
		"the rest deleted":   {func(b *bench) error { return b.deleteMessages(16, 21) }, span(11, 16), [][2]uint64{{16, 20}}, "deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.makeStream()
			store := newStore(t)
			r := b.run(store, goOn)
			b.publish(1, 11)
			r.await(consumer.Ready, 10)
			r.stop()
			b.publish(11, 21)
			if err := c.lose(b); err != nil {
				t.Fatal(err)
			}
			r = b.run(store, goOn)
			r.await(consumer.Ready, 20)
			b.publish(21, 31)
			r.await(consumer.Ready, 30)
			wantGaps(t, store, b.stream().CachedInfo().Created, c.cause, c.gaps...)
			r.wantApplied(slices.Concat(span(1, 11), c.applied, span(21, 31))...)
		})
	}
}

func wantGaps(t *testing.T, store *recorder, epoch time.Time, cause string, want ...[2]uint64) {
	t.Helper()
	var got [][2]uint64
	for _, g := range store.Gaps() {
		got = append(got, [2]uint64{g.From, g.To})
		if g.Epoch != statemachine.At(epoch) || g.Cause != cause || g.Noticed == 0 {
			t.Errorf("gap %+v, want it in epoch %d, %s", g, statemachine.At(epoch), cause)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("gaps %v, want %v", got, want)
	}
}

// What is lost at the stream's end brings no message that would tell of it.
func TestOnGap_ContinueWhileReading(t *testing.T) {
	for name, lose := range map[string]func(b *bench) error{
		"purged":  func(b *bench) error { return b.stream().Purge(b.Context()) },
		"deleted": func(b *bench) error { return b.deleteMessages(11, 21) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.makeStream()
			store := newStore(t)
			r := b.run(store, goOn)
			b.publish(1, 11)
			r.await(consumer.Ready, 10)
			b.pauseConsumers()
			b.publish(11, 21)
			if err := lose(b); err != nil {
				t.Fatal(err)
			}
			r.await(consumer.Ready, 20)
			if at := store.Position(); at.Digest != 0 {
				t.Errorf("a digest of a message that was never seen: %+v", at)
			}
			wantGaps(t, store, b.stream().CachedInfo().Created, name, [2]uint64{11, 20})
			r.wantApplied(span(1, 11)...)
		})
	}
}

func TestOnGap_CauseNamesWhatTheStreamDoes(t *testing.T) {
	b := newBench(t)
	cfg := jetstream.StreamConfig{Name: "JOBS", Subjects: consumer.Subjects, MaxMsgs: 5, MaxAge: time.Hour}
	if _, err := b.js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for n, c := range []struct {
		later time.Duration
		cause string
	}{{0, "pushed out by the stream's limits, or purged"}, {2 * time.Hour, "aged out, or pushed out by the stream's limits, or purged"}} {
		store := newStore(t)
		r := b.run(store, goOn)
		b.publish(n*100+1, n*100+2)
		position := b.stream().CachedInfo().State.LastSeq
		r.await(consumer.Ready, position)
		r.stop()
		b.publish(n*100+2, n*100+21)
		r = b.run(store, goOn, func(cfg *consumer.Config) { cfg.Now = func() time.Time { return time.Now().Add(c.later) } })
		r.await(consumer.Ready, position+19)
		if gaps := store.Gaps(); len(gaps) != 1 || gaps[0].Cause != c.cause || gaps[0].To != position+14 {
			t.Fatalf("gaps %+v, want one up to %d, %s", gaps, position+14, c.cause)
		}
		r.stop()
	}
}

// rewinds are what can become of a stream of which messages 1 to 10 are applied, the first 6 of them being in a copy.
var rewinds = map[string]struct {
	rewind func(b *bench, restore func())
	last   uint64 // of the stream that is there then
	known  uint64 // its first messages are those that were applied
	says   string
}{
	"made anew": {func(b *bench, _ func()) {
		b.deleteStream()
		b.makeStream()
		b.publish(101, 121)
	}, 20, 0, "was made anew"},
	"made anew and empty": {func(b *bench, _ func()) {
		b.deleteStream()
		b.makeStream()
	}, 0, 0, "was made anew"},
	"a shorter copy": {func(_ *bench, restore func()) { restore() }, 6, 6, "ends at message 6, and 10 has been applied"},
	"a longer copy with other messages": {func(b *bench, restore func()) {
		restore()
		b.publish(101, 111)
	}, 16, 6, "message 10 of stream JOBS is not the one that was applied"},
}

func TestOnRewind_Stop(t *testing.T) {
	for name, c := range rewinds {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.makeStream()
			b.publish(1, 7)
			restore := b.copyStreams()
			store := newStore(t)
			b.publish(7, 11)
			r := b.run(store)
			r.await(consumer.Ready, 10)
			r.stop()
			c.rewind(b, restore)
			r = b.run(store)
			if s := r.await(consumer.Rewound, 10); !strings.Contains(s.Reasons[0], c.says) || !strings.Contains(s.Reasons[0], "--on-rewind=new-epoch") {
				t.Fatalf("reasons %q", s.Reasons)
			}
			if len(store.Epochs()) != 0 {
				t.Fatalf("an epoch began: %+v", store.Epochs())
			}
			r.wantApplied(span(1, 11)...)
		})
	}
}

func TestOnRewind_NewEpoch(t *testing.T) {
	for name, c := range rewinds {
		for _, live := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, reading %v", name, live), func(t *testing.T) {
				b := newBench(t)
				b.makeStream()
				b.publish(1, 7)
				restore := b.copyStreams()
				store := newStore(t)
				b.publish(7, 11)
				var steps []string
				r := b.run(store, goOn)
				r.await(consumer.Ready, 10)
				was := store.Position()
				if !live {
					r.stop()
				}
				c.rewind(b, restore)
				if !live {
					r = b.run(store, goOn, func(cfg *consumer.Config) {
						cfg.Step = func(name string) { steps = append(steps, name) }
					})
				}
				r.awaitEpoch(1, c.last)
				if epochs := store.Epochs(); !slices.Equal(epochs, []statemachine.Position{was}) {
					t.Fatalf("epochs %+v, want %+v", epochs, was)
				}
				counters := store.Counters()
				if counters.Ignored != c.known || counters.Applied != 10+c.last-c.known {
					t.Errorf("%+v, want %d ignored", counters, c.known)
				}
				if at := store.Position(); at.Epoch != statemachine.At(b.stream().CachedInfo().Created) || at.First != 1 || at.Base != 10 {
					t.Errorf("position %+v", at)
				}
				b.publish(201, 203)
				r.awaitEpoch(1, c.last+2)
				r.wantApplied(span(1, 13+c.last)...)
				if !live && steps[0] != "epoch" {
					t.Errorf("steps %v", steps)
				}
			})
		}
	}
}

// awaitEpoch waits until so many epochs have ended and the present one is READY at that sequence.
func (r *running) awaitEpoch(ended int, sequence uint64) {
	r.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if len(r.store.Epochs()) == ended && r.Status().State == consumer.Ready && r.store.Position().Sequence == sequence {
			return
		}
	}
	r.Fatalf("waited for epoch %d at %d, got %+v at %+v", ended, sequence, r.Status(), r.store.Position())
}

// One rewind after the other, with a gap in each epoch: no two messages share a number, and all counters fit.
func TestOnRewind_AgainAndAgain(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: consumer.FaultsStream, Subjects: []string{"faults.>"}}); err != nil {
		t.Fatal(err)
	}
	store := newStore(t)
	r := b.run(store, goOn)
	for n := range 4 {
		b.publish(n*100+1, n*100+11)
		r.awaitEpoch(n, 10)
		if err := b.stream().Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.publish(n*100+11, n*100+21)
		r.awaitEpoch(n, 20)
		b.deleteStream()
		b.makeStream()
		if _, err := b.js.Publish(t.Context(), "faults.t.server.s.raised", nil); err != nil {
			t.Fatal(err)
		}
	}
	r.awaitEpoch(4, 0)
	for n, behind := range store.behind {
		if behind != 0 { // the creation time tells the streams apart: what others have told of this one counts
			t.Errorf("epoch %d begins behind fault %d", n, behind)
		}
	}
	if c := store.Counters(); c.Applied != 80 {
		t.Errorf("%+v", c)
	}
	r.wantApplied(span(1, 81)...)
}

// A stream that is gone is made by nobody, and another stream's name is a mistake.
func TestOnRewind_NewEpochNeedsTheStream(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	store := newStore(t)
	b.publish(1, 11)
	r := b.run(store, goOn)
	r.await(consumer.Ready, 10)
	r.stop()
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}}); err != nil {
		t.Fatal(err)
	}
	r = b.run(store, goOn, func(c *consumer.Config) { c.Stream = "MISSING" })
	r.await(consumer.Rewound, 10)
	r.stop()
	b.deleteStream()
	if err := b.js.DeleteStream(t.Context(), "OTHER"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: consumer.Subjects}); err != nil {
		t.Fatal(err)
	}
	r = b.run(store, goOn, func(c *consumer.Config) { c.Stream = "OTHER" })
	if s := r.await(consumer.Rewound, 10); !strings.Contains(s.Reasons[0], "start with --stream JOBS") {
		t.Fatalf("reasons %q", s.Reasons)
	}
	r.stop()
	r = b.run(store, goOn)
	r.await(consumer.StreamMissing, 10)
	if len(store.Epochs()) != 0 {
		t.Fatalf("epochs %+v", store.Epochs())
	}
}

func TestRun_StoreFull(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	store := newStore(t)
	full := true
	store.before = func(batch []statemachine.Entry) error {
		if full && batch[0].Sequence > 10 {
			full = len(store.tried) < 2
			store.tried = append(store.tried, batch[0].Sequence)
			return fmt.Errorf("3 MiB are free, and 8 are needed: %w", statemachine.ErrFull)
		}
		return nil
	}
	r := b.run(store, func(c *consumer.Config) { c.BatchEvents = 5 })
	b.publish(1, 11)
	r.await(consumer.Ready, 10)
	b.publish(11, 51)
	if s := r.await(consumer.StoreFull, 10); len(s.Reasons) != 1 || !strings.Contains(s.Reasons[0], "3 MiB are free, and 8 are needed") {
		t.Fatalf("%+v", s)
	}
	r.await(consumer.Ready, 50)
	r.stop()
	if !slices.Equal(store.tried, []uint64{11, 11, 11}) {
		t.Errorf("tried %v", store.tried)
	}
	r.wantApplied(span(1, 51)...)
}

func TestRun_StopWhileStoreFull(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	b.publish(1, 11)
	store := newStore(t)
	store.before = func([]statemachine.Entry) error { return statemachine.ErrFull }
	r := b.run(store)
	r.await(consumer.StoreFull, 0)
	r.stop()
	store.before = nil
	r = b.run(store)
	r.await(consumer.Ready, 10)
	r.wantApplied(span(1, 11)...)
}

// A gap or a new epoch has no room either.
func TestRun_StoreFullAtAGap(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	b.publish(1, 11)
	store := newStore(t)
	r := b.run(store, goOn)
	r.await(consumer.Ready, 10)
	r.stop()
	b.publish(11, 21)
	if err := b.stream().Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused := make(chan struct{})
	store.before = func([]statemachine.Entry) error {
		select {
		case <-refused:
			return nil
		default:
			return statemachine.ErrFull
		}
	}
	r = b.run(store, goOn)
	r.await(consumer.StoreFull, 10)
	close(refused)
	r.await(consumer.Ready, 20)
	r.wantApplied(span(1, 11)...)
}

// What is wrong with the consumer that the server keeps for us does not last: another is made.
func TestRun_Stalled(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	store := newStore(t)
	r := b.run(store, func(c *consumer.Config) { c.StallAfter = 100 * time.Millisecond })
	b.publish(1, 11)
	r.await(consumer.Ready, 10)
	b.pauseConsumers()
	b.publish(11, 21)
	r.await(consumer.Ready, 20)
	r.wantApplied(span(1, 21)...)
}

// pauseConsumers has the server deliver nothing more to the consumers that are there.
func (b *bench) pauseConsumers() {
	b.Helper()
	paused := 0
	for name := range b.stream().ConsumerNames(b.Context()).Name() {
		if _, err := b.js.PauseConsumer(b.Context(), "JOBS", name, time.Now().Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
		paused++
	}
	if paused == 0 {
		b.Fatal("there is no consumer")
	}
}

// What the server holds and could not write is not applied: it may be another when the server starts again.
func TestRun_ServerCouldNotWrite(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	var wedged atomic.Bool
	r := b.run(newStore(t), func(cfg *consumer.Config) {
		cfg.Unwritten = func() error {
			if wedged.Load() {
				return errors.New("the disk is full")
			}
			return nil
		}
	})
	b.publish(1, 11)
	r.await(consumer.Ready, 10)
	wedged.Store(true)
	b.publish(11, 21)
	r.await(consumer.Disconnected, 10)
	if reasons := r.Status().Reasons; !strings.Contains(strings.Join(reasons, " "), "the disk is full") {
		t.Errorf("it says %q", reasons)
	}
	if got := r.store.sequences(); len(got) != 10 {
		t.Errorf("applied %v", got)
	}
	wedged.Store(false)
	r.await(consumer.Ready, 20)
	r.wantApplied(span(1, 21)...)
}
