package statemachine_test

import (
	"fmt"
	"sort"
	"strings"

	sm "faultd/statemachine"
)

type modelProvider struct {
	declared bool
	phase    sm.Phase
	fault    *sm.Fault
}

type modelJob struct {
	id     string
	action sm.Action
	phase  sm.Phase
	began  sm.Time
	seq    uint64
	ended  sm.Time

	progress         int8
	starts, failures int
	failedAt         sm.Time // when the attempt that was told last as failed did so
	startedAt        sm.Time
	seen             map[uint64]sm.Time

	said        sm.Phase
	saidFault   *sm.Fault
	byDeadline  bool
	providers   map[string]*modelProvider
	lastApplied uint64
	latest      sm.Time // that an event claimed
	heard       sm.Time // when the last event came
	floor       sm.Time // what claims no more is of an attempt that is over
}

func (j *modelJob) provider(name string) *modelProvider {
	if j.providers[name] == nil {
		j.providers[name] = &modelProvider{}
	}
	return j.providers[name]
}

// attempt is the number of the attempt that runs: it takes a failure and a start to begin another one.
func (j *modelJob) attempt() int { return max(1, min(j.starts, j.failures+1)) }

// hear takes an event into the job, and returns why it is no news.
func (j *modelJob) hear(e sm.Event, claimed sm.Time) (reason string) {
	if e.After != 0 {
		return j.hearDeadline(e)
	}
	before := j.phase
	for _, name := range e.Providers {
		if !before.End() {
			j.provider(name).declared = true
		}
	}
	switch {
	case e.Phase.End():
		reason = j.hearEnd(e)
	case e.Fault != nil:
		reason = j.hearFailedAttempt(e, claimed)
	case j.phase.End():
		reason = "late"
	default:
		reason = j.hearOfLife(e, claimed)
	}
	j.settle(e)
	if j.phase.End() && !before.End() {
		reason = "" // be it only by naming the providers
	}
	if reason == "" {
		j.lastApplied, j.heard, j.latest = e.Sequence, e.StreamTime, max(j.latest, claimed)
		if e.Phase.End() {
			j.progress = max(j.progress, e.Progress)
		}
	}
	return reason
}

func (j *modelJob) settle(e sm.Event) {
	if end := j.end(); end != 0 && (end != j.phase || j.ended == 0) {
		j.phase, j.ended = end, e.Time
	}
}

// timedOut tells whether nothing but a deadline ended the job.
func (j *modelJob) timedOut() bool { return j.byDeadline && !j.allEnded() }

func (j *modelJob) hearDeadline(e sm.Event) string {
	if j.phase.End() || e.After != j.lastApplied {
		return "overtaken"
	}
	j.said, j.saidFault, j.byDeadline = e.Phase, e.Fault, true
	j.lastApplied, j.heard = e.Sequence, e.StreamTime
	j.settle(e)
	return ""
}

func (j *modelJob) hearEnd(e sm.Event) string {
	known := j.phase
	if e.Provider != "" {
		known = j.provider(e.Provider).phase
	}
	timedOut := j.timedOut()
	final := known.End() && (e.Provider != "" || !timedOut)
	switch {
	case final && known == e.Phase:
		return "duplicate"
	case final:
		return "contradiction"
	case e.Provider == "":
		j.said, j.saidFault, j.byDeadline, j.ended = e.Phase, e.Fault, false, 0
		return ""
	}
	p := j.provider(e.Provider)
	p.phase, p.fault = e.Phase, e.Fault
	if timedOut && !j.timedOut() {
		j.ended = 0
	}
	j.phase = max(j.phase, sm.PhaseStarted)
	return ""
}

// remember tells whether the event is new to the job, which remembers 16 of those that start or fail an attempt.
func (j *modelJob) remember(e sm.Event, claimed sm.Time) string {
	if _, known := j.seen[e.ID]; known {
		return "duplicate"
	}
	if len(j.seen) < sm.MaxMarks {
		j.seen[e.ID] = claimed
		return ""
	}
	oldest := e.ID
	j.seen[e.ID] = claimed
	for id, at := range j.seen {
		if at < j.seen[oldest] || at == j.seen[oldest] && (id < oldest && oldest != e.ID) {
			oldest = id
		}
	}
	if at := j.seen[oldest]; at == claimed {
		oldest = e.ID // no younger than the oldest
	}
	delete(j.seen, oldest)
	if oldest == e.ID {
		return "late"
	}
	return ""
}

func (j *modelJob) hearFailedAttempt(e sm.Event, claimed sm.Time) string {
	if reason := j.remember(e, claimed); reason != "" {
		return reason
	}
	before := j.attempt()
	j.failures++
	j.failedAt = e.Fault.Created
	if !j.phase.End() {
		j.phase = sm.PhaseProgressed
		if j.attempt() != before {
			j.progress, j.floor = -1, max(j.latest, claimed)
		}
	}
	return ""
}

