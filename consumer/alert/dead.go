package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"faultd/statemachine"
)

// Dead is a message that was given up.
type Dead struct {
	ID       string // of the message: that of its event, or of the group
	Resource string // tenant/kind/id of its first event
	Raised   bool   // that event is a raised one
	Count    int    // of its events
	Attempts int
	First    time.Time // when it was first tried
	Last     time.Time
	Error    string // of the last attempt
	Event    []byte // what was to be sent, a CloudEvent in JSON; nil, and no resource: the record cannot be read
}

// find returns the hook of that name, or [ErrUnknownHook].
func (a *Alerter) find(name string) (*Hook, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.hooks {
		if a.hooks[i].Name == name {
			return &a.hooks[i], nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownHook, name)
}

// Dead is what was given up of a hook, the oldest first, at most limit, 0 for all: what follows the message of that id, or from
// the first for "". It returns [statemachine.ErrUnknownMarker] for one that is not there any more.
func (a *Alerter) Dead(ctx context.Context, name, after string, limit int) ([]Dead, error) {
	if _, err := a.find(name); err != nil {
		return nil, err
	}
	from, err := a.behind(ctx, name, after)
	if err != nil {
		return nil, err
	}
	all, err := a.buried(ctx, name, "*", from, limit)
	if err != nil {
		return nil, err
	}
	list := make([]Dead, len(all))
	for i, r := range all {
		list[i] = Dead{ID: r.Message.ID, Count: len(r.Message.Events), Attempts: r.Attempts, First: r.First, Last: r.Last, Error: r.Error}
		m, err := r.Message.message()
		if err != nil { // left out it would end a page too soon, and hide what follows
			a.log.Error().Err(err).Str("hook", name).Str("id", r.Message.ID).Msg("a message on the dead list cannot be read")
			continue
		}
		e := &m.Events[0]
		list[i].Resource, list[i].Raised, list[i].Event = e.Key(), e.Raised, m.cloudEvent()
	}
	return list, nil
}

// behind is the first revision after that of a message on the dead list, 0 for none.
func (a *Alerter) behind(ctx context.Context, name, id string) (uint64, error) {
	if id == "" {
		return 0, nil
	}
	l, err := a.linked()
	if err != nil || !isName(id) {
		return 0, cmp.Or(err, statemachine.ErrUnknownMarker)
	}
	value, revision, err := l.bucket.get(ctx, deadKey(name, id))
	if err == nil && value == nil {
		err = statemachine.ErrUnknownMarker
	}
	return revision + 1, err
}

// buried are the records of a hook's dead list from a revision on.
func (a *Alerter) buried(ctx context.Context, name, id string, from uint64, limit int) ([]*record, error) {
	l, err := a.linked()
	if err != nil {
		return nil, err
	}
	return l.bucket.records(ctx, deadKey(name, id), from, limit, func(key string, err error) {
		a.log.Error().Err(err).Str("key", key).Msg("a message on the dead list cannot be read")
	})
}

// ErrUnknownMessage is returned when no message of that id is on a hook's dead list.
var ErrUnknownMessage = errors.New("no such message on the dead list")

// Redeliver sends what is on the dead list once more, from this replica, at once and in order: the message of that id, or all
// if it is empty. What was delivered leaves the list; n is how many those are. What the receiver refuses stays, and with it what
// is newer of the same resources; at any other failure it stops. The error says why.
func (a *Alerter) Redeliver(ctx context.Context, name, id string) (n int, err error) {
	h, err := a.find(name)
	if err != nil {
		return 0, err
	}
	pattern := "*"
	if id != "" {
		if pattern = id; !isName(id) {
			return 0, fmt.Errorf("%w: %q", ErrUnknownMessage, id)
		}
	}
	all, err := a.buried(ctx, name, pattern, 0, 0)
	if err != nil {
		return 0, err
	}
	if id != "" && len(all) == 0 {
		return 0, fmt.Errorf("%w: %q", ErrUnknownMessage, id)
	}
	slices.SortStableFunc(all, func(a, b *record) int { return a.place().compare(b.place()) })
	s := newSender(h, a.cfg.Version)
	defer s.close()
	stay := map[string]bool{} // resources
	var errs []error
	for _, r := range all {
		m, err := r.Message.message()
		if err == nil && !slices.ContainsFunc(keysOf(m), func(key string) bool { return stay[key] }) {
			if err = a.revive(ctx, s, name, m); err == nil {
				n++
				continue
			}
		}
		if err == nil {
			continue // behind one that stays
		}
		if errs = append(errs, fmt.Errorf("message %s: %w", r.Message.ID, err)); !errors.Is(err, errRefused) || len(errs) == 10 {
			break
		}
		for _, key := range keysOf(m) {
			stay[key] = true
		}
	}
	return n, errors.Join(errs...)
}

// revive sends a message and takes it off the dead list. If the process ends between the two, it stays on the list.
func (a *Alerter) revive(ctx context.Context, s sender, name string, m *message) error {
	if err := s.send(ctx, m); err != nil {
		return err
	}
	a.metrics.count(name, delivered, 1)
	l, err := a.linked()
	if err != nil {
		return err
	}
	return l.bucket.remove(ctx, deadKey(name, m.ID))
}

// Test sends one synthetic message, marked as a test, from this replica, and returns what became of it.
func (a *Alerter) Test(ctx context.Context, name string) error {
	h, err := a.find(name)
	if err != nil {
		return err
	}
	s := newSender(h, a.cfg.Version)
	defer s.close()
	return s.send(ctx, newTestMessage(h, time.Now()))
}

// replayMark is the member of a durable consumer's metadata that says which replay it was made for.
const replayMark = "faultd-replay"

// Replay lets a hook have again what the stream of faults holds since then, with the same ids, and what it has not had yet. It
// returns how many events are read again; which of them the hook wants shows later. The hook's durable consumer is made anew for
// that, further back: if the process ends on the way, whoever sends makes it where it was.
func (a *Alerter) Replay(ctx context.Context, name string, since time.Time) (n int, err error) {
	if _, err := a.find(name); err != nil {
		return 0, err
	}
	l, err := a.linked()
	if err != nil {
		return 0, err
	}
	stream, err := l.js.Stream(ctx, faultsStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("looking for stream %s: %w", faultsStream, err)
	}
	first, err := firstSince(ctx, stream, since)
	if err != nil {
		return 0, err
	}
	for tries := 3; ; tries-- {
		n, err = rewind(ctx, stream, name, first, a.cfg.pace)
		if tries == 0 || !errors.Is(err, jetstream.ErrConsumerExists) {
			return n, err
		}
	}
}

// firstSince is the sequence of the first event that the stream took then or later.
func firstSince(ctx context.Context, stream jetstream.Stream, since time.Time) (uint64, error) {
	look, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: time.Minute,
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since, MemoryStorage: true})
	if err != nil {
		return 0, fmt.Errorf("looking for events since %s: %w", since.Format(time.RFC3339), err)
	}
	info := look.CachedInfo()
	_ = stream.DeleteConsumer(ctx, info.Name)
	return info.Delivered.Stream + 1, nil
}

// rewind makes the durable consumer begin there, or earlier where events before that are not settled.
func rewind(ctx context.Context, stream jetstream.Stream, name string, first uint64, p *pace) (int, error) {
	consumer, err := stream.Consumer(ctx, durable(name))
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
	case err != nil:
		return 0, fmt.Errorf("looking for consumer %s: %w", durable(name), err)
	default:
		first = min(first, consumer.CachedInfo().AckFloor.Stream+1)
		if err := stream.DeleteConsumer(ctx, durable(name)); err != nil {
			return 0, fmt.Errorf("making consumer %s anew: %w", durable(name), err)
		}
	}
	cfg := consumerConfig(name, p)
	cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, max(first, 1)
	cfg.Metadata = map[string]string{replayMark: nuid.Next()}
	if consumer, err = stream.CreateConsumer(ctx, cfg); err != nil {
		return 0, fmt.Errorf("making consumer %s anew: %w", durable(name), err)
	}
	return int(consumer.CachedInfo().NumPending), nil
}
