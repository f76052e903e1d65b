package statemachine_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	sm "faultd/statemachine"
)

// Rule 1: a fault is shown if and only if the status is ERROR, but for a server that was deleted in ERROR; and what is
// shown has been in the history since it was first shown, a list of providers' faults at least in its parts.
func TestRule1_FaultIfAndOnlyIfError(t *testing.T) {
	forAll(t, storm, func(t *rapid.T, log []sm.Event) {
		var r sm.Resource
		told := map[sm.Fault]bool{}
		for i, e := range log {
			var o sm.Outcome
			r, o = sm.Apply(r, e)
			if o.Transition != nil && o.Transition.Fault != nil {
				told[*o.Transition.Fault] = true
			}
			deletedInError := r.Kind == sm.Server && r.Status == sm.Deleted
			if (r.Fault != nil) != (r.Status == sm.Error) && !deletedInError {
				t.Fatalf("%s with fault %+v%s", r.Status, r.Fault, telling(log[:i+1]))
			}
			if r.Status == sm.Error && !r.Fault.Summary && !told[*r.Fault] {
				t.Fatalf("%+v is shown and not in the history%s", r.Fault, telling(log[:i+1]))
			}
		}
	})
}

// Rule 1: nothing is forgotten. The fault of every event that is applied stands in the history, alone or in a list of
// those of a job's providers; and so does the failure of a job that its end brought without a fault of its own.
func TestRule1_EveryFaultEntersTheHistory(t *testing.T) {
	calm := storm
	calm.skewed, calm.ahead = false, false // else an event that is ignored for itself may count for when its job began
	forAll(t, calm, func(t *rapid.T, log []sm.Event) {
		var r sm.Resource
		for i, e := range log {
			was := failedJobs(&r)
			var o sm.Outcome
			r, o = sm.Apply(r, e)
			tr := o.Transition
			if e.Fault != nil && o.Verdict() == sm.Applied && (tr == nil || tr.Fault == nil || !strings.Contains(tr.Fault.Message, e.Fault.Message)) {
				t.Fatalf("the history has %+v for %q%s", tr, e.Fault.Message, telling(log[:i+1]))
			}
			if failedJobs(&r) > was && (tr == nil || tr.Fault == nil) {
				t.Fatalf("a job failed, and the history has %+v%s", tr, telling(log[:i+1]))
			}
		}
	})
}

func failedJobs(r *sm.Resource) (n int) {
	for _, j := range r.Jobs {
		n += bit(j.Phase == sm.PhaseFailed)
	}
	return n
}

// Rule 2: within a job phases only move forward, and progress never falls within an attempt.
func TestRule2_JobsOnlyMoveForward(t *testing.T) {
	forAll(t, storm, func(t *rapid.T, log []sm.Event) {
		was := map[string]sm.Job{}
		var r sm.Resource
		for i, e := range log {
			r, _ = sm.Apply(r, e)
			for _, j := range r.Jobs {
				before, known := was[j.ID]
				was[j.ID] = j
				switch {
				case !known:
				case !j.Phase.End() && j.Phase < before.Phase:
					t.Fatalf("%s goes back from %s to %s%s", j.ID, before.Phase, j.Phase, telling(log[:i+1]))
				case j.Progress < before.Progress && j.Attempt() == before.Attempt():
					t.Fatalf("%s falls from %d%% to %d%%%s", j.ID, before.Progress, j.Progress, telling(log[:i+1]))
				case j.Attempt() < before.Attempt(), j.Failures < before.Failures:
					t.Fatalf("%s loses an attempt%s", j.ID, telling(log[:i+1]))
				}
			}
		}
	})
}

// Rule 2: an event that comes again right away is ignored.
func TestRule2_TwiceIsOnce(t *testing.T) {
	forAll(t, storm, func(t *rapid.T, log []sm.Event) {
		r, outcomes := replay(log)
		last := arriving(log[len(log)-1], len(log)+1)
		is, o := sm.Apply(r, last)
		if outcomes[len(log)-1].Verdict() != sm.Rejected && o.Verdict() != sm.Ignored {
			t.Fatalf("the last one once more is %s%s", o.Verdict(), telling(again(log, log[len(log)-1:])))
		}
		if a, b := bytesOf(t, r), bytesOf(t, is); a != b {
			t.Fatalf("the last one once more makes\n%s of\n%s%s", b, a, telling(log))
		}
	})
}

// A log behind itself changes nothing but counters, whatever the clocks say.
func TestApply_LogAppendedToItself(t *testing.T) { forAll(t, storm, checkAppended) }

