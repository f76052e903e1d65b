package storage_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	sm "faultd/statemachine"
	"faultd/storage"
)

// jobs is a log of builds: 2,000 at a time, ten events each, 3 % of which fail.
func jobs(resources int) []sm.Entry {
	const concurrent, events = 2000, 10
	all := make([]sm.Entry, 0, resources*events)
	for first := 0; first < resources; first += concurrent {
		for step := range events {
			for r := first; r < min(first+concurrent, resources); r++ {
				all = append(all, sm.Entry{Event: buildStep(len(all)+1, r, step)})
			}
		}
	}
	return all
}

func buildStep(sequence, r, step int) sm.Event {
	e := ev(sequence, sm.Server, fmt.Sprintf("%08x-8b69-11e0-9b19-734f%08x", uint32(r)*2654435761, r), sm.ActBuild, fmt.Sprint("b-", r), sm.PhaseProgressed)
	e.Tenant = fmt.Sprint("tenant-", r%100)
	switch {
	case step == 0:
		e.Phase = sm.PhaseAccepted
		e.Name, e.Attributes = fmt.Sprint("server-", r), []byte(`{"flavor":{"id":"m1"},"hostId":"e4d909c290d0fb1ca068ffafff22cbd0"}`)
	case step == 1:
		e.Phase = sm.PhaseStarted
	case step < 9:
		e.Progress = int8(step * 10)
	case r%33 == 0:
		e.Phase, e.Fault = sm.PhaseFailed, &sm.Fault{Sequence: e.Sequence, Created: e.Time, Code: 500, Message: "No valid host was found"}
	default:
		e.Phase = sm.PhaseSucceeded
	}
	return e
}

// BenchmarkApply folds batches of 16,000 events into a new store and commits them, and tells what each of the two costs
// an event: nanoseconds, allocations, bytes.
func BenchmarkApply(b *testing.B) {
	log := jobs(20_000)
	var folding, committing cost
	for b.Loop() {
		m := &meter{steps: map[string]*cost{"put": &folding, "committed": &committing}}
		db, err := storage.Open(storage.Options{Path: temp(b), Step: m.step})
		if err != nil {
			b.Fatal(err)
		}
		for batch := range slices.Chunk(log, 16_000) {
			apply(b, db, batch)
		}
		_ = db.Close()
	}
	events := float64(b.N * len(log))
	b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
	folding.report(b, events, "fold")
	committing.report(b, events, "commit")
}

// cost is that of a part of each batch, over all of them.
type cost struct {
	took          time.Duration
	allocs, bytes uint64
}

func (c *cost) report(b *testing.B, events float64, part string) {
	b.ReportMetric(float64(c.took.Nanoseconds())/events, part+"-ns/event")
	b.ReportMetric(float64(c.allocs)/events, part+"-allocs/event")
	b.ReportMetric(float64(c.bytes)/events, part+"-B/event")
}

// meter adds what it took from one step of the store to the next.
type meter struct {
	steps  map[string]*cost // by the name of the step that ends it
	since  time.Time
	memory runtime.MemStats
}

func (m *meter) step(name string) {
	now, before := time.Now(), m.memory
	runtime.ReadMemStats(&m.memory)
	if c := m.steps[name]; c != nil {
		c.took += now.Sub(m.since)
		c.allocs += m.memory.Mallocs - before.Mallocs
		c.bytes += m.memory.TotalAlloc - before.TotalAlloc
	}
	m.since = time.Now()
}
