package statemachine_test

import (
	"fmt"
	"strings"
	"testing"

	sm "faultd/statemachine"
)

// Corners of the rules, each by its smallest log.

// h is an event at a second, told the short way.
func h(n int, at int, job string, a sm.Action, p sm.Phase, more ...func(*sm.Event)) sm.Event {
	e := sm.Event{Key: sm.Key{Tenant: "t", Kind: sm.Server, ID: "r"}, Job: job, Action: a, Phase: p, ID: uint64(n), Progress: -1, Time: arrival(at)}
	for _, f := range more {
		f(&e)
	}
	return e
}

func of(k sm.Kind) func(*sm.Event)           { return func(e *sm.Event) { e.Kind = k } }
func by(name string) func(*sm.Event)         { return func(e *sm.Event) { e.Provider = name } }
func naming(names ...string) func(*sm.Event) { return func(e *sm.Event) { e.Providers = names } }
func at(percent int8) func(*sm.Event)        { return func(e *sm.Event) { e.Progress = percent } }
func fault(code int, m string) func(*sm.Event) {
	return func(e *sm.Event) { e.Fault = &sm.Fault{Code: code, Message: m} }
}
func after(sequence uint64) func(*sm.Event) { return func(e *sm.Event) { e.After = sequence } }

// come numbers events as they arrive: one each second from second 100 on, or at its own time if that is later.
func come(events ...sm.Event) []sm.Event {
	for i := range events {
		events[i] = arriving(events[i], 100+i)
	}
	return events
}

const (
	build, rebuild, reboot, migrate, stop, del = sm.ActBuild, sm.ActRebuild, sm.ActReboot, sm.ActMigrate, sm.ActStop, sm.ActDelete
	accepted, started, progressed              = sm.PhaseAccepted, sm.PhaseStarted, sm.PhaseProgressed
	succeeded, failed, cancelled               = sm.PhaseSucceeded, sm.PhaseFailed, sm.PhaseCancelled
)

// The warning of a cancelled job stands in the history, also where the resource goes back to ERROR.
func TestApply_WarningEntersTheHistory(t *testing.T) {
	log := come(
		h(1, 1, "b", build, failed, fault(404, "gone")),
		h(2, 2, "r", rebuild, started),
		h(3, 3, "r", rebuild, cancelled, fault(500, "unsupported")))
	_, o := replay(log)
	if tr := o[2].Transition; tr == nil || tr.Fault == nil || !strings.Contains(tr.Fault.Message, "unsupported") {
		t.Errorf("the row has %+v", tr.Fault)
	}
}

// So does the fault of a provider whose failure uncovers the older fault of another job.
func TestApply_FaultThatUncoversAnotherEntersTheHistory(t *testing.T) {
	k := of(sm.Backup)
	log := come(
		h(1, 1, "d1", del, accepted, k),
		h(2, 2, "d2", del, failed, k, fault(503, "two")),
		h(3, 3, "d1", del, succeeded, k),
		h(4, 4, "d1", del, failed, k, by("dfw"), fault(507, "four")))
	_, o := replay(log)
	if tr := o[3].Transition; tr == nil || tr.Fault == nil || !strings.Contains(tr.Fault.Message, "four") {
		t.Errorf("the row has %+v", tr.Fault)
	}
}

// A line that leads into ERROR has a fault, also where a DELETED server showed the same one before.
func TestApply_LineIntoErrorHasAFault(t *testing.T) {
	log := come(
		h(1, 1, "b", build, failed, fault(500, "one")),
		h(2, 2, "d", del, succeeded, by("dfw")),
		h(3, 3, "d", del, cancelled, by("iad")))
	r, o := replay(log)
	if tr := o[2].Transition; r.Status == sm.Error && tr.Fault == nil {
		t.Errorf("%s to %s without a fault", tr.From, tr.To)
	}
}

