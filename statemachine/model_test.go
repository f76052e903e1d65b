package statemachine_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"testing"

	"pgregory.net/rapid"

	sm "faultd/statemachine"
	"faultd/testdata/scenarios"
)

// model is what the rules say of one resource, done the dumb way: it keeps every job for ever, in no order, and after
// each event it draws everything anew from all of them.
type model struct {
	kind sm.Kind

	jobs                   []*modelJob // all of them, for ever, as they stood in age after the last event
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
	forgotten := m.jobs[:len(m.jobs)-len(remembered)]
	horizon := sm.Time(0)
	if len(remembered) == sm.MaxJobs {
		horizon = remembered[0].began
	}
	for _, j := range forgotten {
		horizon = max(horizon, min(j.latest, j.heard))
	}
	for _, j := range m.jobs {
		if j.id != e.Job || j.action != e.Action {
			continue
		}
		switch {
		case slices.Contains(forgotten, j) && e.After != 0:
			return nil, "overtaken"
		case slices.Contains(forgotten, j):
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
func (m *model) newest(n int) []*modelJob { return m.jobs[max(0, len(m.jobs)-n):] }

// judge reads status, fault and warning off the jobs, and tells whether the job of the event has no say in them.
func (m *model) judge(concerned *modelJob) (superseded bool) {
	all := m.jobs
	sort.Slice(all, func(i, k int) bool {
		if all[i].began != all[k].began {
			return all[i].began < all[k].began
		}
		return all[i].seq < all[k].seq
	})
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
		compareFrom(t, log, len(log)-4)
	})
}

// The logs of the scenarios, several resources in one.
func TestModel_ScenarioLogs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { checkModel(t, scenarios.Log(t, 40)) })
}
