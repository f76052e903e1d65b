package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"faultd/statemachine"
)

const answerWithin = 5 * time.Second // a request to JetStream

// session reads the stream from the store's position on, until something ends it, and returns what did. By
// then everything that was read is applied, or will be read again.
func (c *Consumer) session(ctx context.Context, conn *connection) error {
	connects := conn.Stats().Reconnects
	if err := conn.usable(); err != nil {
		return err
	}
	js, err := jetstream.New(conn.Conn, jetstream.WithDefaultTimeout(answerWithin))
	if err != nil {
		return err
	}
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	// What was read when the signal to stop came is still applied, for which the server may have to be asked.
	reach, lost := context.WithCancel(context.WithoutCancel(ctx))
	defer lost()
	q := newQueue(c.cfg)
	go func() {
		c.guard(ctx, conn, connects, q)
		cancel() // a request that waits for an answer waits no longer
		if conn.usable() != nil || conn.Stats().Reconnects != connects {
			lost()
		}
	}()
	err = c.follow(within, reach, js, q)
	q.close(err)
	if errors.Is(err, ErrStore) {
		return err
	}
	return q.reason() // what came first
}

// follow begins where the store's position is, and applies until the queue has ended.
func (c *Consumer) follow(ctx, reach context.Context, js jetstream.JetStream, q *queue) error {
	found, err := c.open(ctx, js, c.store.Position())
	if err != nil {
		return err
	}
	stream := source{found, js.Conn()}
	seen, err := c.begin(ctx, js, stream)
	if err != nil {
		return err
	}
	pos := c.store.Position()
	r := &reader{stream: c.cfg.Stream, queue: q, decoder: newDecoder(), lag: &c.lag, base: pos.Base, hole: c.hole()}
	start := seen.first
	if pos.Stream != "" {
		start = pos.Sequence + 1
		r.next = start
	}
	c.lag.began(seen.last, start-1)
	reading, err := r.read(ctx, stream, start)
	if err != nil {
		return err
	}
	defer reading.stop()
	c.opened = true
	c.settle(seen.last)
	go c.recheck(ctx, stream, q)
	return c.commits(reach, stream, q, seen)
}

// begin compares the stream with the store's position until nothing is in the way of reading on from there. What the
// operator has allowed it to do about that, it does.
func (c *Consumer) begin(ctx context.Context, js jetstream.JetStream, stream source) (sight, error) {
	for {
		pos := c.store.Position()
		seen, err := stream.look(ctx, pos)
		if err != nil {
			return sight{}, err
		}
		t := check(c.cfg.Stream, pos, seen)
		switch {
		case t == nil, c.passes(t) && t.state == Gap && seen.next != 0: // the reader comes upon that hole
			c.doubted = time.Time{}
			return seen, nil
		case !c.passes(t):
			return sight{}, t
		case t.state == Gap:
			err = c.skip(ctx, stream, pos, seen.gone())
		case c.doubts(pos.Epoch, &seen):
			return sight{}, t.doubtful()
		default:
			err = c.newEpoch(ctx, js, &seen, t)
		}
		if err != nil {
			return sight{}, err
		}
	}
}

// guard closes the queue when the context ends or the connection is, or was, another, or may not read; and returns when
// the queue is closed.
func (c *Consumer) guard(ctx context.Context, conn *connection, connects uint64, q *queue) {
	began := time.Now()
	for !q.over() {
		select {
		case <-q.ended:
		case <-ctx.Done():
			c.condition.enter(Draining, "")
			q.close(ctx.Err())
		case <-conn.changed:
			if err := conn.usable(); err != nil {
				q.close(err)
			} else if conn.Stats().Reconnects != connects {
				q.close(fmt.Errorf("%w: connected again", errBroken))
			} else if err := conn.denied(began); err != nil {
				q.close(fmt.Errorf("%w: %w", errBroken, err))
			}
			if q.over() {
				signal(conn.changed) // for whoever waits to begin the next session
			}
		}
	}
}

