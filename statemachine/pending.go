package statemachine

// Pending is a job that has not ended and whose end would matter: one that no newer job has superseded, of a
// resource that is not deleted.
type Pending struct {
	Key
	Job     string
	Action  Action
	LastSeq uint64 // of the last event that was applied to the job
	Heard   Time   // when the stream took that one
	Waiting bool   // an attempt failed and no further one has started
	Fault   *Fault // of the attempt that failed last, where Waiting
}

// Same tells whether two are the same job in the same way: running, or waiting for another attempt.
func (p Pending) Same(q Pending) bool {
	return p.Key == q.Key && p.Job == q.Job && p.Action == q.Action && p.Waiting == q.Waiting
}

// Pending are the jobs of a resource that are to be watched.
func (r *Resource) Pending() (all []Pending) {
	if r.Status == 0 || r.Status == Deleted || !r.unfinished() {
		return nil
	}
	_, _, by := r.fold()
	for i := max(by, 0); i < len(r.Jobs); i++ {
		j := &r.Jobs[i]
		if j.Phase.End() {
			continue
		}
		p := Pending{Key: r.Key, Job: j.ID, Action: j.Action, LastSeq: j.LastSeq, Heard: j.Heard, Waiting: j.Waiting()}
		if p.Waiting && len(j.Attempts) > 0 {
			p.Fault = j.Attempts[len(j.Attempts)-1].Fault
		}
		all = append(all, p)
	}
	return all
}

func (r *Resource) unfinished() bool {
	for i := range r.Jobs {
		if !r.Jobs[i].Phase.End() {
			return true
		}
	}
	return false
}
