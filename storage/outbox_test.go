package storage_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	sm "faultd/statemachine"
	"faultd/storage"
	"faultd/testdata/scenarios"
)

// tell is what is to be told of an event, by the state before it and the state after it.
func tell(e sm.Event, was, is sm.Resource, at sm.Position, behind uint64) []sm.Telling {
	row := sm.Telling{Ordinal: e.Sequence, Epoch: at.Epoch, Sequence: e.Sequence - at.Base, StreamTime: e.StreamTime, Time: min(e.Time, e.StreamTime),
		Behind: behind, Previous: was.Status, Resource: is}
	if was.Status == 0 {
		row.Previous = blank(e.Kind)
	}
	switch {
	case is.Status == sm.Error && (was.Status != sm.Error || *was.Fault != *is.Fault):
		row.Raised, row.Fault = true, is.Fault
	case is.Status != sm.Error && was.Status == sm.Error:
		row.Fault, row.Action = was.Fault, was.FailedAction()
	default:
		return nil
	}
	return []sm.Telling{row}
}

// blank is the status before the first job, and behind one that was cancelled.
func blank(k sm.Kind) sm.Status {
	if k == sm.Server || k == sm.Image {
		return sm.Unknown
	}
	return sm.Cancelled
}

// tellings is what a log of one epoch makes be told.
func tellings(log []sm.Event) (all []sm.Telling) {
	m := newModel(nil)
	for _, e := range log {
		was, is := m.take(e)
		all = append(all, tell(e, was, is, sm.Position{Epoch: 1}, 0)...)
	}
	return all
}

func dumpTellings(rows []sm.Telling) (all []string) {
	for _, t := range rows {
		head := t
		head.Fault, head.Resource = nil, sm.Resource{}
		all = append(all, fmt.Sprintf("%+v %s\n%s\n", head, fault(t.Fault), dump(t.Resource)))
	}
	return all
}

// untold reads the outbox page by page.
func untold(tb testing.TB, db *storage.DB, limit int) (all []sm.Telling) {
	tb.Helper()
	for after := uint64(0); ; {
		page, err := db.Outbox(after, limit)
		if err != nil || len(page) > limit {
			tb.Fatalf("%d rows, %v", len(page), err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = page[len(page)-1].Ordinal
	}
}

func sameTellings(tb testing.TB, got, want []sm.Telling) {
	tb.Helper()
	if g, w := dumpTellings(got), dumpTellings(want); !slices.Equal(g, w) {
		tb.Fatalf("to be told are %d:\n%s\nnot %d:\n%s", len(g), strings.Join(g, ""), len(w), strings.Join(w, ""))
	}
}

// bucket reads one bucket of a closed store's file.
func bucket(tb testing.TB, path, name string) map[string]string {
	all := contents(tb, path)
	maps.DeleteFunc(all, func(k, _ string) bool { return !strings.HasPrefix(k, name+" ") })
	return all
}

func TestOutbox_AnyBatching(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := scenarios.Log(rt, 80)
		want := tellings(log)
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		var files []map[string]string
		for _, size := range []int{1, rapid.IntRange(1, len(log)).Draw(rt, "batch"), len(log)} {
			path := filepath.Join(dir, fmt.Sprint(len(files)))
			db := open(t, path)
			for batch := range slices.Chunk(entries(log), size) {
				apply(t, db, batch)
			}
			sameTellings(t, untold(t, db, 3), want)
			if rows, oldest := db.OutboxState(); rows != uint64(len(want)) || len(want) > 0 && oldest != want[0].StreamTime {
				rt.Fatalf("%d rows from %d on are counted of %d", rows, oldest, len(want))
			}
			_ = db.Close()
			files = append(files, bucket(t, path, "outbox"))
		}
		if !maps.Equal(files[0], files[1]) || !maps.Equal(files[0], files[2]) {
			rt.Fatal("batches of another size leave other records")
		}
	})
}

