package statemachine_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	sm "faultd/statemachine"
)

// Rule 3: a job ends once. What ended it can be replaced only if it was a deadline, and by a real end; or by what is
// told of its providers later, and never once it has failed.
func TestRule3_AnEndStays(t *testing.T) {
	forAll(t, storm, func(t *rapid.T, log []sm.Event) {
		was := map[string]sm.Job{}
		var r sm.Resource
		for i, e := range log {
			var o sm.Outcome
			r, o = sm.Apply(r, e)
			for _, j := range r.Jobs {
				before := was[j.ID]
				was[j.ID] = j
				if !before.Phase.End() || before.Phase == j.Phase {
					continue
				}
				byProvider := (e.Provider != "" || e.Providers != nil) && e.Job == j.ID && (before.Phase != sm.PhaseFailed || before.ByTime)
				healed := before.ByTime && e.Job == j.ID && e.Phase.End() && e.After == 0
				if !byProvider && !healed {
					t.Fatalf("%s went from %s to %s%s", j.ID, before.Phase, j.Phase, telling(log[:i+1]))
				}
			}
			if e.After != 0 && o.Verdict() == sm.Applied && e.After != lastBefore(log[:i], e) {
				t.Fatalf("the deadline was overtaken, and yet it counts%s", telling(log[:i+1]))
			}
		}
	})
}

// lastBefore is the sequence of the last event that was applied to the job of an event.
func lastBefore(log []sm.Event, e sm.Event) (sequence uint64) {
	r, _ := replay(log)
	for i := range r.Jobs {
		if r.Jobs[i].ID == e.Job {
			sequence = r.Jobs[i].LastSeq
		}
	}
	return sequence
}

// Rule 3: without deadlines and providers the first end is the end, and a different one is a contradiction.
func TestRule3_TheFirstEndCounts(t *testing.T) {
	forAll(t, weather{skewed: true, ahead: true, repeats: true, attempts: true}, func(t *rapid.T, log []sm.Event) {
		var r sm.Resource
		first := map[string]sm.Phase{}
		for i, e := range log {
			var o sm.Outcome
			r, o = sm.Apply(r, e)
			end, ended := first[e.Job]
			switch {
			case !e.Phase.End():
			case !ended:
				first[e.Job] = e.Phase
			case o.Reason == 0: // it told that the job began earlier than another
			case end == e.Phase && o.Reason != sm.Duplicate, end != e.Phase && o.Reason != sm.Contradiction:
				t.Fatalf("%s after %s is %q%s", e.Phase, end, o.Reason, telling(log[:i+1]))
			}
			for _, j := range r.Jobs {
				if end := first[j.ID]; end != 0 && j.Phase != end {
					t.Fatalf("%s ended as %s and is %s%s", j.ID, end, j.Phase, telling(log[:i+1]))
				}
			}
		}
	})
}

// Rule 4: an event of a job that a newer one has superseded changes neither status nor fault.
func TestRule4_SupersededChangesNoStatus(t *testing.T) {
	forAll(t, storm, func(t *rapid.T, log []sm.Event) {
		var r sm.Resource
		for i, e := range log {
			was, decided := r, decidedBy(&r)
			var o sm.Outcome
			r, o = sm.Apply(r, e)
			older := place(&r, e.Job) < place(&r, decided) && decided != "" && decidedBy(&r) == decided
			deletedInError := r.Status == sm.Deleted && r.Kind == sm.Server
			if older && (was.Status != r.Status || bytesOf(t, was.Fault) != bytesOf(t, r.Fault) && !deletedInError) {
				t.Fatalf("%s is older than %s, and yet it went from %s to %s%s", e.Job, decided, was.Status, r.Status, telling(log[:i+1]))
			}
			warned := bytesOf(t, was.Warning()) != bytesOf(t, r.Warning())
			if older && o.Reason == 0 && o.Transition == nil && was.Status == r.Status && !deletedInError && !warned {
				t.Fatalf("%s is older than %s, and yet it is applied%s", e.Job, decided, telling(log[:i+1]))
			}
		}
	})
}

