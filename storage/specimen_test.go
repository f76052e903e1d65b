package storage_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	sm "faultd/statemachine"
	"faultd/storage"
)

// varied is a log of some hundred resources of all families, with faults, attempts, groups, relations, rejections,
// deletions and jobs that have not ended.
func varied() (all []sm.Entry) {
	add := func(kind sm.Kind, id string, a sm.Action, job string, p sm.Phase, attributes string) *sm.Event {
		e := ev(len(all)+1, kind, id, a, job, p)
		e.Tenant = fmt.Sprint("tenant-", id[len(id)-1]%4)
		e.Name, e.Attributes = "name of "+id, sm.Attributes(attributes)
		all = append(all, sm.Entry{Event: e, Subject: "jobs.x", Raw: []byte("{}")})
		return &all[len(all)-1].Event
	}
	for i := range 100 {
		id, host := fmt.Sprint("server-", i), fmt.Sprintf(`{"hostId":"host-%d","flavor":{"id":"m1"}}`, i%5)
		add(sm.Server, id, sm.ActBuild, "b-"+id, sm.PhaseStarted, host)
		if i%3 == 0 {
			add(sm.Server, id, sm.ActBuild, "b-"+id, sm.PhaseProgressed, "").Fault = &sm.Fault{Sequence: uint64(len(all)), Code: 503, Message: "an attempt"}
		}
		if i%2 == 0 {
			f := add(sm.Server, id, sm.ActBuild, "b-"+id, sm.PhaseFailed, "").Fault
			f.Message, f.Details = fmt.Sprintf("disk %d is gone", i%7), strings.Repeat("x", i*20)
		} else {
			add(sm.Server, id, sm.ActBuild, "b-"+id, sm.PhaseSucceeded, "")
		}
		if i%5 == 0 {
			add(sm.Server, id, sm.ActReboot, "r-"+id, sm.PhaseSucceeded, "")
		}
		if i%11 == 0 {
			add(sm.Server, id, sm.ActDelete, "d-"+id, sm.PhaseSucceeded, "")
		}
		backup := fmt.Sprintf(`{"backup_id":"bk-%d","product":"JIRA","vault":"v-%d","agent_id":"%d","host":"h%d"}`, i%9, i%4, i%3, i%2)
		add(sm.Export, fmt.Sprint("export-", i), sm.ActExport, "x", []sm.Phase{sm.PhaseAccepted, sm.PhaseStarted, sm.PhaseSucceeded, sm.PhaseFailed}[i%4], backup)
		if i%4 == 1 {
			add(sm.Image, fmt.Sprint("image-", i), sm.ActSnapshot, "s", sm.PhaseStarted, "")
			all = append(all, sm.Entry{Event: sm.Event{Sequence: uint64(len(all) + 1), StreamTime: sm.Time(1_790_000_000+len(all)) * 1e9}, Reason: sm.Malformed,
				Detail: "no JSON", Subject: "jobs.x", Raw: []byte(strings.Repeat("y", i))})
		}
	}
	return all
}

// observed is all that can be read of a store, by what was asked.
type observed map[string]answer

type answer struct {
	text string
	err  error
}

