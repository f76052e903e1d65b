package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrStalled is returned when messages wait in the stream and none comes, and neither another consumer nor another
// connection has changed that: whoever runs the process is to start it anew.
var ErrStalled = errors.New("messages wait in the stream and none comes")

// errStalled ends a session in which nothing comes.
var errStalled = errors.New("messages wait in the stream and none came for too long")

// stall watches for messages that wait and do not come. Any goroutine may use it.
type stall struct {
	mu       sync.Mutex // guards what follows
	position uint64
	since    time.Time // when messages were first seen to wait there; zero: none do
	cures    int       // what was tried since the position moved last
}

// watch takes note of whether messages wait behind a position that are not being applied, and tells for how long they
// have.
func (s *stall) watch(position uint64, waits bool, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if position != s.position {
		s.position, s.cures = position, 0
		s.since = time.Time{}
	}
	switch {
	case !waits:
		s.since = time.Time{}
	case s.since.IsZero():
		s.since = now
	default:
		return now.Sub(s.since)
	}
	return 0
}

// cure is what to try next; the watch begins again.
func (s *stall) cure() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Time{}
	s.cures++
	return s.cures
}

// revive tries what there is to try against a stall, one thing after the other: the session that follows makes a
// consumer, then a connection; then it gives up.
func (c *Consumer) revive(conn *nats.Conn) error {
	line := c.log.Warn().Uint64("position", c.lag.position.Load()).Dur("after", c.cfg.StallAfter)
	switch c.stall.cure() {
	case 1:
		line.Msg("messages wait in the stream and none comes: another consumer is made")
		return nil
	case 2:
		line.Msg("messages wait in the stream and none comes: another connection is made")
		return conn.ForceReconnect()
	default:
		line.Discard()
		return ErrStalled
	}
}

// unansweredSessions is how many sessions in a row may end unanswered on one connection.
const unansweredSessions = 3

// hearAgain makes another connection where nothing is answered on one that stands. A server that denied the inbox for a
// while has dropped the subscription to it, and the client subscribes only when it connects.
func (c *Consumer) hearAgain(conn *connection, err error) {
	if !errors.Is(err, context.DeadlineExceeded) || !conn.IsConnected() {
		c.unanswered = 0
		return
	}
	if c.unanswered++; c.unanswered < unansweredSessions {
		return
	}
	c.unanswered = 0
	c.log.Warn().Err(err).Msg("nothing is answered: another connection is made")
	if err := conn.ForceReconnect(); err != nil {
		c.log.Warn().Err(err).Msg("the connection could not be made anew")
	}
}
