package alert

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// outcome is what became of an attempt.
type outcome struct {
	v       *delivery
	result  result
	err     error // why it failed
	after   time.Time
	removed bool // what the bucket had of it is gone
}

// result is what an attempt came to.
type result string

const (
	delivered  result = "delivered"
	retried    result = "retried"    // it failed, and is tried again
	refused    result = "refused"    // the receiver refused the message itself; it is tried again all the same
	dead       result = "dead"       // it failed for the last time
	gone       result = "gone"       // the receiver wants nothing more
	superseded result = "superseded" // it failed, and something newer tells the same receiver what counts
	unsent     result = "unsent"     // it did not come to an attempt: the lease was lost, or the bucket took nothing
)

// send starts requests.
func (d *desk) send(ctx, work context.Context) {
	for ctx.Err() == nil && !d.ended && len(d.ready) > 0 && d.flying < maxRequests && !time.Now().Before(d.quiet) {
		v := d.ready[0]
		d.ready[0] = nil
		d.ready = d.ready[1:]
		d.flying++
		go func() {
			o := d.attempt(work, v)
			d.outcomes <- o
		}()
	}
}

// attempt sends a message once and keeps what follows from that. It runs beside the desk, which does not touch the delivery until
// the outcome comes.
//
// If the process ends before the request, the message is sent by whoever takes over; if it ends after the request, it is sent
// again with the same id. That holds for groups because the bucket knows which events a message tells of before it is first sent.
func (d *desk) attempt(ctx context.Context, v *delivery) outcome {
	step := d.w.a.cfg.Step
	if len(d.hook.GroupBy) > 0 && !v.kept {
		if d.hook.Kind == PagerDuty {
			settled, err := d.w.settledGroup(v.m)
			if err != nil {
				return outcome{v: v, result: unsent, err: err}
			}
			v.m.Settled = settled
		}
		if err := d.keep(ctx, v); err != nil {
			return outcome{v: v, result: unsent, err: err}
		}
		step("hook kept")
	}
	if !d.lease.held() {
		return outcome{v: v, result: unsent, err: errLost}
	}
	err := d.w.sendOne(ctx, v.m)
	switch {
	case err == nil:
		step("hook sent")
		return d.done(ctx, v)
	case ctx.Err() != nil:
		return outcome{v: v, result: unsent, err: ctx.Err()}
	case errors.Is(err, errGone):
		return outcome{v: v, result: gone, err: err}
	default:
		return d.failed(ctx, v, err)
	}
}

// done settles a message that was delivered. The bucket keeps a group a little longer: a server that is killed may have forgotten the
// newest acknowledgements, and the group's events must not come in another one.
func (d *desk) done(ctx context.Context, v *delivery) outcome {
	o := outcome{v: v, result: delivered, removed: true}
	switch {
	case v.kept && len(d.hook.GroupBy) > 0:
		o.removed = false
	case v.kept:
		o.removed = d.w.bucket().remove(ctx, tryKey(d.hook.Name, v.m.ID)) == nil
	}
	for _, it := range v.items {
		if it.msg != nil {
			_ = it.msg.Ack()
		}
	}
	d.w.a.cfg.Step("hook settled")
	return o
}

// failed keeps a message for its next attempt, or puts it on the dead list. What the bucket does not take stays with FAULTS, and
// the attempt may be forgotten.
func (d *desk) failed(ctx context.Context, v *delivery, why error) outcome {
	now := time.Now()
	r := &v.rec
	if r.Attempts++; r.First.IsZero() {
		r.First = now
	}
	r.Last, r.Error = now, why.Error()
	o := outcome{v: v, result: retried, err: why}
	var asked *later
	if errors.As(why, &asked) {
		o.after = now.Add(asked.After)
	}
	if errors.Is(why, errRefused) {
		o.result = refused
	}
	if r.Attempts >= d.pace.attempts() {
		if err := d.bury(ctx, v); err == nil {
			o.result, o.removed = dead, true
			return o
		}
		r.Attempts--
	}
	r.Next = now.Add(d.pace.delay(r.Attempts, why))
	if err := d.keep(ctx, v); err != nil {
		d.log.Warn().Err(err).Str("id", v.m.ID).Msg("a message that failed is kept in memory alone, and by the stream")
	}
	d.w.a.cfg.Step("hook failed")
	return o
}

// keep writes a message to the bucket and then acknowledges its events. The last acknowledgement is waited for: the server has
// taken all those before it, so no event is handed out again that is to be sent with this message.
func (d *desk) keep(ctx context.Context, v *delivery) error {
	if !d.lease.held() {
		return errLost // who sends now would not see it
	}
	d.fill(v)
	value, err := pack(&v.rec)
	if err == nil {
		err = d.w.bucket().put(ctx, tryKey(d.hook.Name, v.m.ID), value)
	}
	if err != nil {
		return err
	}
	v.kept = true
	d.w.a.cfg.Step("hook written")
	if err := acknowledgeAll(ctx, v.items); err != nil { // the record names them: they are known when they come again
		d.log.Debug().Err(err).Str("id", v.m.ID).Msg("events that the bucket has are not acknowledged yet")
	}
	return nil
}

// fill completes a delivery's record.
func (d *desk) fill(v *delivery) {
	v.rec.Message = keep(v.m)
	if len(v.items) > 0 {
		v.rec.Sequences = nil
	}
	for _, it := range v.items {
		if it.msg != nil {
			v.rec.Stream = it.seq.stream
			v.rec.Sequences = append(v.rec.Sequences, it.seq.sequence)
		}
	}
}

