package alert

import (
	"context"
	"fmt"
	"time"
)

// record is a message as the bucket keeps it, to be tried again or given up.
type record struct {
	Attempts int       `json:"attempts"`
	First    time.Time `json:"first,omitzero"` // when it was first tried
	Last     time.Time `json:"last,omitzero"`
	Next     time.Time `json:"next,omitzero"` // when it is to be tried again
	Error    string    `json:"error,omitempty"`

	// Stream and Sequences say which events of FAULTS it tells of: one that is handed out again need not be told again.
	Stream    int64    `json:"stream"` // when FAULTS was made, in nanoseconds since 1970
	Sequences []uint64 `json:"sequences"`

	Message keptMessage `json:"message"`
}

type keptMessage struct {
	ID       string            `json:"id"`
	First    time.Time         `json:"first"`
	Last     time.Time         `json:"last"`
	Group    map[string]string `json:"group,omitempty"`
	GroupKey string            `json:"group_key,omitempty"`
	Shared   map[string]string `json:"shared,omitempty"`
	Samples  int               `json:"samples"`
	Events   []keptEvent       `json:"events"`
	Flapping bool              `json:"flapping,omitempty"`
	Reminder bool              `json:"reminder,omitempty"`
	Settled  bool              `json:"settled,omitempty"`
}

// keptEvent is an event; only the samples have all of it.
type keptEvent struct {
	ID         string `json:"id"`
	Raised     bool   `json:"raised,omitempty"`
	Tenant     string `json:"tenant"`
	Kind       string `json:"kind"`
	ResourceID string `json:"resource"`

	Body     []byte `json:"body,omitempty"`
	Shown    []byte `json:"shown,omitempty"` // as /v1 shows the resource, where there is no body
	Previous string `json:"previous,omitempty"`
}

func keep(m *message) keptMessage {
	k := keptMessage{ID: m.ID, First: m.First, Last: m.Last, Group: m.Group, GroupKey: m.GroupKey, Shared: m.Shared,
		Samples: len(m.Samples), Flapping: m.Flapping, Reminder: m.Reminder, Settled: m.Settled}
	for i := range m.Events {
		e := &m.Events[i]
		one := keptEvent{ID: e.ID, Raised: e.Raised, Tenant: e.Tenant, Kind: e.Kind, ResourceID: e.ResourceID}
		if i < len(m.Samples) {
			one.Body, one.Shown, one.Previous = e.Body, e.resource, e.Previous
		}
		k.Events = append(k.Events, one)
	}
	return k
}

// message is the message that was kept.
func (k *keptMessage) message() (*message, error) {
	if len(k.Events) == 0 || k.Samples < 0 || k.Samples > len(k.Events) {
		return nil, fmt.Errorf("a message of %d events with %d samples", len(k.Events), k.Samples)
	}
	m := &message{ID: k.ID, Count: len(k.Events), First: k.First, Last: k.Last, Group: k.Group, GroupKey: k.GroupKey,
		Shared: k.Shared, Flapping: k.Flapping, Reminder: k.Reminder, Settled: k.Settled}
	for i := range k.Events {
		e, err := k.Events[i].event()
		if err != nil {
			return nil, err
		}
		m.Events = append(m.Events, e)
	}
	m.Samples = m.Events[:k.Samples]
	return m, nil
}

func (k *keptEvent) event() (e Event, err error) {
	switch {
	case k.Body != nil:
		e, err = ParseEvent(k.Body)
	case k.Shown != nil:
		e, err = parseResource(k.Shown)
		e.ID, e.Previous = k.ID, k.Previous
	default:
		e = Event{ID: k.ID, Raised: k.Raised, Tenant: k.Tenant, Kind: k.Kind, ResourceID: k.ResourceID}
	}
	return e, err
}

// lighten forgets of a group's events what the bucket does not keep either.
func (m *message) lighten() {
	events := make([]Event, len(m.Events))
	for i := range m.Events {
		e := &m.Events[i]
		if i < len(m.Samples) {
			events[i] = *e
			continue
		}
		events[i] = Event{ID: e.ID, Raised: e.Raised, Tenant: e.Tenant, Kind: e.Kind, ResourceID: e.ResourceID}
	}
	m.Events, m.Samples = events, events[:len(m.Samples)]
}

func tryKey(hook, id string) string  { return "try." + hook + "." + id }
func deadKey(hook, id string) string { return "dead." + hook + "." + id }

// records reads the records of a pattern, the oldest first. One that cannot be read is told.
func (b *bucket) records(ctx context.Context, pattern string, from uint64, limit int, bad func(key string, err error)) (all []*record, err error) {
	err = b.each(ctx, pattern, from, func(key string, value []byte, _ uint64) bool {
		r := new(record)
		if err := unpack(value, r); err != nil {
			bad(key, err)
			return true
		}
		all = append(all, r)
		return limit == 0 || len(all) < limit
	})
	return all, err
}
