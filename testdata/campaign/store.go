package campaign

import (
	"bytes"
	"testing"

	"faultd/api"
	sm "faultd/statemachine"
	"faultd/storage"
)

// Check compares a store at rest with the model: position, counters, how many resources there are of each kind and
// status, every resource as /v1 shows it, the length of its history; and has the store check itself.
func (m *Model) Check(t testing.TB, path string) {
	t.Helper()
	report, err := storage.Check(path)
	if err != nil {
		t.Fatalf("checking the store: %v", err)
	}
	for _, problem := range report.Problems {
		t.Errorf("check: %s", problem)
	}
	db, err := storage.Open(storage.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m.checkPosition(t, db)
	m.checkCounts(t, db)
	m.checkResources(t, db)
}

func (m *Model) checkPosition(t testing.TB, db *storage.DB) {
	t.Helper()
	is, want := db.Position(), m.Position
	is.Digest = 0
	if is != want && want.Sequence > 0 {
		t.Errorf("the position is %+v, not %+v", is, want)
	}
	got := db.Counters()
	switch {
	case got == m.Counters:
		return
	case got.Received < m.Counters.Received:
		m.Lost += int(m.Counters.Received - got.Received)
	case got.Received > m.Counters.Received:
		m.Twice += int(got.Received - m.Counters.Received)
	default:
		m.Lost++
	}
	t.Errorf("the counters are %+v, not %+v", got, m.Counters)
}

func (m *Model) checkCounts(t testing.TB, db *storage.DB) {
	t.Helper()
	want := map[sm.Kind]map[sm.Status]uint64{}
	for key, r := range m.Resources {
		if want[key.Kind] == nil {
			want[key.Kind] = map[sm.Status]uint64{}
		}
		want[key.Kind][r.Status]++
	}
	for kind, statuses := range db.Summary("") {
		for status, n := range statuses {
			if n != want[kind][status] {
				t.Errorf("the store has %d of kind %s in %s, the log %d", n, kind, status, want[kind][status])
			}
			delete(want[kind], status)
		}
	}
	for kind, statuses := range want {
		for status, n := range statuses {
			t.Errorf("the store has no %s in %s, the log %d", kind, status, n)
		}
	}
}

func (m *Model) checkResources(t testing.TB, db *storage.DB) {
	t.Helper()
	wrong := 0
	for key, want := range m.Resources {
		is, err := db.Resource(key)
		rows, cut, failed := db.History(key)
		has, should := api.Render(&is, false), api.Render(&want, false)
		if err == nil && failed == nil && bytes.Equal(has, should) && len(rows)+int(cut) == m.History[key] {
			continue
		}
		if wrong++; wrong < 4 {
			t.Errorf("%v is\n%s (%d lines of history, %v, %v)\nnot\n%s (%d lines)", key, has, len(rows)+int(cut), err, failed, should, m.History[key])
		}
	}
	if wrong > 0 {
		m.Lost += wrong
		t.Errorf("%d of %d resources are wrong", wrong, len(m.Resources))
	}
}
