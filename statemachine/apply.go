package statemachine

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
)

// Version is that of the rules: replicas of two versions may come to two states. It grows with every change that makes
// something else of a log.
const Version = "1"

// Apply takes what is known of a resource and the next event that concerns it, and returns what is known
// then and what became of the event. The zero Resource is one that is not known yet.
//
// An ignored event changes nothing that is shown. It may still teach the job when it began, that it was
// started once more, or, behind a newer job, how far it is: what is needed to judge the events to come.
func Apply(r Resource, e Event) (Resource, Outcome) {
	if !Allowed(e.Kind, e.Action) {
		return r, Outcome{Reason: Schema, Detail: "job.action: a " + e.Kind.String() + " has no action " + e.Action.String()}
	}
	next := r
	next.Key = e.Key
	i, was, reason := next.take(&e)
	if i < 0 {
		return r, rejected(reason)
	}
	job := &next.Jobs[i]
	status, fault, by := next.fold()
	superseded := by > i || by < i && effect(e.Kind, same, e.Action, job.Phase) != same
	moved := status != r.Status || !fault.equal(r.Fault)
	failed := reason == 0 && (e.Fault != nil || job.Phase == PhaseFailed && was != PhaseFailed)
	if reason == 0 && superseded && !failed {
		reason = Superseded
	}
	next.Status, next.Fault = status, fault
	if reason != 0 && !moved && next.looksLike(&r) {
		return next, Outcome{Reason: reason}
	}

	described := false
	if !superseded && reason == 0 {
		var err error
		if described, err = next.describe(&e); err != nil {
			return r, Outcome{Reason: TooLarge, Detail: "resource.attributes: " + err.Error()}
		}
	}
	next.Sequence = e.Sequence
	if moved || described || r.Status == 0 {
		next.Updated = e.StreamTime
	}
	if !moved && !failed {
		return next, Outcome{}
	}
	return next, Outcome{Transition: transition(&r, &next, &e, job, failed)}
}

func rejected(r Reason) Outcome {
	if r == TooLarge {
		return Outcome{Reason: r, Detail: fmt.Sprintf("providers: a job has at most %d", MaxProviders)}
	}
	return Outcome{Reason: r}
}

// looksLike tells whether two states of a resource in the same status, with the same fault, show the same job, progress
// and warning.
func (r *Resource) looksLike(was *Resource) bool {
	j, k := r.Job(), was.Job()
	if j == nil || k == nil {
		return j == k
	}
	return j.is(k.ID, k.Action) && r.Progress() == was.Progress() && r.Warning().equal(was.Warning())
}

// take finds the event's job, or makes it, and lets it take the event. It returns the job's place and the phase in which
// it was, or -1 for an event that concerns no job that can be remembered.
func (r *Resource) take(e *Event) (i int, was Phase, reason Reason) {
	claimed := cmp.Or(e.Time, e.StreamTime)
	timeless := e.Time == 0
	e.Time = min(claimed, e.StreamTime)
	i = slices.IndexFunc(r.Jobs, func(j Job) bool { return j.is(e.Job, e.Action) })
	var j Job
	switch {
	case i >= 0 && e.After == 0 && e.Time < r.Jobs[i].Began && e.Time <= r.horizon():
		return -1, 0, Forgotten
	case i >= 0:
		j = r.Jobs[i].clone()
		if e.Time < j.Began && e.After == 0 {
			j.Began, j.BeganSeq = e.Time, e.Sequence
		}
	case e.After != 0:
		return -1, 0, Overtaken
	case r.forgot(e):
		return -1, 0, Forgotten
	default:
		j = Job{ID: e.Job, Action: e.Action, Progress: -1, Began: e.Time, BeganSeq: e.Sequence}
	}
	was = j.Phase
	if !j.roomFor(e) {
		return -1, 0, TooLarge
	}
	reason = j.advance(e, claimed, timeless)
	return r.place(i, j), was, reason
}

// forgot tells whether the event is of a job that is older than those that are remembered.
func (r *Resource) forgot(e *Event) bool {
	return e.Time <= r.horizon() || len(r.Past.Gone) > 0 && slices.Contains(r.Past.Gone, digest(e.Job, e.Action))
}

// horizon is the time up to which events tell of jobs that are forgotten. It only moves forward.
func (r *Resource) horizon() Time {
	if len(r.Jobs) < MaxJobs {
		return r.Past.Until
	}
	return max(r.Past.Until, r.Jobs[0].Began)
}

