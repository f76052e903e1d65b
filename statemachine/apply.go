package statemachine

import "slices"

// Apply takes what is known of a resource and the next event that concerns it, and returns what is known
// then and what became of the event. The zero Resource is one that is not known yet.
//
// An ignored event changes nothing that is shown. It may still teach the job when it began, that it was
// started once more, or, behind a newer job, how far it is: what is needed to judge the events to come.
func Apply(r Resource, e Event) (Resource, Outcome) {
	if !Allowed(e.Kind, e.Action) {
		return r, Outcome{Reason: Schema, Detail: "job.action: a " + e.Kind.String() + " has no action " + e.Action.String()}
	}
	attributes, err := r.Attributes.merge(e.Attributes)
	if err != nil {
		return r, Outcome{Reason: TooLarge, Detail: "resource.attributes: " + err.Error()}
	}
	claimed := e.Time
	if claimed == 0 {
		claimed = e.StreamTime
	}
	e.Time = min(claimed, e.StreamTime)

	next := r
	next.Key = e.Key
	i, reason := next.take(&e, claimed)
	if i < 0 {
		return r, Outcome{Reason: reason}
	}
	status, fault, by := next.fold()
	superseded := by > i || by < i && effect(e.Kind, same, e.Action, next.Jobs[i].Phase) != same
	moved := status != r.Status || !fault.equal(r.Fault)
	failed := reason == 0 && e.Fault != nil
	if reason == 0 && superseded && !failed {
		reason = Superseded
	}
	if reason != 0 && !moved {
		return next, Outcome{Reason: reason}
	}

	next.Status, next.Fault, next.Sequence = status, fault, e.Sequence
	described := !superseded && next.describe(&e, attributes)
	if moved || described {
		next.Updated = e.StreamTime
	}
	if !moved && !failed {
		return next, Outcome{}
	}
	return next, Outcome{Transition: transition(&r, &next, &e)}
}

// take finds the event's job, or makes it, and lets it take the event. It returns the job's place, or -1 for
// an event that concerns no job that can be remembered.
func (r *Resource) take(e *Event, claimed Time) (int, Reason) {
	i := slices.IndexFunc(r.Jobs, func(j Job) bool { return j.is(e.Job, e.Action) })
	var j Job
	if i >= 0 {
		j = r.Jobs[i].clone()
	} else {
		switch {
		case e.After != 0:
			return -1, Overtaken
		case r.Past.Status != 0 && e.Time <= r.Past.Until, len(r.Jobs) == MaxJobs && e.Time <= r.Jobs[0].Began:
			return -1, Forgotten
		}
		j = Job{ID: e.Job, Action: e.Action, Progress: -1, Began: e.Time, BeganSeq: e.Sequence}
	}
	reason := j.advance(e, claimed)
	return r.place(i, j), reason
}

// place puts a job where it belongs among the others, oldest first, and lets go of the oldest beyond
// [MaxJobs]. The slice is a new one: the old one belongs to the resource as it was.
func (r *Resource) place(was int, j Job) int {
	jobs := make([]Job, 0, len(r.Jobs)+1)
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
	oldest := Resource{Key: r.Key, Past: r.Past, Jobs: r.Jobs[:1]}
	status, fault, _ := oldest.fold()
	r.Past = Past{Status: status, Fault: fault, Until: r.Jobs[0].Began}
	r.Jobs = r.Jobs[1:]
}

// describe takes over what the event says of the resource itself, and tells whether that is news.
func (r *Resource) describe(e *Event, attributes Attributes) bool {
	was := *r
	if e.User != "" {
		r.User = e.User
	}
	if e.Name != "" {
		r.Name = e.Name
	}
	switch {
	case e.Created != 0:
		r.Created = e.Created
	case r.Created == 0:
		r.Created = e.Time
	}
	r.Attributes = attributes
	return r.User != was.User || r.Name != was.Name || r.Created != was.Created || string(r.Attributes) != string(was.Attributes)
}

func transition(was, is *Resource, e *Event) *Transition {
	t := &Transition{Sequence: e.Sequence, StreamTime: e.StreamTime, Time: e.Time, Job: e.Job, Action: e.Action,
		RequestID: e.RequestID, From: was.Status, To: is.Status, Fault: e.Fault}
	if t.From == 0 {
		t.From = is.Kind.blank()
	}
	if is.Status == Error && !is.Fault.equal(was.Fault) {
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
