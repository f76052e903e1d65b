package consumer

import (
	"slices"
	"sync"
	"time"

	"faultd/statemachine"
)

// queue lies between the callback that decodes and the session that commits: one of each. It holds the batch
// that grows; taking it leaves the buffer of the batch before in its place, so two buffers serve for ever.
type queue struct {
	maxEvents int
	maxBytes  int
	linger    time.Duration

	mu     sync.Mutex // guards what follows
	grows  batch
	spare  []statemachine.Entry // the buffer of the batch that was committed last
	closed error                // why nothing more is taken in; nil while something is

	filled chan struct{} // holds a token when there may be something to take
	roomy  chan struct{} // holds a token when there may be room
	ended  chan struct{} // closed with the queue
}

// batch is a run of messages, and of the holes before them.
type batch struct {
	entries []statemachine.Entry
	gaps    []statemachine.Gap // without what is known only by asking: cause and epoch
	first   uint64             // sequence of the first message
	last    received
	bytes   int // of all messages
}

// received is a message as it came.
type received struct {
	Message
	sequence uint64 // in the stream; that of the Message is counted on over epochs
	pending  uint64 // messages that were waiting in the stream behind it
}

// size is what a message takes while it waits, in bytes: those of its data lie in one piece with its headers.
func (m *received) size() int {
	n := len(m.Data) + len(m.Subject)
	if onlyID(m.Header) {
		return n + fieldSize(msgIDHeader, m.Header[msgIDHeader])
	}
	for name, values := range m.Header {
		n += fieldSize(name, values)
	}
	return n
}

// fieldSize is what a header takes, in bytes.
func fieldSize(name string, values []string) (n int) {
	for _, v := range values {
		n += len(name) + len(v) + len(": \r\n")
	}
	return n
}

// onlyID tells whether a message has its id for its only header, as nearly all have: to go through a map costs more than
// to look into it.
func onlyID(header map[string][]string) bool { return len(header) == 1 && header[msgIDHeader] != nil }

func newQueue(cfg Config) *queue {
	return &queue{maxEvents: cfg.BatchEvents, maxBytes: cfg.BatchBytes, linger: cfg.Linger,
		filled: make(chan struct{}, 1), roomy: make(chan struct{}, 1), ended: make(chan struct{})}
}

// put appends a message to the batch that grows, with the hole before it if there is one, waiting while the batch is
// full. It tells whether the queue was open; a message that came too late is not lost, the next session reads it again.
func (q *queue) put(e *statemachine.Entry, m *received, hole *statemachine.Gap) bool {
	size := m.size()
	q.mu.Lock()
	for q.closed == nil && q.full(size) {
		q.mu.Unlock()
		select {
		case <-q.roomy:
		case <-q.ended:
		}
		q.mu.Lock()
	}
	if q.closed != nil {
		q.mu.Unlock()
		return false
	}
	b := &q.grows
	if len(b.entries) == 0 {
		b.first = m.sequence
	}
	if hole != nil {
		b.gaps = append(b.gaps, *hole)
	}
	if n := len(b.entries); n == cap(b.entries) {
		b.entries = slices.Grow(b.entries, 1+int(min(m.pending, uint64(min(4*n, q.maxEvents-n-1))))) // in few steps to a full batch
	}
	b.entries = append(b.entries, *e)
	b.last, b.bytes = *m, b.bytes+size
	awaited := len(b.entries) == 1 || q.full(0)
	q.mu.Unlock()
	if awaited {
		signal(q.filled)
	}
	return true
}

// full tells whether a message of that size must wait. One message always fits. The caller holds mu.
func (q *queue) full(size int) bool {
	n := len(q.grows.entries)
	return n > 0 && (n >= q.maxEvents || q.grows.bytes+size > q.maxBytes)
}

// close lets nothing more in. What is in the queue is still taken. Only the first reason counts.
func (q *queue) close(reason error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed == nil {
		q.closed = reason
		close(q.ended)
	}
}

// over tells whether the queue is closed.
func (q *queue) over() bool {
	select {
	case <-q.ended:
		return true
	default:
		return false
	}
}

// reason is why the queue is closed.
func (q *queue) reason() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// take waits until there is something and returns all of it. While much more waits in the stream than has
// been read it lingers a moment, since large batches cost the store less. Once the queue is closed and empty
// it returns the reason.
func (q *queue) take() (batch, error) {
	var linger <-chan time.Time
	for {
		q.mu.Lock()
		n := len(q.grows.entries)
		wait := n == 0 || q.grows.last.pending >= uint64(q.maxEvents) && !q.full(0)
		if q.closed != nil || !wait {
			defer q.mu.Unlock()
			if n == 0 {
				return batch{}, q.closed
			}
			return q.swap(), nil
		}
		q.mu.Unlock()
		if n > 0 && linger == nil {
			linger = time.After(q.linger)
		}
		select {
		case <-q.filled:
		case <-q.ended:
		case <-linger:
			q.mu.Lock()
			defer q.mu.Unlock()
			return q.swap(), nil
		}
	}
}

// swap takes the batch that grew and begins one in the spare buffer. The caller holds mu.
func (q *queue) swap() batch {
	b := q.grows
	q.grows = batch{entries: q.spare}
	q.spare = nil
	signal(q.roomy)
	return b
}

// reuse gives a committed batch's buffer back. One that was grown under load is let go when it is no longer
// needed.
func (q *queue) reuse(b batch) {
	const small = 1 << 10
	if cap(b.entries) > small && len(b.entries) < cap(b.entries)/16 {
		return
	}
	clear(b.entries)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = b.entries[:0]
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
