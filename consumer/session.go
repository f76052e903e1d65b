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
// then everything that was read is applied.
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
	q := newQueue(c.cfg)
	go func() {
		c.guard(ctx, conn, connects, q)
		cancel() // a request that waits for an answer waits no longer
	}()
	err = c.follow(within, js, q)
	q.close(err)
	if errors.Is(err, ErrStore) {
		return err
	}
	return q.reason() // what came first
}

// follow begins where the store's position is, and applies until the queue has ended.
func (c *Consumer) follow(ctx context.Context, js jetstream.JetStream, q *queue) error {
	pos := c.store.Position()
	stream, err := c.open(ctx, js, pos)
	if err != nil {
		return err
	}
	seen, err := look(ctx, stream, pos)
	if err != nil {
		return err
	}
	if t := check(c.cfg.Stream, pos, seen); t != nil {
		return t
	}
	r := &reader{stream: c.cfg.Stream, queue: q, lag: &c.lag}
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
	defer reading.Stop()
	c.opened = true
	c.settle(seen.last)
	go c.recheck(ctx, stream, q)
	return c.commits(q, seen)
}

// guard closes the queue when the context ends or the connection is, or was, another; and returns when the
// queue is closed.
func (c *Consumer) guard(ctx context.Context, conn *connection, connects uint64, q *queue) {
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
			}
			if q.over() {
				signal(conn.changed) // for whoever waits to begin the next session
			}
		}
	}
}

// recheck compares the stream with the position every so often, until the queue is closed, and closes it when
// something is wrong. Where that cannot be told, nothing is wrong yet: the guard looks after the connection.
func (c *Consumer) recheck(ctx context.Context, stream jetstream.Stream, q *queue) {
	tick := time.NewTicker(c.cfg.CheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-q.ended:
			return
		case <-tick.C:
		}
		pos := c.store.Position()
		seen, err := look(ctx, stream, pos)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			q.close(fmt.Errorf("%w: %w", errBroken, err))
		case err != nil:
			c.log.Debug().Err(err).Msg("position not checked")
		default:
			c.lag.saw(seen.last)
			if t := check(c.cfg.Stream, pos, seen); t != nil {
				q.close(t)
			}
		}
	}
}

// commits applies one batch after the other until the queue has ended and is empty.
func (c *Consumer) commits(q *queue, seen sight) error {
	pos := c.store.Position()
	for {
		b, err := q.take()
		if err != nil {
			return err
		}
		if pos.Stream == "" {
			pos = statemachine.Position{Stream: c.cfg.Stream, Epoch: seen.created, First: b.first}
		}
		pos.Sequence, pos.StreamTime, pos.Digest = b.last.Sequence, b.last.StreamTime, digest(b.last.Subject, b.last.Data)
		apply, commit, err := c.store.Apply(b.entries, pos)
		if err != nil {
			// Whether the batch is in the store is unknown: nothing may follow it.
			return fmt.Errorf("%w: messages %d to %d of %s: %w", ErrStore, b.first, pos.Sequence, pos.Stream, err)
		}
		c.metrics.committed(len(b.entries), apply, commit)
		c.lag.applied(pos.Sequence)
		c.settle(seen.last)
		q.reuse(b)
	}
}