// ... nor do more attempts than a job remembers, or more jobs than a resource.
func TestApply_LogOfManyAttemptsAppendedToItself(t *testing.T) {
	forAll(t, weather{skewed: true, ahead: true, coarse: true, repeats: true, attempts: true, endless: true, jobs: 1, events: 60}, checkAppended)
}

func TestApply_LogOfManyJobsAppendedToItself(t *testing.T) {
	forAll(t, weather{ahead: true, coarse: true, repeats: true, jobs: 50, events: 80}, checkAppended)
}

func checkAppended(t *rapid.T, log []sm.Event) {
	r, _ := replay(log)
	was := bytesOf(t, r)
	for i, e := range log {
		var o sm.Outcome
		r, o = sm.Apply(r, arriving(e, len(log)+i+1))
		if o.Verdict() == sm.Applied {
			t.Fatalf("%d is applied once more%s", i+1, telling(again(log, log)))
		}
	}
	if is := bytesOf(t, r); is != was {
		t.Fatalf("it was\n%s, it is\n%s%s", was, is, telling(again(log, log)))
	}
}

// shown is what people see of a resource.
func shown(r *sm.Resource) string {
	warning := "none"
	if w := r.Warning(); w != nil {
		warning = w.Message
	}
	job, attempts := "none", 0
	if j := r.Job(); j != nil {
		job, attempts = fmt.Sprint(j.ID, j.Action, j.Phase), j.Failures
	}
	fault, _ := json.Marshal(r.Fault) // has nothing that does not encode
	return fmt.Sprintf("status %s fault %s warning %s progress %d job %s attempts %d updated %d sequence %d name %s user %s created %d attributes %s", r.Status, fault, warning, r.Progress(), job, attempts,
		r.Updated, r.Sequence, r.Name, r.User, r.Created, r.Attributes)
}

// An ignored event changes nothing that is shown.
func TestApply_IgnoredChangesNothingThatIsShown(t *testing.T) {
	forAll(t, storm, func(t *rapid.T, log []sm.Event) {
		var r sm.Resource
		for i, e := range log {
			is, o := sm.Apply(r, e)
			if o.Verdict() != sm.Applied {
				if a, b := shown(&r), shown(&is); a != b || o.Transition != nil {
					t.Fatalf("%s changes\n%s to\n%s%s", o.Reason, a, b, telling(log[:i+1]))
				}
			}
			r = is
		}
	})
}

// Apply never changes what it is given, neither the resource nor the event nor what came of them before; and the
// same input has the same output.
func TestApply_PureAndDeterministic(t *testing.T) {
	forAll(t, storm, func(t *rapid.T, log []sm.Event) {
		var r sm.Resource
		var states []sm.Resource
		var texts []string
		for i, e := range log {
			event := bytesOf(t, e)
			a, first := sm.Apply(r, e)
			_, _ = sm.Apply(r, arriving(log[(i*7+3)%len(log)], i+1)) // what might have come instead
			b, second := sm.Apply(r, e)
			if bytesOf(t, a) != bytesOf(t, b) || bytesOf(t, first) != bytesOf(t, second) {
				t.Fatalf("twice the same makes two things%s", telling(log[:i+1]))
			}
			if bytesOf(t, e) != event {
				t.Fatalf("the event was %s and is %s", event, bytesOf(t, e))
			}
			states, texts = append(states, a), append(texts, bytesOf(t, a))
			r = a
		}
		for i := range states {
			if bytesOf(t, states[i]) != texts[i] {
				t.Fatalf("what was\n%s after event %d is\n%s in the end%s", texts[i], i+1, bytesOf(t, states[i]), telling(log))
			}
		}
	})
}

// What Derive draws from a record is what Apply showed.
func TestDerive_IsWhatApplyShows(t *testing.T) {
	forAll(t, storm, func(t *rapid.T, log []sm.Event) {
		r, _ := replay(log)
		if r.Status == 0 {
			return // there is no such resource, and no record of it
		}
		bare := r
		bare.Status, bare.Fault, bare.Jobs = 0, nil, slices.Clone(r.Jobs)
		for i := range bare.Jobs {
			bare.Jobs[i].Fault = nil
		}
		if bare.Derive(); bytesOf(t, bare) != bytesOf(t, r) {
			t.Fatalf("derived is\n%s, applied\n%s%s", bytesOf(t, bare), bytesOf(t, r), telling(log))
		}
	})
}
