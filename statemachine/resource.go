package statemachine

import "time"

// Time is an instant in nanoseconds since 1970 UTC; 0 is "not known". It is a number so that records
// compare, sort and hash by their bytes, without zones and monotonic readings.
type Time int64

// At is the Time of t; the zero time.Time is not known.
func At(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixNano())
}

// Std is the instant in UTC; one that is not known is the zero time.Time.
func (t Time) Std() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(t)).UTC()
}

// Key names a resource. Two tenants, and two kinds, may use the same id.
type Key struct {
	Tenant string
	Kind   Kind
	ID     string
}

// Fault is why a job failed. Code is an HTTP status from 400 to 599; Message is for the tenant, Details
// is not when Code is 500.
type Fault struct {
	Sequence  uint64 // of the event that brought it
	Created   Time   // when that happened
	Code      int
	Message   string
	Details   string
	Reason    string // a producer's symbol, such as IMAGE_NOT_FOUND
	ErrorCode string // a backup-management code, such as 131
	Summary   bool   // it lists the faults of a job's providers
}

// Resource is all that the log says of one resource. Values are never changed in place: [Apply] returns a
// new one, and what two of them share (jobs, faults, attributes) is not written again.
//
// Fault is set if and only if Status is ERROR, or DELETED for a server that was deleted in ERROR.
type Resource struct {
	Key
	User       string
	Name       string
	Created    Time       // by the producer, else the time of the first event
	Updated    Time       // stream time of the last change of status, fault, name or attributes
	Attributes Attributes // what producers said beyond that
	Status     Status     // 0: there is no such resource
	Fault      *Fault
	Sequence   uint64 // of the last event that was applied to it
	Jobs       []Job  // the newest of its jobs, oldest first
	Past       Past   // what the jobs before those left behind
}

// MaxJobs is how many jobs a resource remembers.
const MaxJobs = 32

// Past is what forgotten jobs left behind: the ground on which the remembered ones stand.
type Past struct {
	Status Status // 0: no job was forgotten
	Fault  *Fault
	Until  Time     // the latest that was heard of them: a job that is unknown and speaks of no later time is one of them
	Gone   []uint64 // digests of the newest of them, so that an end that comes later is not taken for a new job
}

// MaxGone is how many forgotten jobs a resource can still tell from new ones whatever times their events bear.
const MaxGone = 64

// Job is what a resource remembers of one of its jobs.
type Job struct {
	ID        string
	Action    Action
	RequestID string

	Phase    Phase // the furthest that is known
	Progress int8  // percent, of the attempt that runs; -1: not known
	Began    Time  // the earliest event time that is known of it
	BeganSeq uint64
	Started  Time   // when it started, 0 while it has not
	Ended    Time   // when it ended, 0 while it has not
	LastSeq  uint64 // of the last event that was applied to it
	Heard    Time   // when the stream took that one
	Latest   Time   // the latest time that an event of it claimed, were it in the future

	Fault  *Fault // why it failed, or what went wrong although it was cancelled
	ByTime bool   // the end that was said is faultd's own deadline's: any real end of the job replaces it

	Starts   int       // events that said started, each with an id of its own
	Failures int       // attempts that failed
	Attempts []Attempt // the newest of the failed ones, oldest first
	Marks    []Mark    // the newest of the events that started or failed an attempt
	Floor    Time      // nothing that bears no later time tells of the attempt that runs

	Providers []Provider // sorted by name
	Said      Phase      // the end that an event without a provider gave; 0: none
	SaidFault *Fault
}

// MaxMarks is how many attempts, and how many of the events that began or ended one, a job remembers.
const MaxMarks = 16

// Attempt is one attempt of a job that failed while the job went on.
type Attempt struct {
	Number int
	Fault  *Fault
}

// Mark is an event that a job remembers, so that its repetition is known as such.
type Mark struct {
	ID   uint64 // the event's [Event.ID]
	Time Time
}

// MaxProviders is how many providers a job may have.
const MaxProviders = 64

// Provider is the part of a job that one provider does.
type Provider struct {
	Name     string
	Declared bool  // an event listed it among the job's providers
	Phase    Phase // 0: it has not spoken
	Fault    *Fault
}

