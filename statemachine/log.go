package statemachine

import "errors"

// Position is how far the log has been applied. The zero Position is before the first message of any stream.
type Position struct {
	Stream     string
	Epoch      Time   // when the stream was created: a stream made anew is another epoch
	First      uint64 // sequence of the first message that counts; what was gone before it is no gap
	Sequence   uint64 // of the last message that was applied, First-1 before the first
	StreamTime Time   // of that message
	Digest     uint64 // of that message
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

// ErrUnknownMarker is returned when the resource that a page should begin behind does not exist, or is not the
// tenant's.
var ErrUnknownMarker = errors.New("marker is not known")
