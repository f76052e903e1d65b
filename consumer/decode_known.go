package consumer

import (
	"bytes"
	"strings"

	"faultd/statemachine"
)

// decoder decodes the messages of a stream as [Decode] does, and faster where an event says of its resource and its job
// what the event before it said, to the byte: as nearly all do, since a job's events differ in phase and progress. What
// they say is kept, so it is read once, and the events of a job share one copy of it. One goroutine may use it.
//
// It forgets: whatever is not used among the next [maxKnown] resources is gone at the latest behind as many again.
type decoder struct {
	young, old map[string]*known // by the subject without the phase
}

// maxKnown is how many resources are known at least, and half of how many at most: more than there are jobs at a time.
const maxKnown = 4096

// maxKnownText is how long an object may be that is kept, in bytes.
const maxKnownText = 1 << 10

// known is what the newest event of a resource said.
type known struct {
	key      statemachine.Key
	resource knownText
	job      knownText
	event    statemachine.Event // what the two say
	has      presence
}

// knownText is an object that was read, broke no rule, and had no member that nobody knows.
type knownText struct {
	text  []byte // empty: none
	depth int    // at which it stood; it may be too deep elsewhere
}

func newDecoder() *decoder { return &decoder{young: map[string]*known{}} }

func (d *decoder) decode(m *Message) statemachine.Entry { return decodeWith(m, d) }

// of is what is known of the resource of a subject, and the phase that the subject ends with; false for a subject that
// is none.
func (d *decoder) of(subject string) (k *known, phase statemachine.Phase, ok bool) {
	end := max(0, strings.LastIndexByte(subject, '.'))
	if k = d.young[subject[:end]]; k == nil {
		k = d.old[subject[:end]]
	} else {
		phase, ok = statemachine.ParsePhase(subject[end+1:])
		return k, phase, ok
	}
	key, phase, ok := parseSubject(subject)
	if !ok {
		return nil, 0, false
	}
	if k == nil {
		k = &known{key: key}
	}
	if len(d.young) >= maxKnown {
		d.young, d.old = make(map[string]*known, maxKnown), d.young
	}
	d.young[subject[:end]] = k
	return k, phase, true
}

// passes passes an object that is the one that is known, to the byte.
func (d *jobDecoder) passes(known *knownText) bool {
	if len(known.text) == 0 || d.peek() != '{' || d.depth != known.depth || !bytes.HasPrefix(d.scanner.data[d.at:], known.text) {
		return false
	}
	d.at += len(known.text)
	return true
}

// beginning is where an object begins that is about to be read.
type beginning struct {
	at, depth, unknown int
	clean              bool
}

func (d *jobDecoder) beginning() beginning {
	clean := d.peek() == '{' && d.wrong == nil
	return beginning{d.at, d.depth, d.unknown, clean}
}

// keeps keeps the object that was read since, if it can be passed the next time, and tells whether it can.
func (d *jobDecoder) keeps(known *knownText, from beginning) bool {
	known.text = known.text[:0]
	if !from.clean || d.broken != nil || d.wrong != nil || d.unknown != from.unknown || d.at-from.at > maxKnownText {
		return false
	}
	known.text, known.depth = append(known.text, d.scanner.data[from.at:d.at]...), from.depth
	return true
}

// resource reads what an event says of its resource.
func (d *jobDecoder) resource() {
	k := d.known
	if k == nil {
		d.readResource()
		return
	}
	if d.passes(&k.resource) {
		d.e.User, d.e.Name, d.e.Created, d.e.Attributes = k.event.User, k.event.Name, k.event.Created, k.event.Attributes
		d.has.kind, d.has.id, d.has.tenant = k.has.kind, k.has.id, k.has.tenant
		return
	}
	from := d.beginning()
	if d.readResource(); d.keeps(&k.resource, from) {
		k.event.User, k.event.Name, k.event.Created, k.event.Attributes = d.e.User, d.e.Name, d.e.Created, d.e.Attributes
		k.has.kind, k.has.id, k.has.tenant = d.has.kind, d.has.id, d.has.tenant
	}
}

// job reads what an event says of its job.
func (d *jobDecoder) job() {
	k := d.known
	if k == nil {
		d.readJob()
		return
	}
	if d.passes(&k.job) {
		d.e.Job, d.e.Action, d.e.RequestID = k.event.Job, k.event.Action, k.event.RequestID
		d.has.job, d.has.action = k.has.job, k.has.action
		return
	}
	from := d.beginning()
	if d.readJob(); d.keeps(&k.job, from) {
		k.event.Job, k.event.Action, k.event.RequestID = d.e.Job, d.e.Action, d.e.RequestID
		k.has.job, k.has.action = d.has.job, d.has.action
	}
}
