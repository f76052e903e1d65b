package consumer

import (
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"faultd/statemachine"
)

// Watched is the store as the watchdog sees it. Both methods may be called while a batch is applied.
type Watched interface {
	// Pending returns the jobs that are to be watched and were not returned before.
	Pending() []statemachine.Pending
	// Look returns what such a job is now, or false if it has ended or no longer matters.
	Look(statemachine.Pending) (statemachine.Pending, bool, error)
}

// watchdog proposes the end of jobs that have been silent for too long. It decides nothing: what it publishes is an
// event like any other, and counts only if nothing was heard of the job meanwhile. It is the one place where the
// process's clock has a say. Its due times are in memory; after a restart the store tells which jobs are pending.
// Only the goroutine that calls run uses it.
type watchdog struct {
	jobs      Watched
	deadlines *Deadlines
	now       func() time.Time
	log       zerolog.Logger
	publish   func(ctx context.Context, m *nats.Msg) error
	base      func() uint64 // of the present epoch, see [statemachine.Position]
	due       dueTimes
}

const (
	watchEvery = time.Second
	// A proposal that has not come back through the stream by then is made again.
	proposeAgain = time.Minute
	// How many proposals one round makes at most, so that an outage of the producers is no burst.
	maxProposals = 1000
)

// startWatchdog lets the configured jobs be watched until the context ends or the returned function is called, which
// waits for the end.
func (c *Consumer) startWatchdog(ctx context.Context, conn *connection) (stop func(), err error) {
	if c.cfg.Watched == nil {
		return func() {}, nil
	}
	js, err := jetstream.New(conn.Conn, jetstream.WithDefaultTimeout(answerWithin))
	if err != nil {
		return nil, err
	}
	w := &watchdog{jobs: c.cfg.Watched, deadlines: &c.cfg.Deadlines, now: c.cfg.Now, log: c.log,
		base: func() uint64 { return c.store.Position().Base },
		publish: func(ctx context.Context, m *nats.Msg) error {
			_, err := js.PublishMsg(ctx, m, jetstream.WithExpectStream(c.cfg.Stream))
			return err
		}}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.run(ctx, func() bool { return c.Status().State == Ready })
	}()
	return func() { cancel(); <-ended }, nil
}

// run watches until the context ends, and rests while the store is behind the stream: what it would take for silence
// may be waiting there.
func (w *watchdog) run(ctx context.Context, ready func() bool) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if ready() {
			w.round(ctx)
		}
	}
}

// round takes up the jobs that are new and proposes the end of those that are due.
func (w *watchdog) round(ctx context.Context) {
	for _, p := range w.jobs.Pending() {
		w.watch(p, w.deadlines.due(&p))
	}
	now := w.now()
	for range maxProposals {
		if len(w.due) == 0 || w.due[0].at.After(now) {
			return
		}
		p := heap.Pop(&w.due).(dueTime).job
		if err := w.judge(ctx, p, now); err != nil {
			w.log.Warn().Err(err).Str("job", p.Job).Msg("a silent job could not be ended; it is tried again")
			w.watch(p, now.Add(5*watchEvery))
			return
		}
	}
}

// judge looks at a job whose time has come: it may have ended or moved on since.
func (w *watchdog) judge(ctx context.Context, p statemachine.Pending, now time.Time) error {
	is, pending, err := w.jobs.Look(p)
	if err != nil || !pending {
		return err
	}
	if due := w.deadlines.due(&is); due.IsZero() || due.After(now) {
		w.watch(is, due)
		return nil
	}
	m, err := proposal(&is, w.base(), w.deadlines.after(&is), now)
	if err != nil {
		return err
	}
	if err := w.publish(ctx, m); err != nil {
		return fmt.Errorf("publishing that job %s of %s %s timed out: %w", is.Job, is.Kind, is.ID, err)
	}
	w.log.Info().Str("kind", is.Kind.String()).Str("id", is.ID).Str("job", is.Job).Stringer("action", is.Action).
		Dur("silent", now.Sub(is.Heard.Std())).Msg("a silent job was proposed as failed")
	w.watch(is, now.Add(proposeAgain))
	return nil
}

func (w *watchdog) watch(p statemachine.Pending, at time.Time) {
	if !at.IsZero() {
		heap.Push(&w.due, dueTime{at, p})
	}
}

// proposal is the message that says that a job failed by silence. Its id is a function of the job and the last event
// that it had, so that replicas, and this one once more, propose it once.
func proposal(p *statemachine.Pending, base uint64, after time.Duration, now time.Time) (*nats.Msg, error) {
	last := inStream(p.LastSeq, base)
	h := fnv.New128a()
	for _, part := range []string{p.Tenant, p.Kind.String(), p.ID, p.Job, p.Action.String(), strconv.FormatUint(last, 10)} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	id := fmt.Sprintf("deadline-%x", h.Sum(nil))
	fault := map[string]any{"code": 504, "reason": "TIMED_OUT", "message": fmt.Sprintf("Nothing was heard of the %s for %s", p.Action, after)}
	if p.Fault != nil {
		fault["code"], fault["message"], fault["details"] = p.Fault.Code, p.Fault.Message, p.Fault.Details
		if p.Fault.ErrorCode != "" {
			fault["error_code"] = p.Fault.ErrorCode
		}
	}
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "type": "io.faultd.v1.job.failed", "source": "faultd", "id": id, "time": now.UTC().Format(time.RFC3339Nano),
		"data": map[string]any{
			"job":      map[string]any{"id": p.Job, "action": p.Action.String()},
			"resource": map[string]any{"kind": p.Kind.String(), "id": p.ID, "tenant_id": p.Tenant},
			"fault":    fault,
			"deadline": map[string]any{"after": last},
		},
	})
	if err != nil {
		return nil, errors.Join(errors.New("writing a deadline's event"), err)
	}
	m := nats.NewMsg(fmt.Sprintf("jobs.%s.%s.%s.failed", p.Tenant, p.Kind, p.ID))
	m.Header.Set(jetstream.MsgIDHeader, "faultd/"+id)
	m.Data = body
	return m, nil
}

// ofStore marks the number of an event that is not in the stream any more, since it is of an earlier epoch: only stores that
// have been through the same epochs know it by that.
const ofStore = 1 << 63

// inStream is the number of an event by which all who read the stream know it, whatever they count on over epochs.
func inStream(ordinal, base uint64) uint64 {
	if ordinal > base {
		return ordinal - base
	}
	return ordinal | ofStore
}

// inStore undoes what inStream did.
func inStore(number, base uint64) uint64 {
	if number&ofStore != 0 {
		return number &^ ofStore
	}
	return number + base
}

// dueTime is when a job is looked at next.
type dueTime struct {
	at  time.Time
	job statemachine.Pending
}

// dueTimes is a heap, the earliest first.
type dueTimes []dueTime

func (d dueTimes) Len() int           { return len(d) }
func (d dueTimes) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d dueTimes) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *dueTimes) Push(x any)        { *d = append(*d, x.(dueTime)) }
func (d *dueTimes) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}
