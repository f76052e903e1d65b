package statemachine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// clone is a copy that shares no slice that [Job.advance] writes to.
func (j *Job) clone() Job {
	c := *j
	c.Attempts, c.Marks = slices.Clip(j.Attempts), slices.Clip(j.Marks) // they only grow, and then elsewhere
	c.Providers = slices.Clone(j.Providers)
	return c
}

// farAhead is how far ahead of the stream an event's time may be before it no longer counts as the latest: one clock that
// is an hour ahead must not make the job deaf to the others for an hour.
const farAhead = Time(60e9)

// advance takes an event into the job and returns why it says nothing new, if it does not. Phases only
// move forward and an end stays, but for an end by deadline, which any real end replaces. claimed is the time that
// the event bears, were it in the future; a timeless one bears its arrival's.
func (j *Job) advance(e *Event, claimed Time, timeless bool) Reason {
	if e.After != 0 {
		reason := j.expire(e)
		j.settle(e)
		return reason
	}
	if e.Phase == PhaseProgressed && e.Fault == nil && j.known(e, claimed) {
		return Duplicate
	}
	j.RequestID = cmp.Or(j.RequestID, e.RequestID)
	if !j.Phase.End() {
		j.declare(e.Providers)
	}
	was := j.Phase
	if claimed > e.StreamTime+farAhead {
		claimed = e.StreamTime
	}
	var reason Reason
	switch {
	case e.Phase.End() && e.Provider != "":
		reason = j.endProvider(e)
	case e.Phase.End():
		reason = j.end(e)
	default:
		reason = j.run(e, claimed, timeless)
	}
	j.settle(e)
	if ended := j.Phase.End() && !was.End(); reason != 0 && !ended { // naming the providers can end a job, too
		return reason
	}
	if e.Phase.End() {
		j.Progress = max(j.Progress, e.Progress)
	}
	j.LastSeq, j.Heard = e.Sequence, e.StreamTime
	j.Latest = max(j.Latest, claimed)
	return 0
}

// expire takes the end that faultd's own deadline gives: it counts only if nothing came since.
func (j *Job) expire(e *Event) Reason {
	if j.Phase.End() || e.After != j.LastSeq {
		return Overtaken
	}
	j.Said, j.SaidFault, j.ByTime = e.Phase, e.Fault, true
	j.LastSeq, j.Heard = e.Sequence, e.StreamTime
	return 0
}

// end takes an end of the whole job.
func (j *Job) end(e *Event) Reason {
	if j.Phase.End() && !j.timedOut() {
		return again(j.Phase, e.Phase)
	}
	j.Said, j.SaidFault, j.ByTime, j.Ended = e.Phase, e.Fault, false, 0
	return 0
}

// timedOut tells whether the job's end is its deadline's, and not what its providers came to.
func (j *Job) timedOut() bool {
	end, _ := j.providersEnd()
	return j.ByTime && end == 0
}

// endProvider takes the end of one provider's part.
func (j *Job) endProvider(e *Event) Reason {
	p := j.provider(e.Provider)
	if p.Phase.End() {
		return again(p.Phase, e.Phase)
	}
	timedOut := j.timedOut()
	p.Phase, p.Fault = e.Phase, e.Fault
	if timedOut && !j.timedOut() {
		j.Ended = 0 // the deadline's time is not the end's
	}
	j.Phase = max(j.Phase, PhaseStarted)
	return 0
}

// again is the reason for a second end.
func again(first, second Phase) Reason {
	if first == second {
		return Duplicate
	}
	return Contradiction
}

// run takes an event of a job that goes on.
func (j *Job) run(e *Event, claimed Time, timeless bool) Reason {
	if e.Phase == PhaseProgressed && e.Fault != nil {
		return j.failAttempt(e, claimed)
	}
	if j.Phase.End() {
		return Late
	}
	heard := e.Provider != "" && j.hear(e)
	reason := j.move(e, claimed, timeless)
	if heard {
		return 0
	}
	return reason
}

// hear takes an event of a provider whose part goes on, and tells whether that is news of the provider.
func (j *Job) hear(e *Event) bool {
	p := j.provider(e.Provider)
	if p.Phase >= e.Phase {
		return false
	}
	p.Phase = e.Phase
	return true
}

