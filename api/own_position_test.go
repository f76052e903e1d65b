package api_test

import (
	"strings"
	"testing"
	"time"

	sm "faultd/statemachine"
)

// rewind ends the epoch with a gap in it, and begins one of a stream that was made an hour later.
func (w *world) rewind() {
	w.tb.Helper()
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseStarted))
	at := w.db.Position()
	at.Sequence, at.Digest = at.Sequence+3, 0
	gap := sm.Gap{Epoch: at.Epoch, From: at.Sequence - 2, To: at.Sequence, Cause: `purged, or "lost"`, Noticed: sm.At(epoch.Add(time.Minute))}
	if _, _, err := w.db.Apply(nil, at, gap); err != nil {
		w.tb.Fatal(err)
	}
	if err := w.db.NewEpoch("JOBS", sm.At(epoch.Add(time.Hour)), 3, 0); err != nil {
		w.tb.Fatal(err)
	}
}

func TestPosition_GapsAndEpochs(t *testing.T) {
	w := newWorld(t)
	w.rewind()
	got := w.get("/v1/position").Body.String()
	for _, want := range []string{
		`{"stream":"JOBS","epoch":"2026-11-21T03:00:00Z","sequence":2,"ordinal":4,"lag":0,`,
		`"gaps":[{"epoch":"2026-11-21T02:00:00Z","from":2,"to":4,"count":3,"cause":"purged, or \"lost\"","noticed":"2026-11-21T02:01:00Z"}],` +
			`"epochs":[{"stream":"JOBS","epoch":"2026-11-21T02:00:00Z","first":1,"last":4}]}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant in it %s", got, want)
		}
	}
}

// What was applied before a rewind stays applied; what was not never will be.
func TestMinPosition_EndedEpoch(t *testing.T) {
	w := newWorld(t)
	w.rewind()
	for position, want := range map[string]int{
		"JOBS/2026-11-21T02:00:00Z/1": 200,
		"JOBS/2026-11-21T02:00:00Z/4": 200,
		"JOBS/2026-11-21T02:00:00Z/5": 400,
		"JOBS/2026-11-21T01:00:00Z/1": 400,
		"JOBS/2026-11-21T03:00:00Z/2": 200,
		"JOBS/2026-11-21T03:00:00Z/3": 503,
		"2":                           200,
		"4":                           503,
	} {
		if got := w.get("/v1/summary?wait=0&min_position=" + position); got.Code != want {
			t.Errorf("%s: %d, want %d: %s", position, got.Code, want, got.Body)
		}
	}
}

// The numbers that a follower goes by are those that no two messages share.
func TestStream_GoesOnOverEpochs(t *testing.T) {
	w := newWorld(t)
	w.rewind()
	to := w.db.Position()
	to.Sequence++
	e := event("t/server/s", sm.ActBuild, sm.PhaseSucceeded)
	e.Sequence, e.StreamTime, e.ID = to.Ordinal(), sm.At(epoch.Add(time.Hour)), 99
	to.StreamTime = e.StreamTime
	if _, _, err := w.db.Apply([]sm.Entry{e}, to); err != nil {
		t.Fatal(err)
	}
	next := w.follow("", "4")
	if got := next(); got.id != "5" || got.event != "transition" {
		t.Errorf("got %+v", got)
	}
	if got, want := w.follow("", "9")(), (sse{"5", "reset", `{"sequence":5}`}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
