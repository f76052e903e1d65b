package alert

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	sm "faultd/statemachine"
)

// Event is a message of the stream of faults, read. Its texts are on one line, of bounded length, and free of control
// characters. It is not changed once it is read.
type Event struct {
	ID     string    // letters, digits, - and _
	Raised bool      // else cleared
	Time   time.Time // of the job event that it tells of

	Tenant     string
	Kind       string
	ResourceID string
	Name       string
	Status     string // that the resource has since
	Previous   string // that it had before

	// Of the fault that was raised or cleared. What the event does not tell is empty: of what it clears, that may be
	// the action and what follows from it.
	Action      string
	RequestID   string // of the job that failed
	Cause       string
	Fingerprint string
	Advice      string
	Code        int // 400 to 599, or 0
	Message     string
	Reason      string
	ErrorCode   string
	FaultTime   time.Time

	Body []byte // as it is in the stream; nil for what [parseResource] made

	attributes map[string]string
	resource   []byte // as /v1 shows it, where there is no body
}

// The types of events.
const (
	typePrefix  = "io.faultd.v1.fault."
	typeRaised  = typePrefix + "raised"
	typeCleared = typePrefix + "cleared"
	typeGrouped = "io.faultd.v1.faults.grouped"
)

// maxEvent is the largest event that is read, in bytes: what a NATS server takes at most.
const maxEvent = 64 << 20

// ErrNotFault is returned when a message of the stream of faults is not what faultd publishes there.
var ErrNotFault = errors.New("this is no event of a fault")

// Key names the resource.
func (e *Event) Key() string { return e.Tenant + "/" + e.Kind + "/" + e.ResourceID }

// eventType is the event's type as a CloudEvent.
func (e *Event) eventType() string {
	if e.Raised {
		return typeRaised
	}
	return typeCleared
}

// attribute is the resource's attribute of that name as a text, or empty.
func (e *Event) attribute(name string) string { return e.attributes[name] }

// ParseEvent reads the body of a message of the stream of faults, and keeps it. Whoever may publish there may have
// written it: what is not of the shape that faultd gives it is [ErrNotFault], and the error shows nothing of it.
func ParseEvent(body []byte) (Event, error) {
	if len(body) > maxEvent {
		return Event{}, fmt.Errorf("%w: it has %d bytes, more than %d", ErrNotFault, len(body), maxEvent)
	}
	if err := checkJSON(body); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrNotFault, err)
	}
	var r reader
	e := r.event(body)
	if r.wrong != "" {
		return Event{}, fmt.Errorf("%w: %s", ErrNotFault, r.wrong)
	}
	e.Body = body
	return e, nil
}

// parseResource reads a resource in ERROR as /v1 shows it, and makes the event of it that raised its fault. It has
// neither id nor body.
func parseResource(resource []byte) (Event, error) {
	if err := checkJSON(resource); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrNotFault, err)
	}
	var r reader
	e := Event{Raised: true, resource: resource}
	shown := r.resource(&e, resource)
	r.fault(&e, shown["fault"])
	e.Time = e.FaultTime
	if r.wrong == "" && e.Code == 0 {
		r.fail("resource.fault")
	}
	if r.wrong != "" {
		return Event{}, fmt.Errorf("%w: %s", ErrNotFault, r.wrong)
	}
	return e, nil
}

// event reads all of an event.
func (r *reader) event(body []byte) Event {
	top := r.object("event", body)
	var e Event
	e.ID = r.text("id", top["id"], 128)
	e.Time = r.time("time", top["time"])
	kind := r.text("type", top["type"], 128)
	e.Raised = kind == typeRaised
	switch {
	case r.text("specversion", top["specversion"], 8) != "1.0":
		r.fail("specversion")
	case !e.Raised && kind != typeCleared:
		r.fail("type")
	case !isName(e.ID):
		r.fail("id")
	}
	data := r.object("data", top["data"])
	r.resource(&e, data["resource"])
	e.Previous = r.word("data.previous_status", data["previous_status"])
	if !e.Raised {
		r.cleared(&e, data)
	}
	r.fault(&e, data["fault"])
	if e.Raised && e.Code == 0 {
		r.fail("data.fault")
	}
	return e
}

// cleared forgets what the resource shows of the job that cleared the fault, and reads what the event tells of the
// one that had brought it.
func (r *reader) cleared(e *Event, data object) {
	if e.Cause == "" {
		e.Action, e.RequestID = "", ""
	}
	if data["diagnosis"] != nil {
		r.diagnosis(e, data["diagnosis"])
		e.Action = r.word("data.action", data["action"])
	}
}

// resource reads a resource as /v1 shows it, and returns its members.
func (r *reader) resource(e *Event, raw json.RawMessage) object {
	shown := r.object("resource", raw)
	e.Kind = r.text("resource.kind", shown["kind"], 16)
	e.Tenant = r.text("resource.tenant_id", shown["tenant_id"], 128)
	e.ResourceID = r.text("resource.id", shown["id"], 128)
	if _, known := sm.ParseKind(e.Kind); !known {
		r.fail("resource.kind")
	}
	if !isName(e.Tenant) || !isName(e.ResourceID) {
		r.fail("resource.id")
	}
	e.Name = r.text("resource.name", shown["name"], 256)
	e.Status = r.word("resource.status", shown["status"])
	e.attributes = r.attributes(shown["attributes"])
	if shown["job"] != nil {
		job := r.object("resource.job", shown["job"])
		e.Action = r.word("resource.job.action", job["action"])
		e.RequestID = r.text("resource.job.request_id", job["request_id"], 256)
	}
	if shown["diagnosis"] != nil {
		r.diagnosis(e, shown["diagnosis"])
	}
	return shown
}

func (r *reader) diagnosis(e *Event, raw json.RawMessage) {
	d := r.object("diagnosis", raw)
	e.Cause = r.word("diagnosis.cause", d["cause"])
	e.Fingerprint = r.text("diagnosis.fingerprint", d["fingerprint"], 64)
	e.Advice = r.text("diagnosis.advice", d["advice"], 1024)
}

// fault reads what was raised or cleared, if that is known.
func (r *reader) fault(e *Event, raw json.RawMessage) {
	if raw == nil || string(raw) == "null" {
		return
	}
	f := r.object("fault", raw)
	if json.Unmarshal(f["code"], &e.Code) != nil || e.Code < 400 || e.Code > 599 {
		r.fail("fault.code")
	}
	e.Message = r.text("fault.message", f["message"], sm.MaxMessage)
	e.Reason = r.text("fault.reason", f["reason"], 256)
	e.ErrorCode = r.text("fault.error_code", f["error_code"], 64)
	e.FaultTime = r.time("fault.created", f["created"])
}

// attributes are those that are texts, numbers, true or false, and of a length that a label may have.
func (r *reader) attributes(raw json.RawMessage) map[string]string {
	const longest = 256
	kept := map[string]string{}
	if raw == nil {
		return kept
	}
	for name, value := range r.object("resource.attributes", raw) {
		text := string(value)
		if strings.HasPrefix(text, `"`) {
			_ = json.Unmarshal(value, &text) // checkJSON has read it
		} else if strings.ContainsAny(text[:1], "{[n") {
			continue
		}
		if text = printable(text); text != "" && len(text) <= longest && name == printable(name) && len(name) <= longest {
			kept[name] = text
		}
	}
	return kept
}
