package statemachine

import "errors"

// Position is how far the log has been applied. The zero Position is before the first message of any stream.
type Position struct {
	Stream     string
	Epoch      Time   // when the stream was created: a stream made anew is another epoch
	Base       uint64 // what is added to the stream's sequences, so that no two messages of a store's life share a number
	First      uint64 // sequence of the first message that counts; what was gone before it is no gap
	Sequence   uint64 // of the last message that was applied, First-1 before the first
	StreamTime Time   // of that message
	Digest     uint64 // of that message; 0: it was never seen, since it lies in a gap
}

// Ordinal is the number of the last message that was applied, counted on over the epochs. [Event.Sequence], and
// whatever comes of it, is such a number; in a store's first epoch it is the stream's own sequence.
func (p Position) Ordinal() uint64 { return p.Base + p.Sequence }

// Gap is a run of messages that were gone before they were read.
type Gap struct {
	Epoch    Time   // of the stream
	From, To uint64 // sequences in that stream
	Missing  uint64 // messages between them, where these are not all: several gaps are kept as one; else 0
	Cause    string // for people
	Noticed  Time   // by the clock of the process
}

// Telling is an entry into ERROR, a new fault in it, or a recovery, as it is to be told to the outside.
type Telling struct {
	Ordinal    uint64 // of the job event, see [Position.Ordinal]; no two tellings share one
	Epoch      Time   // of the job event, like the following
	Sequence   uint64 // in the job stream
	StreamTime Time
	Time       Time
	Behind     uint64 // sequence in FAULTS up to which all is older than the epoch

	Raised   bool // else cleared
	Previous Status
	Fault    *Fault   // that was raised or cleared
	Action   Action   // of a fault that was cleared: what the job did that had failed
	Resource Resource // as it was after the event
}

// Counters count every message once: Received is the sum of Applied, Ignored and Rejected.
type Counters struct {
	Received, Applied, Ignored, Rejected uint64
	ByReason                             [UnsupportedVersion + 1]uint64 // by [Reason]; those of ignored and rejected ones
	UnknownFields                        uint64                         // fields that the contract does not have
}

// Count counts one message.
func (c *Counters) Count(r Reason, unknownFields int) {
	c.Received++
	c.UnknownFields += uint64(unknownFields)
	switch r.Verdict() {
	case Applied:
		c.Applied++
		return
	case Ignored:
		c.Ignored++
	case Rejected:
		c.Rejected++
	}
	c.ByReason[r]++
}

// Rejection is a message that was rejected, as it is kept.
type Rejection struct {
	Sequence   uint64
	StreamTime Time
	Subject    string
	Reason     Reason
	Detail     string // which field broke which rule
	Size       int    // of the message in bytes
	Data       []byte // its first [MaxRejected] bytes
}

// MaxRejected is how much of a rejected message is kept, in bytes.
const MaxRejected = 4 << 10

// Change is a transition with the resource that it belongs to.
type Change struct {
	Key
	Transition
}

// Query selects resources, newest birth first.
type Query struct {
	Tenant   string   // empty: all tenants
	Kind     Kind     // 0: all kinds
	Statuses []Status // empty: all but DELETED, or all where ChangedSince is set
	// ChangedSince selects what was updated then or later; 0 is no condition.
	ChangedSince Time
	Match        func(*Resource) bool // a further condition; nil is none
	Marker       *Key                 // the page begins behind this resource; of any tenant and kind that the query selects
	Limit        int                  // at least 1
}

// ErrNotFound is returned when there is no such resource.
var ErrNotFound = errors.New("no such resource")

// ErrFull is returned when there is no room for more: what is there can still be read, and the same can be tried again.
var ErrFull = errors.New("there is no room")

// ErrUnknownMarker is returned when the resource that a page should begin behind does not exist, or is not the
// tenant's.
var ErrUnknownMarker = errors.New("marker is not known")
