package statemachine_test

import (
	"fmt"
	"testing"

	sm "faultd/statemachine"
)

// second is the stream's time at which the logs of these tests begin.
const second = sm.Time(1_000_000_000)

// single is the event of a job that says everything at once, a minute after the event before it.
func single(k sm.Kind, n int, a sm.Action, p sm.Phase) sm.Event {
	at := sm.Time(1_790_000_000+60*n) * second
	e := sm.Event{Sequence: uint64(n), StreamTime: at, Time: at, ID: uint64(n), Job: fmt.Sprint("job-", n), Action: a, Phase: p, Progress: -1,
		Key: sm.Key{Tenant: "t", Kind: k, ID: "r"}}
	if p == sm.PhaseFailed {
		e.Fault = &sm.Fault{Sequence: e.Sequence, Created: at, Code: 500, Message: fmt.Sprint("fault of job ", n)}
	}
	return e
}

// reach finds, for each status that events lead to, a resource that the fewest events brought there.
func reach(t *testing.T, k sm.Kind) map[sm.Status]sm.Resource {
	t.Helper()
	found := map[sm.Status]sm.Resource{}
	edge := []sm.Resource{{}}
	for n := 1; len(edge) > 0; n++ {
		var next []sm.Resource
		for _, r := range edge {
			for action := range contract[k.String()] {
				a, _ := sm.ParseAction(action)
				for _, p := range sm.Phases {
					is, outcome := sm.Apply(r, single(k, n, a, p))
					if _, known := found[is.Status]; known || is.Status == 0 {
						continue
					}
					if outcome.Verdict() != sm.Applied {
						t.Fatalf("%s %s %s from %s: it moved to %s, and yet it is %s", k, a, p, r.Status, is.Status, outcome.Reason)
					}
					found[is.Status] = is
					next = append(next, is)
				}
			}
		}
		edge = next
	}
	return found
}

// No event leads to SHELVED: a shelved server is offloaded at once, and no action of the contract ends there.
func TestApply_StatusesThatEventsLeadTo(t *testing.T) {
	for _, k := range sm.Kinds {
		found := reach(t, k)
		for _, s := range k.Statuses() {
			if _, ok := found[s]; ok != (s != sm.Shelved) {
				t.Errorf("%s %s: reached is %v", k, s, ok)
			}
			delete(found, s)
		}
		for s := range found {
			t.Errorf("a %s came to be %s, which is none of its statuses", k, s)
		}
	}
}

// cell is what a newer job's first event must make of a resource, by the contract's words alone.
func cell(k sm.Kind, from sm.Status, a sm.Action, p sm.Phase) (to, reason string) {
	row, has := contract[k.String()][a.String()]
	shown := row.shows(p)
	switch {
	case !has:
		return from.String(), "schema"
	case shown == "=":
		return from.String(), ""
	case from != sm.Deleted || row.creates:
		return shown, ""
	case p == sm.PhaseFailed:
		return "DELETED", "" // a failure that changes nothing still enters the history
	default:
		return "DELETED", "superseded"
	}
}

func TestApply_EveryCell(t *testing.T) {
	cells, reachable := 0, 0
	for _, k := range sm.Kinds {
		found := reach(t, k)
		for _, from := range k.Statuses() {
			r, ok := found[from]
			for _, a := range sm.Actions {
				for _, p := range sm.Phases {
					cells++
					checkNext(t, k, from, a, p)
					if ok {
						reachable++
						checkCell(t, r, a, p)
					}
				}
			}
		}
	}
	if cells != 8736 || reachable != 8736-26*6 {
		t.Errorf("%d cells, %d of them reachable: is there a new kind, status, action or phase?", cells, reachable)
	}
}

// checkNext holds the table that is printed against the contract, also for the status that no event leads to.
func checkNext(t *testing.T, k sm.Kind, from sm.Status, a sm.Action, p sm.Phase) {
	t.Helper()
	to, reason := cell(k, from, a, p)
	if got := sm.Next(k, from, a, p).String(); got != to {
		t.Errorf("Next(%s %s, %s %s) is %s, not %s", k, from, a, p, got, to)
	}
	if sm.Allowed(k, a) != (reason != "schema") {
		t.Errorf("Allowed(%s, %s) is %v", k, a, sm.Allowed(k, a))
	}
}

func checkCell(t *testing.T, r sm.Resource, a sm.Action, p sm.Phase) {
	t.Helper()
	name := fmt.Sprintf("%s %s, then %s %s", r.Kind, r.Status, a, p)
	e := single(r.Kind, 50, a, p)
	is, outcome := sm.Apply(r, e)
	to, reason := cell(r.Kind, r.Status, a, p)
	if is.Status.String() != to || outcome.Reason.String() != reason {
		t.Errorf("%s: it is %s (%q), not %s (%q)", name, is.Status, outcome.Reason, to, reason)
	}
	moved := is.Status != r.Status
	isNewFault := to == "ERROR" && reason == "" && contract[r.Kind.String()][a.String()].shows(p) == "ERROR"
	if (outcome.Transition != nil) != (moved || e.Fault != nil && reason == "") {
		t.Errorf("%s: its line of history is %+v", name, outcome.Transition)
	}
	if isNewFault && (is.Fault == nil || *is.Fault != *e.Fault) {
		t.Errorf("%s: its fault is %+v", name, is.Fault)
	}
	if tr := outcome.Transition; tr != nil && (tr.From != r.Status || tr.To != is.Status || tr.Job != e.Job || tr.Sequence != e.Sequence) {
		t.Errorf("%s: its line of history is %+v", name, tr)
	}
	if want := e.StreamTime; (is.Updated == want) != (moved || isNewFault) {
		t.Errorf("%s: it was updated at %d", name, is.Updated)
	}
}