// A repeated progress of the first attempt is not taken for the second, though the second host's clock is slow.
func TestApply_OldProgressAfterAStartOfASlowClock(t *testing.T) {
	log := come(
		h(1, 1, "b", build, started),
		h(2, 20, "b", build, progressed, at(60)),
		h(3, 21, "b", build, progressed, fault(500, "host 1")),
		h(4, 15, "b", build, started), // host 2's clock is 7 seconds slow
		h(2, 20, "b", build, progressed, at(60)))
	r, o := replay(log)
	if o[4].Reason == 0 || r.Progress() != 0 {
		t.Errorf("applied once more; progress of the new attempt is %d", r.Progress())
	}
}

// ... nor where two services told of the first start.
func TestApply_OldProgressAfterTwoStarts(t *testing.T) {
	log := come(
		h(1, 1, "b", build, started),
		h(2, 1, "b", build, started),
		h(3, 20, "b", build, progressed, at(60)),
		h(4, 21, "b", build, progressed, fault(500, "host 1")),
		h(3, 20, "b", build, progressed, at(60)))
	r, o := replay(log)
	if o[4].Reason == 0 || r.Progress() != 0 {
		t.Errorf("applied once more; progress of the new attempt is %d", r.Progress())
	}
}

// An event that is late for itself, and yet changes which job and progress are shown, is applied.
func TestApply_WhatChangesTheJobShownIsApplied(t *testing.T) {
	log := come(
		h(1, 10, "r1", rebuild, progressed, at(80)),
		h(2, 20, "r2", rebuild, progressed, at(10)),
		h(3, 5, "r2", rebuild, accepted))
	a, _ := replay(log[:2])
	b, o := replay(log)
	if o[2].Reason != 0 && shown(&a) != shown(&b) {
		t.Errorf("%s changes\n%s to\n%s", o[2].Reason, shown(&a), shown(&b))
	}
}

// So is the end of a superseded job that fails by a provider: its failure stands in the history.
func TestApply_SupersededFailureByProvidersIsTold(t *testing.T) {
	k := of(sm.Backup)
	log := come(
		h(1, 1, "d1", del, succeeded, k),
		h(2, 2, "d2", del, failed, k, by("dfw"), naming("dfw", "iad"), fault(507, "disk full")),
		h(3, 3, "d2", del, succeeded, k))
	if _, o := replay(log); o[2].Reason != 0 || o[2].Transition == nil || o[2].Transition.Fault == nil {
		t.Errorf("%q, and its line is %+v", o[2].Reason, o[2].Transition)
	}
}

// So is the first of a new job that takes a warning away.
func TestApply_WhatTakesAWarningAwayIsApplied(t *testing.T) {
	log := come(
		h(1, 1, "d", del, succeeded),
		h(2, 2, "r", reboot, failed, fault(500, "it is gone")),
		h(3, 3, "d2", del, succeeded))
	a, _ := replay(log[:2])
	b, o := replay(log)
	if o[2].Reason != 0 && a.Warning() != nil && b.Warning() == nil {
		t.Errorf("%s takes the warning %q away", o[2].Reason, a.Warning().Message)
	}
}

// A long job that 32 younger ones have pushed out: its end is not taken for a new job, the newest of all.
func TestApply_EndOfAForgottenJob(t *testing.T) {
	log := []sm.Event{h(0, 0, "m", migrate, started)}
	for i := 1; i <= 32; i++ {
		log = append(log, h(i, i, fmt.Sprint("s", i), stop, succeeded))
	}
	log = append(log, h(40, 40, "m", migrate, failed, fault(500, "old")))
	r, o := replay(come(log...))
	if o[33].Reason != sm.Forgotten || r.Status != sm.Shutoff {
		t.Errorf("it is %s, %q", r.Status, o[33].Reason)
	}
}

