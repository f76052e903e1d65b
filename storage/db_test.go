package storage_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	sm "faultd/statemachine"
	"faultd/storage"
	"faultd/testdata/scenarios"
)

func open(tb testing.TB, path string) *storage.DB {
	tb.Helper()
	db, err := storage.Open(storage.Options{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func temp(tb testing.TB) string { return filepath.Join(tb.TempDir(), "faultd.db") }

func entries(log []sm.Event) []sm.Entry {
	all := make([]sm.Entry, len(log))
	for i, e := range log {
		all[i] = sm.Entry{Event: e, Subject: "jobs.x", Raw: []byte("{}")}
	}
	return all
}

func apply(tb testing.TB, db *storage.DB, batch []sm.Entry) {
	tb.Helper()
	last := batch[len(batch)-1]
	to := sm.Position{Stream: "JOBS", Epoch: 1, First: 1, Sequence: last.Sequence, StreamTime: last.StreamTime}
	if _, _, err := db.Apply(batch, to); err != nil {
		tb.Fatal(err)
	}
}

func TestApply_ScenariosWithReopen(t *testing.T) {
	for _, story := range scenarios.Load() {
		t.Run(story.Name, func(t *testing.T) {
			path := temp(t)
			for _, step := range story.Steps {
				db := open(t, path)
				before := db.Counters()
				apply(t, db, entries([]sm.Event{step.Event}))
				r, err := db.Resource(step.Event.Key)
				if err != nil && !errors.Is(err, sm.ErrNotFound) {
					t.Fatal(err)
				}
				rows, _, err := db.History(step.Event.Key)
				if err != nil && !errors.Is(err, sm.ErrNotFound) {
					t.Fatal(err)
				}
				for _, wrong := range step.Check(&r, len(rows)) {
					t.Errorf("line %d: %s", step.Line, wrong)
				}
				if got := counted(before, db.Counters()); got != step.Reason {
					t.Errorf("line %d: counted as %q, not %q", step.Line, got, step.Reason)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// counted is the reason that was counted between two looks at the counters.
func counted(before, after sm.Counters) string {
	for _, r := range sm.Reasons {
		if after.ByReason[r] != before.ByReason[r] {
			return r.String()
		}
	}
	return ""
}

// model is what a log makes of the world, without a store.
type model struct {
	resources map[sm.Key]sm.Resource
	history   map[sm.Key][]sm.Transition
	counters  sm.Counters
}

func newModel(log []sm.Event) *model {
	m := &model{resources: map[sm.Key]sm.Resource{}, history: map[sm.Key][]sm.Transition{}}
	for _, e := range log {
		m.take(e)
	}
	return m
}

// take applies an event and returns the resource before and after it.
func (m *model) take(e sm.Event) (was, is sm.Resource) {
	was = m.resources[e.Key]
	is, outcome := sm.Apply(was, e)
	if is.Status != 0 {
		m.resources[e.Key] = is
	}
	if outcome.Transition != nil {
		m.history[e.Key] = append(m.history[e.Key], *outcome.Transition)
	}
	m.counters.Count(outcome.Reason, 0)
	return was, is
}

func (m *model) check(tb testing.TB, db *storage.DB) {
	tb.Helper()
	if got := db.Counters(); got != m.counters {
		tb.Fatalf("counters are %+v, not %+v", got, m.counters)
	}
	all, err := db.List(sm.Query{Statuses: slices.Concat(sm.Server.Statuses(), sm.Image.Statuses(), sm.Backup.Statuses()), Limit: 1 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	if len(all) != len(m.resources) {
		tb.Fatalf("the store has %d resources, the model %d", len(all), len(m.resources))
	}
	for _, got := range all {
		if want := m.resources[got.Key]; dump(got) != dump(want) {
			tb.Fatalf("%v is\n%s\nnot\n%s", got.Key, dump(got), dump(want))
		}
		rows, cut, err := db.History(got.Key)
		if err != nil {
			tb.Fatal(err)
		}
		slices.Reverse(rows)
		if want := m.history[got.Key]; cut != 0 || fmt.Sprint(dumpRows(rows)) != fmt.Sprint(dumpRows(want)) {
			tb.Fatalf("history of %v is\n%v\nnot\n%v (cut %d)", got.Key, dumpRows(rows), dumpRows(want), cut)
		}
	}
	m.checkSummary(tb, db)
	m.checkErrors(tb, db)
}

func (m *model) checkSummary(tb testing.TB, db *storage.DB) {
	tb.Helper()
	want := map[string]map[sm.Kind]map[sm.Status]uint64{"": {}}
	for key, r := range m.resources {
		for _, tenant := range []string{"", key.Tenant} {
			if want[tenant] == nil {
				want[tenant] = map[sm.Kind]map[sm.Status]uint64{}
			}
			if want[tenant][key.Kind] == nil {
				want[tenant][key.Kind] = map[sm.Status]uint64{}
			}
			want[tenant][key.Kind][r.Status]++
		}
	}
	for tenant, counts := range want {
		if got := db.Summary(tenant); fmt.Sprint(got) != fmt.Sprint(counts) {
			tb.Fatalf("summary of %q is %v, not %v", tenant, got, counts)
		}
	}
}

func (m *model) checkErrors(tb testing.TB, db *storage.DB) {
	tb.Helper()
	var want []uint64
	for _, r := range m.resources {
		if r.Status == sm.Error {
			want = append(want, r.Fault.Sequence)
		}
	}
	slices.Sort(want)
	slices.Reverse(want)
	page, err := db.Faults("", nil, 1000)
	if err != nil {
		tb.Fatal(err)
	}
	var got []uint64
	for _, r := range page {
		got = append(got, r.Fault.Sequence)
	}
	if !slices.Equal(got, want) {
		tb.Fatalf("in ERROR are faults %v, not %v", got, want)
	}
}

// dump writes out all that a resource is, faults by value.
func dump(r sm.Resource) string {
	head := r
	head.Jobs, head.Fault, head.Past.Fault, head.Attributes = nil, nil, nil, nil
	out := fmt.Sprintf("%+v %s fault=%s past=%s", head, r.Attributes, fault(r.Fault), fault(r.Past.Fault))
	for _, j := range r.Jobs {
		attempts, providers := j.Attempts, j.Providers
		own, said := fault(j.Fault), fault(j.SaidFault)
		j.Attempts, j.Providers, j.Fault, j.SaidFault = nil, nil, nil, nil
		out += fmt.Sprintf("\n  %+v fault=%s said=%s", j, own, said)
		for _, a := range attempts {
			out += fmt.Sprintf("\n    attempt %d %s", a.Number, fault(a.Fault))
		}
		for _, p := range providers {
			out += fmt.Sprintf("\n    provider %s %v %v %s", p.Name, p.Declared, p.Phase, fault(p.Fault))
		}
	}
	return out
}

func dumpRows(rows []sm.Transition) (all []string) {
	for _, r := range rows {
		f := fault(r.Fault)
		r.Fault = nil
		all = append(all, fmt.Sprintf("%+v %s\n", r, f))
	}
	return all
}

func fault(f *sm.Fault) string {
	if f == nil {
		return "none"
	}
	return fmt.Sprintf("%+v", *f)
}

// contents reads every bucket of a closed store's file.
func contents(tb testing.TB, path string) map[string]string {
	tb.Helper()
	bolt, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		tb.Fatal(err)
	}
	defer bolt.Close()
	all := map[string]string{}
	if err := bolt.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				all[fmt.Sprintf("%s %x", name, k)] = string(v)
				return nil
			})
		})
	}); err != nil {
		tb.Fatal(err)
	}
	return all
}

func TestApply_AnyBatching(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := scenarios.Log(rt, 120)
		want := newModel(log)
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		single, cut := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
		db := open(t, single)
		apply(t, db, entries(log))
		want.check(t, db)
		_ = db.Close()
		for rest := entries(log); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "batch")
			db := open(t, cut)
			apply(t, db, rest[:n])
			_ = db.Close()
			rest = rest[n:]
		}
		a, b := contents(t, single), contents(t, cut)
		if !maps.Equal(a, b) {
			rt.Fatalf("one batch and several leave different stores")
		}
	})
}

