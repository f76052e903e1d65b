package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/statemachine"
)

// errBroken is returned when a session cannot go on and another one may.
var errBroken = errors.New("reading broke off")

// reader takes the messages of one session. But for the queue and the lag only nats.go's callback uses it.
type reader struct {
	stream    string
	queue     *queue
	decoder   *decoder
	lag       *lag
	base      uint64                   // of the epoch that is read, see [statemachine.Position]
	hole      func() *statemachine.Gap // begins a gap; nil: reading ends at a hole
	next      uint64                   // sequence that must come next; 0: whichever comes first
	delivered uint64                   // how many have come
}

// handle takes the next message. JetStream numbers what it delivers: a break in those numbers is a message
// lost on the way, a break in the sequences alone is one that the stream no longer has.
func (r *reader) handle(msg *nats.Msg) {
	d, err := parseDelivery(msg.Reply)
	if err != nil {
		r.queue.close(fmt.Errorf("%w: %w", errBroken, err))
		return
	}
	r.delivered++
	seq := d.sequence
	if r.next == 0 {
		r.next = seq
	}
	var hole *statemachine.Gap
	switch {
	case d.number != r.delivered:
		r.queue.close(fmt.Errorf("%w: deliveries %d to %d were lost on the way", errBroken, r.delivered, d.number-1))
		return
	case seq < r.next: // known
		return
	case seq > r.next && r.hole == nil:
		r.queue.close(gap(r.stream, r.next, seq-1))
		return
	case seq > r.next:
		hole = r.hole()
		hole.From, hole.To = r.next, seq-1
	}
	r.lag.saw(seq + d.pending)
	m := received{sequence: seq, pending: d.pending, Message: Message{Subject: msg.Subject, Header: msg.Header, Data: msg.Data,
		Sequence: r.base + seq, Base: r.base, StreamTime: d.streamTime}}
	e := r.decoder.decode(&m.Message)
	if r.queue.put(&e, &m, hole) {
		r.next = seq + 1
		r.lag.read(seq)
	}
}

// read has the messages from start on delivered to the queue.
func (r *reader) read(ctx context.Context, stream source, start uint64) (*pulls, error) {
	source, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Description:       "faultd reads; it may be deleted",
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       start,
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: time.Minute,
	})
	if err != nil {
		return nil, fmt.Errorf("reading stream %s from message %d on: %w", r.stream, start, err)
	}
	reading, err := pull(stream.nc, r.stream, source.CachedInfo().Name, int(stream.nc.MaxPayload()), r.handle, r.queue.close)
	if err != nil {
		return nil, fmt.Errorf("reading stream %s from message %d on: %w", r.stream, start, err)
	}
	return reading, nil
}
