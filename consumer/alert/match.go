package alert

import (
	"slices"
	"strconv"
	"strings"

	sm "faultd/statemachine"
)

// Match says which events a hook wants. An empty list matches all.
type Match struct {
	Kinds, Tenants, Causes, Actions []string

	Codes   []Codes
	Raised  bool // wants what entered ERROR, or has a new fault in it
	Cleared bool // wants what left ERROR
}

// Codes is a range of fault codes: one, or a hundred of them.
type Codes struct{ From, To int } // both included

// Wants tells whether a hook wants to be told of an event. What a cleared event does not tell of the fault that it
// ends matches: a recovery too many is noise, one that is missing leaves a fault open for ever.
func (m *Match) Wants(e *Event) bool {
	if e.Raised && !m.Raised || !e.Raised && !m.Cleared {
		return false
	}
	within := func(c Codes) bool { return c.From <= e.Code && e.Code <= c.To }
	switch unknown := !e.Raised; {
	case !among(m.Kinds, e.Kind), !among(m.Tenants, e.Tenant):
		return false
	case !among(m.Causes, e.Cause) && !(unknown && e.Cause == ""):
		return false
	case !among(m.Actions, e.Action) && !(unknown && e.Action == ""):
		return false
	default:
		return len(m.Codes) == 0 || slices.ContainsFunc(m.Codes, within) || unknown && e.Code == 0
	}
}

func among(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }

// attributePrefix begins a value of group_by that names an attribute.
const attributePrefix = "attribute:"

// GroupKey is equal for events that may be told in one message. Without group_by it is the event's id, which no other
// event has. Raised and cleared events of a group share it, so that a message tells of both in their order.
func (h *Hook) GroupKey(e *Event) string {
	if len(h.GroupBy) == 0 {
		return e.ID
	}
	var key strings.Builder
	for _, by := range h.GroupBy {
		value := e.groupValue(by)
		if value == "" && by == "fingerprint" {
			value = e.unattributed()
		}
		key.WriteString(strconv.Quote(value)) // so that no two lists of values are the same text
	}
	return key.String()
}

// groupValues are the values by which a hook puts an event into a group, as people see them. What is not known of the
// event is left out.
func (h *Hook) groupValues(e *Event) map[string]string {
	if len(h.GroupBy) == 0 {
		return nil
	}
	values := map[string]string{}
	for _, by := range h.GroupBy {
		if v := e.groupValue(by); v != "" {
			values[strings.TrimPrefix(by, attributePrefix)] = v
		}
	}
	return values
}

func (e *Event) groupValue(by string) string {
	switch by {
	case "fingerprint":
		return e.Fingerprint
	case "cause":
		return e.Cause
	case "tenant":
		return e.Tenant
	case "kind":
		return e.Kind
	default:
		return e.attribute(strings.TrimPrefix(by, attributePrefix))
	}
}

// unattributed stands for the fingerprint of a fault of which it is not known what had failed: so that recoveries of
// one failure come as one message too.
func (e *Event) unattributed() string {
	kind, _ := sm.ParseKind(e.Kind)
	return sm.Fingerprint(kind, 0, &sm.Fault{Code: e.Code, Reason: e.Reason, Message: e.Message})
}