// A late event that only names the providers does not turn a job's end around.
func TestApply_LateNamingOfProvidersChangesNoEnd(t *testing.T) {
	k := of(sm.Backup)
	log := come(
		h(1, 1, "b", sm.ActBackup, succeeded, k, by("dfw")),
		h(2, 2, "b", sm.ActBackup, cancelled, k, by("ord")),
		h(3, 0, "b", sm.ActBackup, accepted, k, naming("dfw")))
	a, _ := replay(log[:2])
	b, _ := replay(log)
	if a.Jobs[0].Phase != b.Jobs[0].Phase {
		t.Errorf("the job went from %s to %s", a.Jobs[0].Phase, b.Jobs[0].Phase)
	}
}

// A deadline's event, overtaken, says nothing of when the job began: that is for the producers' clocks.
func TestApply_DeadlineDoesNotTeachTheBeginning(t *testing.T) {
	log := come(h(1, 50, "b", build, started), h(2, 40, "b", build, failed, after(1), fault(504, "silent")))
	r, _ := replay(log)
	if r.Jobs[0].Began != arrival(50) {
		t.Errorf("it began %d s too early", (arrival(50)-r.Jobs[0].Began)/second)
	}
}

// A job whose next attempt makes progress waits no longer, be its start lost or told by a provider.
func TestApply_ProgressEndsTheWaiting(t *testing.T) {
	for name, start := range map[string][]sm.Event{
		"lost":          nil,
		"by a provider": {h(4, 4, "b", sm.ActBackup, started, of(sm.Backup), by("dfw"))},
	} {
		k := of(sm.Backup)
		log := []sm.Event{
			h(1, 1, "b", sm.ActBackup, started, k, by("dfw")),
			h(2, 2, "b", sm.ActBackup, progressed, k, by("dfw"), at(50)),
			h(3, 3, "b", sm.ActBackup, progressed, k, by("dfw"), fault(500, "agent 1"))}
		log = append(log, start...)
		log = append(log, h(9, 9, "b", sm.ActBackup, progressed, k, by("dfw"), at(70)))
		if r, _ := replay(come(log...)); r.Jobs[0].Waiting() {
			t.Errorf("start %s: it waits, at %d%%", name, r.Progress())
		}
	}
}

// A deadline's end that providers have healed has yielded already: a contradicting end is one too many.
func TestApply_HealedJobEndsOnce(t *testing.T) {
	k := of(sm.Backup)
	log := come(
		h(1, 1, "b", sm.ActBackup, started, k, by("dfw")),
		h(2, 101, "b", sm.ActBackup, failed, k, after(100), fault(504, "silent")),
		h(3, 102, "b", sm.ActBackup, succeeded, k, by("dfw")),
		h(4, 103, "b", sm.ActBackup, failed, k, fault(500, "not so")))
	r, o := replay(log)
	if r.Status != sm.Completed || o[3].Reason != sm.Contradiction {
		t.Errorf("it is %s, %q", r.Status, o[3].Reason)
	}
}

// A real failure that replaces a deadline's ended the job at its own time.
func TestApply_EndedIsTheRealEnds(t *testing.T) {
	log := come(
		h(1, 1, "b", build, started),
		h(2, 101, "b", build, failed, after(100), fault(504, "silent")),
		h(3, 90, "b", build, failed, fault(500, "No valid host")))
	if r, _ := replay(log); r.Jobs[0].Ended != arrival(90) {
		t.Errorf("it ended %d s too late", (r.Jobs[0].Ended-arrival(90))/second)
	}
}

// A job has a bounded number of providers.
func TestApply_TooManyProviders(t *testing.T) {
	var r sm.Resource
	for i := range 1000 {
		r, _ = sm.Apply(r, arriving(h(i, i, "b", sm.ActBackup, progressed, of(sm.Backup), by(fmt.Sprint("p", i))), i+1))
	}
	if n := len(r.Jobs[0].Providers); n != sm.MaxProviders {
		t.Errorf("the job remembers %d providers", n)
	}
}

