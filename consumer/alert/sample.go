package alert

import (
	"fmt"
	"maps"
	"slices"
	"time"

	sm "faultd/statemachine"
)

// sampleEvent is an event of no real resource: templates are tried out on it, and hooks.
func sampleEvent(at time.Time, raised bool) Event {
	at = at.UTC()
	e := Event{
		ID: fmt.Sprintf("test-%d", at.UnixNano()), Raised: raised, Time: at,
		Tenant: "faultd-test", Kind: sm.Server.String(), ResourceID: "00000000-0000-0000-0000-000000000000", Name: "sample-server",
		Status: sm.Error.String(), Previous: sm.Build.String(),
		Action: sm.ActBuild.String(), RequestID: "req-sample", Cause: sm.CauseUnknown.String(), Advice: "This is a test. There is nothing to do.",
		Code: 500, Message: "This is a test of the alert hook.", Reason: "TEST", FaultTime: at,
		attributes: map[string]string{"hostId": "sample-host"},
	}
	fault := sm.Fault{Code: e.Code, Message: e.Message, Reason: e.Reason}
	e.Fingerprint = sm.Fingerprint(sm.Server, sm.ActBuild, &fault)
	if !raised {
		e.Status, e.Previous = sm.Active.String(), e.Status
		e.Action, e.RequestID, e.Cause, e.Advice, e.Fingerprint = "", "", "", "", ""
	}
	e.resource = sampleResource(&e)
	return e
}

// sampleResource is the resource of a sample event as /v1 would show it.
func sampleResource(e *Event) []byte {
	resource := map[string]any{
		"kind": e.Kind, "id": e.ResourceID, "tenant_id": e.Tenant, "name": e.Name, "status": e.Status, "progress": 0,
		"created": e.Time, "updated": e.Time, "attributes": e.attributes, "sequence": 0,
	}
	if e.Raised {
		resource["job"] = map[string]any{"id": "sample", "action": e.Action, "phase": sm.PhaseFailed.String()}
		resource["fault"] = map[string]any{"code": e.Code, "created": e.Time, "message": e.Message, "reason": e.Reason}
		resource["diagnosis"] = map[string]any{"cause": e.Cause, "retry": false, "advice": e.Advice, "fingerprint": e.Fingerprint}
	}
	return encode(resource)
}

// newTestMessage is the message by which a hook is tried out.
func newTestMessage(h *Hook, now time.Time) *message {
	m := newMessage(h, []Event{sampleEvent(now, true)})
	m.Test = true
	return m
}

func sortedNames(of map[string]string) []string { return slices.Sorted(maps.Keys(of)) }
