package consumer

import (
	"errors"
	"fmt"
	"strings"

	"faultd/statemachine"
)

// ErrNoEvent is returned when a line is neither a CloudEvent nor a notification of OpenStack.
var ErrNoEvent = errors.New("neither a CloudEvent (no specversion) nor a notification (no event_type)")

// msgIDHeader holds what JetStream knows a message that is published again by.
const msgIDHeader = "Nats-Msg-Id"

// Line turns a line of a JSON Lines file, one structured CloudEvent or one notification of OpenStack, into the
// message to publish: where to, by which id if it has one, and the line itself, which is not copied. An error names
// the field because of which the line has no subject. Whether the event keeps to the contract is for the reader of
// the stream to judge, so that what it would reject can be published and seen.
func Line(line []byte) (Message, error) {
	top, bad := parseTree(line, "line")
	if bad != nil {
		return Message{}, errors.New(bad.detail)
	}
	m := Message{Data: line}
	var err error
	if top.get("specversion") != nil {
		err = addressEvent(&m, &top)
	} else {
		err = addressNotification(&m, line)
	}
	if err != nil {
		return Message{}, err
	}
	return m, nil
}

// addressEvent fills in the subject of a CloudEvent and its id.
func addressEvent(m *Message, event *node) error {
	resource := event.get("data", "resource")
	_, phaseName := parseJobType(event.string("type"))
	phase, okPhase := statemachine.ParsePhase(phaseName)
	kind, okKind := statemachine.ParseKind(resource.string("kind"))
	tenant, id := resource.string("tenant_id"), resource.string("id")
	switch {
	case !okPhase:
		return errors.New("type: must be io.faultd.v1.job.<phase>")
	case !okKind:
		return fmt.Errorf("data.resource.kind: there is no kind %.64q", resource.string("kind"))
	case !isName(tenant):
		return errors.New("data.resource.tenant_id: " + nameRule)
	case !isName(id):
		return errors.New("data.resource.id: " + nameRule)
	}
	m.Subject = jobsPrefix + tenant + "." + kind.String() + "." + id + "." + phase.String()
	if source, id := event.string("source"), event.string("id"); source != "" && id != "" {
		m.setID(source + "/" + id)
	}
	return nil
}

// addressNotification fills in the subject of a notification and its id.
func addressNotification(m *Message, line []byte) error {
	top, bad := openEnvelope(line)
	if bad != nil {
		return errors.New(bad.detail)
	}
	eventType := top.string("event_type")
	switch {
	case eventType == "":
		return ErrNoEvent
	case !isSubject(eventType):
		return fmt.Errorf("event_type: %.64q cannot be part of a subject", eventType)
	}
	m.Subject = openstackPrefix + eventType
	if id := top.string("message_id"); id != "" {
		// With the body's digest: a tool that gives every message the same id must not lose all but one.
		m.setID(fmt.Sprintf("%s/%016x", id, digest(m.Subject, line)))
	}
	return nil
}

// setID makes the message known by an id. One that a header cannot carry is left out: the message is then published
// each time, and the machine knows it again.
func (m *Message) setID(id string) {
	if id != "" && len(id) <= maxText && !strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		m.Header = map[string][]string{msgIDHeader: {id}}
	}
}

// isSubject tells whether a text can be the end of a subject that is published to.
func isSubject(s string) bool {
	for token := range strings.SplitSeq(s, ".") {
		if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r == '*' || r == '>' || r == 0x7f }) {
			return false
		}
	}
	return len(s) <= maxText
}
