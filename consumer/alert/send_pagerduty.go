package alert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	sm "faultd/statemachine"
)

// pagerDutyURL is where events go if a hook names no other address.
const pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

// Limits of Events API v2, in characters.
const (
	maxSummary  = 1024
	maxDedupKey = 255
)

// pagerDutySender triggers and resolves alerts.
//
// A hook without group_by has one alert a resource. One with it has one alert a group: what is raised triggers it, or
// is added to the alert that is open, and only what has the last of the group cleared resolves it (see
// [message.Settled]). A recovery that leaves others of its group in ERROR is told by nothing: an alert is open or not.
type pagerDutySender struct {
	hook   *Hook
	client *client
}

func (s *pagerDutySender) close() { s.client.close() }

// pagerDutyEvent is a request; Payload is nil where something is resolved.
type pagerDutyEvent struct {
	RoutingKey string            `json:"routing_key"`
	Action     string            `json:"event_action"`
	DedupKey   string            `json:"dedup_key"`
	Client     string            `json:"client,omitempty"`
	Payload    *pagerDutyPayload `json:"payload,omitempty"`
}

type pagerDutyPayload struct {
	Summary   string         `json:"summary"`
	Source    string         `json:"source"`
	Severity  string         `json:"severity"`
	Timestamp time.Time      `json:"timestamp"`
	Component string         `json:"component,omitempty"`
	Class     string         `json:"class,omitempty"`
	Group     string         `json:"group,omitempty"`
	Details   map[string]any `json:"custom_details"`
}

func (s *pagerDutySender) send(ctx context.Context, m *message) error {
	for _, event := range s.events(m) {
		header := http.Header{}
		header.Set("Content-Type", "application/json")
		if err := s.client.post(ctx, s.hook.URLs[0], header, encode(event)); err != nil {
			return err
		}
	}
	return nil
}

// events are the requests that tell of a message. Sending one of them twice changes nothing.
func (s *pagerDutySender) events(m *message) []pagerDutyEvent {
	last := &m.Events[len(m.Events)-1]
	trigger := s.event("trigger", s.dedupKey(m))
	trigger.Client, trigger.Payload = "faultd", s.payload(m)
	resolve := s.event("resolve", trigger.DedupKey)
	switch raised := m.raised(); {
	case m.Test:
		return []pagerDutyEvent{trigger, resolve}
	case m.Group != nil && m.Settled:
		return []pagerDutyEvent{resolve}
	case m.Group != nil && raised == 0:
		return nil
	case m.Group != nil || last.Raised:
		return []pagerDutyEvent{trigger}
	default:
		return []pagerDutyEvent{resolve}
	}
}

func (s *pagerDutySender) event(action, key string) pagerDutyEvent {
	return pagerDutyEvent{RoutingKey: string(s.hook.Secrets[0]), Action: action, DedupKey: key}
}

// dedupKey names the alert: the resource's, or the group's. One that is too long is replaced by its hash.
func (s *pagerDutySender) dedupKey(m *message) string {
	key := "faultd/" + m.Events[0].Key()
	if m.Group != nil {
		sum := sha256.Sum256([]byte(s.hook.Name + "\x00" + m.GroupKey))
		key = "faultd/group/" + s.hook.Name + "/" + hex.EncodeToString(sum[:16])
	}
	if m.Test {
		key = "faultd/test/" + m.ID
	}
	if len(key) > maxDedupKey {
		sum := sha256.Sum256([]byte(key))
		key = "faultd/sha256/" + hex.EncodeToString(sum[:])
	}
	return key
}

func (s *pagerDutySender) payload(m *message) *pagerDutyPayload {
	e := &m.Events[0]
	p := &pagerDutyPayload{
		Summary: sm.Clip(m.headline(), maxSummary), Source: e.Key(), Severity: "error", Timestamp: e.Time,
		Component: e.Kind, Class: e.Cause, Group: e.Tenant, Details: map[string]any{"event": e.ID, "shared": m.Shared},
	}
	if m.Count > 1 {
		p.Source, p.Timestamp = "faultd", m.First
		p.Details["count"], p.Details["first"], p.Details["last"] = m.Count, m.First, m.Last
		p.Details["samples"] = m.lines()
	} else {
		for name, text := range e.annotations() {
			p.Details[name] = text
		}
	}
	if m.Test {
		p.Severity = "info"
	}
	if m.Flapping {
		p.Details["flapping"] = true
	}
	return p
}

// headline says in one line what a message tells.
func (m *message) headline() string {
	var marks string
	switch {
	case m.Test:
		marks = "[test] "
	case m.Flapping:
		marks = "[flapping] "
	case m.Reminder:
		marks = "[still] "
	}
	if m.Count == 1 {
		return marks + m.Events[0].headline()
	}
	raised := m.raised()
	text := fmt.Sprintf("%d faults", raised)
	switch {
	case raised == 0:
		text = fmt.Sprintf("%d recovered", m.Count)
	case raised < m.Count:
		text += fmt.Sprintf(", %d recovered", m.Count-raised)
	}
	return marks + text + ", first: " + m.Events[0].headline()
}

// lines say in one line each what the samples are.
func (m *message) lines() []string {
	all := make([]string, len(m.Samples))
	for i := range m.Samples {
		all[i] = m.Samples[i].headline()
	}
	return all
}

// headline says in one line what an event tells.
func (e *Event) headline() string {
	what := e.Kind + " " + e.ResourceID
	if e.Name != "" && e.Name != e.ResourceID {
		what = e.Kind + " " + e.Name + " (" + e.ResourceID + ")"
	}
	what += " of tenant " + e.Tenant
	if !e.Raised {
		return what + " has left ERROR and is " + e.Status
	}
	if e.Action != "" {
		what += ": " + e.Action + " failed"
	}
	return fmt.Sprintf("%s: %d %s", what, e.Code, e.Message)
}
