package consumer_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/statemachine"
)

// rows is an outbox of rows that are made by hand.
type rows struct {
	mu   sync.Mutex
	all  []statemachine.Telling
	told uint64
}

func (r *rows) Outbox(after uint64, limit int) (some []statemachine.Telling, err error) {
	for _, row := range r.all {
		if row.Ordinal > after && len(some) < limit {
			some = append(some, row)
		}
	}
	return some, nil
}

func (r *rows) Told(ordinal uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = ordinal
}

func (r *rows) OutboxState() (uint64, statemachine.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told < r.all[len(r.all)-1].Ordinal {
		return 1, 1
	}
	return 0, 0
}

func (r *rows) Changed() <-chan struct{} { return nil }

// Which rows the last message of FAULTS shows to be told.
func TestTelling_Known(t *testing.T) {
	epoch := time.Date(2026, 11, 21, 2, 0, 0, 123456789, time.UTC)
	at := statemachine.At(epoch)
	position := func(sequence int) string { return fmt.Sprintf("JOBS/%s/%d", epoch.Format(time.RFC3339Nano), sequence) }
	when := epoch.Add(time.Minute).Format(time.RFC3339Nano)
	row := func(epoch statemachine.Time, sequence uint64, after time.Duration, behind uint64) statemachine.Telling {
		return statemachine.Telling{Ordinal: sequence, Epoch: epoch, Sequence: sequence, StreamTime: at + statemachine.Time(after), Behind: behind, Raised: true,
			Fault: &statemachine.Fault{Code: 500}, Resource: statemachine.Resource{Key: statemachine.Key{Tenant: "t", Kind: statemachine.Server, ID: "s"}}}
	}
	for name, test := range map[string]struct {
		position, time string
		row            statemachine.Telling
		known          bool
	}{
		"the row itself":             {position(7), when, row(at, 7, time.Minute, 0), true},
		"one behind it":              {position(8), when, row(at, 7, time.Second, 0), true},
		"written since the epoch":    {position(8), when, row(at, 7, time.Second, 1), true},
		"one before it":              {position(6), when, row(at, 7, time.Minute, 0), false},
		"another epoch":              {position(8), when, row(at+1, 7, time.Minute, 0), false},
		"before the epoch":           {position(8), when, row(at, 7, time.Second, 2), false},
		"before the stream's rewind": {position(8), when, row(at, 7, time.Hour, 0), false},
		"not faultd's":               {"", "", row(at, 7, time.Second, 0), false},
		"not a sequence":             {position(8) + "x", when, row(at, 7, time.Second, 0), false},
		"not a time":                 {position(8), "noon", row(at, 7, time.Second, 0), false},
	} {
		t.Run(name, func(t *testing.T) {
			b, box := newBench(t), &rows{all: []statemachine.Telling{test.row}}
			b.makeFaults(jetstream.StreamConfig{Subjects: []string{"faults.>"}})
			if _, err := b.js.Publish(t.Context(), "faults.x", []byte("{}")); err != nil {
				t.Fatal(err)
			}
			m := nats.NewMsg("faults.t.server.x.raised")
			m.Data = []byte("{}")
			if test.position != "" {
				m.Header.Set("Faultd-Position", test.position)
				m.Header.Set("Faultd-Stream-Time", test.time)
			}
			if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			b.run(newStore(t), tell(box))
			b.awaitTold(box)
			want := uint64(3)
			if test.known {
				want = 2
			}
			b.faults(want)
		})
	}
}