// observe asks a store everything that it can be asked.
func observe(db *storage.DB, log []sm.Entry) observed {
	all := observed{}
	say := func(question string, err error, values ...any) {
		all[question] = answer{fmt.Sprint(values...), err}
	}
	resources := func(question string, page []sm.Resource, err error) {
		var text strings.Builder
		for i := range page {
			text.WriteString(brief(&page[i]))
		}
		say(question, err, text.String())
	}
	position, counters, hash := db.State()
	say("state", nil, position, counters, hash, db.Position(), db.Counters(), db.Gaps(), db.Epochs())
	for _, tenant := range []string{"", "tenant-0", "tenant-1", "tenant-2", "tenant-3", "nobody"} {
		say("summary of "+tenant, nil, db.Summary(tenant))
		for name, q := range map[string]sm.Query{"alive": {}, "deleted": {Statuses: []sm.Status{sm.Deleted}}, "failed": {Statuses: []sm.Status{sm.Error}}, "changed": {ChangedSince: sm.Time(1_790_000_400) * 1e9}} {
			q.Tenant, q.Limit = tenant, 1000
			page, err := db.List(q)
			resources("list of "+name+" of "+tenant, page, err)
		}
		page, err := db.Faults(tenant, nil, 1000)
		resources("faults of "+tenant, page, err)
		messages, err := db.Messages(tenant, 0, 1000)
		var text strings.Builder
		for _, m := range messages {
			text.WriteString(m.Tenant + m.ID + fmt.Sprint(m.Sequence) + m.Fault.Message + m.Fault.Details)
		}
		say("messages of "+tenant, err, text.String())
		for i := range 9 {
			page, err := db.JobsOf(tenant, fmt.Sprint("bk-", i), 100)
			resources(fmt.Sprint("jobs of backup ", i, " of ", tenant), page, err)
			r, ok, err := db.NewestExport(tenant, fmt.Sprint("bk-", i))
			say(fmt.Sprint("newest export of backup ", i, " of ", tenant), err, ok, dump(r))
		}
		r, ok, err := db.InProgress(tenant, "JIRA", sm.Export)
		say("in progress of "+tenant, err, ok, dump(r))
	}
	known := map[sm.Key]bool{}
	for i := range log {
		key := log[i].Key
		if known[key] || key.Kind == 0 {
			continue
		}
		known[key] = true
		r, err := db.Resource(key)
		say(fmt.Sprint("resource ", key), err, dump(r))
		page, err := db.Find(key.Kind, key.ID)
		resources(fmt.Sprint("found ", key), page, err)
		rows, cut, err := db.History(key)
		say(fmt.Sprint("history of ", key), err, dumpRows(rows), cut)
	}
	rejected, err := db.Rejected(0, 1000)
	say("rejected", err, rejected)
	groups, err := db.Groups("", 100)
	text := ""
	for _, g := range groups {
		samples := g.Samples
		g.Samples = nil
		text += fmt.Sprintf("%+v %v\n", g, ids(samples))
	}
	say("groups", err, text)
	rows, err := db.Outbox(0, 10_000)
	text = ""
	for _, row := range rows {
		text += fmt.Sprint(row.Ordinal, row.Epoch, row.Sequence, row.Raised, row.Previous, fault(row.Fault), brief(&row.Resource))
	}
	n, oldest := db.OutboxState()
	say("outbox", err, text, n, oldest)
	for _, p := range db.Pending() {
		now, ok, err := db.Look(p)
		say(fmt.Sprint("pending ", p.Key, p.Job), err, now.Key, now.Job, now.LastSeq, ok)
	}
	return all
}

// brief is what tells a resource in a list from others, and from what it was before.
func brief(r *sm.Resource) string {
	text := fmt.Sprint(r.Kind, r.Tenant, r.ID, r.Status, r.Updated, r.Sequence, len(r.Jobs), "\n")
	if r.Fault != nil {
		text += r.Fault.Message + r.Fault.Details
	}
	return text + string(r.Attributes)
}

// differs tells where what was read without an error is not the truth, up to a few places.
func (o observed) differs(truth observed) (wrong []string) {
	for question, want := range truth {
		got, asked := o[question]
		switch {
		case !asked:
			wrong = append(wrong, question+" is not there")
		case errors.Is(got.err, storage.ErrCorrupt):
		case got.text != want.text || fmt.Sprint(got.err) != fmt.Sprint(want.err):
			wrong = append(wrong, fmt.Sprintf("%s is %.300q, %v, and was %.300q, %v", question, got.text, got.err, want.text, want.err))
		}
		if len(wrong) > 3 {
			return wrong
		}
	}
	for question := range o {
		if _, known := truth[question]; !known {
			wrong = append(wrong, question+" is new")
		}
	}
	return wrong
}

// specimen is a store, the file that it was one commit before, and the truth about both and about what follows.
type specimen struct {
	log         []sm.Entry
	file, older []byte // used pages alone
	truth       map[uint64]observed
}

// following is how many entries of the log a specimen has not applied.
const following = 20

func newSpecimen(tb testing.TB) *specimen {
	tb.Helper()
	s := &specimen{log: varied(), truth: map[uint64]observed{}}
	path := temp(tb)
	end := len(s.log) - following
	for _, to := range []int{end / 3, 2 * end / 3, end - 1, end, len(s.log)} {
		db := open(tb, path)
		apply(tb, db, s.log[db.Position().Sequence:to])
		_ = db.Close()
		db = open(tb, path) // as it is after a restart
		s.truth[uint64(to)] = observe(db, s.log)
		_ = db.Close()
		s.older = s.file
		if to < len(s.log) {
			s.file = usedPages(tb, path)
		}
	}
	if r, err := storage.Check(path); err != nil || len(r.Problems) > 0 {
		tb.Fatalf("the specimen: %v, %q", err, r.Problems)
	}
	return s
}

// usedPages is a store's file without what bbolt made it larger in advance.
func usedPages(tb testing.TB, path string) []byte {
	tb.Helper()
	bolt, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		tb.Fatal(err)
	}
	defer bolt.Close()
	var size int64
	_ = bolt.View(func(tx *bbolt.Tx) error { size = tx.Size(); return nil })
	file, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return file[:size]
}
