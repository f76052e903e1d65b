package consumer

import (
	"fmt"
	"strings"
	"time"

	"faultd/statemachine"
)

// notAJob is what comes of a notification that says nothing of a job: most of a cloud's are of this sort.
var notAJob = &refusal{reason: statemachine.NotAJob}

// notice is a notification of OpenStack on its way to become an event. What it does not say stays empty in the
// event: the tenant and the job are found later, by what is known of the resource.
type notice struct {
	m       *Message
	e       *statemachine.Event
	top     *node // the notification
	payload *node // of any kind
	body    *node // the payload if that is an object
	urgent  bool  // its priority is ERROR or above
}

// decodeNotification decodes an oslo.messaging notification, bare or in the envelope of version 2.
func decodeNotification(e *statemachine.Entry, m *Message) *refusal {
	top, bad := openEnvelope(m.Data)
	if bad != nil {
		return bad
	}
	eventType := top.string("event_type")
	if eventType == "" {
		return &refusal{statemachine.Schema, "event_type: is required"}
	}
	n := notice{m: m, e: &e.Event, top: top, payload: top.get("payload"), body: top.object("payload")}
	switch strings.ToUpper(top.string("priority")) {
	case "ERROR", "CRITICAL":
		n.urgent = true
	}
	n.identify()
	if bad := n.read(eventType); bad != nil {
		return bad
	}
	if e.Fault != nil {
		placeFault(e.Fault, m, e.Time)
	}
	return nil
}

// openEnvelope is the notification within an envelope, or the text itself where there is none.
func openEnvelope(data []byte) (*node, *refusal) {
	top, bad := parseTree(data, "notification")
	if bad != nil {
		return nil, bad
	}
	version, inner := top.get("oslo.version"), top.get("oslo.message")
	switch {
	case version == nil && inner == nil:
		return &top, nil
	case version == nil || version.kind != '"':
		return nil, &refusal{statemachine.Schema, "oslo.version: must be a string"}
	case string(version.text) != "2" && !strings.HasPrefix(string(version.text), "2."):
		return nil, &refusal{statemachine.UnsupportedVersion, fmt.Sprintf("oslo.version: must be 2.x, is %.16q", version.text)}
	case inner == nil || inner.kind != '"':
		return nil, &refusal{statemachine.Schema, "oslo.message: must be a string"}
	}
	within, bad := parseTree(inner.text, "oslo.message")
	if bad != nil {
		return nil, &refusal{bad.reason, "within oslo.message: " + bad.detail}
	}
	return &within, nil
}

// read finds the service that speaks by the begin of the event's type. What is of no service and no type that we
// know is not a job's: clouds send more types than anybody lists.
func (n *notice) read(eventType string) *refusal {
	service, rest, _ := strings.Cut(eventType, ".")
	switch service {
	case "instance": // Nova, versioned
		return n.server(rest)
	case "compute": // Nova, legacy
		if t, ok := strings.CutPrefix(rest, "instance."); ok {
			return n.server(t)
		}
	case "compute_task", "scheduler":
		return n.computeTask(rest)
	case "image":
		return n.image(rest)
	case "backup":
		return n.backup(rest)
	}
	return notAJob
}

// The phase that ends a type: instance.create.start. Types without one happen at once.
const (
	atOnce = iota
	atStart
	atEnd
	atError
)

// splitType takes the phase off the end of a type.
func splitType(t string) (action string, at int) {
	for i, suffix := range []string{".start", ".end", ".error"} {
		if action, ok := strings.CutSuffix(t, suffix); ok {
			return action, atStart + i
		}
	}
	return t, atOnce
}

// identify fills in what marks the event, and its time. Two messages without an id are the same if their bytes
// are.
func (n *notice) identify() {
	n.e.Progress = -1
	n.e.Time = parseTime(n.top.string("timestamp"))
	if id := n.top.string("message_id"); id != "" && len(id) <= maxJobID {
		n.e.ID, n.e.Fallback = idDigest(nil, []byte(id)), id
		return
	}
	n.e.ID = idDigest(nil, n.m.Data)
	n.e.Fallback = fmt.Sprintf("%016x", n.e.ID)
}

// name fills in which resource the event is about. field is where its id was found, for the case that it is no
// id.
func (n *notice) name(kind statemachine.Kind, field, id string) *refusal {
	n.e.Kind, n.e.Key.ID = kind, id
	if !isName(id) {
		return &refusal{statemachine.Schema, fmt.Sprintf("%s: %s", field, nameRule)}
	}
	field, n.e.Tenant = n.tenant()
	if n.e.Tenant != "" && !isName(n.e.Tenant) {
		return &refusal{statemachine.Schema, fmt.Sprintf("%s: %s", field, nameRule)}
	}
	return nil
}

// tenant is the resource's tenant and the field that names it, if any does. The context is asked last: it is that
// of the caller, who may be an administrator.
func (n *notice) tenant() (field, tenant string) {
	spec := n.body.object("request_spec")
	for _, place := range []struct {
		in          *node
		where, name string
	}{
		{n.body, "payload.", "tenant_id"},
		{n.body, "payload.", "project_id"},
		{n.body, "payload.", "owner"},
		{spec, "payload.request_spec.", "project_id"},
		{spec.object("instance_properties"), "payload.request_spec.instance_properties.", "project_id"},
		{n.body.object("instance_properties"), "payload.instance_properties.", "project_id"},
		{n.top, "", "_context_project_id"},
		{n.top, "", "_context_tenant"},
	} {
		if tenant := place.in.string(place.name); tenant != "" {
			return place.where + place.name, tenant
		}
	}
	return "", ""
}

// request is the id of the request that the notification belongs to, empty where it has none, or none that can be
// part of a job's id.
func (n *notice) request() string {
	const longest = maxJobID - len(":confirm-resize")
	for _, id := range []string{n.body.string("request_id"), n.top.string("_context_request_id")} {
		if id != "" && len(id) <= longest {
			return id
		}
	}
	return ""
}

// job fills in the job: one request does each action at most once to a resource. Without a request it stays
// empty.
func (n *notice) job(a statemachine.Action, p statemachine.Phase) {
	n.e.Action, n.e.Phase = a, p
	if n.e.RequestID = n.request(); n.e.RequestID != "" {
		n.e.Job = n.e.RequestID + ":" + a.String()
	}
}

// describe fills in what all services say of a resource in the same words.
func (n *notice) describe(nameField string) {
	n.e.User = clipText(n.body.string("user_id"))
	n.e.Name = clipText(n.body.string(nameField))
	n.e.Created = parseTime(n.body.string("created_at"))
}

// clipText keeps a text within what an event may have: a name that is too long is no reason to lose the event.
func clipText(s string) string { return statemachine.Clip(s, maxText) }

// timeLayouts are the ways in which the services write a time. Where there is no zone it is UTC.
var timeLayouts = []string{
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999",
	time.RFC3339Nano,
	"2006-01-02 15:04:05.999999999Z07:00",
}

// parseTime is the time that a text tells, 0 where it tells none.
func parseTime(s string) statemachine.Time {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			at, _ := instant(t)
			return at
		}
	}
	return 0
}
