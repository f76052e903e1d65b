package statemachine

// Event is one message of the log, decoded: something that happened to a job.
type Event struct {
	Sequence   uint64 // of the message in its stream, counted on over epochs: see [Position.Ordinal]
	StreamTime Time   // when the stream took it: the "now" of Apply
	Time       Time   // when it happened, by its producer; Apply takes it as at most StreamTime
	ID         uint64 // a digest of what makes the event unique: its source and id

	Key              // Tenant may be empty in a notification; Resolve finds it then
	Job       string // may be empty in a notification; Resolve finds it then
	Fallback  string // the job's id if it is empty and no open job has the action
	Action    Action
	Phase     Phase
	RequestID string

	User       string
	Name       string
	Created    Time
	Attributes Attributes

	Progress  int8 // percent; -1: not said
	Provider  string
	Providers []string
	Fault     *Fault
	After     uint64 // of a deadline's event: the last event that the job had when it was judged silent
}

// Verdict is what became of a message.
type Verdict uint8

// Every message is exactly one of these.
const (
	Applied Verdict = iota + 1
	Ignored
	Rejected
)

var verdictNames = names("", "applied", "ignored", "rejected")

func (v Verdict) String() string { return verdictNames.name(uint8(v)) }

// Reason is why a message was ignored or rejected; the names are the contract's. The zero Reason is none.
type Reason uint8

// The reasons. The numbers are stored: append, never reorder.
const (
	Duplicate       Reason = iota + 1 // the job was told this before
	Late                              // the job is further than that
	Contradiction                     // the job has ended otherwise
	Superseded                        // a newer job decides the status
	Forgotten                         // the job is older than those that are remembered
	Overtaken                         // the job moved on before its deadline's event came
	UnknownResource                   // a notification that names no tenant, of a resource that is not known
	NotAJob                           // a notification that says nothing of a job

	Malformed          // not the JSON that it must be
	Schema             // JSON, but not what the contract says
	TooLarge           // beyond a cap
	SubjectMismatch    // the body names another resource, tenant or phase than the subject
	UnsupportedVersion // of CloudEvents, of the event's type, or of the envelope
)

var reasonNames = names("", "duplicate", "late", "contradiction", "superseded", "forgotten", "overtaken", "unknown_resource",
	"not_a_job", "malformed", "schema", "too_large", "subject_mismatch", "unsupported_version")

// Reasons are all reasons, in the order of their numbers.
var Reasons = func() (all []Reason) {
	for n := 1; n < len(reasonNames.names); n++ {
		all = append(all, Reason(n))
	}
	return all
}()

func (r Reason) String() string { return reasonNames.name(uint8(r)) }

// Verdict is the one that the reason belongs to; no reason is [Applied].
func (r Reason) Verdict() Verdict {
	switch {
	case r == 0:
		return Applied
	case r < Malformed:
		return Ignored
	default:
		return Rejected
	}
}

// Outcome is what Apply made of an event. Transition is nil unless something is to be read in the
// resource's history: a change of status or fault, or the failure of a job that changed neither.
type Outcome struct {
	Reason     Reason // 0: applied
	Detail     string // of a rejection: which field broke which rule
	Transition *Transition
}

// Verdict is applied, ignored or rejected.
func (o Outcome) Verdict() Verdict { return o.Reason.Verdict() }

// Transition is a line of a resource's history.
type Transition struct {
	Sequence   uint64
	StreamTime Time
	Time       Time // of the event
	Job        string
	Action     Action
	RequestID  string
	From, To   Status // equal for a fault that changed no status
	Fault      *Fault // what the event brought, or the fault that the resource has from it on
}

// Entry is one message of the log as the decoder leaves it: an event, or the reason why it is none.
type Entry struct {
	Event          // only Sequence and StreamTime where Reason is set
	Reason  Reason // 0: the event is to be applied
	Detail  string // what is wrong with it, where it was rejected
	Subject string
	Raw     []byte // the message as it came
	Unknown int    // fields that the contract does not have
}