// move brings the job to the event's phase and progress if it is not there yet. A progressed event that
// says nothing new is still a sign of life if it is the latest.
func (j *Job) move(e *Event, claimed Time, timeless bool) Reason {
	if e.Phase == PhaseStarted && j.start(e, claimed) {
		return 0
	}
	if e.Phase == PhaseProgressed && claimed <= j.Floor {
		return Late
	}
	latest := claimed > j.Latest && !timeless
	alive := e.Phase == PhaseProgressed && (e.Progress > j.Progress || latest)
	if j.Phase >= e.Phase && !alive {
		return j.notForward(e)
	}
	if alive && latest && j.Waiting() {
		j.Starts = j.Failures + 1 // its start was lost, or a provider told it
		j.nextAttempt(e)
	}
	j.Phase = max(j.Phase, e.Phase)
	j.Progress = max(j.Progress, e.Progress)
	return 0
}

// notForward is the reason for an event that brings the job no further.
func (j *Job) notForward(e *Event) Reason {
	fallsBack := e.Phase == PhaseProgressed && e.Progress >= 0 && e.Progress < j.Progress
	if j.Phase == e.Phase && !fallsBack {
		return Duplicate
	}
	return Late
}

// start counts a start and tells whether it begins an attempt after a failed one.
func (j *Job) start(e *Event, claimed Time) bool {
	if j.Started == 0 {
		j.Started = e.Time
	}
	if e.Provider != "" || j.mark(e.ID, claimed) != 0 {
		return false // the providers of one attempt each start
	}
	attempt, waiting := j.Attempt(), j.Waiting()
	j.Starts++
	if waiting && e.Time >= j.Attempts[len(j.Attempts)-1].Fault.Created {
		j.Starts = j.Failures + 1 // however many starts were lost
	}
	if j.Attempt() == attempt {
		return false
	}
	j.nextAttempt(e)
	j.Progress = e.Progress
	j.Phase = max(j.Phase, PhaseStarted)
	return true
}

// nextAttempt lets progress begin anew; what was said of the attempts before it no longer counts.
func (j *Job) nextAttempt(e *Event) {
	j.Started, j.Progress, j.Floor = e.Time, -1, j.Latest
}

// failAttempt takes the fault of an attempt after which the job goes on. It is kept however late it comes:
// it may be the true cause of an end that says less.
func (j *Job) failAttempt(e *Event, claimed Time) Reason {
	if reason := j.mark(e.ID, claimed); reason != 0 {
		return reason
	}
	attempt := j.Attempt()
	j.Failures++
	j.Attempts = append(j.Attempts, Attempt{Number: j.Failures, Fault: e.Fault})
	if len(j.Attempts) > MaxMarks {
		j.Attempts = j.Attempts[1:]
	}
	if !j.Phase.End() {
		j.Phase = PhaseProgressed
		if j.Attempt() > attempt { // the next one has begun already
			j.Progress, j.Floor = -1, max(j.Latest, claimed)
		}
	}
	return 0
}

// mark remembers an event, and says why not if it is known or older than all that are remembered.
func (j *Job) mark(id uint64, claimed Time) Reason {
	if slices.ContainsFunc(j.Marks, func(m Mark) bool { return m.ID == id }) {
		return Duplicate
	}
	full := len(j.Marks) == MaxMarks
	if full && claimed <= j.Marks[0].Time {
		return Late
	}
	m := Mark{ID: id, Time: claimed}
	at, _ := slices.BinarySearchFunc(j.Marks, m, func(a, b Mark) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.ID, b.ID))
	})
	j.Marks = slices.Insert(j.Marks, at, m)
	if full {
		j.Marks = j.Marks[1:]
	}
	return 0
}

// roomFor tells whether the job can have the providers that the event names.
func (j *Job) roomFor(e *Event) bool {
	if e.Provider == "" && len(e.Providers) == 0 {
		return true
	}
	n := len(j.Providers)
	for _, name := range append([]string{e.Provider}, e.Providers...) {
		if name != "" && !slices.ContainsFunc(j.Providers, func(p Provider) bool { return p.Name == name }) {
			n++
		}
	}
	return n <= MaxProviders || n == len(j.Providers)
}

