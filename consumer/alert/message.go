package alert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strconv"
	"time"
)

// message is what one hook is told at once: an event, or a group of them.
type message struct {
	ID     string  // of the event; of several the hash of their ids, in their order
	Events []Event // in their order; at least one
	Count  int

	First, Last time.Time         // times of the events
	Group       map[string]string // what they were put together by; nil: the hook has no group_by
	GroupKey    string            // see [Hook.GroupKey]
	Samples     []Event           // the first of them, at most maxSamples
	Shared      map[string]string // what all of them have in common

	Flapping bool // the resource goes in and out of ERROR
	Reminder bool // it was told before, and still stands
	Settled  bool // nothing of the group is in ERROR any more: only then PagerDuty is told that a group is resolved
	Test     bool // somebody tries the hook out
}

// maxSamples is how many events of a group are shown.
const maxSamples = 10

// maxSamplesSize is how many bytes the samples of a group may have together; the first is always shown.
const maxSamplesSize = 256 << 10

// newMessage makes a message of events, at least one. A single one is told as what it is, whether the hook groups or
// not. Who changes the message (its ID, Flapping, Reminder, Settled) does so before it is sent.
func newMessage(h *Hook, events []Event) *message {
	first := &events[0]
	m := &message{
		ID: first.ID, Events: events, Count: len(events), First: first.Time, Last: first.Time,
		Group: h.groupValues(first), GroupKey: h.GroupKey(first), Samples: samples(events), Shared: shared(events),
	}
	for i := range events {
		if t := events[i].Time; t.Before(m.First) {
			m.First = t
		} else if t.After(m.Last) {
			m.Last = t
		}
	}
	if len(events) > 1 {
		m.ID = groupID(events)
	}
	return m
}

func groupID(events []Event) string {
	h := sha256.New()
	for i := range events {
		h.Write([]byte(events[i].ID))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func samples(events []Event) []Event {
	n, size := 0, 0
	for n < min(len(events), maxSamples) {
		if size += len(events[n].Body); n > 0 && size > maxSamplesSize {
			break
		}
		n++
	}
	return events[:n]
}

// shared is what all events have in common, but for what tells one resource from another.
func shared(events []Event) map[string]string {
	common := traits(&events[0])
	for i := 1; i < len(events) && len(common) > 0; i++ {
		e := &events[i]
		maps.DeleteFunc(common, func(name, value string) bool { return e.trait(name) != value })
	}
	return common
}

// traits are an event's own names for what it tells, and its resource's attributes.
func traits(e *Event) map[string]string {
	all := maps.Clone(e.attributes)
	if all == nil {
		all = map[string]string{}
	}
	for _, name := range []string{"tenant", "kind", "action", "cause", "code", "fingerprint"} {
		delete(all, name)
		if value := e.trait(name); value != "" {
			all[name] = value
		}
	}
	return all
}

func (e *Event) trait(name string) string {
	switch name {
	case "tenant":
		return e.Tenant
	case "kind":
		return e.Kind
	case "action":
		return e.Action
	case "cause":
		return e.Cause
	case "code":
		if e.Code == 0 {
			return ""
		}
		return strconv.Itoa(e.Code)
	case "fingerprint":
		return e.Fingerprint
	default:
		return e.attribute(name)
	}
}

// raised is how many of the message's events are raised ones.
func (m *message) raised() int {
	n := 0
	for i := range m.Events {
		if m.Events[i].Raised {
			n++
		}
	}
	return n
}

// envelope is a CloudEvent that this package makes. Flapping, reminder and test are extension attributes.
type envelope struct {
	SpecVersion string          `json:"specversion"`
	Type        string          `json:"type"`
	Source      string          `json:"source"`
	ID          string          `json:"id"`
	Time        time.Time       `json:"time"`
	Subject     string          `json:"subject,omitempty"`
	ContentType string          `json:"datacontenttype"`
	Flapping    bool            `json:"flapping,omitempty"`
	Reminder    bool            `json:"reminder,omitempty"`
	Test        bool            `json:"test,omitempty"`
	Data        json.RawMessage `json:"data"`
}

// groupData is the data of a message that tells of several events.
type groupData struct {
	Count   int               `json:"count"`
	Raised  int               `json:"raised"`
	Cleared int               `json:"cleared"`
	First   time.Time         `json:"first"`
	Last    time.Time         `json:"last"`
	Group   map[string]string `json:"group"`
	Samples []json.RawMessage `json:"samples"` // each as it would be told by itself
	Shared  map[string]string `json:"shared"`
}

// cloudEvent is the message as a CloudEvent in structured mode. A single event of which nothing more is to be said is
// its body, byte for byte.
func (m *message) cloudEvent() []byte {
	e := &m.Events[0]
	if m.Count > 1 {
		return m.seal(typeGrouped, "", encode(m.groupData()))
	}
	if e.Body != nil && m.ID == e.ID && !m.Flapping && !m.Reminder && !m.Test {
		return e.Body
	}
	return m.seal(e.eventType(), e.Key(), e.data())
}

func (m *message) seal(kind, subject string, data []byte) []byte {
	return encode(envelope{
		SpecVersion: "1.0", Type: kind, Source: "faultd", ID: m.ID, Time: m.Last, Subject: subject, ContentType: "application/json",
		Flapping: m.Flapping, Reminder: m.Reminder, Test: m.Test, Data: data,
	})
}

func (m *message) groupData() groupData {
	d := groupData{Count: m.Count, Raised: m.raised(), First: m.First, Last: m.Last, Group: m.Group, Shared: m.Shared}
	d.Cleared = d.Count - d.Raised
	if d.Group == nil {
		d.Group = map[string]string{}
	}
	for i := range m.Samples {
		e := &m.Samples[i]
		one := message{ID: e.ID, Events: m.Samples[i : i+1], Count: 1, Last: e.Time}
		d.Samples = append(d.Samples, one.cloudEvent())
	}
	return d
}

// data is the event's data: that of its body, or what is made of the resource.
func (e *Event) data() []byte {
	var top struct {
		Data json.RawMessage `json:"data"`
	}
	if e.Body != nil {
		_ = json.Unmarshal(e.Body, &top) // ParseEvent has read it
		return top.Data
	}
	var resource object
	_ = json.Unmarshal(e.resource, &resource) // parseResource has read it
	return encode(struct {
		Resource json.RawMessage `json:"resource"`
		Fault    json.RawMessage `json:"fault"`
		Previous string          `json:"previous_status,omitempty"`
	}{e.resource, resource["fault"], e.Previous})
}

// encode encodes what always can be: texts, numbers, times, and JSON that was checked.
func encode(v any) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'})
}
