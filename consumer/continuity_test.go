package consumer_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer"
)

func TestRun_Gap(t *testing.T) {
	purge := func(b *bench) error { return b.stream().Purge(b.Context(), jetstream.WithPurgeSequence(15)) }
	for name, c := range map[string]struct {
		lose    func(b *bench) error
		applied uint64
		want    string
	}{
		"head purged":      {purge, 10, "messages 11 to 14 of JOBS were gone"},
		"all purged":       {func(b *bench) error { return b.stream().Purge(b.Context()) }, 10, "messages 11 to 20 of JOBS were gone"},
		"next one deleted": {func(b *bench) error { return b.stream().DeleteMsg(b.Context(), 11) }, 10, "messages 11 to 11 of JOBS were gone"},
		"the rest deleted": {func(b *bench) error { return b.deleteMessages(16, 21) }, 15, "messages 16 to 20 of JOBS were gone"},
		"two in the middle": {func(b *bench) error {
			return errors.Join(b.stream().DeleteMsg(b.Context(), 16), b.stream().DeleteMsg(b.Context(), 17))
		}, 15, "messages 16 to 17 of JOBS were gone"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			store := newStore(t)
			r := b.run(store)
			r.await(consumer.Ready, 0)
			b.publish(1, 11)
			r.await(consumer.Ready, 10)
			r.stop()
			b.publish(11, 21)
			if err := c.lose(b); err != nil {
				t.Fatal(err)
			}
			r = b.run(store)
			s := r.await(consumer.Gap, c.applied)
			for _, says := range []string{c.want, "--on-gap=continue", "start with an empty one"} {
				if len(s.Reasons) != 1 || !strings.Contains(s.Reasons[0], says) {
					t.Fatalf("reasons %q, want one with %q", s.Reasons, says)
				}
			}
			b.publish(21, 31)
			r.stop()
			r.wantOnce(1, c.applied+1)
		})
	}
}

// A gap that stands where reading stopped must not be forgotten, and left, at the next look.
func TestRun_GapStays(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	b.publish(1, 21)
	if err := b.stream().DeleteMsg(t.Context(), 16); err != nil {
		t.Fatal(err)
	}
	r := b.run(newStore(t))
	r.await(consumer.Gap, 15)
	for range 200 {
		if s := r.Status(); s.State != consumer.Gap {
			t.Fatalf("left the gap for %+v", s)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRun_AgedOutBehindPositionIsNoGap(t *testing.T) {
	b := newBench(t)
	store := newStore(t)
	r := b.run(store)
	r.await(consumer.Ready, 0)
	b.publish(1, 11)
	r.await(consumer.Ready, 10)
	r.stop()
	if err := b.stream().Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.publish(11, 21)
	r = b.run(store)
	r.await(consumer.Ready, 20)
	r.wantOnce(1, 21)
}

func TestRun_Rewound(t *testing.T) {
	for name, c := range map[string]struct {
		publish int // how many messages are in the stream that was made anew
		want    string
	}{
		"fewer messages": {5, "was made anew"},
		"more messages":  {50, "was made anew"},
	} {
		for _, live := range []bool{false, true} {
			t.Run(name+map[bool]string{false: " at start", true: " while reading"}[live], func(t *testing.T) {
				b := newBench(t)
				store := newStore(t)
				r := b.run(store)
				r.await(consumer.Ready, 0)
				b.publish(1, 11)
				r.await(consumer.Ready, 10)
				if !live {
					r.stop()
				}
				b.deleteStream()
				b.makeStream()
				b.publish(101, 101+c.publish)
				if !live {
					r = b.run(store)
				}
				s := r.await(consumer.Rewound, 10)
				if len(s.Reasons) != 1 || !strings.Contains(s.Reasons[0], c.want) || !strings.Contains(s.Reasons[0], "--on-rewind=new-epoch") {
					t.Fatalf("reasons %q", s.Reasons)
				}
				r.stop()
				r.wantOnce(1, 11)
			})
		}
	}
}

func TestRun_OtherStream(t *testing.T) {
	b := newBench(t)
	store := newStore(t)
	r := b.run(store)
	r.await(consumer.Ready, 0)
	b.publish(1, 11)
	r.await(consumer.Ready, 10)
	r.stop()
	r = b.run(store, func(c *consumer.Config) { c.Stream = "OTHER" })
	if s := r.await(consumer.Rewound, 10); !strings.Contains(s.Reasons[0], "follows stream JOBS, not OTHER") {
		t.Fatalf("reasons %q", s.Reasons)
	}
}

func TestRun_StreamMissing(t *testing.T) {
	b := newBench(t)
	r := b.run(newStore(t))
	r.await(consumer.Ready, 0)
	b.publish(1, 11)
	r.await(consumer.Ready, 10)
	b.deleteStream()
	if s := r.await(consumer.StreamMissing, 10); !strings.Contains(s.Reasons[0], "stream JOBS is gone") {
		t.Fatalf("reasons %q", s.Reasons)
	}
	r.stop()
	if _, err := b.js.Stream(t.Context(), "JOBS"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Fatalf("the stream was made anew: %v", err)
	}
}
