package storage_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	sm "faultd/statemachine"
	"faultd/storage"
)

// ev is an event at a second, of tenant t.
func ev(sequence int, kind sm.Kind, id string, a sm.Action, job string, p sm.Phase) sm.Event {
	at := sm.Time(1_790_000_000+sequence) * 1e9
	e := sm.Event{Sequence: uint64(sequence), StreamTime: at, Time: at, ID: uint64(sequence), Key: sm.Key{Tenant: "t", Kind: kind, ID: id},
		Job: job, Action: a, Phase: p, Progress: -1}
	if p == sm.PhaseFailed {
		e.Fault = &sm.Fault{Sequence: e.Sequence, Created: at, Code: 500, Message: fmt.Sprint("fault ", sequence)}
	}
	return e
}

// Whoever reads between the moment at which a transaction is in the file and the one at which memory knows of it sees one
// state, also of a tenant that is new with it.
func TestRead_OneStateWhileACommitReturns(t *testing.T) {
	var db *storage.DB
	e := ev(1, sm.Server, "s", sm.ActBuild, "b", sm.PhaseSucceeded)
	looked := 0
	db, err := storage.Open(storage.Options{Path: temp(t), Step: func(name string) {
		if name != "committed" {
			return
		}
		page, err := db.List(sm.Query{Kind: sm.Server, Limit: 10})
		if err != nil || len(page) != 1 {
			t.Errorf("all servers are %v, %v", page, err)
			return
		}
		looked++
		if _, err := db.Resource(e.Key); err != nil {
			t.Errorf("a server that is in the list: %v", err)
		}
		if rows, _, err := db.History(e.Key); err != nil || len(rows) != 1 {
			t.Errorf("the history of a server that is in the list: %v, %v", rows, err)
		}
		if page, err := db.List(sm.Query{Tenant: "t", Kind: sm.Server, Limit: 10}); err != nil || len(page) != 1 {
			t.Errorf("the servers of its tenant are %v, %v", page, err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	apply(t, db, entries([]sm.Event{e}))
	if looked != 1 {
		t.Errorf("it was looked at %d times", looked)
	}
}

func ids(page []sm.Resource) (all []string) {
	for _, r := range page {
		all = append(all, r.ID)
	}
	return all
}

func TestList_PagesNewestBirthFirst(t *testing.T) {
	db := open(t, temp(t))
	var log []sm.Event
	for i := 1; i <= 25; i++ {
		phase := sm.PhaseSucceeded
		if i%5 == 0 {
			phase = sm.PhaseFailed
		}
		log = append(log, ev(i, sm.Server, fmt.Sprintf("s%02d", i), sm.ActBuild, "b", phase))
	}
	apply(t, db, entries(log))
	var got []string
	q := sm.Query{Tenant: "t", Kind: sm.Server, Limit: 10}
	for range 4 {
		page, err := db.List(q)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ids(page)...)
		if len(page) < q.Limit {
			break
		}
		q.Marker = &page[len(page)-1].Key
	}
	if len(got) != 25 || !slices.IsSortedFunc(got, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("pages hold %v", got)
	}
	failed, err := db.List(sm.Query{Statuses: []sm.Status{sm.Error, sm.Error}, Limit: 100})
	if err != nil || !slices.Equal(ids(failed), []string{"s25", "s20", "s15", "s10", "s05"}) {
		t.Errorf("in ERROR are %v, %v", ids(failed), err)
	}
	for _, marker := range []sm.Key{{Tenant: "t", Kind: sm.Server, ID: "no"}, {Tenant: "u", Kind: sm.Server, ID: "s01"}} {
		for _, q := range []sm.Query{{}, {Kind: sm.Server, Statuses: []sm.Status{sm.Deleted}}} {
			q.Tenant, q.Marker, q.Limit = marker.Tenant, &marker, 1
			if _, err := db.List(q); !errors.Is(err, sm.ErrUnknownMarker) {
				t.Errorf("marker %v: %v", marker, err)
			}
		}
	}
	if page, err := db.List(sm.Query{Tenant: "nobody", Limit: 1}); err != nil || len(page) != 0 {
		t.Errorf("a tenant without resources has %v, %v", page, err)
	}
}

func TestList_DeletedOnlyWhereAskedFor(t *testing.T) {
	db := open(t, temp(t))
	apply(t, db, entries([]sm.Event{
		ev(1, sm.Server, "a", sm.ActBuild, "b", sm.PhaseSucceeded),
		ev(2, sm.Server, "b", sm.ActBuild, "b", sm.PhaseSucceeded),
		ev(3, sm.Server, "a", sm.ActDelete, "d", sm.PhaseSucceeded),
	}))
	for name, c := range map[string]struct {
		q    sm.Query
		want []string
	}{
		"alive":         {sm.Query{}, []string{"b"}},
		"deleted":       {sm.Query{Statuses: []sm.Status{sm.Deleted}}, []string{"a"}},
		"changed since": {sm.Query{ChangedSince: sm.Time(1_790_000_003) * 1e9}, []string{"a"}},
		"by its kind":   {sm.Query{Kind: sm.Server, Statuses: []sm.Status{sm.Deleted}, Tenant: "t"}, []string{"a"}},
		"of no status":  {sm.Query{Kind: sm.Server, Statuses: []sm.Status{sm.Rebuild, sm.Error}}, nil},
		"of nobody":     {sm.Query{Kind: sm.Server, Statuses: []sm.Status{sm.Deleted}, Tenant: "nobody"}, nil},
		"matching":      {sm.Query{ChangedSince: 1, Match: func(r *sm.Resource) bool { return r.ID == "b" }}, []string{"b"}},
	} {
		c.q.Limit = 10
		if page, err := db.List(c.q); err != nil || !slices.Equal(ids(page), c.want) {
			t.Errorf("%s: %v, %v", name, ids(page), err)
		}
	}
}

func TestFaults_NewestFaultFirst(t *testing.T) {
	db := open(t, temp(t))
	apply(t, db, entries([]sm.Event{
		ev(1, sm.Server, "a", sm.ActBuild, "b", sm.PhaseSucceeded),
		ev(2, sm.Server, "b", sm.ActBuild, "b", sm.PhaseFailed),
		ev(3, sm.Server, "c", sm.ActBuild, "b", sm.PhaseFailed),
		ev(4, sm.Server, "a", sm.ActReboot, "r", sm.PhaseFailed),
		ev(5, sm.Server, "c", sm.ActRebuild, "r", sm.PhaseSucceeded),
	}))
	page, err := db.Faults("t", nil, 10)
	if err != nil || !slices.Equal(ids(page), []string{"a", "b"}) {
		t.Fatalf("in ERROR are %v, %v", ids(page), err)
	}
	if page, err = db.Faults("", &page[0].Key, 10); err != nil || !slices.Equal(ids(page), []string{"b"}) {
		t.Errorf("behind a are %v, %v", ids(page), err)
	}
	if _, err = db.Faults("", &sm.Key{Tenant: "t", Kind: sm.Server, ID: "c"}, 10); !errors.Is(err, sm.ErrUnknownMarker) {
		t.Errorf("a marker that is not in ERROR: %v", err)
	}
}

func TestHistory_CutButForTheNewestFault(t *testing.T) {
	for _, size := range []int{1, 7, 1000} {
		t.Run(fmt.Sprint("batches of ", size), func(t *testing.T) {
			db := open(t, temp(t))
			log := []sm.Event{ev(1, sm.Server, "a", sm.ActBuild, "b-1", sm.PhaseFailed), ev(2, sm.Server, "a", sm.ActRebuild, "r-2", sm.PhaseFailed)}
			for i := 3; i <= 300; i += 2 {
				job := fmt.Sprint("r-", i)
				log = append(log, ev(i, sm.Server, "a", sm.ActReboot, job, sm.PhaseStarted), ev(i+1, sm.Server, "a", sm.ActReboot, job, sm.PhaseSucceeded))
			}
			for batch := range slices.Chunk(entries(log), size) {
				apply(t, db, batch)
			}
			rows, cut, err := db.History(log[0].Key)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) != 101 || cut != uint64(len(log)-101) {
				t.Fatalf("%d rows are kept, %d cut, of %d", len(rows), cut, len(log))
			}
			if oldest := rows[100]; oldest.Fault == nil || oldest.Fault.Message != "fault 2" {
				t.Errorf("the oldest row is %+v", oldest)
			}
			if rows[0].Sequence != uint64(len(log)) {
				t.Errorf("the newest row is %+v", rows[0])
			}
		})
	}
}

func TestApply_ForgetsOldJobs(t *testing.T) {
	db := open(t, temp(t))
	log := []sm.Event{ev(1, sm.Server, "a", sm.ActBuild, "b-1", sm.PhaseFailed)}
	for i := 2; i <= 40; i++ {
		log = append(log, ev(i, sm.Server, "a", sm.ActSnapshot, fmt.Sprint("s-", i), sm.PhaseSucceeded))
	}
	late := ev(41, sm.Server, "a", sm.ActBuild, "b-1", sm.PhaseSucceeded)
	late.Time = log[0].Time
	for batch := range slices.Chunk(entries(append(log, late)), 9) {
		apply(t, db, batch)
	}
	r, err := db.Resource(log[0].Key)
	if err != nil || r.Status != sm.Error || r.Fault.Message != "fault 1" || len(r.Jobs) != sm.MaxJobs {
		t.Errorf("the server is %s with %v and %d jobs, %v", r.Status, r.Fault, len(r.Jobs), err)
	}
	if n := db.Counters().ByReason[sm.Forgotten]; n != 1 {
		t.Errorf("%d events are counted as forgotten", n)
	}
}

func TestRejected_ListedAndBounded(t *testing.T) {
	db := open(t, temp(t))
	var batch []sm.Entry
	const n = 10_050
	for i := 1; i <= n; i++ {
		batch = append(batch, sm.Entry{Event: sm.Event{Sequence: uint64(i), StreamTime: 1}, Reason: sm.Malformed, Detail: "no JSON",
			Subject: "jobs.x", Raw: make([]byte, 5000)})
	}
	for part := range slices.Chunk(batch, 3000) {
		apply(t, db, part)
	}
	page, err := db.Rejected(0, 3)
	if err != nil || len(page) != 3 || page[0].Sequence != n || page[0].Size != 5000 || len(page[0].Data) != sm.MaxRejected {
		t.Fatalf("the newest are %+v, %v", page, err)
	}
	all, err := db.Rejected(0, n)
	if err != nil || len(all) != 10_000 {
		t.Errorf("%d are kept, %v", len(all), err)
	}
	if page, err = db.Rejected(all[len(all)-1].Sequence+1, 10); err != nil || len(page) != 1 {
		t.Errorf("below the second oldest are %d, %v", len(page), err)
	}
	if c := db.Counters(); c.Rejected != n || c.Received != n || c.ByReason[sm.Malformed] != n {
		t.Errorf("counters are %+v", c)
	}
}

func TestApply_ResolvesNotifications(t *testing.T) {
	db := open(t, temp(t))
	named := ev(1, sm.Server, "a", sm.ActBuild, "req-1:build", sm.PhaseStarted)
	nameless := ev(2, sm.Server, "a", sm.ActBuild, "", sm.PhaseFailed)
	nameless.Tenant, nameless.Fallback = "", "m-2"
	unknown := ev(3, sm.Server, "nobody", sm.ActBuild, "", sm.PhaseFailed)
	unknown.Tenant = ""
	other := named
	other.Tenant, other.Sequence = "u", 4
	ambiguous := nameless
	ambiguous.Sequence = 5
	apply(t, db, entries([]sm.Event{named, nameless, unknown, other, ambiguous}))
	r, err := db.Resource(named.Key)
	if err != nil || r.Status != sm.Error || len(r.Jobs) != 1 || r.Jobs[0].ID != "req-1:build" {
		t.Errorf("the server is %+v, %v", r, err)
	}
	if n := db.Counters().ByReason[sm.UnknownResource]; n != 2 {
		t.Errorf("%d events are of unknown resources", n)
	}
	if all, err := db.Find(sm.Server, "a"); err != nil || len(all) != 2 {
		t.Errorf("two tenants have a server a, found %d, %v", len(all), err)
	}
}

func TestChanges_FollowTheLog(t *testing.T) {
	path := temp(t)
	db := open(t, path)
	changed := db.Changed()
	apply(t, db, entries([]sm.Event{ev(1, sm.Server, "a", sm.ActBuild, "b", sm.PhaseStarted), ev(2, sm.Server, "a", sm.ActBuild, "b", sm.PhaseFailed)}))
	select {
	case <-changed:
	default:
		t.Error("a commit was not announced")
	}
	rows, ok := db.Changes(1)
	if !ok || len(rows) != 1 || rows[0].To != sm.Error || rows[0].ID != "a" {
		t.Errorf("behind 1 are %+v, %v", rows, ok)
	}
	if _, ok := db.Changes(3); ok {
		t.Error("a sequence from the future is known")
	}
	_ = db.Close()
	db = open(t, path)
	if _, ok := db.Changes(1); ok {
		t.Error("what came before the start is known")
	}
	if rows, ok := db.Changes(2); !ok || len(rows) != 0 {
		t.Errorf("behind the position are %v, %v", rows, ok)
	}
}

func TestOpen_InUse(t *testing.T) {
	path := temp(t)
	open(t, path)
	if _, err := storage.Open(storage.Options{Path: path}); !errors.Is(err, storage.ErrInUse) {
		t.Errorf("a second open: %v", err)
	}
}

func TestOpen_AnotherLayout(t *testing.T) {
	path := temp(t)
	_ = open(t, path).Close()
	bolt, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = bolt.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("layout"), []byte{0, 0, 0, 0, 0, 0, 0, 99})
	})
	if err := errors.Join(err, bolt.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Open(storage.Options{Path: path}); !errors.Is(err, storage.ErrLayout) {
		t.Errorf("a store of layout 99: %v", err)
	}
}

func TestOpen_LeftoverOfACreation(t *testing.T) {
	path := temp(t)
	if err := os.WriteFile(path+".new", []byte("half a store"), 0o600); err != nil {
		t.Fatal(err)
	}
	apply(t, open(t, path), entries([]sm.Event{ev(1, sm.Server, "a", sm.ActBuild, "b", sm.PhaseStarted)}))
}

func TestMessages_AreTheFaultsOfAllTimes(t *testing.T) {
	db := open(t, temp(t))
	log := []sm.Event{
		ev(1, sm.Server, "a", sm.ActBuild, "b", sm.PhaseFailed), ev(2, sm.Server, "a", sm.ActRebuild, "r", sm.PhaseSucceeded),
		ev(3, sm.Backup, "b", sm.ActBackup, "b", sm.PhaseFailed), ev(4, sm.Image, "c", sm.ActBuild, "b", sm.PhaseFailed),
	}
	log[3].Tenant = "u"
	apply(t, db, entries(log))
	sequences := func(tenant string, before uint64, limit int) (all []uint64) {
		page, err := db.Messages(tenant, before, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page {
			if m.Fault == nil || m.Fault.Message != fmt.Sprint("fault ", m.Sequence) || tenant != "" && m.Tenant != tenant {
				t.Errorf("%+v", m)
			}
			all = append(all, m.Sequence)
		}
		return all
	}
	for name, c := range map[string]struct{ got, want []uint64 }{
		"all":           {sequences("", 0, 10), []uint64{4, 3, 1}},
		"of a tenant":   {sequences("t", 0, 10), []uint64{3, 1}},
		"a page":        {sequences("", 4, 1), []uint64{3}},
		"of nobody":     {sequences("nobody", 0, 10), nil},
		"before all":    {sequences("t", 1, 10), nil},
		"of the other":  {sequences("u", 0, 10), []uint64{4}},
		"behind a page": {sequences("t", 3, 10), []uint64{1}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %v, not %v", name, c.got, c.want)
		}
	}
}
