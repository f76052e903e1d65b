package statemachine_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	sm "faultd/statemachine"
)

// verdict is what people see of a resource that does not depend on when its events came.
func verdict(r *sm.Resource) string {
	fault := "none"
	if f := r.Fault; f != nil {
		fault = fmt.Sprint(f.Code, f.Message, f.Created)
	}
	return fmt.Sprint(r.Status, " fault ", fault)
}

// everything is that and how all jobs stand.
func everything(r *sm.Resource) string {
	text := verdict(r) + fmt.Sprint(" progress ", r.Progress())
	for _, j := range r.Jobs {
		text += fmt.Sprintf("; %s %s %s %d%% attempt %d failed %d began %d ended %d", j.ID, j.Action, j.Phase, j.Progress, j.Attempt(), j.Failures, j.Began, j.Ended)
	}
	return text
}

// late is a log that arrives long after everything in it happened: no time in it is cut.
func late(log []sm.Event) []sm.Event {
	all := make([]sm.Event, len(log))
	for i, e := range log {
		all[i] = arriving(e, 1000+i)
	}
	return all
}

// Rule 4: where each job's events arrive in their order, it makes no difference how those of different jobs are
// interleaved: status, fault, progress and every job come out the same. It takes true times, and jobs that did not
// begin in the same nanosecond.
func TestRule4_InterleavingsOfJobs(t *testing.T) {
	forAll(t, weather{attempts: true, providers: true, repeats: true}, func(t *rapid.T, log []sm.Event) {
		lanes := make([]string, len(log))
		ofJob := map[string][]sm.Event{}
		for i, e := range log {
			lanes[i] = e.Job
			ofJob[e.Job] = append(ofJob[e.Job], e)
		}
		var mixed []sm.Event
		for _, job := range rapid.Permutation(lanes).Draw(t, "lanes") {
			mixed = append(mixed, ofJob[job][0])
			ofJob[job] = ofJob[job][1:]
		}
		a, _ := replay(late(log))
		b, _ := replay(late(mixed))
		if everything(&a) != everything(&b) {
			t.Fatalf("in this order\n%s, in that\n%s%s%s", everything(&a), everything(&b), telling(late(log)), telling(late(mixed)))
		}
	})
}

// Any permutation at all leads to the same status and fault if
//   - all times are true, and events of different jobs have different ones;
//   - no job, and no provider's part of one, ends twice;
//   - no job ends both by itself and by its providers;
//   - the providers of a job, if any, are named by each of its events, and a server's job has none;
//   - there are no more jobs than a resource remembers, and none is ended by a deadline.
//
// [TestRule4_WhereOrderMatters] shows that none of the first four can be left out.
func TestRule4_Permutations(t *testing.T) {
	forAll(t, weather{attempts: true, providers: true, jobs: 6}, func(t *rapid.T, log []sm.Event) {
		log = agreeing(log)
		a, _ := replay(late(log))
		mixed := rapid.Permutation(log).Draw(t, "permutation")
		b, _ := replay(late(mixed))
		if verdict(&a) != verdict(&b) {
			t.Fatalf("in this order\n%s, in that\n%s%s%s", verdict(&a), verdict(&b), telling(late(log)), telling(late(mixed)))
		}
	})
}

// agreeing takes from a log what the conditions of [TestRule4_Permutations] exclude.
func agreeing(log []sm.Event) []sm.Event {
	ended, bySelf, set := map[string]bool{}, map[string]bool{}, map[string][]string{}
	for _, e := range log {
		if e.Providers != nil {
			set[e.Job] = e.Providers
		}
	}
	log = slices.Clone(log)
	for i := range log {
		if log[i].Providers = set[log[i].Job]; log[i].Kind == sm.Server {
			log[i].Provider, log[i].Providers = "", nil
		}
	}
	return slices.DeleteFunc(log, func(e sm.Event) bool {
		if !e.Phase.End() {
			return e.Provider != "" && set[e.Job] == nil
		}
		part := e.Job + " " + e.Provider
		own, known := bySelf[e.Job]
		if ended[part] || known && own != (e.Provider == "") || e.Provider != "" && set[e.Job] == nil {
			return true
		}
		ended[part], bySelf[e.Job] = true, e.Provider == ""
		return false
	})
}

// The conditions of [TestRule4_Permutations], each by two events whose order decides where it does not hold.
func TestRule4_WhereOrderMatters(t *testing.T) {
	at := func(n int, job string, a sm.Action, p sm.Phase) sm.Event {
		e := single(sm.Backup, n, a, p)
		e.Job = job
		return e
	}
	by := func(e sm.Event, provider string) sm.Event { e.Provider = provider; return e }
	naming := func(e sm.Event, set ...string) sm.Event { e.Providers = set; return e }
	for name, row := range map[string]struct {
		first, second sm.Event
		ahead, behind string
	}{
		"a job ends twice": {at(1, "a", sm.ActBackup, sm.PhaseSucceeded), at(2, "a", sm.ActBackup, sm.PhaseFailed), "COMPLETED", "ERROR"},
		"a part ends twice": {by(at(1, "a", sm.ActBackup, sm.PhaseSucceeded), "dfw"), by(at(2, "a", sm.ActBackup, sm.PhaseFailed), "dfw"),
			"COMPLETED", "ERROR"},
		"by itself and by a provider": {by(at(1, "a", sm.ActBackup, sm.PhaseSucceeded), "dfw"), at(2, "a", sm.ActBackup, sm.PhaseFailed),
			"COMPLETED", "ERROR"},
		"the set is named late": {by(at(1, "a", sm.ActBackup, sm.PhaseSucceeded), "dfw"), naming(at(2, "a", sm.ActBackup, sm.PhaseStarted), "dfw", "ord"),
			"COMPLETED", "IN_PROGRESS"},
		"one time for two jobs": {at(1, "a", sm.ActBackup, sm.PhaseSucceeded), at(1, "b", sm.ActDelete, sm.PhaseFailed), "ERROR", "COMPLETED"},
	} {
		ahead, _ := replay([]sm.Event{arriving(row.first, 1000), arriving(row.second, 1001)})
		behind, _ := replay([]sm.Event{arriving(row.second, 1000), arriving(row.first, 1001)})
		if ahead.Status.String() != row.ahead || behind.Status.String() != row.behind {
			t.Errorf("%s: %s one way and %s the other, not %s and %s", name, ahead.Status, behind.Status, row.ahead, row.behind)
		}
	}
}
