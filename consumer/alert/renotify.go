package alert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"faultd/statemachine"
)

// storePage is how many resources are asked of the store at a time.
const storePage = 1000

// walk does what goes by the store and not by events: what is firing, and what is to be told again.
func (w *worker) walk(ctx context.Context, reminders chan<- *item) {
	p := w.a.cfg.pace
	every, since := p.remind, time.Now()
	if w.level != nil {
		every = p.firing
	} else if w.hook.RenotifyAfter == 0 {
		return
	}
	if w.a.cfg.Store == nil {
		return
	}
	for {
		if w.a.cfg.Current() {
			now := time.Now()
			var err error
			if w.level != nil {
				err = w.fire(ctx)
			} else if err = w.remind(ctx, since, now, reminders); err == nil {
				since = now
			}
			if err != nil && ctx.Err() == nil {
				w.set(func(s *Status) { s.LastFailure, s.LastError = now, err.Error() })
				w.log.Warn().Err(err).Msg("what stays in ERROR could not be told again")
			}
		}
		if pause(ctx, every); ctx.Err() != nil {
			return
		}
	}
}

// inError goes through the events of what is in ERROR now and the hook wants, page by page.
func (w *worker) inError(ctx context.Context, see func([]Event) error) error {
	var marker *statemachine.Key
	for ctx.Err() == nil {
		page, err := w.a.cfg.Store.Faults("", marker, storePage)
		if errors.Is(err, statemachine.ErrUnknownMarker) {
			return nil // the rest comes next time
		}
		if err != nil || len(page) == 0 {
			return err
		}
		var events []Event
		for i := range page {
			e, err := parseResource(w.a.cfg.Render(&page[i]))
			if err == nil && w.hook.Match.Wants(&e) {
				events = append(events, e)
			}
		}
		if err := see(events); err != nil {
			return err
		}
		if len(page) < storePage {
			return nil
		}
		key := page[len(page)-1].Key
		marker = &key
	}
	return ctx.Err()
}

// remind tells again of what has been in ERROR for a whole number of times renotify_after, where that was reached within
// the time since the last look. A replica that takes over goes on from then: what fell into the change is told one period later.
func (w *worker) remind(ctx context.Context, since, now time.Time, reminders chan<- *item) error {
	return w.inError(ctx, func(page []Event) error {
		for i := range page {
			e := page[i]
			n := dueAgain(e.FaultTime, w.hook.RenotifyAfter, since, now)
			if n == 0 {
				continue
			}
			e.ID, e.Previous = reminderID(&e, n), "ERROR"
			select {
			case reminders <- &item{ev: e, reminder: true, stored: now}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
}

// dueAgain is which repetition came due after since and not after now; 0 for none.
func dueAgain(raised time.Time, every time.Duration, since, now time.Time) int64 {
	n := int64(now.Sub(raised) / every)
	if n < 1 || !raised.Add(time.Duration(n)*every).After(since) {
		return 0
	}
	return n
}

// reminderID is equal whoever reminds.
func reminderID(e *Event, n int64) string {
	sum := sha256.Sum256([]byte("reminder\x00" + e.Key() + "\x00" + e.FaultTime.Format(time.RFC3339Nano) + "\x00" + strconv.FormatInt(n, 10)))
	return hex.EncodeToString(sum[:16])
}

// settledGroup tells whether nothing is in ERROR any more of the group that a message tells of.
func (w *worker) settledGroup(m *message) (bool, error) {
	last := map[string]bool{} // by resource: whether it is in ERROR after the message
	for i := range m.Events {
		last[m.Events[i].Key()] = m.Events[i].Raised
	}
	for _, raised := range last {
		if raised {
			return false, nil
		}
	}
	if w.a.cfg.Store == nil {
		return true, nil
	}
	if !w.a.cfg.Current() {
		return false, errBehind
	}
	settled := true
	err := w.inError(context.Background(), func(page []Event) error {
		for i := range page {
			if _, ours := last[page[i].Key()]; !ours && w.hook.GroupKey(&page[i]) == m.GroupKey {
				settled = false
			}
		}
		return nil
	})
	return settled, err
}

// errBehind is returned while the store cannot say what is in ERROR.
var errBehind = errors.New("the store has not caught up with the job stream")
