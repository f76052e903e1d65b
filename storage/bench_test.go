package storage_test

import (
	"fmt"
	"slices"
	"testing"

	sm "faultd/statemachine"
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

func BenchmarkApply(b *testing.B) {
	log := jobs(20_000)
	b.ReportAllocs()
	for b.Loop() {
		db := open(b, temp(b))
		for batch := range slices.Chunk(log, 50_000) {
			apply(b, db, batch)
		}
		_ = db.Close()
	}
	b.ReportMetric(float64(b.N*len(log))/b.Elapsed().Seconds(), "events/s")
}
