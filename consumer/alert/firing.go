package alert

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// level tells an Alertmanager what is so, again and again: it forgets its alerts when it is started anew, and takes one that it
// does not hear of for over. Events only make that happen at once.
type level struct {
	sender *alertSender
	pace   *pace

	mu     sync.Mutex
	firing map[string]alert // by resource: what was last told to be firing
	ended  map[string]ending
}

// ending is an alert that is over.
type ending struct {
	alert alert
	until time.Time // when it is not told any more
}

func newLevel(s *alertSender, p *pace) *level {
	return &level{sender: s, pace: p, firing: map[string]alert{}, ended: map[string]ending{}}
}

// send tells of a message's events now, and keeps in mind what they change.
func (l *level) send(ctx context.Context, m *message) error {
	if m.Test {
		return l.sender.send(ctx, m)
	}
	var before []alert
	l.mu.Lock()
	for i := range m.Events {
		before = append(before, l.change(&m.Events[i])...)
	}
	l.mu.Unlock()
	if len(before) > 0 {
		if _, err := l.sender.post(ctx, before); err != nil {
			return err
		}
	}
	return l.sender.send(ctx, m)
}

// change notes what an event changes. It returns alerts of the resource that are over although the event does not say so: a new
// fault may be another alert, since its code and cause are labels.
func (l *level) change(e *Event) (over []alert) {
	key, now := e.Key(), alertOf(e)
	was, fired := l.firing[key]
	if fired && !maps.Equal(was.Labels, now.Labels) {
		was.end(e.Time)
		over = append(over, was)
		l.ended[endKey(key, &was)] = ending{was, time.Now().Add(l.pace.resolved)}
	}
	if e.Raised {
		l.firing[key] = now
		delete(l.ended, endKey(key, &now))
		return over
	}
	delete(l.firing, key)
	l.ended[endKey(key, &now)] = ending{now, time.Now().Add(l.pace.resolved)}
	return over
}

// endKey tells the alerts of a resource apart.
func endKey(key string, a *alert) string {
	return key + "/" + a.Labels["action"] + "/" + a.Labels["code"] + "/" + a.Labels["cause"]
}

// over are the alerts that ended not long ago.
func (l *level) over(now time.Time) (all []alert) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, e := range l.ended {
		if now.After(e.until) {
			delete(l.ended, key)
			continue
		}
		all = append(all, e.alert)
	}
	return all
}

// add notes what the store holds, but for what has ended since the store was read.
func (l *level) add(page []Event) (all []alert) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range page {
		key, a := page[i].Key(), alertOf(&page[i])
		if e, is := l.ended[endKey(key, &a)]; is && !e.alert.EndsAt.Before(a.StartsAt) {
			continue
		}
		l.firing[key] = a
		all = append(all, a)
	}
	return all
}

// fire tells of all that the store holds and the hook wants, and of what is over.
func (w *worker) fire(ctx context.Context) error {
	post := func(all []alert) error {
		for part := range slices.Chunk(all, maxAlerts) {
			dropped, err := w.level.sender.post(ctx, part)
			if err != nil {
				return err
			}
			w.taken()
			for i := range dropped {
				w.log.Error().Err(dropped[i].err).Msg("Alertmanager refuses an alert, which is left out")
				w.a.metrics.count(w.hook.Name, refused, 1)
			}
		}
		return nil
	}
	err := w.inError(ctx, func(page []Event) error { return post(w.level.add(page)) })
	if err == nil {
		err = post(w.level.over(time.Now()))
	}
	return err
}
