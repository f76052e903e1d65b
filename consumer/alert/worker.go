package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// worker works for one hook, as long as the hook stands in the file as it is.
type worker struct {
	a      *Alerter
	hook   *Hook
	link   *link
	log    zerolog.Logger
	sender sender
	level  *level // nil for all but Alertmanager

	cancel context.CancelFunc
	done   chan struct{} // closed when run has returned

	dead atomic.Int64 // messages on the dead list, as far as is known

	mu   sync.Mutex
	seen Status // Targets and what the server knows left out
}

func (a *Alerter) newWorker(h *Hook, l *link) *worker {
	w := &worker{a: a, hook: h, link: l, log: a.log.With().Str("hook", h.Name).Logger(),
		sender: newSender(h, a.cfg.Version), done: make(chan struct{}), seen: Status{State: Waiting, Reason: "it has just begun"}}
	if s, is := w.sender.(*alertSender); is {
		w.level = newLevel(s, a.cfg.pace)
	}
	return w
}

func (w *worker) bucket() *bucket { return w.link.bucket }

// run works until the context ends. Nothing that goes wrong ends it.
func (w *worker) run(ctx context.Context) {
	defer close(w.done)
	defer w.sender.close()
	for ctx.Err() == nil {
		err := w.tenure(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errLost) {
			w.log.Warn().Msg("another replica sends now")
		} else if err != nil {
			w.waiting(err)
		}
		pause(ctx, w.a.cfg.pace.look)
	}
}

// tenure takes the lease, and works until it is lost or the context ends.
func (w *worker) tenure(ctx context.Context) error {
	switch off, err := w.disabled(ctx); {
	case err != nil:
		return err
	case off != nil:
		w.set(func(s *Status) { s.State, s.Holder, s.Reason = Disabled, "", off.Why })
		return nil
	}
	l := &lease{bucket: w.bucket(), pace: w.a.cfg.pace, key: "lease." + w.hook.Name, me: owner{ID: w.a.id, Replica: w.a.cfg.Replica}}
	if err := l.acquire(ctx, w.elsewhere); err != nil {
		return err
	}
	defer l.release(context.WithoutCancel(ctx))
	if off, err := w.disabled(ctx); err != nil || off != nil { // whoever had the lease may have found out
		return err
	}
	w.log.Info().Msg("this replica sends")
	w.set(func(s *Status) { s.State, s.Holder, s.Reason = Active, w.a.cfg.Replica, "" })
	return w.serve(ctx, l)
}

// serve works while the lease is held. Requests that are under way when the context ends may go on for a while, the lease being
// kept; those that are under way when the lease is lost are ended.
func (w *worker) serve(ctx context.Context, l *lease) (err error) {
	work, endWork := context.WithCancelCause(context.WithoutCancel(ctx))
	ctx, end := context.WithCancelCause(ctx)
	var others sync.WaitGroup
	defer others.Wait()
	defer w.set(func(s *Status) { s.Pending, s.Retrying = 0, 0 })
	defer endWork(nil)
	defer end(nil)
	others.Go(func() {
		if err := l.keep(work); err != nil {
			endWork(err)
			end(err)
		}
	})
	f := &feed{link: w.link, hook: w.hook.Name, pace: w.a.cfg.pace, log: w.log, out: make(chan handout)}
	d := newDesk(w, l, f)
	d.gone = func(why error) { w.disable(work, why); end(errGone) }
	if err := d.restore(ctx); err != nil {
		return err
	}
	reminders := make(chan *item)
	others.Go(func() { f.run(ctx, w.reading) })
	others.Go(func() { w.walk(ctx, reminders) })
	others.Go(func() { w.tellOthers(ctx) })
	found := make(chan []*record)
	others.Go(func() { w.seekStrays(ctx, found) })
	context.AfterFunc(ctx, func() {
		pause(work, w.a.cfg.pace.grace)
		endWork(ctx.Err())
	})
	d.run(ctx, work, reminders, found)
	if errors.Is(context.Cause(ctx), errGone) {
		return nil
	}
	return context.Cause(ctx)
}

// sendOne sends a message.
func (w *worker) sendOne(ctx context.Context, m *message) error {
	if w.level != nil {
		return w.level.send(ctx, m)
	}
	return w.sender.send(ctx, m)
}