// place puts a job where it belongs among the others, oldest first, and lets go of the oldest beyond
// [MaxJobs]. The slice is a new one: the old one belongs to the resource as it was.
func (r *Resource) place(was int, j Job) int {
	n := len(r.Jobs)
	if was < 0 {
		n++
	}
	jobs := make([]Job, 0, n)
	at := -1
	for i := range r.Jobs {
		if i == was {
			continue
		}
		if at < 0 && j.before(&r.Jobs[i]) {
			at = len(jobs)
			jobs = append(jobs, j)
		}
		jobs = append(jobs, r.Jobs[i])
	}
	if at < 0 {
		at = len(jobs)
		jobs = append(jobs, j)
	}
	r.Jobs = jobs
	if len(jobs) > MaxJobs {
		r.forget()
		at--
	}
	return at
}

// forget lets what the oldest job made of the status stand for the job itself.
func (r *Resource) forget() {
	j := &r.Jobs[0]
	oldest := Resource{Key: r.Key, Past: r.Past, Jobs: r.Jobs[:1]}
	status, fault, _ := oldest.fold()
	gone := append(slices.Clone(r.Past.Gone), digest(j.ID, j.Action))
	r.Past = Past{Status: status, Fault: fault, Until: max(r.Past.Until, min(j.Latest, j.Heard)), Gone: gone[max(0, len(gone)-MaxGone):]}
	r.Jobs = r.Jobs[1:]
}

// digest is what is remembered of a forgotten job: FNV-1a of its id and action.
func digest(job string, a Action) uint64 {
	h := fnv.New64a()
	h.Write([]byte(job))
	h.Write([]byte{0, byte(a)})
	return h.Sum64()
}

// describe takes over what the event says of the resource itself, and tells whether that is news. It returns
// [ErrAttributesTooLarge].
func (r *Resource) describe(e *Event) (bool, error) {
	attributes, err := r.Attributes.merge(e.Attributes)
	if err != nil {
		return false, err
	}
	was := *r
	r.User, r.Name = cmp.Or(e.User, r.User), cmp.Or(e.Name, r.Name)
	r.Created = cmp.Or(e.Created, r.Created, e.Time)
	r.Attributes = attributes
	return r.User != was.User || r.Name != was.Name || r.Created != was.Created || string(r.Attributes) != string(was.Attributes), nil
}

// transition is the row of history for an event. Its fault is the one that the event brought, as the job's if it ended
// by that; else the one that the event uncovered.
func transition(was, is *Resource, e *Event, j *Job, failed bool) *Transition {
	t := &Transition{Sequence: e.Sequence, StreamTime: e.StreamTime, Time: e.Time, Job: e.Job, Action: e.Action,
		RequestID: cmp.Or(e.RequestID, j.RequestID), From: cmp.Or(was.Status, is.Kind.blank()), To: is.Status, Fault: e.Fault}
	switch {
	case failed && j.Fault != nil && (e.Fault == nil || j.Fault.Sequence == e.Sequence):
		t.Fault = j.Fault
	case e.Fault == nil && is.Status == Error && (was.Status != Error || !is.Fault.equal(was.Fault)):
		t.Fault = is.Fault
	}
	return t
}

// equal compares two faults, of which each may be none.
func (f *Fault) equal(g *Fault) bool {
	if f == nil || g == nil {
		return f == g
	}
	return *f == *g
}

// Resolve fills in what a notification does not say, from the resources of its kind and id that are known:
// the tenant, if only one has such a resource; and the job, see [Resource.jobFor], else the event's Fallback.
func Resolve(e Event, known []Resource) (Event, Reason) {
	if e.Tenant == "" {
		if len(known) != 1 {
			return e, UnknownResource
		}
		e.Tenant = known[0].Tenant
	}
	if e.Job != "" {
		return e, 0
	}
	e.Job = e.Fallback
	for i := range known {
		if known[i].Tenant != e.Tenant {
			continue
		}
		if j := known[i].jobFor(&e); j != nil {
			e.Job = j.ID
		}
	}
	return e, 0
}

// jobFor is the job that an event without one belongs to. If the event came before, it is the job that it belonged to
// then: the one that it began, or the oldest to which it cannot be news. Else it is the newest that has not ended.
func (r *Resource) jobFor(e *Event) (found *Job) {
	for i := range r.Jobs {
		j := &r.Jobs[i]
		switch {
		case j.Action != e.Action:
		case j.ID == e.Fallback, e.Time != 0 && e.Time <= j.Latest:
			return j
		case !j.Phase.End():
			found = j
		}
	}
	return found
}