// recheck compares the stream with the position every so often, until the queue is closed, and closes it when
// something is wrong. Where that cannot be told for long, nothing is known to be right.
func (c *Consumer) recheck(ctx context.Context, stream source, q *queue) {
	tick := time.NewTicker(c.cfg.CheckEvery)
	defer tick.Stop()
	for blind := 0; ; {
		select {
		case <-q.ended:
			return
		case <-tick.C:
		}
		pos := c.store.Position()
		seen, err := stream.look(ctx, pos)
		if err == nil {
			blind = 0
			c.compare(pos, &seen, q)
			continue
		}
		c.log.Debug().Err(err).Msg("position not checked")
		blind++
		if errors.Is(err, jetstream.ErrStreamNotFound) || blind == blindLooks {
			q.close(fmt.Errorf("%w: %w", errBroken, err))
		}
	}
}

// blindLooks is how many looks at the stream may fail one after the other before the session ends by it: after that,
// whoever believes to be up to date may be wrong.
const blindLooks = 3

// compare closes the queue if what was seen of the stream is wrong, or if nothing comes although there is something.
func (c *Consumer) compare(pos statemachine.Position, seen *sight, q *queue) {
	c.lag.saw(seen.last)
	if state, _ := c.condition.now(); state == Ready && c.lag.messages() > behindLag && !q.over() {
		c.condition.enter(CatchingUp, "") // no commit says so where nothing comes
	}
	idle := c.lag.idle() && c.store.Position() == pos // what is behind the position was not read meanwhile
	t := check(c.cfg.Stream, pos, *seen)
	if t != nil && t.state == Gap && (!idle || c.passes(t) && seen.next != 0) {
		t = nil // the reader comes upon it, or has what is gone
	}
	if t != nil {
		q.close(t)
		return
	}
	if seen.unfit != nil {
		q.close(seen.unfit)
		return
	}
	if c.stall.watch(pos.Sequence, idle && seen.next != 0, time.Now()) > c.cfg.StallAfter {
		q.close(errStalled)
	}
}

// commits applies one batch after the other until the queue has ended and is empty.
func (c *Consumer) commits(ctx context.Context, stream source, q *queue, seen sight) error {
	pos := c.store.Position()
	for {
		b, err := q.take()
		if err != nil {
			return err
		}
		c.cfg.Step("read")
		if pos.Stream == "" {
			pos = statemachine.Position{Stream: c.cfg.Stream, Epoch: seen.created, First: b.first}
		}
		// After a write or a sync that failed the server takes no more messages of the stream, hands out what it could not write
		// all the same, and writes it anew, with other times, when it starts again: the store must not get ahead of the stream.
		if err := c.cfg.Unwritten(); err != nil {
			return fmt.Errorf("%w: what was read may not be on the server's disk: %w", errBroken, err)
		}
		if err := c.explain(ctx, stream, pos, b.gaps); err != nil {
			return err
		}
		pos.Sequence, pos.StreamTime, pos.Digest = b.last.sequence, b.last.StreamTime, digest(b.last.Subject, b.last.Data)
		if err := c.apply(&b, pos, q); err != nil {
			return err
		}
		c.lag.applied(pos.Sequence)
		c.settle(seen.last)
		q.reuse(b)
	}
}

// fullPause is how long nothing is tried after the store was found to be full.
const fullPause = time.Second

// apply applies a batch, as often as it takes while the store is full: unless the session ends meanwhile, in which case
// the messages are read again by the next.
func (c *Consumer) apply(b *batch, pos statemachine.Position, q *queue) error {
	for {
		apply, commit, err := c.store.Apply(b.entries, pos, b.gaps...)
		switch {
		case err == nil:
			c.metrics.committed(len(b.entries), apply, commit)
			return nil
		case !errors.Is(err, statemachine.ErrFull):
			// Whether the batch is in the store is unknown: nothing may follow it.
			return fmt.Errorf("%w: messages %d to %d of %s: %w", ErrStore, b.first, pos.Sequence, pos.Stream, err)
		}
		c.condition.enter(StoreFull, full(err).Error())
		select {
		case <-time.After(fullPause):
		case <-q.ended:
			return q.reason()
		}
	}
}
