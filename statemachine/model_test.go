package statemachine_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	sm "faultd/statemachine"
	"faultd/testdata/scenarios"
)

// model is what the rules say of one resource, done the dumb way: it keeps every job for ever, in no order, and after
// each event it draws everything anew from all of them.
type model struct {
	kind sm.Kind

	jobs                   []*modelJob // all of them, for ever
	status, fault, warning string
	decider                *modelJob
	name, attributes       string
	allAttributes          map[string]json.RawMessage
	created, updated       sm.Time
	sequence               uint64
	reason                 string
	told                   string // what the last event adds to the history
}

// take takes the next event.
func (m *model) take(e sm.Event) {
	m.reason, m.told = "", ""
	wasStatus, wasFault, wasLook := m.status, m.fault, m.look()
	claimed := e.Time
	e.Time = min(e.Time, e.StreamTime)
	j, reason := m.jobOf(e)
	if j == nil {
		m.reason = reason
		return
	}
	phase := j.phase
	reason = j.hear(e, claimed)
	superseded := m.judge(j)
	failure := reason == "" && (e.Fault != nil || j.phase == sm.PhaseFailed && phase != sm.PhaseFailed)
	moved := m.status != wasStatus || m.fault != wasFault
	news := reason == "" && !superseded
	if reason == "" && superseded && !failure {
		reason = "superseded"
	}
	if reason != "" && !moved && m.look() == wasLook {
		m.reason = reason
		return
	}
	m.sequence = e.Sequence
	if news && m.describe(e) || moved || wasStatus == "-" {
		m.updated = e.StreamTime
	}
	if moved || failure {
		m.tell(e, j, failure, wasStatus, wasFault)
	}
}

// look is what people see beside status and fault.
func (m *model) look() string {
	j, progress := m.shown()
	if j == nil {
		return ""
	}
	return fmt.Sprint(j.id, j.action, progress, m.warning)
}

// tell writes the line of history: with the fault that the event brought, as the job's if it ended by that; else with the
// one that it uncovered.
func (m *model) tell(e sm.Event, j *modelJob, failure bool, wasStatus, wasFault string) {
	fault, jobs := text(e.Fault), text(j.fault())
	entered := m.status == "ERROR" && (wasStatus != "ERROR" || m.fault != wasFault)
	switch {
	case failure && jobs != "" && (e.Fault == nil || sequenceIn(jobs) == e.Sequence):
		fault = jobs
	case entered && e.Fault == nil:
		fault = m.fault
	}
	m.told = line(e.Job, known(wasStatus, m.kind), m.status, fault)
}

// line is what the history says.
func line(job, from, to, fault string) string { return fmt.Sprint(job, " ", from, " ", to, " ", fault) }

func known(status string, k sm.Kind) string {
	if status == "-" {
		return unborn(k)
	}
	return status
}

// jobOf finds the event's job, or makes it unless it would be older than the newest 32. It also learns when the job
// began, if not from a deadline.
func (m *model) jobOf(e sm.Event) (*modelJob, string) {
	remembered := m.newest(sm.MaxJobs)
	horizon := sm.Time(0)
	if len(remembered) == sm.MaxJobs {
		horizon = remembered[0].began
	}
	for _, j := range m.jobs {
		if !slices.Contains(remembered, j) {
			horizon = max(horizon, min(j.latest, j.heard))
		}
	}
	for _, j := range m.jobs {
		if j.id != e.Job || j.action != e.Action {
			continue
		}
		switch {
		case !slices.Contains(remembered, j) && e.After != 0:
			return nil, "overtaken"
		case !slices.Contains(remembered, j):
			return nil, "forgotten"
		case e.After == 0 && e.Time < j.began && e.Time > horizon:
			j.began, j.seq = e.Time, e.Sequence
		}
		return j, ""
	}
	if e.After != 0 {
		return nil, "overtaken"
	}
	if e.Time <= horizon {
		return nil, "forgotten"
	}
	j := &modelJob{id: e.Job, action: e.Action, progress: -1, began: e.Time, seq: e.Sequence, seen: map[uint64]sm.Time{}, providers: map[string]*modelProvider{}}
	m.jobs = append(m.jobs, j)
	return j, ""
}

// newest are the n newest jobs, oldest first.
func (m *model) newest(n int) []*modelJob {
	all := slices.Clone(m.jobs)
	sort.Slice(all, func(i, k int) bool {
		if all[i].began != all[k].began {
			return all[i].began < all[k].began
		}
		return all[i].seq < all[k].seq
	})
	return all[max(0, len(all)-n):]
}

// judge reads status, fault and warning off the jobs, and tells whether the job of the event has no say in them.
func (m *model) judge(concerned *modelJob) (superseded bool) {
	all := m.newest(len(m.jobs))
	m.status, m.fault, m.decider = unborn(m.kind), "", nil
	blocked := false
	for _, j := range all {
		row := contract[m.kind.String()][j.action.String()]
		shows := row.shows(j.phase)
		if shows == "=" {
			continue
		}
		if m.status == "DELETED" && !row.creates {
			blocked = blocked || j == concerned
			continue
		}
		wasInError := m.status == "ERROR"
		m.status, m.decider = shows, j
		switch {
		case shows == "ERROR":
			m.fault = text(j.fault())
		case shows == "DELETED" && m.kind == sm.Server && wasInError && createdIn(m.fault) <= j.ended:
		default:
			m.fault = ""
		}
	}
	m.warning = ""
	if last := all[len(all)-1]; last.phase.End() && last != m.decider && last.fault() != nil {
		m.warning = last.fault().Message
	}
	decidedLater := m.decider != nil && slices.Index(all, m.decider) > slices.Index(all, concerned)
	return blocked || decidedLater
}