func TestApply_AnyBatchingWithExpiry(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := scenarios.Log(rt, 150)
		for i := range log { // a message every half minute, so that much expires
			log[i].StreamTime += sm.Time(i) * 29e9
			log[i].Time += sm.Time(i) * 29e9
		}
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		var hashes []uint64
		var files []map[string]string
		for _, size := range []int{len(log), rapid.IntRange(1, len(log)).Draw(rt, "batch"), 1} {
			path := filepath.Join(dir, fmt.Sprint(len(files)))
			db, err := storage.Open(storage.Options{Path: path, Retention: 10 * time.Minute})
			if err != nil {
				rt.Fatal(err)
			}
			for batch := range slices.Chunk(entries(log), size) {
				apply(t, db, batch)
			}
			_, _, hash := db.State()
			hashes = append(hashes, hash)
			if err := db.Close(); err != nil {
				rt.Fatal(err)
			}
			if report, err := storage.Check(path); err != nil || len(report.Problems) > 0 {
				rt.Fatalf("the store is not as it should be: %v %v", report.Problems, err)
			}
			files = append(files, contents(t, path))
		}
		for i := range files {
			if hashes[i] != hashes[0] || !maps.Equal(files[i], files[0]) {
				rt.Fatalf("batches of another size leave another store")
			}
		}
	})
}

func TestApply_LogAppendedToItself(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := scenarios.Log(rt, 100)
		again := slices.Clone(log)
		for i := range again {
			again[i].Sequence += uint64(len(log))
			again[i].StreamTime += 1e12
			if f := again[i].Fault; f != nil {
				c := *f
				c.Sequence = again[i].Sequence
				again[i].Fault = &c
			}
		}
		once, twice := newModel(log), newModel(append(slices.Clone(log), again...))
		for key, r := range once.resources {
			if got := dump(twice.resources[key]); got != dump(r) {
				rt.Fatalf("%v is, after the log again,\n%s\nnot\n%s", key, got, dump(r))
			}
			if len(once.history[key]) != len(twice.history[key]) {
				rt.Fatalf("%v has a longer history", key)
			}
		}
	})
}

// cases is how many a property has here, where each opens several files; the machine's have more.
const cases = "300"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", cases); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