func TestOutbox_RowsAreAsOfTheirEvents(t *testing.T) {
	db := open(t, temp(t))
	log := []sm.Event{
		ev(1, sm.Server, "a", sm.ActBuild, "b", sm.PhaseStarted),
		ev(2, sm.Server, "a", sm.ActBuild, "b", sm.PhaseFailed),
		ev(3, sm.Server, "a", sm.ActRebuild, "r-1", sm.PhaseFailed),
		ev(4, sm.Server, "a", sm.ActRebuild, "r-2", sm.PhaseSucceeded),
		ev(5, sm.Server, "a", sm.ActReboot, "r-3", sm.PhaseFailed),
		ev(6, sm.Server, "a", sm.ActDelete, "d", sm.PhaseSucceeded), // which keeps its fault
		ev(7, sm.Image, "i", sm.ActBuild, "b", sm.PhaseFailed),      // its birth
	}
	for i := range log {
		log[i].Name = fmt.Sprint("name ", i+1)
	}
	apply(t, db, entries(log))
	rows := untold(t, db, 100)
	var got []string
	for _, r := range rows {
		got = append(got, fmt.Sprintf("%d %v %s>%s %s %s", r.Ordinal, r.Raised, r.Previous, r.Resource.Status, r.Fault.Message, r.Resource.Name))
	}
	want := []string{
		"2 true BUILD>ERROR fault 2 name 2",
		"3 true ERROR>ERROR fault 3 name 3",
		"4 false ERROR>ACTIVE fault 3 name 4",
		"5 true ACTIVE>ERROR fault 5 name 5",
		"6 false ERROR>DELETED fault 5 name 6",
		"7 true UNKNOWN>ERROR fault 7 name 7",
	}
	if !slices.Equal(got, want) {
		t.Errorf("to be told are\n%s", strings.Join(got, "\n"))
	}
	if r := rows[4].Resource; r.Fault == nil || r.Fault.Message != "fault 5" {
		t.Errorf("the deleted server's fault is %v", r.Fault)
	}
}

func TestTold_HidesThenDeletes(t *testing.T) {
	path := temp(t)
	db := open(t, path)
	var log []sm.Event
	for i := 1; i <= 10; i++ {
		log = append(log, ev(i, sm.Server, fmt.Sprint("s-", i), sm.ActBuild, "b", sm.PhaseFailed))
	}
	apply(t, db, entries(log[:8]))
	state := func(when string, rows uint64, first uint64) {
		t.Helper()
		all := untold(t, db, 3)
		var oldest sm.Time
		if first > 0 {
			oldest = log[first-1].StreamTime
		}
		if n, at := db.OutboxState(); n != rows || at != oldest || uint64(len(all)) != rows || rows > 0 && all[0].Ordinal != first {
			t.Errorf("%s: %d rows from %d on are counted, %d are there, not %d from %d on", when, n, at, len(all), rows, first)
		}
	}
	state("before", 8, 1)
	db.Told(3)
	state("three told", 5, 4)
	db.Told(2)
	state("again told what was", 5, 4)
	_ = db.Close()
	db = open(t, path)
	state("after a restart", 8, 1)
	db.Told(5)
	apply(t, db, entries(log[8:9]))
	state("after a commit", 4, 6)
	_ = db.Close()
	if n := len(bucket(t, path, "outbox")); n != 4 {
		t.Errorf("%d rows are in the file after the commit", n)
	}
	db = open(t, path)
	state("after another restart", 4, 6)
	db.Told(1000)
	state("all told, and what is to come is not", 0, 0)
	apply(t, db, entries(log[9:]))
	state("one more", 1, 10)
}

func TestTold_DeletesSoManyInOneCommit(t *testing.T) {
	const n = 12_000
	path := temp(t)
	db := open(t, path)
	log := make([]sm.Event, n)
	for i := range log {
		log[i] = ev(i+1, sm.Server, fmt.Sprint("s-", i), sm.ActBuild, "b", sm.PhaseFailed)
	}
	apply(t, db, entries(log))
	db.Told(n)
	for commit, left := range []int{2_000, 0, 0} {
		apply(t, db, entries([]sm.Event{ev(n+commit+1, sm.Image, "i", sm.ActBuild, "b", sm.PhaseStarted)}))
		_ = db.Close()
		if got := len(bucket(t, path, "outbox")); got != left {
			t.Errorf("after commit %d %d rows are left, not %d", commit+1, got, left)
		}
		db = open(t, path)
		db.Told(n)
	}
}

