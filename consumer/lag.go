package consumer

import "sync/atomic"

// Where READY begins and ends, in messages. Between the two it stays as it is, so that a burst is no news.
const (
	readyLag  = 1_000
	behindLag = 50_000
)

// lag is how far the store is behind the stream, in sequences. Any goroutine may use it.
type lag struct {
	head     atomic.Uint64 // the newest message that is known of
	reading  atomic.Uint64 // the last that was read
	position atomic.Uint64 // the last that is applied
}

// began sets all, at the beginning of a session.
func (l *lag) began(head, position uint64) {
	l.head.Store(head)
	l.reading.Store(position)
	l.position.Store(position)
}

// saw takes note of a message in the stream.
func (l *lag) saw(head uint64) {
	for {
		known := l.head.Load()
		if head <= known || l.head.CompareAndSwap(known, head) {
			return
		}
	}
}

func (l *lag) read(sequence uint64) { l.reading.Store(sequence) }

// idle tells whether nothing that was read is still to be applied.
func (l *lag) idle() bool { return l.reading.Load() == l.position.Load() }

func (l *lag) applied(position uint64) { l.position.Store(position) }

func (l *lag) messages() uint64 {
	position := l.position.Load()
	return max(l.head.Load(), position) - position
}

// settle chooses between READY and CATCHING_UP. Ready is whoever has applied what was there at the session's
// beginning and is close to the stream's end.
func (c *Consumer) settle(target uint64) {
	state, _ := c.condition.now()
	behind := c.lag.messages()
	switch {
	case c.lag.position.Load() >= target && behind <= readyLag:
		c.condition.enter(Ready, "")
	case state != Ready || behind > behindLag:
		c.condition.enter(CatchingUp, "")
	}
}