// decidedBy is the newest job that gives the resource a status by the contract, "" if none does.
func decidedBy(r *sm.Resource) (job string) {
	for _, j := range r.Jobs {
		row := contract[r.Kind.String()][j.Action.String()]
		if row.shows(j.Phase) != "=" && (row.creates || !deletedBefore(r, j)) {
			job = j.ID
		}
	}
	return job
}

// deletedBefore tells whether the resource is deleted by jobs that are older than the given one.
func deletedBefore(r *sm.Resource, than sm.Job) (deleted bool) {
	for _, j := range r.Jobs {
		if j.ID == than.ID {
			break
		}
		row := contract[r.Kind.String()][j.Action.String()]
		switch {
		case row.shows(j.Phase) == "DELETED":
			deleted = true
		case row.creates && row.shows(j.Phase) != "=":
			deleted = false
		}
	}
	return deleted
}

func place(r *sm.Resource, job string) int {
	return slices.IndexFunc(r.Jobs, func(j sm.Job) bool { return j.ID == job })
}

// Rule 5: failed attempts make no ERROR, however many; each is counted once and kept, the newest 16 of them in full.
func TestRule5_AttemptsAreNoError(t *testing.T) {
	forAll(t, weather{skewed: true, repeats: true, attempts: true, endless: true, events: 40, jobs: 2}, func(t *rapid.T, log []sm.Event) {
		r, outcomes := replay(log)
		failures := map[string]map[uint64]bool{}
		for i, e := range log {
			if tr := outcomes[i].Transition; tr != nil && tr.To == sm.Error {
				t.Fatalf("%d made an ERROR%s", i+1, telling(log))
			}
			if e.Fault != nil && e.Phase == sm.PhaseProgressed {
				if failures[e.Job] == nil {
					failures[e.Job] = map[uint64]bool{}
				}
				failures[e.Job][e.ID] = true
			}
		}
		for _, j := range r.Jobs {
			few := len(failures[j.ID])+j.Starts <= sm.MaxMarks
			if few && (j.Failures != len(failures[j.ID]) || len(j.Attempts) != j.Failures) || len(j.Attempts) > sm.MaxMarks {
				t.Fatalf("%s has %d failed attempts, %d of them kept; %d events say so%s", j.ID, j.Failures, len(j.Attempts), len(failures[j.ID]), telling(log))
			}
		}
	})
}

// Rule 5: a start with a new id after a failed attempt is applied, begins the next attempt, and progress begins anew.
func TestRule5_StartAfterFailedAttempt(t *testing.T) {
	forAll(t, weather{attempts: true, jobs: 1}, func(t *rapid.T, log []sm.Event) {
		var r sm.Resource
		waiting := false // since an attempt failed; the first start of two makes the second one
		for i, e := range log {
			is, o := sm.Apply(r, e)
			if e.Phase == sm.PhaseStarted && waiting && !is.Jobs[0].Phase.End() {
				j, before := is.Jobs[0], r.Jobs[0]
				if o.Verdict() != sm.Applied || j.Attempt() <= before.Attempt() || j.Progress != e.Progress {
					t.Fatalf("it is %s, attempt %d after %d, progress %d%s", o.Verdict(), j.Attempt(), before.Attempt(), j.Progress, telling(log[:i+1]))
				}
			}
			r = is
			waiting = r.Jobs[0].Waiting() && r.Jobs[0].Starts > 0
		}
	})
}

// Rule 5: a cancelled job leaves the status and the fault as if it had never been.
func TestRule5_CancelledIsAsIfItHadNeverBeen(t *testing.T) {
	forAll(t, storm, func(t *rapid.T, log []sm.Event) {
		with, _ := replay(log)
		for _, j := range with.Jobs {
			if j.Phase != sm.PhaseCancelled {
				continue
			}
			without, _ := replay(slices.DeleteFunc(slices.Clone(log), func(e sm.Event) bool { return e.Job == j.ID }))
			if without.Status == 0 {
				without.Status, _ = sm.ParseStatus(unborn(with.Kind))
			}
			if verdict(&with) != verdict(&without) {
				t.Fatalf("with %s it is %s, without %s%s", j.ID, verdict(&with), verdict(&without), telling(log))
			}
		}
	})
}