// off says why a hook is disabled, and with which entry in the file.
type off struct {
	Digest string    `json:"digest"`
	Why    string    `json:"why"`
	Since  time.Time `json:"since"`
}

func disabledKey(hook string) string { return "disabled." + hook }

// disabled is why the hook is disabled, nil if it is not. Another entry than the one that was given up is tried anew.
func (w *worker) disabled(ctx context.Context) (*off, error) {
	value, _, err := w.bucket().get(ctx, disabledKey(w.hook.Name))
	if err != nil || value == nil {
		return nil, err
	}
	var o off
	if err := json.Unmarshal(value, &o); err != nil || o.Digest != w.hook.Digest {
		return nil, w.bucket().remove(ctx, disabledKey(w.hook.Name))
	}
	return &o, nil
}

func (w *worker) disable(ctx context.Context, why error) {
	text := fmt.Sprintf("%v; what is told meanwhile is kept in the stream; change the hook's entry and send SIGHUP to have it sent", why)
	w.log.Error().Msg("the hook is disabled: " + text)
	value, err := json.Marshal(off{Digest: w.hook.Digest, Why: text, Since: time.Now()})
	if err == nil {
		err = w.bucket().put(ctx, disabledKey(w.hook.Name), value)
	}
	if err != nil {
		w.log.Warn().Err(err).Msg("that the hook is disabled is not known to the other replicas")
	}
	w.set(func(s *Status) { s.State, s.Holder, s.Reason = Disabled, "", text })
}

func (w *worker) set(change func(*Status)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.seen)
}

func (w *worker) status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

func (w *worker) waiting(err error) {
	w.set(func(s *Status) {
		if s.Reason != err.Error() {
			w.log.Warn().Err(err).Msg("the hook waits")
		}
		s.State, s.Holder, s.Reason = Waiting, "", err.Error()
	})
}

func (w *worker) elsewhere(holder string, err error) {
	if err != nil {
		w.waiting(err)
		return
	}
	w.set(func(s *Status) { s.State, s.Holder, s.Reason = Elsewhere, holder, "" })
}

// reading notes why events cannot be read, nil for that they can.
func (w *worker) reading(err error) {
	w.set(func(s *Status) {
		reason := ""
		if err != nil {
			reason = err.Error()
		}
		if s.Reason != reason && err != nil {
			w.log.Warn().Err(err).Msg("events cannot be read; it is tried again until they can")
		}
		s.Reason = reason
	})
}

// note counts what became of an attempt.
func (w *worker) note(o outcome) {
	if o.result == unsent {
		return
	}
	w.a.metrics.count(w.hook.Name, o.result, 1)
	switch {
	case o.result == delivered:
		w.taken()
		w.set(func(s *Status) { s.Delivered++ })
	case o.err != nil:
		w.set(func(s *Status) { s.LastFailure, s.LastError = time.Now(), o.err.Error() })
	}
	switch o.result {
	case dead:
		w.log.Error().Err(o.err).Str("id", o.v.m.ID).Int("events", o.v.m.Count).Msg("a message was given up; it is on the dead list")
	case retried, refused:
		w.log.Warn().Err(o.err).Str("id", o.v.m.ID).Int("attempts", o.v.rec.Attempts).Time("next", o.v.rec.Next).Msg("a message was not delivered")
	}
}

// taken notes that the receiver has taken something, and, of several Alertmanagers, what keeps single ones from it.
func (w *worker) taken() {
	now, trouble := time.Now(), error(nil)
	if w.level != nil {
		trouble = w.level.sender.trouble()
	}
	w.set(func(s *Status) {
		s.LastSuccess = now
		if trouble == nil {
			return
		}
		if s.LastError != trouble.Error() {
			w.log.Warn().Err(trouble).Msg("one Alertmanager of several could not be told")
		}
		s.LastFailure, s.LastError = now, trouble.Error()
	})
}

func (w *worker) suppress(events int) {
	w.a.metrics.count(w.hook.Name, suppressedEvent, events)
	w.set(func(s *Status) { s.Suppressed += uint64(events) })
}

func (w *worker) badRecord(key string, err error) {
	w.log.Error().Err(err).Str("key", key).Str("bucket", Bucket).Msg("a message in the bucket cannot be read and is left out")
}

// tell says how much lies on the desk.
func (d *desk) tell() {
	w := d.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.Pending, w.seen.Retrying = uint64(len(d.items)), uint64(d.owed)
}
