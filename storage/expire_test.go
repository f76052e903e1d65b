package storage_test

import (
	"errors"
	"testing"
	"time"

	sm "faultd/statemachine"
	"faultd/storage"
)

func retaining(tb testing.TB, retention time.Duration) *storage.DB {
	tb.Helper()
	db, err := storage.Open(storage.Options{Path: temp(tb), Retention: retention})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func TestExpire_DeletedResourcesAndOldHistory(t *testing.T) {
	db := retaining(t, time.Hour)
	log := []sm.Event{
		ev(1, sm.Server, "gone", sm.ActBuild, "b", sm.PhaseFailed),
		ev(2, sm.Server, "gone", sm.ActDelete, "d", sm.PhaseSucceeded),
		ev(3, sm.Server, "alive", sm.ActBuild, "b", sm.PhaseFailed),
		ev(4, sm.Server, "alive", sm.ActRebuild, "r", sm.PhaseSucceeded),
		ev(3500, sm.Server, "other", sm.ActBuild, "b", sm.PhaseSucceeded),
	}
	apply(t, db, entries(log))
	if r, err := db.Resource(log[0].Key); err != nil || r.Status != sm.Deleted || r.Fault == nil {
		t.Fatalf("within the retention it is %s with %v, %v", r.Status, r.Fault, err)
	}
	apply(t, db, entries([]sm.Event{ev(3700, sm.Server, "other", sm.ActReboot, "r", sm.PhaseStarted)}))
	if _, err := db.Resource(log[0].Key); !errors.Is(err, sm.ErrNotFound) {
		t.Errorf("beyond the retention the deleted server: %v", err)
	}
	if n := db.Summary("t")[sm.Server][sm.Deleted]; n != 0 {
		t.Errorf("%d deleted servers are counted", n)
	}
	rows, cut, err := db.History(log[2].Key)
	if err != nil || cut != 1 || len(rows) != 1 || rows[0].Fault == nil {
		t.Errorf("of the living server's history %+v are kept, %d cut, %v", rows, cut, err)
	}
	again := ev(3701, sm.Server, "gone", sm.ActBuild, "b", sm.PhaseStarted)
	apply(t, db, entries([]sm.Event{again}))
	if r, err := db.Resource(again.Key); err != nil || r.Status != sm.Build || len(r.Jobs) != 1 {
		t.Errorf("born again it is %+v, %v", r, err)
	}
}

// What came at a full minute expires with it, what came a moment later with the next.
func TestExpire_AtFullMinutes(t *testing.T) {
	const full = 40 // this event comes at one
	db := retaining(t, 10*time.Minute)
	apply(t, db, entries([]sm.Event{
		ev(full-1, sm.Server, "exact", sm.ActBuild, "b", sm.PhaseSucceeded),
		ev(full, sm.Server, "exact", sm.ActDelete, "d", sm.PhaseSucceeded),
		ev(full+1, sm.Server, "later", sm.ActBuild, "b", sm.PhaseSucceeded),
		ev(full+2, sm.Server, "later", sm.ActDelete, "d", sm.PhaseSucceeded),
	}))
	for _, step := range []struct {
		at           int
		exact, later error
	}{{full + 599, nil, nil}, {full + 600, sm.ErrNotFound, nil}, {full + 659, sm.ErrNotFound, nil}, {full + 660, sm.ErrNotFound, sm.ErrNotFound}} {
		e := ev(step.at, sm.Server, "other", sm.ActReboot, "r", sm.PhaseStarted)
		apply(t, db, entries([]sm.Event{e}))
		for id, want := range map[string]error{"exact": step.exact, "later": step.later} {
			if _, err := db.Resource(sm.Key{Tenant: "t", Kind: sm.Server, ID: id}); !errors.Is(err, want) {
				t.Errorf("%d s after the full minute %s: %v, want %v", step.at-full, id, err, want)
			}
		}
	}
}

func TestPending_BegunAndUnfinished(t *testing.T) {
	path := temp(t)
	db := open(t, path)
	apply(t, db, entries([]sm.Event{
		ev(1, sm.Server, "a", sm.ActBuild, "b-1", sm.PhaseStarted),
		ev(2, sm.Server, "b", sm.ActBuild, "b-2", sm.PhaseStarted),
		ev(3, sm.Server, "b", sm.ActBuild, "b-2", sm.PhaseSucceeded),
	}))
	pending := db.Pending()
	if len(pending) != 1 || pending[0].Job != "b-1" || pending[0].LastSeq != 1 {
		t.Fatalf("pending are %+v", pending)
	}
	if more := db.Pending(); len(more) != 0 {
		t.Errorf("once more %+v", more)
	}
	attempt := ev(4, sm.Server, "a", sm.ActBuild, "b-1", sm.PhaseProgressed)
	attempt.Fault = &sm.Fault{Sequence: 4, Code: 500, Message: "host 1"}
	apply(t, db, entries([]sm.Event{attempt}))
	if again := db.Pending(); len(again) != 1 || !again[0].Waiting || again[0].Fault.Message != "host 1" {
		t.Errorf("after a failed attempt %+v", again)
	}
	_ = db.Close()
	db = open(t, path)
	if all := db.Pending(); len(all) != 1 || !all[0].Waiting {
		t.Errorf("after a restart %+v", all)
	}
	if now, ok, err := db.Look(pending[0]); err != nil || !ok || now.LastSeq != 4 {
		t.Errorf("it is now %+v, %v, %v", now, ok, err)
	}
	apply(t, db, entries([]sm.Event{ev(5, sm.Server, "a", sm.ActDelete, "d", sm.PhaseSucceeded)}))
	if _, ok, _ := db.Look(pending[0]); ok {
		t.Error("a job of a deleted server is pending")
	}
}

func TestRelations_FollowStatusAndAttributes(t *testing.T) {
	db := open(t, temp(t))
	with := func(e sm.Event, attributes string) sm.Event {
		e.Attributes = sm.Attributes(attributes)
		return e
	}
	of := `{"backup_id":"bk","product":"JIRA"}`
	apply(t, db, entries([]sm.Event{
		with(ev(1, sm.Export, "x-1", sm.ActExport, "j", sm.PhaseStarted), of),
		with(ev(2, sm.Export, "x-2", sm.ActExport, "j", sm.PhaseSucceeded), of),
		with(ev(3, sm.Import, "i-1", sm.ActImport, "j", sm.PhaseAccepted), `{"backup_id":7,"product":"JIRA"}`),
	}))
	if r, ok, err := db.NewestExport("t", "bk"); err != nil || !ok || r.ID != "x-2" {
		t.Errorf("the newest export is %v, %v, %v", r.Key, ok, err)
	}
	if r, ok, err := db.InProgress("t", "JIRA", sm.Export); err != nil || !ok || r.ID != "x-1" {
		t.Errorf("in progress is %v, %v, %v", r.Key, ok, err)
	}
	if r, ok, err := db.InProgress("t", "JIRA", sm.Import); err != nil || !ok || r.ID != "i-1" {
		t.Errorf("queued is %v, %v, %v", r.Key, ok, err)
	}
	if all, err := db.JobsOf("t", "bk", 10); err != nil || len(all) != 2 {
		t.Errorf("jobs of the backup are %v, %v", ids(all), err)
	}
	apply(t, db, entries([]sm.Event{ev(4, sm.Export, "x-1", sm.ActExport, "j", sm.PhaseSucceeded), ev(5, sm.Export, "x-2", sm.ActDelete, "d", sm.PhaseSucceeded)}))
	if r, ok, err := db.NewestExport("t", "bk"); err != nil || !ok || r.ID != "x-1" {
		t.Errorf("the newest export is then %v, %v, %v", r.Key, ok, err)
	}
	if _, ok, err := db.InProgress("t", "JIRA", sm.Export); ok || err != nil {
		t.Errorf("an export is in progress: %v", err)
	}
	if _, ok, _ := db.NewestExport("u", "bk"); ok {
		t.Error("another tenant sees the export")
	}
}

func TestSharedVault_TwoAgentsOnTwoHosts(t *testing.T) {
	db := open(t, temp(t))
	for i, attributes := range []string{
		`{"vault":"v","agent_id":"1","host":"a"}`, `{"vault":"v","agent_id":"2","host":"b"}`,
		`{"vault":"w","agent_id":"1","host":"a"}`, `{"vault":"w","agent_id":"1","host":"b"}`, `{"vault":7}`,
	} {
		e := ev(i+1, sm.Backup, string(rune('a'+i)), sm.ActBackup, "b", sm.PhaseFailed)
		e.Attributes = sm.Attributes(attributes)
		apply(t, db, entries([]sm.Event{e}))
	}
	for id, want := range map[string]bool{"a": true, "b": true, "c": false, "d": false, "e": false} {
		r, err := db.Resource(sm.Key{Tenant: "t", Kind: sm.Backup, ID: id})
		if got := db.SharedVault(&r); err != nil || got != want {
			t.Errorf("%s: %v, %v", id, got, err)
		}
	}
}
