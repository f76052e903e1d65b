package consumer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"faultd/statemachine"
)

// deliver is a message as JetStream delivers it.
func deliver(number, sequence uint64) *nats.Msg {
	return &nats.Msg{Subject: "jobs.t.server.s.started", Data: []byte("{}"),
		Reply: fmt.Sprintf("$JS.ACK.JOBS.x.1.%d.%d.1700000000000000000.9", sequence, number)}
}

// What the client library reads out of a reply subject is read, and what it does not take is an error.
func TestParseDelivery(t *testing.T) {
	for reply, want := range map[string]delivery{
		"$JS.ACK.JOBS.Xy.1.12.3.1700000000000000123.45":             {12, 3, 1700000000000000123, 45},
		"$JS.ACK._.h4sh.JOBS.Xy.1.12.3.1700000000000000123.0":       {12, 3, 1700000000000000123, 0},
		"$JS.ACK.hub.h4sh.JOBS.Xy.1.12.3.1700000000000000123.4.rnd": {12, 3, 1700000000000000123, 4},
	} {
		d, err := parseDelivery(reply)
		if err != nil || d != want {
			t.Errorf("%s: %+v, %v", reply, d, err)
		}
		m, err := (&nats.Msg{Reply: reply, Sub: &nats.Subscription{}}).Metadata()
		if err != nil || d != (delivery{m.Sequence.Stream, m.Sequence.Consumer, statemachine.At(m.Timestamp), m.NumPending}) {
			t.Errorf("%s: %+v, and nats.go reads %+v, %v", reply, d, m, err)
		}
	}
	for _, reply := range []string{"", "$JS.ACK", "$JS.ACK.JOBS.Xy.1.12.3.1700000000000000123", "$JS.ACK.JOBS.Xy.1.12.3.1700000000000000123.4.5",
		"$JS.FC.JOBS.Xy.1.12.3.1700000000000000123.4", "$JS.ACK.JOBS.Xy.1.-2.3.1700000000000000123.4", "$JS.ACK.JOBS.Xy.1..3.1700000000000000123.4",
		"$JS.ACK.JOBS.Xy.1.12.3.17000000000000001234.4", "$JS.ACK.JOBS.Xy.1.12.3x.1700000000000000123.4"} {
		if d, err := parseDelivery(reply); err == nil || !strings.Contains(err.Error(), "reply subject") {
			t.Errorf("%q: %+v, %v", reply, d, err)
		}
	}
}

// Behind a hole that is allowed reading goes on, and the numbers of an epoch begin where the last one's ended.
func TestHandle_ContinuesOverHoles(t *testing.T) {
	q := newQueue(Config{}.withDefaults())
	r := &reader{stream: "JOBS", queue: q, lag: &lag{}, base: 100, next: 5, hole: func() *statemachine.Gap { return &statemachine.Gap{Noticed: 7} }}
	for i, sequence := range []uint64{7, 8, 12} {
		r.handle(deliver(uint64(i+1), sequence))
	}
	b, err := q.take()
	if err != nil || !slices.Equal(sequences(b), []uint64{107, 108, 112}) || b.first != 7 || b.last.sequence != 12 {
		t.Fatalf("%v %v", b, err)
	}
	if want := []statemachine.Gap{{From: 5, To: 6, Noticed: 7}, {From: 9, To: 11, Noticed: 7}}; !slices.Equal(b.gaps, want) {
		t.Fatalf("gaps %v, want %v", b.gaps, want)
	}
}

func TestHandle_Continuity(t *testing.T) {
	gapOf := func(from, to uint64) error { return gap("JOBS", from, to) }
	for name, c := range map[string]struct {
		next       uint64
		deliveries []*nats.Msg
		want       []uint64 // that reach the queue
		end        error
	}{
		"in order":                {5, []*nats.Msg{deliver(1, 5), deliver(2, 6), deliver(3, 7)}, []uint64{5, 6, 7}, nil},
		"fresh, wherever":         {0, []*nats.Msg{deliver(1, 40), deliver(2, 41)}, []uint64{40, 41}, nil},
		"known again":             {5, []*nats.Msg{deliver(1, 4), deliver(2, 5), deliver(3, 5), deliver(4, 6)}, []uint64{5, 6}, nil},
		"a hole":                  {5, []*nats.Msg{deliver(1, 5), deliver(2, 9), deliver(3, 10)}, []uint64{5}, gapOf(6, 8)},
		"a hole of one message":   {5, []*nats.Msg{deliver(1, 5), deliver(2, 7)}, []uint64{5}, gapOf(6, 6)},
		"a hole at the beginning": {5, []*nats.Msg{deliver(1, 7)}, nil, gapOf(5, 6)},
		"lost on the way":         {5, []*nats.Msg{deliver(1, 5), deliver(3, 7), deliver(4, 8)}, []uint64{5}, errBroken},
		"the first one lost":      {5, []*nats.Msg{deliver(2, 6)}, nil, errBroken},
		"another consumer's":      {5, []*nats.Msg{deliver(1, 5), deliver(1, 6)}, []uint64{5}, errBroken},
	} {
		t.Run(name, func(t *testing.T) {
			q := newQueue(Config{}.withDefaults())
			r := &reader{stream: "JOBS", queue: q, lag: &lag{}, next: c.next}
			for _, d := range c.deliveries {
				r.handle(d)
			}
			q.close(nil)
			q.mu.Lock()
			var got []uint64
			for _, e := range q.grows.entries {
				got = append(got, e.Sequence)
			}
			end := q.closed
			q.mu.Unlock()
			if !slices.Equal(got, c.want) {
				t.Errorf("took %v, want %v", got, c.want)
			}
			if !errors.Is(end, c.end) && (c.end == nil || end == nil || end.Error() != c.end.Error()) {
				t.Errorf("ended with %v, want %v", end, c.end)
			}
		})
	}
}