// known tells whether a sign of life came before. The job remembers those whose time cannot tell: what is far ahead.
func (j *Job) known(e *Event, claimed Time) bool {
	if claimed > e.StreamTime+farAhead {
		return j.mark(e.ID, e.Time) != 0
	}
	return slices.ContainsFunc(j.Marks, func(m Mark) bool { return m.ID == e.ID })
}

// declare adds providers to those whose success the job needs.
func (j *Job) declare(names []string) {
	for _, name := range names {
		j.provider(name).Declared = true
	}
}

// provider is the job's record of that provider, made where there is none. The pointer holds until the
// next call.
func (j *Job) provider(name string) *Provider {
	i, ok := slices.BinarySearchFunc(j.Providers, name, func(p Provider, name string) int { return strings.Compare(p.Name, name) })
	if !ok {
		j.Providers = slices.Insert(j.Providers, i, Provider{Name: name})
	}
	return &j.Providers[i]
}

// settle draws the job's end from what was said of it and what its providers came to.
func (j *Job) settle(e *Event) {
	end, fault := j.verdict()
	if end == 0 {
		return
	}
	if j.Phase != end || j.Ended == 0 {
		j.Phase, j.Ended = end, e.Time
	}
	j.Fault = fault
}

// verdict is the job's end and its fault, or 0 while it has none. Success needs every provider's.
func (j *Job) verdict() (Phase, *Fault) {
	said, saidFault := j.Said, j.SaidFault
	end, failed := j.providersEnd()
	if said == 0 || j.ByTime && end != 0 {
		said, saidFault = end, nil
	}
	if said == 0 && j.Phase.End() {
		said = j.Phase // those that spoke had ended, and then another was announced: an end stays
	}
	if said == PhaseSucceeded && failed {
		said = PhaseFailed
	}
	if said == PhaseFailed || said == PhaseCancelled {
		return said, j.explain(saidFault)
	}
	return said, nil
}

// providersEnd is the end that the providers came to together, 0 while one of the set has none, and whether
// one has failed. The set is those that were declared; where none was, those that spoke.
func (j *Job) providersEnd() (end Phase, failed bool) {
	declared := slices.ContainsFunc(j.Providers, func(p Provider) bool { return p.Declared })
	open, cancelled, any := false, false, false
	for _, p := range j.Providers {
		failed = failed || p.Phase == PhaseFailed
		if declared && !p.Declared {
			continue
		}
		any = true
		open = open || !p.Phase.End()
		cancelled = cancelled || p.Phase == PhaseCancelled
	}
	switch {
	case !any || open:
		return 0, failed
	case failed:
		return PhaseFailed, true
	case cancelled:
		return PhaseCancelled, false
	default:
		return PhaseSucceeded, false
	}
}

// explain is the fault of a job whose providers may have faults of their own: it lists each of them.
func (j *Job) explain(said *Fault) *Fault {
	var own []*Provider
	for i := range j.Providers {
		if j.Providers[i].Fault != nil {
			own = append(own, &j.Providers[i])
		}
	}
	if len(own) == 0 {
		return said
	}
	all := summary(said, own)
	messages, details := []string{all.Message}, []string{}
	if all.Details != "" {
		details = append(details, all.Details)
	}
	for _, p := range own {
		f := p.Fault
		messages = append(messages, p.Name+": "+f.Message)
		if f.Details != "" {
			details = append(details, p.Name+": "+f.Details)
		}
		all.Sequence, all.Created = max(all.Sequence, f.Sequence), max(all.Created, f.Created)
	}
	all.Summary = true
	all.Message = Clip(strings.Join(messages, "; "), MaxMessage)
	all.Details = Clip(strings.Join(details, "\n"), MaxDetails)
	return &all
}

// summary is the head of a fault that lists those of providers: what was said of the job, else what they
// agree on.
func summary(said *Fault, own []*Provider) Fault {
	if said != nil {
		return *said
	}
	first := own[0].Fault
	all := Fault{Code: first.Code, Reason: first.Reason, ErrorCode: first.ErrorCode,
		Message: fmt.Sprintf("providers that failed: %d", len(own))}
	for _, p := range own[1:] {
		if p.Fault.Code != all.Code {
			all.Code = 500
		}
		if p.Fault.Reason != all.Reason {
			all.Reason = ""
		}
		if p.Fault.ErrorCode != all.ErrorCode {
			all.ErrorCode = ""
		}
	}
	return all
}