// Key by which jobs are told apart: one id may stand for a job of several actions.
func (j *Job) is(id string, a Action) bool { return j.ID == id && j.Action == a }

// before orders jobs: the newer one is the one that began later, ties by sequence.
func (j *Job) before(k *Job) bool {
	return j.Began < k.Began || j.Began == k.Began && j.BeganSeq < k.BeganSeq
}

// Attempt is the number of the attempt that runs, or ran last; 1 is the first. Events of two attempts
// may pass each other on their way, so it counts both what began and what failed.
func (j *Job) Attempt() int { return max(1, min(j.Starts, j.Failures+1)) }

// Waiting tells whether an attempt failed and no further one has started.
func (j *Job) Waiting() bool { return !j.Phase.End() && j.Failures > 0 && j.Failures >= j.Starts }

// Job is the job that a look at the resource is about: the one that gave it its status, else the newest.
// It is nil for a resource without jobs.
func (r *Resource) Job() *Job {
	if len(r.Jobs) == 0 {
		return nil
	}
	if _, _, by := r.fold(); by >= 0 {
		return &r.Jobs[by]
	}
	return &r.Jobs[len(r.Jobs)-1]
}

// FailedAction is what the job did that brought the resource's fault: the one that decides the status, but for a
// server that was deleted in ERROR. Where that one is forgotten, it is the job that decides. The resource must have a fault.
func (r *Resource) FailedAction() Action {
	for i := len(r.Jobs) - 1; i >= 0; i-- {
		if f := r.Jobs[i].Fault; f != nil && *f == *r.Fault {
			return r.Jobs[i].Action
		}
	}
	if j := r.Job(); j != nil {
		return j.Action
	}
	return 0
}

// Progress is the progress of [Resource.Job] in percent, 0 where nothing is known.
func (r *Resource) Progress() int {
	j := r.Job()
	switch {
	case j == nil:
		return 0
	case j.Phase == PhaseSucceeded:
		return 100
	default:
		return int(max(j.Progress, 0))
	}
}

// Running is the newest job of that action that has not ended, or nil.
func (r *Resource) Running(a Action) *Job {
	for i := len(r.Jobs) - 1; i >= 0; i-- {
		if j := &r.Jobs[i]; j.Action == a && !j.Phase.End() {
			return j
		}
	}
	return nil
}

// Warning is the fault of the newest job if that ended with one and yet did not decide the status: it was
// cancelled, or was a server's snapshot. Else it is nil.
func (r *Resource) Warning() *Fault {
	newest := len(r.Jobs) - 1
	if newest < 0 || !r.Jobs[newest].Phase.End() {
		return nil
	}
	if _, _, by := r.fold(); by == newest {
		return nil
	}
	return r.Jobs[newest].Fault
}

// fold reads the status and its fault off the jobs, and says which of them decides it: -1 is none that is
// remembered.
func (r *Resource) fold() (s Status, f *Fault, by int) {
	s, f, by = r.Past.Status, r.Past.Fault, -1
	if s == 0 {
		s = r.Kind.blank()
	}
	for i := range r.Jobs {
		j := &r.Jobs[i]
		if to := effect(r.Kind, s, j.Action, j.Phase); to != same {
			s, f, by = to, faultBehind(r.Kind, s, f, to, j), i
		}
	}
	return s, f, by
}

// faultBehind is the fault that stands once a job moved a resource from one status to another. A server
// deleted in ERROR keeps its last one, as Nova shows it; what failed only after the deletion is not shown.
func faultBehind(k Kind, from Status, f *Fault, to Status, j *Job) *Fault {
	switch {
	case to == Error:
		return j.Fault
	case to == Deleted && k == Server && from == Error && f.Created <= j.Ended:
		return f
	default:
		return nil
	}
}

// Derive draws from the rest of a resource what follows from it: its jobs' faults, its status and its fault. A store
// keeps only that rest.
func (r *Resource) Derive() {
	for i := range r.Jobs {
		_, r.Jobs[i].Fault = r.Jobs[i].verdict()
	}
	r.Status, r.Fault, _ = r.fold()
}