func acknowledgeAll(ctx context.Context, items []*item) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin/2)
	defer cancel()
	var last jetstream.Msg
	for _, it := range items {
		if it.msg == nil {
			continue
		}
		if last != nil {
			_ = last.Ack()
		}
		last = it.msg
	}
	if last == nil {
		return nil
	}
	return last.DoubleAck(ctx)
}

// bury puts a message on the dead list. If the process ends on the way it is on both lists, and is tried once more.
func (d *desk) bury(ctx context.Context, v *delivery) error {
	d.fill(v)
	v.rec.Next = time.Time{}
	value, err := pack(&v.rec)
	if err == nil {
		err = d.w.bucket().put(ctx, deadKey(d.hook.Name, v.m.ID), value)
	}
	if err == nil && v.kept {
		err = d.w.bucket().remove(ctx, tryKey(d.hook.Name, v.m.ID))
	}
	if err != nil {
		return err
	}
	d.w.limitDead(ctx)
	_ = acknowledgeAll(ctx, v.items) // else they are handed out again, and sent again
	return nil
}

// settle takes what became of an attempt.
func (d *desk) settle(o outcome) {
	d.flying--
	v := o.v
	d.w.note(o)
	if v.kept || o.result == delivered || o.result == dead {
		for _, it := range v.items {
			d.forgetItem(it)
		}
		v.items = nil
	}
	if o.after.After(d.quiet) {
		d.quiet = o.after
	}
	switch o.result {
	case delivered, dead:
		if v.kept && !o.removed {
			d.removeLater(v.m.ID)
		}
		d.finish(v)
	case unsent:
		d.again(v, time.Now().Add(d.pace.again))
	case gone:
		d.again(v, farAway)
		d.ended = true
		d.gone(o.err)
	default:
		v.m.lighten()
		d.again(v, v.rec.Next)
	}
}

// again tries a message at that time.
func (d *desk) again(v *delivery, when time.Time) {
	v.owed = true
	d.owed++
	d.at(when, func() {
		if v.owed {
			v.owed = false
			d.owed--
			d.ready = append(d.ready, v)
		}
	})
	for _, key := range v.keys {
		d.outdate(d.chain(key))
	}
}

// outdate drops an alert that failed where something newer of the resource waits: to Alertmanager counts what is so now.
func (d *desk) outdate(c *chain) {
	v := c.current
	if d.hook.Kind != Alertmanager || v == nil || !v.owed || len(c.waiting) == 0 {
		return
	}
	v.owed = false
	d.owed--
	if v.kept {
		d.removeLater(v.m.ID)
	}
	for _, it := range v.items {
		d.acknowledge(it)
	}
	d.w.note(outcome{v: v, result: superseded})
	d.finish(v)
}

// finish lets go on what waited for a message.
func (d *desk) finish(v *delivery) {
	if d.messages[v.m.ID] == v {
		delete(d.messages, v.m.ID)
	}
	for _, key := range v.keys {
		c := d.chain(key)
		if c.busy--; c.current == v {
			c.current = nil
		}
		d.drain(key)
	}
}

// removeLater lets a message be removed from the bucket that is not to be sent any more. If the process ends before, it is sent
// once more.
func (d *desk) removeLater(id string) {
	d.leaving[id] = true
	d.at(time.Now().Add(d.pace.again), func() {
		if d.messages[id] != nil { // it has come again, under its key
			delete(d.leaving, id)
		} else if d.remove(id) != nil {
			d.removeLater(id)
		}
	})
}

func (d *desk) remove(id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), d.pace.again)
	defer cancel()
	err := d.w.bucket().remove(ctx, tryKey(d.hook.Name, id))
	if err == nil {
		delete(d.leaving, id)
	}
	return err
}

// restore puts on the desk what the bucket keeps.
func (d *desk) restore(ctx context.Context) error {
	all, err := d.w.bucket().records(ctx, tryKey(d.hook.Name, "*"), 0, 0, d.w.badRecord)
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b *record) int { return a.place().compare(b.place()) })
	for _, r := range all {
		d.stream = max(d.stream, r.Stream)
		d.takeUp(r)
	}
	dead, err := d.w.bucket().count(ctx, deadKey(d.hook.Name, "*"))
	d.w.dead.Store(int64(dead))
	return err
}

// takeUp puts a message on the desk that the bucket keeps.
func (d *desk) takeUp(r *record) {
	m, err := r.Message.message()
	if err != nil {
		d.w.badRecord(tryKey(d.hook.Name, r.Message.ID), err)
		return
	}
	v := &delivery{m: m, kept: true, rec: *r}
	d.occupy(v)
	for _, n := range r.Sequences {
		d.settled[seqID{r.Stream, n}] = true
	}
	d.again(v, r.Next)
}

func (r *record) place() seqID {
	if len(r.Sequences) == 0 {
		return seqID{r.Stream, 0}
	}
	return seqID{r.Stream, r.Sequences[0]}
}

// end waits for the requests that are under way, and gives back what was not sent: another may have it at once.
func (d *desk) end(work context.Context) {
	for d.flying > 0 {
		d.settle(<-d.outcomes)
	}
	for _, it := range d.items {
		_ = it.msg.Nak()
	}
	for id := range d.leaving {
		if d.remove(id) != nil {
			return
		}
	}
}