// hearOfLife takes accepted, started and progressed.
func (j *modelJob) hearOfLife(e sm.Event, claimed sm.Time) string {
	news := false
	if e.Provider != "" && j.provider(e.Provider).phase < e.Phase {
		j.provider(e.Provider).phase = e.Phase
		news = true
	}
	if e.Phase == sm.PhaseStarted {
		if j.startedAt == 0 {
			j.startedAt = e.Time
		}
		if e.Provider == "" && j.hearStart(e, claimed) {
			return ""
		}
	}
	lower := e.Phase == sm.PhaseProgressed && e.Progress >= 0 && e.Progress < j.progress
	switch {
	case e.Phase == sm.PhaseProgressed && claimed <= j.floor:
		return reasonUnless(news, "late") // of an attempt that is over
	case e.Phase > j.phase, e.Phase == sm.PhaseProgressed && (e.Progress > j.progress || claimed > j.latest):
		if e.Phase == sm.PhaseProgressed && claimed > j.latest && j.failures > 0 && j.failures >= j.starts {
			j.starts = j.failures + 1 // nobody told that the next attempt started
			j.startedAt, j.progress, j.floor = e.Time, -1, j.latest
		}
		j.phase, j.progress = max(j.phase, e.Phase), max(j.progress, e.Progress)
		return ""
	case e.Phase == j.phase && !lower:
		return reasonUnless(news, "duplicate")
	default:
		return reasonUnless(news, "late")
	}
}

// hearStart tells whether a start begins another attempt.
func (j *modelJob) hearStart(e sm.Event, claimed sm.Time) bool {
	if j.remember(e, claimed) != "" {
		return false
	}
	before := j.attempt()
	if j.failures > 0 && j.failures >= j.starts && e.Time >= j.failedAt {
		j.starts = j.failures
	}
	j.starts++
	if j.attempt() == before {
		return false
	}
	j.startedAt, j.progress, j.floor, j.phase = e.Time, e.Progress, j.latest, max(j.phase, sm.PhaseStarted)
	return true
}

func reasonUnless(news bool, reason string) string {
	if news {
		return ""
	}
	return reason
}

// end is how the job ended, 0 while it has not.
func (j *modelJob) end() sm.Phase {
	declared := false
	for _, p := range j.providers {
		declared = declared || p.declared
	}
	count := map[sm.Phase]int{}
	members, ended, failed := 0, 0, false
	for _, p := range j.providers {
		failed = failed || p.phase == sm.PhaseFailed
		if p.declared == declared {
			members++
			count[p.phase]++
			ended += bit(p.phase.End())
		}
	}
	all := members > 0 && members == ended
	switch {
	case j.said != 0 && !(j.byDeadline && all):
		if j.said == sm.PhaseSucceeded && failed {
			return sm.PhaseFailed
		}
		return j.said
	case all && failed:
		return sm.PhaseFailed
	case all && count[sm.PhaseCancelled] > 0:
		return sm.PhaseCancelled
	case all:
		return sm.PhaseSucceeded
	case j.phase == sm.PhaseSucceeded && failed:
		return sm.PhaseFailed
	case j.phase.End():
		return j.phase
	default:
		return 0
	}
}

// fault is why the job failed, or was cancelled: what was said of it, and a list of what its providers said.
func (j *modelJob) fault() *sm.Fault {
	end := j.end()
	if end != sm.PhaseFailed && end != sm.PhaseCancelled {
		return nil
	}
	said := j.saidFault
	if j.said == sm.PhaseSucceeded || j.byDeadline && j.allEnded() {
		said = nil
	}
	names := []string{}
	for name, p := range j.providers {
		if p.fault != nil {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return said
	}
	sort.Strings(names)
	first := j.providers[names[0]].fault
	all := sm.Fault{Code: first.Code, Message: fmt.Sprintf("providers that failed: %d", len(names)), Summary: true}
	for _, name := range names {
		if j.providers[name].fault.Code != first.Code {
			all.Code = 500
		}
	}
	if said != nil {
		all = *said
		all.Summary = true
	}
	words := []string{all.Message}
	for _, name := range names {
		f := j.providers[name].fault
		words = append(words, name+": "+f.Message)
		all.Sequence, all.Created = max(all.Sequence, f.Sequence), max(all.Created, f.Created)
	}
	all.Message = strings.Join(words, "; ")
	return &all
}

func (j *modelJob) allEnded() bool {
	declared := false
	for _, p := range j.providers {
		declared = declared || p.declared
	}
	members := 0
	for _, p := range j.providers {
		if p.declared == declared {
			members++
			if !p.phase.End() {
				return false
			}
		}
	}
	return members > 0
}
