package storage_test

import (
	"fmt"
	"path/filepath"
	"testing"

	sm "faultd/statemachine"
	"faultd/storage"
)

// Jobs that have ended before anybody asked for those that are pending are none.
func TestPending_EndedJobs(t *testing.T) {
	db, err := storage.Open(storage.Options{Path: filepath.Join(t.TempDir(), "faultd.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	at := sm.Position{Stream: "JOBS", Epoch: 1, First: 1}
	const jobs = 5_000
	for n := range jobs / 1000 {
		for _, phase := range []sm.Phase{sm.PhaseStarted, sm.PhaseSucceeded} {
			var entries []sm.Entry
			for i := range 1000 {
				at.Sequence++
				var e sm.Entry
				e.Event = sm.Event{Key: sm.Key{Tenant: "t", Kind: sm.Server, ID: fmt.Sprintf("s-%032d-%d", i, n)}, Job: fmt.Sprintf("job-%032d-%d", i, n), Action: sm.ActBuild, Phase: phase}
				e.Sequence, e.StreamTime = at.Sequence, sm.Time(at.Sequence)
				entries = append(entries, e)
			}
			if _, _, err := db.Apply(entries, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(db.Pending()); n != 0 {
		t.Errorf("%d jobs are pending, and all have ended", n)
	}
}
