package consumer

import (
	"fmt"
	"strings"

	"faultd/statemachine"
)

// Message is one message of the stream as it came.
type Message struct {
	Subject    string
	Header     map[string][]string // nats.Header converts to it
	Data       []byte
	Sequence   uint64 // counted on over epochs: see [statemachine.Position.Ordinal]
	StreamTime statemachine.Time
	Base       uint64 // of the epoch, which Sequence is counted on by
}

// maxEvent is the size in bytes that the data of a message may have.
const maxEvent = 256 << 10

// Where the messages are: job events in our own form, and OpenStack's notifications.
const (
	jobsPrefix      = "jobs."
	openstackPrefix = "openstack."
)

// Decode turns a message into an entry: an event, or the reason why it is none. The entry shares its raw bytes
// with the message, its event does not. It is safe for concurrent use.
func Decode(m Message) statemachine.Entry { return decodeWith(&m, nil) }

func decodeWith(m *Message, with *decoder) statemachine.Entry {
	e := statemachine.Entry{Subject: m.Subject, Raw: m.Data}
	if bad := decodeInto(&e, m, with); bad != nil {
		e = statemachine.Entry{Subject: m.Subject, Raw: m.Data, Reason: bad.reason, Detail: bad.detail}
	}
	if e.After != 0 {
		e.After = inStore(e.After, m.Base)
	}
	e.Sequence, e.StreamTime = m.Sequence, m.StreamTime
	return e
}

func decodeInto(e *statemachine.Entry, m *Message, with *decoder) *refusal {
	switch {
	case len(m.Data) > maxEvent:
		return &refusal{statemachine.TooLarge, fmt.Sprintf("event: must have at most %d bytes, has %d", maxEvent, len(m.Data))}
	case strings.HasPrefix(m.Subject, jobsPrefix):
		return decodeJobEvent(e, m, with)
	case strings.HasPrefix(m.Subject, openstackPrefix):
		return decodeNotification(e, m)
	default:
		return &refusal{statemachine.SubjectMismatch, "subject: must begin with jobs. or openstack."}
	}
}

// parseSubject reads the resource and the phase off jobs.<tenant>.<kind>.<id>.<phase>. The key shares the
// subject's bytes.
func parseSubject(subject string) (key statemachine.Key, phase statemachine.Phase, ok bool) {
	rest := strings.TrimPrefix(subject, jobsPrefix)
	tenant, rest, _ := strings.Cut(rest, ".")
	kindName, rest, _ := strings.Cut(rest, ".")
	id, phaseName, _ := strings.Cut(rest, ".")
	kind, okKind := statemachine.ParseKind(kindName)
	phase, okPhase := statemachine.ParsePhase(phaseName)
	key = statemachine.Key{Tenant: tenant, Kind: kind, ID: id}
	return key, phase, okKind && okPhase && isName(tenant) && isName(id)
}

// maxName is the length in bytes that a tenant, an id or a provider's name may have.
const maxName = 128

// nameRule is what [isName] asks for, in words.
const nameRule = "must be 1 to 128 letters, digits, - or _"

// isName tells whether s can be a tenant, an id or a provider's name.
func isName[T string | []byte](s T) bool {
	if len(s) == 0 || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !isDigit(c) && (c|0x20 < 'a' || 'z' < c|0x20) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// idDigest is 64 bits of FNV-1a over a source and an id, with a zero byte between them. It marks an event for as
// long as there are stores that remember it, so it must never change.
func idDigest(source, id []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range source {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h *= 1099511628211
	for _, c := range id {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// placeFault says when and where in the log a fault came to be; what claims to be from the future is from now.
func placeFault(f *statemachine.Fault, m *Message, happened statemachine.Time) {
	f.Sequence, f.Created = m.Sequence, m.StreamTime
	if happened != 0 {
		f.Created = min(happened, m.StreamTime)
	}
}
