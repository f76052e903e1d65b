package storage_test

import (
	"fmt"
	"testing"
	"time"

	sm "faultd/statemachine"
	"faultd/storage"
)

// sameInOneBatch applies a log message by message to two stores, and what comes last at once to the second.
func sameInOneBatch(t *testing.T, log, last []sm.Event, retention time.Duration) {
	t.Helper()
	var hashes [2]uint64
	for i := range hashes {
		path := temp(t)
		db, err := storage.Open(storage.Options{Path: path, Retention: retention})
		if err != nil {
			t.Fatal(err)
		}
		apply(t, db, entries(log))
		size := 1 + i*(len(last)-1)
		for n := 0; n < len(last); n += size {
			apply(t, db, entries(last[n:n+size]))
		}
		_, _, hashes[i] = db.State()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if hashes[0] != hashes[1] {
		t.Errorf("state hash %016x, and %016x in one batch", hashes[0], hashes[1])
	}
}

// The oldest row comes of age in the batch that deletes the resource.
func TestApply_LongHistoryOfWhatIsDeletedInTheBatchInWhichItAges(t *testing.T) {
	var log []sm.Event
	for i := 1; i < 120; i += 2 {
		job := fmt.Sprint("r", i)
		log = append(log, ev(i, sm.Server, "s", sm.ActReboot, job, sm.PhaseStarted), ev(i+1, sm.Server, "s", sm.ActReboot, job, sm.PhaseSucceeded))
	}
	log = append(log, ev(3600, sm.Server, "s", sm.ActDelete, "d", sm.PhaseStarted))
	sameInOneBatch(t, log, []sm.Event{ev(3601, sm.Server, "s", sm.ActDelete, "d", sm.PhaseSucceeded),
		ev(3701, sm.Server, "other", sm.ActBuild, "b", sm.PhaseStarted)}, time.Hour)
}

// The newest job lets go of a fault that no row of history has any more, by an event that makes no row.
func TestApply_LongHistoryAndAFaultThatIsLetGo(t *testing.T) {
	failed := func(i int) sm.Event {
		e := ev(i, sm.Server, "s", sm.ActSnapshot, "j", sm.PhaseProgressed)
		e.Fault = &sm.Fault{Sequence: e.Sequence, Created: e.Time, Code: 500, Message: fmt.Sprint("attempt ", i)}
		return e
	}
	late := ev(3, sm.Server, "s", sm.ActSnapshot, "j", sm.PhaseFailed)
	late.After = 2
	log := []sm.Event{ev(1, sm.Server, "s", sm.ActBuild, "b", sm.PhaseSucceeded), ev(2, sm.Server, "s", sm.ActSnapshot, "j", sm.PhaseStarted), late}
	for i := 4; i < 120; i++ {
		log = append(log, failed(i))
	}
	sameInOneBatch(t, log, []sm.Event{failed(120), ev(121, sm.Server, "s", sm.ActSnapshot, "j", sm.PhaseCancelled)}, 0)
}