func TestOutbox_APageIsBounded(t *testing.T) {
	db := open(t, temp(t))
	log := make([]sm.Event, 200)
	for i := range log {
		log[i] = ev(i+1, sm.Server, fmt.Sprint("s-", i), sm.ActBuild, "b", sm.PhaseFailed)
		log[i].Fault.Details = strings.Repeat("x", 64<<10)
	}
	apply(t, db, entries(log))
	if page, err := db.Outbox(0, 1000); err != nil || len(page) < 100 || len(page) > 8<<20/(64<<10) {
		t.Errorf("a page holds %d rows, %v", len(page), err)
	}
	if all := untold(t, db, 1000); len(all) != len(log) {
		t.Errorf("all pages hold %d rows", len(all))
	}
}

// TestOutbox_ToldWhileApplying has a publisher beside the one who applies: each row is seen once, in order.
func TestOutbox_ToldWhileApplying(t *testing.T) {
	const n = 2_000
	path := temp(t)
	db := open(t, path)
	seen := make(chan []uint64)
	go func() {
		var all []uint64
		for len(all) == 0 || all[len(all)-1] < n {
			changed := db.Changed()
			page, err := db.Outbox(0, 7)
			if err != nil {
				break
			}
			for _, r := range page {
				all = append(all, r.Ordinal)
			}
			if len(page) == 0 {
				<-changed
				continue
			}
			db.Told(all[len(all)-1])
		}
		seen <- all
	}()
	for i := 1; i <= n; i += 5 {
		var log []sm.Event
		for j := i; j < i+5; j++ {
			log = append(log, ev(j, sm.Server, fmt.Sprint("s-", j), sm.ActBuild, "b", sm.PhaseFailed))
		}
		apply(t, db, entries(log))
	}
	all := <-seen
	if len(all) != n || all[0] != 1 || all[n-1] != n || !slices.IsSorted(all) {
		t.Errorf("%d rows were seen, from %v", len(all), all[:min(len(all), 10)])
	}
	if rows, oldest := db.OutboxState(); rows != 0 || oldest != 0 {
		t.Errorf("%d rows from %d on are left", rows, oldest)
	}
	apply(t, db, entries([]sm.Event{ev(n+1, sm.Image, "i", sm.ActBuild, "b", sm.PhaseStarted)}))
	_ = db.Close()
	if left := bucket(t, path, "outbox"); len(left) != 0 {
		t.Errorf("%d rows are left in the file", len(left))
	}
}

func TestOutbox_ShowsNothingBeforeThePositionDoes(t *testing.T) {
	var db *storage.DB
	committed := 0
	db, err := storage.Open(storage.Options{Path: temp(t), Step: func(name string) {
		if name != "committed" {
			return
		}
		committed++
		if rows, err := db.Outbox(0, 10); err != nil || len(rows) != committed-1 {
			t.Errorf("before commit %d is shown there are %d rows, %v", committed, len(rows), err)
		}
		if committed == 2 {
			db.Told(2)
			if rows, oldest := db.OutboxState(); rows != 0 || oldest != 0 {
				t.Errorf("before commit 2 is shown %d rows from %d on are counted", rows, oldest)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	first, second := ev(1, sm.Server, "a", sm.ActBuild, "b", sm.PhaseFailed), ev(2, sm.Server, "b", sm.ActBuild, "b", sm.PhaseFailed)
	apply(t, db, entries([]sm.Event{first}))
	apply(t, db, entries([]sm.Event{second}))
	if rows, oldest := db.OutboxState(); rows != 1 || oldest != second.StreamTime {
		t.Errorf("%d rows from %d on are counted", rows, oldest)
	}
	if all := untold(t, db, 10); len(all) != 1 || all[0].Ordinal != 2 {
		t.Errorf("%d rows are left", len(all))
	}
}