// Rule 6: whatever the order, a job of several providers ends when each of the set has; it succeeded only if every
// one did, and the fault lists each that failed.
func TestRule6_Providers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := []string{"dfw", "iad", "ord", "syd"}[:draw(t, "set", 1, 4)]
		named := draw(t, "named", 0, 1) == 1
		var parts []sm.Event
		count := map[sm.Phase]int{}
		for i, name := range set {
			p := sm.Phase(draw(t, "end", int(sm.PhaseSucceeded), int(sm.PhaseCancelled)))
			e := single(sm.Backup, 10+i, sm.ActBackup, p)
			e.Job, e.Provider = "b", name
			count[p]++
			parts = append(parts, e)
		}
		want := "COMPLETED"
		switch {
		case count[sm.PhaseFailed] > 0:
			want = "ERROR"
		case count[sm.PhaseCancelled] > 0:
			want = "CANCELLED"
		}
		log := announced(set, named)
		parts = rapid.Permutation(parts).Draw(t, "order")
		log = append(log, parts...)
		for i := range log {
			log[i] = arriving(log[i], 1000+i)
		}
		for n := len(set); n < len(log); n++ {
			if r, _ := replay(log[:n]); r.Status != sm.InProgress {
				t.Fatalf("it is %s before all have ended%s", r.Status, telling(log[:n]))
			}
		}
		r, _ := replay(log)
		if r.Status.String() != want {
			t.Fatalf("it is %s, not %s%s", r.Status, want, telling(log))
		}
		for _, e := range parts {
			listed := r.Fault != nil && strings.Contains(r.Fault.Message, e.Provider+": fault of job")
			if listed != (e.Phase == sm.PhaseFailed) {
				t.Fatalf("the fault is %+v, %s came to %s%s", r.Fault, e.Provider, e.Phase, telling(log))
			}
		}
	})
}

// announced is how a job with these providers begins: each starts, and the set is named or not.
func announced(set []string, named bool) (log []sm.Event) {
	for i, name := range set {
		e := single(sm.Backup, i+1, sm.ActBackup, sm.PhaseStarted)
		e.Job, e.Provider = "b", name
		if named {
			e.Providers = set
		}
		log = append(log, e)
	}
	return log
}

// Rule 7: what counts is the furthest phase, whatever was skipped and in whatever order the others came.
func TestRule7_TheFurthestPhaseCounts(t *testing.T) {
	forAll(t, weather{jobs: 1, skewed: true, repeats: true, attempts: true}, func(t *rapid.T, log []sm.Event) {
		furthest := sm.Phase(0)
		for _, e := range log {
			if !furthest.End() {
				furthest = max(furthest, e.Phase)
			}
		}
		r, _ := replay(log)
		want := contract[r.Kind.String()][log[0].Action.String()].shows(furthest)
		if want == "=" {
			want = unborn(r.Kind)
		}
		if r.Status.String() != want {
			t.Fatalf("it is %s, not %s%s", r.Status, want, telling(log))
		}
	})
}

// Rule 8: a deleted resource stays so unless a newer job of an action that creates is under way or has ended with
// effect.
func TestRule8_DeletedIsFinal(t *testing.T) {
	forAll(t, storm, func(t *rapid.T, log []sm.Event) {
		var r sm.Resource
		for i, e := range log {
			if r, _ = sm.Apply(r, e); r.Status == 0 {
				continue
			}
			deleted := deletedBefore(&r, sm.Job{})
			if deleted && r.Status != sm.Deleted || !deleted && r.Status == sm.Deleted {
				t.Fatalf("it is %s%s", r.Status, telling(log[:i+1]))
			}
		}
	})
}
