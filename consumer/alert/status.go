package alert

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// State is what a hook is doing, as seen from this replica.
type State string

// The states.
const (
	Active    State = "active"    // this replica sends
	Elsewhere State = "elsewhere" // another replica sends, see Status.Holder
	Waiting   State = "waiting"   // nobody sends at this moment, see Status.Reason
	Disabled  State = "disabled"  // the receiver said that it is gone for good (410), until the hook's entry in the file changes
)

// Status is what is known of a hook. Times are zero and texts empty where there is nothing to tell. What was sent is known to
// the replica that sends, and to the others about five seconds later.
type Status struct {
	Name        string
	Kind        Kind
	State       State
	Holder      string   // the replica that sends
	Reason      string   // why nobody does, or why an active one reads nothing
	Targets     []string // where to, without what is secret
	LastSuccess time.Time
	LastFailure time.Time
	LastError   string // of the newest request that failed
	Pending     uint64 // events of the stream that are not sent, dropped or kept for another try yet
	Retrying    uint64 // messages that are kept for another try
	Dead        uint64 // messages on the dead list
	Delivered   uint64 // messages that were delivered, since the replica that sends began to; like the next
	Suppressed  uint64 // events that were dropped since the resource left ERROR within min_error_for
}

// local is what this replica knows by itself, by the hooks' names.
func (a *Alerter) local() map[string]Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[string]Status{}
	for name, w := range a.workers {
		all[name] = w.status()
	}
	return all
}

// Status is what is known of each hook, in the file's order. An error says that the server could not be asked; what is known
// without it is returned then too.
func (a *Alerter) Status(ctx context.Context) ([]Status, error) {
	a.mu.Lock()
	hooks := a.hooks
	a.mu.Unlock()
	local := a.local()
	l, err := a.linked()
	all := make([]Status, 0, len(hooks))
	for i := range hooks {
		h := &hooks[i]
		s, known := local[h.Name]
		if !known {
			s = Status{State: Waiting, Reason: "it has not begun"}
		}
		s.Name, s.Kind, s.Targets = h.Name, h.Kind, h.Targets()
		if err == nil {
			err = a.ask(ctx, l, &s)
		}
		all = append(all, s)
	}
	return all, err
}

// ask completes a status with what the server knows.
func (a *Alerter) ask(ctx context.Context, l *link, s *Status) (err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if s.State != Active {
		if err := adopt(ctx, l.bucket, s); err != nil {
			return err
		}
	}
	if s.Retrying, err = l.bucket.count(ctx, tryKey(s.Name, "*")); err != nil {
		return err
	}
	if s.Dead, err = l.bucket.count(ctx, deadKey(s.Name, "*")); err != nil {
		return err
	}
	consumer, err := l.js.Consumer(ctx, faultsStream, durable(s.Name))
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil // there is nothing to be told yet
	}
	if err == nil {
		info := consumer.CachedInfo()
		s.Pending = info.NumPending + uint64(info.NumAckPending)
	}
	return err
}

func seenKey(hook string) string { return "seen." + hook }

// seen is what the replica that sends tells the others.
type seen struct {
	Replica                  string
	LastSuccess, LastFailure time.Time
	LastError                string
	Delivered, Suppressed    uint64
}

// adopt takes over what the replica that sends has told.
func adopt(ctx context.Context, b *bucket, s *Status) error {
	value, _, err := b.get(ctx, seenKey(s.Name))
	if err != nil || value == nil {
		return err
	}
	var told seen
	if json.Unmarshal(value, &told) == nil {
		s.LastSuccess, s.LastFailure, s.LastError = told.LastSuccess, told.LastFailure, told.LastError
		s.Delivered, s.Suppressed = told.Delivered, told.Suppressed
	}
	return nil
}

// tellOthers tells the other replicas what was sent, until the context ends.
func (w *worker) tellOthers(ctx context.Context) {
	var last seen
	for ctx.Err() == nil {
		if told, err := w.publish(ctx, last); err == nil { // else it is tried with what there is then
			last = told
		}
		pause(ctx, w.a.cfg.pace.report)
	}
}

// publish tells the other replicas what was sent, where there is news.
func (w *worker) publish(ctx context.Context, before seen) (seen, error) {
	s := w.status()
	now := seen{Replica: w.a.cfg.Replica, LastSuccess: s.LastSuccess, LastFailure: s.LastFailure, LastError: s.LastError,
		Delivered: s.Delivered, Suppressed: s.Suppressed}
	if now == before {
		return now, nil
	}
	value, err := json.Marshal(now)
	if err == nil {
		err = w.bucket().put(ctx, seenKey(w.hook.Name), value)
	}
	return now, err
}