// describe takes over what the event says of the resource itself.
func (m *model) describe(e sm.Event) (news bool) {
	was := fmt.Sprint(m.name, m.attributes, m.created)
	if e.Name != "" {
		m.name = e.Name
	}
	if m.created == 0 {
		m.created = e.Time
	}
	if len(e.Attributes) > 0 {
		_ = json.Unmarshal(e.Attributes, &m.allAttributes) // the logs have valid ones
		b, _ := json.Marshal(m.allAttributes)
		m.attributes = string(b)
	}
	return fmt.Sprint(m.name, m.attributes, m.created) != was
}

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

// text is a fault as the model compares them.
func text(f *sm.Fault) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf("%d|%d|%d|%s|%v", f.Created, f.Code, f.Sequence, f.Message, f.Summary)
}

func sequenceIn(fault string) (n uint64) {
	_, _ = fmt.Sscanf(fault, "%d|%d|%d|", new(int64), new(int), &n)
	return n
}

func createdIn(fault string) (t sm.Time) {
	_, _ = fmt.Sscanf(fault, "%d|", &t)
	return t
}

// shown is the job that is shown, and its progress.
func (m *model) shown() (j *modelJob, progress int8) {
	list := m.newest(sm.MaxJobs)
	if len(list) == 0 || m.status == "-" {
		return nil, 0
	}
	j = list[len(list)-1]
	if m.decider != nil && slices.Contains(list, m.decider) {
		j = m.decider
	}
	if j.phase == sm.PhaseSucceeded {
		return j, 100
	}
	return j, max(0, j.progress)
}

// words is what the model says of the resource.
func (m *model) words() string {
	job, all := "none", ""
	j, progress := m.shown()
	if j != nil {
		job = j.id
	}
	for _, j := range m.newest(sm.MaxJobs) {
		all += fmt.Sprintf("; %s %s %s %d%% began %d attempts %d/%d fault %s ended %d", j.id, j.action, j.phase, j.progress, j.began, j.attempt(), j.failures,
			text(j.fault()), j.ended)
	}
	return fmt.Sprintf("%s (%q, told %q) fault %q warning %q job %s %d%% name %q created %d updated %d sequence %d attributes %s%s", m.status, m.reason, m.told,
		m.fault, m.warning, job, progress, m.name, m.created, m.updated, m.sequence, m.attributes, all)
}

// wordsOf is the same of the real one.
func wordsOf(r *sm.Resource, o sm.Outcome) string {
	status, warning, job, all := r.Status.String(), "", "none", ""
	if r.Status == 0 {
		status = "-"
	}
	if w := r.Warning(); w != nil {
		warning = w.Message
	}
	if j := r.Job(); j != nil {
		job = j.ID
	}
	for i := range r.Jobs {
		j := &r.Jobs[i]
		all += fmt.Sprintf("; %s %s %s %d%% began %d attempts %d/%d fault %s ended %d", j.ID, j.Action, j.Phase, j.Progress, j.Began, j.Attempt(), j.Failures,
			text(j.Fault), j.Ended)
	}
	told := ""
	if tr := o.Transition; tr != nil {
		told = line(tr.Job, tr.From.String(), tr.To.String(), text(tr.Fault))
	}
	return fmt.Sprintf("%s (%q, told %q) fault %q warning %q job %s %d%% name %q created %d updated %d sequence %d attributes %s%s", status, o.Reason, told,
		text(r.Fault), warning, job, r.Progress(), r.Name, r.Created, r.Updated, r.Sequence, r.Attributes, all)
}

func checkModel(t *rapid.T, log []sm.Event) { compareFrom(t, log, 0) }

// compareFrom compares what Apply and the model say after each event from a place in the log on.
func compareFrom(t *rapid.T, log []sm.Event, from int) {
	models, resources := map[sm.Key]*model{}, map[sm.Key]sm.Resource{}
	for i, e := range log {
		if models[e.Key] == nil {
			models[e.Key] = &model{kind: e.Kind, status: "-", allAttributes: map[string]json.RawMessage{}}
		}
		m := models[e.Key]
		m.take(e)
		r, o := sm.Apply(resources[e.Key], e)
		resources[e.Key] = r
		if i < from {
			continue
		}
		if got, want := wordsOf(&r, o), m.words(); got != want {
			t.Fatalf("event %d: it is\n%s, by the model\n%s%s", i+1, got, want, telling(log[:i+1]))
		}
	}
}

func TestModel_Calm(t *testing.T)  { forAll(t, weather{attempts: true, described: true}, checkModel) }
func TestModel_Storm(t *testing.T) { forAll(t, storm, checkModel) }

func TestModel_Deletions(t *testing.T) {
	forAll(t, weather{deletions: true, skewed: true, deadlines: true}, checkModel)
}

// Attempts beyond those that a job remembers.
func TestModel_ManyAttempts(t *testing.T) {
	forAll(t, weather{jobs: 1, events: 40, attempts: true, endless: true, repeats: true, skewed: true, ahead: true}, checkModel)
}

// Jobs beyond those that a resource remembers.
func TestModel_ManyJobs(t *testing.T) {
	forAll(t, weather{crowd: true, events: 45, skewed: true, repeats: true}, func(t *rapid.T, log []sm.Event) {
		compareFrom(t, log, sm.MaxJobs-4)
	})
}

// The logs of the scenarios, several resources in one.
func TestModel_ScenarioLogs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { checkModel(t, scenarios.Log(t, 40)) })
}
