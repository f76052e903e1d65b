package alert

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// alert is an alert as Alertmanager's API v2 takes it. The labels are its identity; no value is empty.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt,omitzero"` // zero: it is firing
}

// alertOf is the alert of the fault that an event tells of; a cleared one ends at the event's time. The alert of a
// resource as /v1 shows it is that of what [parseResource] makes of it.
//
// A cleared event may not tell all of the labels: whoever knows the alert that was firing sends that one with the end.
func alertOf(e *Event) alert {
	a := alert{Labels: map[string]string{"alertname": "ResourceError"}, Annotations: e.annotations(), StartsAt: e.FaultTime}
	for name, value := range map[string]string{
		"tenant": e.Tenant, "kind": e.Kind, "resource_id": e.ResourceID, "action": e.Action, "code": e.trait("code"), "cause": e.Cause,
	} {
		if value != "" {
			a.Labels[name] = value
		}
	}
	if a.StartsAt.IsZero() {
		a.StartsAt = e.Time
	}
	if !e.Raised {
		a.end(e.Time)
	}
	return a
}

// end ends an alert. Alertmanager refuses one that ends before it starts, and job events bear their producers' times.
func (a *alert) end(at time.Time) {
	if at.Before(a.StartsAt) {
		at = a.StartsAt
	}
	a.EndsAt = at
}

// annotations are an event's texts by name, without those that labels tell.
func (e *Event) annotations() map[string]string {
	all := map[string]string{"summary": e.headline()}
	for name, text := range map[string]string{
		"name": e.Name, "message": e.Message, "reason": e.Reason, "error_code": e.ErrorCode, "status": e.Status,
		"previous_status": e.Previous, "request_id": e.RequestID, "fingerprint": e.Fingerprint, "advice": e.Advice,
		"host_id": e.attribute("hostId"),
	} {
		if text != "" {
			all[name] = text
		}
	}
	return all
}

// maxAlerts is how many alerts may go in one request.
const maxAlerts = 500

// alertSender sends alerts to all instances of an Alertmanager: they do not tell each other of alerts.
type alertSender struct {
	hook   *Hook
	client *client

	mu      sync.Mutex
	failing []error // by instance: why it did not take what was last sent to it
}

func newAlertSender(h *Hook, c *client) *alertSender {
	return &alertSender{hook: h, client: c, failing: make([]error, len(h.URLs))}
}

func (s *alertSender) close() { s.client.close() }

// trouble is why single instances did not take what was last sent to them, or nil: the others may have it.
func (s *alertSender) trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.failing...)
}

// send sends the alerts of a message's events. A single event that is refused for good is an error; of several, those
// that are refused are dropped.
func (s *alertSender) send(ctx context.Context, m *message) error {
	alerts := make([]alert, 0, len(m.Events))
	for i := range m.Events {
		a := alertOf(&m.Events[i])
		if m.Flapping {
			a.Annotations["flapping"] = "true"
		}
		if m.Test {
			a.Labels["alertname"] = "FaultdTest"
			a.end(s.client.now().Add(time.Minute))
		}
		alerts = append(alerts, a)
	}
	for len(alerts) > 0 {
		n := min(len(alerts), maxAlerts)
		dropped, err := s.post(ctx, alerts[:n])
		if err != nil {
			return err
		}
		if len(dropped) > 0 && m.Count == 1 {
			return dropped[0].err
		}
		alerts = alerts[n:]
	}
	return nil
}

// droppedAlert is an alert that an Alertmanager refuses, and why.
type droppedAlert struct {
	alert alert
	err   error
}

// post sends at most maxAlerts alerts to all instances at once. They are delivered, and err is nil, when at least one
// instance has answered for each of them; what none of those that answered has taken is returned as dropped. What
// keeps single instances from taking anything is then told by trouble. An instance that answers 410 is in trouble;
// when all do, err is errGone.
func (s *alertSender) post(ctx context.Context, alerts []alert) (dropped []droppedAlert, err error) {
	refused := make([]map[int]error, len(s.hook.URLs))
	failing := make([]error, len(s.hook.URLs))
	var wait sync.WaitGroup
	for i, to := range s.hook.URLs {
		wait.Go(func() {
			refused[i] = map[int]error{}
			failing[i] = s.split(ctx, to, alerts, 0, refused[i])
		})
	}
	wait.Wait()
	s.mu.Lock()
	s.failing = failing
	s.mu.Unlock()
	var answered []map[int]error
	for i := range failing {
		if failing[i] == nil {
			answered = append(answered, refused[i])
		}
	}
	if len(answered) == 0 {
		return nil, allFailed(failing)
	}
	return refusedByAll(alerts, answered), nil
}

func refusedByAll(alerts []alert, answered []map[int]error) (dropped []droppedAlert) {
	for i := range alerts {
		taken := slices.ContainsFunc(answered, func(refused map[int]error) bool { return refused[i] == nil })
		if !taken {
			dropped = append(dropped, droppedAlert{alerts[i], answered[0][i]})
		}
	}
	return dropped
}

// allFailed is the error where no instance took anything: gone only if all are, refused only if none may yet take it,
// and not before the first of them may be asked again.
func allFailed(failing []error) error {
	texts := make([]string, len(failing))
	gone, refused, after, wait := true, true, maxLater, true
	for i, err := range failing {
		texts[i] = err.Error()
		isGone := errors.Is(err, errGone)
		gone, refused = gone && isGone, refused && (isGone || errors.Is(err, errRefused))
		var l *later
		if errors.As(err, &l) {
			after = min(after, l.After)
		} else {
			wait = false
		}
	}
	text := strings.Join(texts, "; ")
	switch {
	case gone:
		return &hiddenError{text: text, err: errGone}
	case refused:
		return &hiddenError{text: text, err: errRefused}
	case wait:
		return &later{After: after, err: errors.New(text)}
	default:
		return errors.New(text)
	}
}

// split sends alerts to one instance, and those of a batch that it answers with 400 again by halves, until each bad
// one stands alone: that one is refused, by its number counted from first. The good ones of a bad batch are in
// already; to send them again changes nothing.
func (s *alertSender) split(ctx context.Context, to string, alerts []alert, first int, refused map[int]error) error {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	err := s.client.post(ctx, to, header, encode(alerts))
	switch {
	case !badRequest(err):
		return err
	case len(alerts) == 1:
		refused[first] = fmt.Errorf("alert %s: %w", describe(&alerts[0]), err)
		return nil
	}
	half := len(alerts) / 2
	if err := s.split(ctx, to, alerts[:half], first, refused); err != nil {
		return err
	}
	return s.split(ctx, to, alerts[half:], first+half, refused)
}

func describe(a *alert) string {
	return strconv.Quote(a.Labels["tenant"] + "/" + a.Labels["kind"] + "/" + a.Labels["resource_id"])
}

// alertsPath is where an Alertmanager takes alerts.
const alertsPath = "/api/v2/alerts"