// A sign of life without a time of its own is as young as its arrival, and yet counts once.
func TestApply_TimelessSignOfLifeComesTwice(t *testing.T) {
	e := h(1, 0, "b", build, progressed, at(10))
	e.Time = 0
	_, o := replay(come(e, e))
	if o[1].Reason == 0 {
		t.Error("the same event is applied twice")
	}
}

// An event that is ignored for itself but tells that its job began earlier has the fault that it uncovered in its line.
func TestApply_LineOfWhatIsIgnoredForItself(t *testing.T) {
	log := come(
		h(1, 10, "d1", del, failed, fault(500, "one")),
		h(2, 20, "d2", del, failed, fault(500, "two")),
		h(3, 5, "d2", del, succeeded)) // a contradiction, but d2 began before d1
	r, o := replay(log)
	if tr := o[2].Transition; tr == nil || tr.Fault == nil || tr.Fault.Message != r.Fault.Message {
		t.Errorf("it shows %q, and the line says %+v", r.Fault.Message, tr.Fault)
	}
}

// A forgotten job whose clock was an hour ahead does not shut out the jobs of that hour.
func TestApply_ForgottenJobOfAFastClock(t *testing.T) {
	log := []sm.Event{h(0, 4000, "m", migrate, succeeded)}
	for i := 1; i <= 33; i++ {
		log = append(log, h(i, 100+i, fmt.Sprint("s", i), stop, succeeded))
	}
	r, o := replay(come(log...))
	if o[33].Reason != 0 || r.Jobs[len(r.Jobs)-1].ID != "s33" {
		t.Errorf("the newest job is %s, its event %q", r.Jobs[len(r.Jobs)-1].ID, o[33].Reason)
	}
}

// A notification without a job that came before belongs to the job that it belonged to then; else to the newest that has
// not ended, else to one of its own.
func TestResolve_JobOfANotification(t *testing.T) {
	r, _ := replay(come(
		h(1, 1, "r1", reboot, started),
		h(2, 2, "r1", reboot, succeeded),
		h(3, 10, "m-3", reboot, started),
		h(4, 20, "x", rebuild, started)))
	timeless := func(e *sm.Event) { e.Time = 0 }
	for name, row := range map[string]struct {
		e              sm.Event
		fallback, want string
	}{
		"again of a job that has ended": {h(5, 2, "", reboot, succeeded), "own", "r1"},
		"news of the open job":          {h(6, 30, "", reboot, succeeded), "own", "m-3"},
		"the one that began a job":      {h(1, 0, "", reboot, started, timeless), "r1", "r1"},
		"of an action that never was":   {h(7, 30, "", stop, started), "own", "own"},
	} {
		row.e.Fallback = row.fallback
		if e, reason := sm.Resolve(row.e, []sm.Resource{r}); e.Job != row.want || reason != 0 {
			t.Errorf("%s: it is of %q (%s), not %q", name, e.Job, reason, row.want)
		}
	}
}

// One event of a clock that is far ahead does not make the job deaf to the others' signs of life; its repetition is
// known, also when its time has come.
func TestApply_SignsOfLifeBehindOneFastClock(t *testing.T) {
	fast := h(1, 3600, "b", build, progressed, at(10))
	first, second, third := h(2, 101, "b", build, progressed, at(10)), h(3, 102, "b", build, progressed, at(10)), fast
	log := []sm.Event{arriving(fast, 100), arriving(first, 101), arriving(second, 102), arriving(third, 3700)}
	r, o := replay(log)
	if o[1].Reason != 0 || o[2].Reason != 0 || o[3].Reason != sm.Duplicate || r.Jobs[0].Heard != log[2].StreamTime {
		t.Errorf("%q, %q, %q: the last that was heard is %d", o[1].Reason, o[2].Reason, o[3].Reason, r.Jobs[0].LastSeq)
	}
}