// pairs is what a job's second event comes to, by what the first one was: a line for the first phase, a column for the
// second in the same order. The second event is a second younger and has an id of its own.
var pairs = [6][6]string{
	//             accepted     started      progressed succeeded        failed           cancelled
	/* accepted   */ {"duplicate", "", "", "", "", ""},
	/* started    */ {"late", "duplicate", "", "", "", ""},
	/* progressed */ {"late", "late", "", "", "", ""},
	/* succeeded  */ {"late", "late", "late", "duplicate", "contradiction", "contradiction"},
	/* failed     */ {"late", "late", "late", "contradiction", "duplicate", "contradiction"},
	/* cancelled  */ {"late", "late", "late", "contradiction", "contradiction", "duplicate"},
}

// Every pair of phases of one job, for every kind and action: the status is the one of the furthest phase, or of the
// end that came first.
func TestApply_EveryPairOfPhases(t *testing.T) {
	for _, k := range sm.Kinds {
		for action, row := range contract[k.String()] {
			for i, p := range sm.Phases {
				for j, q := range sm.Phases {
					checkPair(t, k, action, row, [2]sm.Phase{p, q}, pairs[i][j])
				}
			}
		}
	}
}

func checkPair(t *testing.T, k sm.Kind, action string, row promise, phases [2]sm.Phase, reason string) {
	t.Helper()
	a, _ := sm.ParseAction(action)
	first, then := single(k, 1, a, phases[0]), single(k, 2, a, phases[1])
	then.Job, then.Time = first.Job, first.Time+second
	r, _ := sm.Apply(sm.Resource{}, first)
	is, outcome := sm.Apply(r, then)
	furthest := phases[0]
	if reason == "" {
		furthest = phases[1]
	}
	want := row.shows(furthest)
	if want == "=" {
		want = unborn(k)
	}
	if is.Status.String() != want || outcome.Reason.String() != reason || is.Jobs[0].Phase != furthest {
		t.Errorf("%s %s %s, then %s: it is %s (%q), the job %s; not %s (%q)", k, action, phases[0], phases[1], is.Status, outcome.Reason,
			is.Jobs[0].Phase, want, reason)
	}
}

// A resource remembers its newest 32 jobs. What is no younger than a job that was forgotten, or than the oldest of 32,
// is forgotten too; what the forgotten ones made of the status stays.
func TestApply_TheNewest32Jobs(t *testing.T) {
	job := func(n, at int, p sm.Phase) sm.Event {
		e := single(sm.Server, n, sm.ActSnapshot, p)
		e.Time = sm.Time(1_790_000_000+at) * second
		return e
	}
	birth := job(1, 10, sm.PhaseFailed)
	birth.Action = sm.ActBuild
	r, _ := sm.Apply(sm.Resource{}, birth)
	for i := 1; i < sm.MaxJobs; i++ {
		r, _ = sm.Apply(r, job(1+i, 10+i, sm.PhaseSucceeded))
	}
	check := func(what string, e sm.Event, reason sm.Reason, oldest string) {
		t.Helper()
		is, o := sm.Apply(r, e)
		if o.Reason != reason || is.Jobs[0].ID != oldest || len(is.Jobs) != sm.MaxJobs || is.Status != sm.Error || is.Fault.Message != "fault of job 1" {
			t.Errorf("%s: %q, the oldest of %d jobs is %s, %s %+v", what, o.Reason, len(is.Jobs), is.Jobs[0].ID, is.Status, is.Fault)
		}
		r = is
	}
	check("older than the oldest", job(100, 9, sm.PhaseSucceeded), sm.Forgotten, "job-1")
	check("as old as the oldest", job(101, 10, sm.PhaseSucceeded), sm.Forgotten, "job-1")
	check("younger than the oldest", job(102, 11, sm.PhaseSucceeded), 0, "job-2")
	check("as old as a forgotten one", job(103, 10, sm.PhaseSucceeded), sm.Forgotten, "job-2")
	check("of a forgotten one", birth, sm.Forgotten, "job-2")
	earlier := job(2, 5, sm.PhaseAccepted)
	earlier.Sequence = 104
	check("of one that is remembered, from when others were forgotten", earlier, sm.Forgotten, "job-2")
	if began := r.Jobs[0].Began; began != sm.Time(1_790_000_011)*second {
		t.Errorf("it went to where jobs are forgotten, to %d", began)
	}
	check("of a forgotten one, once more", birth, sm.Forgotten, "job-2")
}
