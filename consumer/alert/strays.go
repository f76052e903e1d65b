package alert

import "context"

// seekStrays looks for messages in the bucket again and again, until the context ends: one that a replica wrote just as it lost
// the lease may not have been there when the next one looked.
func (w *worker) seekStrays(ctx context.Context, found chan<- []*record) {
	for {
		if pause(ctx, w.a.cfg.pace.strays); ctx.Err() != nil {
			return
		}
		all, err := w.bucket().records(ctx, tryKey(w.hook.Name, "*"), 0, 0, w.badRecord)
		if err != nil {
			continue // whoever needs the bucket more tells of it
		}
		select {
		case found <- all:
		case <-ctx.Done():
			return
		}
	}
}

// adopt takes up messages that the bucket has and the desk does not know. One that is seen for the first time may have been delivered
// since the bucket was read: it has to be there the next time too.
func (d *desk) adopt(all []*record) {
	before := d.unknown
	d.unknown = map[string]bool{}
	for _, r := range all {
		id := r.Message.ID
		if d.messages[id] != nil || d.leaving[id] {
			continue
		}
		if !before[id] {
			d.unknown[id] = true
			continue
		}
		d.log.Warn().Str("id", id).Msg("a message that was left behind is taken up")
		d.takeUp(r)
	}
}

// limitDead keeps the dead list from growing without end: beyond its limit the oldest message is forgotten.
func (w *worker) limitDead(ctx context.Context) {
	pattern := deadKey(w.hook.Name, "*")
	if w.dead.Add(1) <= int64(w.a.cfg.pace.dead) {
		return
	}
	n, err := w.bucket().count(ctx, pattern) // others may have taken some off
	if err != nil {
		return
	}
	if w.dead.Store(int64(n)); n <= uint64(w.a.cfg.pace.dead) {
		return
	}
	var oldest string
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	err = w.bucket().each(within, pattern, 0, func(key string, _ []byte, _ uint64) bool {
		oldest = key
		return false
	})
	if err == nil && oldest != "" && w.bucket().remove(ctx, oldest) == nil {
		w.log.Error().Str("key", oldest).Msg("the dead list is full; its oldest message is forgotten")
		w.a.metrics.count(w.hook.Name, forgotten, 1)
		w.dead.Add(-1)
	}
}