// fill puts the messages from to to-1 and reports each on the channel.
func fill(q *queue, from, to uint64, pending uint64) <-chan bool {
	done := make(chan bool, to-from)
	go func() {
		defer close(done)
		for n := from; n < to; n++ {
			m := received{Message: Message{Sequence: n, Data: make([]byte, 10)}, sequence: n, pending: pending}
			done <- q.put(&statemachine.Entry{Event: statemachine.Event{Sequence: n}}, &m, nil)
		}
	}()
	return done
}

func sequences(b batch) (all []uint64) {
	for _, e := range b.entries {
		all = append(all, e.Sequence)
	}
	return all
}

func TestQueue_TakesWhatIsThere(t *testing.T) {
	q := newQueue(Config{}.withDefaults())
	for range fill(q, 1, 4, 0) {
	}
	b, err := q.take()
	if err != nil || !slices.Equal(sequences(b), []uint64{1, 2, 3}) || b.first != 1 || b.last.sequence != 3 || b.bytes != 30 {
		t.Fatalf("%+v %v", b, err)
	}
}

func TestQueue_FullWaitsForTake(t *testing.T) {
	for name, cfg := range map[string]Config{"events": {BatchEvents: 2}, "bytes": {BatchBytes: 25}} {
		t.Run(name, func(t *testing.T) {
			q := newQueue(cfg.withDefaults())
			done := fill(q, 1, 6, 0)
			<-done
			<-done
			var got []uint64
			for len(got) < 5 {
				b, err := q.take()
				if err != nil || len(b.entries) > 2 {
					t.Fatalf("%+v %v", b, err)
				}
				got = append(got, sequences(b)...)
				q.reuse(b)
			}
			if !slices.Equal(got, []uint64{1, 2, 3, 4, 5}) {
				t.Fatalf("took %v", got)
			}
		})
	}
}

func TestQueue_LingersWhileMuchWaits(t *testing.T) {
	q := newQueue(Config{BatchEvents: 3, Linger: time.Hour}.withDefaults())
	done := fill(q, 1, 4, 1000)
	b, err := q.take()
	if err != nil || len(b.entries) != 3 {
		t.Fatalf("took %v %v before the batch was full", sequences(b), err)
	}
	for range done {
	}

	q = newQueue(Config{BatchEvents: 3, Linger: time.Millisecond}.withDefaults())
	for range fill(q, 1, 2, 1000) {
	}
	if b, err := q.take(); err != nil || len(b.entries) != 1 {
		t.Fatalf("took %v %v", sequences(b), err)
	}
}

func TestQueue_Close(t *testing.T) {
	reason := errors.New("reason")
	q := newQueue(Config{BatchEvents: 2, Linger: time.Hour}.withDefaults())
	done := fill(q, 1, 5, 1000) // the third waits for room
	<-done
	<-done
	q.close(reason)
	q.close(errors.New("a later one"))
	if ok := <-done; ok {
		t.Fatal("a message was taken in after the end")
	}
	if b, err := q.take(); err != nil || len(b.entries) != 2 {
		t.Fatalf("what was there is lost: %v %v", sequences(b), err)
	}
	if _, err := q.take(); !errors.Is(err, reason) {
		t.Fatalf("ended with %v", err)
	}
}

func TestQueue_CloseWakesTake(t *testing.T) {
	q := newQueue(Config{}.withDefaults())
	ended := make(chan error)
	go func() {
		_, err := q.take()
		ended <- err
	}()
	q.close(errBroken)
	if err := <-ended; !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
}

func TestQueue_BuffersAreUsedAgain(t *testing.T) {
	q := newQueue(Config{}.withDefaults())
	var first *statemachine.Entry
	for n := uint64(1); n <= 3; n++ {
		for range fill(q, n, n+1, 0) {
		}
		b, err := q.take()
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			first = &b.entries[0]
		}
		if n == 3 && &b.entries[0] != first {
			t.Fatal("the third batch is not in the first one's buffer")
		}
		q.reuse(b)
		if n == 1 && first.Sequence != 0 {
			t.Fatal("a used buffer still holds its entries")
		}
	}
}
