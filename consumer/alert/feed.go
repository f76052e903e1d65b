package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// feed brings the events of FAULTS to a hook's desk, by the hook's durable consumer. That is made where it is not there, and made
// anew where somebody has deleted it, or the stream.
type feed struct {
	link *link
	hook string
	pace *pace
	log  zerolog.Logger
	out  chan handout

	// ordered is set by the desk once it has all events that were handed out and not acknowledged. The feed takes it back when one
	// may have been lost on its way: what comes then may be newer than one that is handed out again later.
	ordered atomic.Bool

	// Only run's goroutine uses these.
	stream jetstream.Stream
	absent bool   // FAULTS was not there when it was looked for: all that will be in it is new
	last   uint64 // number of the last delivery
	replay string // mark of the durable consumer, see [Alerter.Replay]

	reported atomic.Pointer[position]
}

// handout is what the feed brings.
type handout struct {
	items    []*item
	disorder bool // an event from before these may be missing
	replay   bool // the operator wants events again that were settled
	waiting  int  // events that the server has handed out and not heard of; -1: not asked
	stream   int64
	taken    chan struct{} // closed when the desk has seen to it
}

// position is how far a hook is, as the bucket keeps it.
type position struct {
	Stream int64  `json:"stream"` // when FAULTS was made, in nanoseconds since 1970; 0: it was not there yet
	Floor  uint64 `json:"floor"`  // all events up to this one are settled
}

// durable is the name of a hook's consumer.
func durable(hook string) string { return "hook-" + hook }

// run brings events until the context ends; what goes wrong is told and tried again.
func (f *feed) run(ctx context.Context, tell func(error)) {
	for ctx.Err() == nil {
		consumer, err := f.open(ctx)
		if err == nil {
			tell(nil)
			err = f.read(ctx, consumer)
		}
		if ctx.Err() != nil {
			return
		}
		tell(err)
		pause(ctx, f.pace.again)
	}
}

// errNoFaults is returned while there is no stream of faults.
var errNoFaults = errors.New("there is no stream " + faultsStream + " yet; it is made by whoever applies job events")

func (f *feed) open(ctx context.Context) (jetstream.Consumer, error) {
	stream, err := f.link.js.Stream(ctx, faultsStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		f.absent = true
		return nil, errNoFaults
	}
	if err != nil {
		return nil, fmt.Errorf("looking for stream %s: %w", faultsStream, err)
	}
	f.stream = stream
	consumer, err := stream.Consumer(ctx, durable(f.hook))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = f.create(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("looking for consumer %s of stream %s: %w", durable(f.hook), faultsStream, err)
	}
	return consumer, nil
}

// create makes the durable consumer: behind what was settled, if that is known of this stream; before all of a stream that was
// not there before; behind all of it for a hook that is new.
func (f *feed) create(ctx context.Context) (jetstream.Consumer, error) {
	known, err := f.position(ctx)
	if err != nil {
		return nil, err
	}
	cfg := consumerConfig(f.hook, f.pace)
	state := f.stream.CachedInfo().State
	switch made := streamMade(f.stream); {
	case known == nil && !f.absent:
		cfg.DeliverPolicy = jetstream.DeliverNewPolicy
	case known == nil || known.Stream != made:
		cfg.DeliverPolicy = jetstream.DeliverAllPolicy
	default:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, min(known.Floor, state.LastSeq)+1
	}
	consumer, err := f.stream.CreateConsumer(ctx, cfg)
	if errors.Is(err, jetstream.ErrConsumerExists) {
		return f.stream.Consumer(ctx, durable(f.hook))
	}
	if err != nil {
		return nil, err
	}
	f.log.Info().Str("consumer", durable(f.hook)).Uint64("behind", consumer.CachedInfo().AckFloor.Stream).Msg("consumer made")
	return consumer, f.report(ctx, consumer.CachedInfo())
}

func consumerConfig(hook string, p *pace) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: durable(hook), Description: "alert hook " + hook + " of faultd", AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: p.ackWait, MaxAckPending: maxUnsettled, MaxDeliver: -1,
	}
}

func streamMade(s jetstream.Stream) int64 { return s.CachedInfo().Created.UnixNano() }

func stateKey(hook string) string { return "state." + hook }

// position is what the bucket knows of how far the hook is, nil for nothing.
func (f *feed) position(ctx context.Context) (*position, error) {
	value, _, err := f.link.bucket.get(ctx, stateKey(f.hook))
	if err != nil || value == nil {
		return nil, err
	}
	p := new(position)
	if err := json.Unmarshal(value, p); err != nil {
		f.log.Warn().Err(err).Msg("how far the hook is cannot be read; it begins at the end of the stream if its consumer is gone")
		return nil, nil
	}
	return p, nil
}

// report keeps how far the hook is, for the day on which its consumer is gone.
func (f *feed) report(ctx context.Context, info *jetstream.ConsumerInfo) error {
	now := position{Stream: streamMade(f.stream), Floor: info.AckFloor.Stream}
	if was := f.reported.Load(); was != nil && *was == now {
		return nil
	}
	value, err := json.Marshal(now)
	if err == nil {
		err = f.link.bucket.put(ctx, stateKey(f.hook), value)
	}
	if err == nil {
		f.reported.Store(&now)
	}
	return err
}

// read brings events until something is odd.
func (f *feed) read(ctx context.Context, consumer jetstream.Consumer) error {
	f.last = 0
	f.ordered.Store(false)
	f.hand(ctx, handout{disorder: true, waiting: -1})
	if mark := consumer.CachedInfo().Config.Metadata[replayMark]; mark != f.replay {
		f.replay = mark
		f.hand(ctx, handout{replay: true, waiting: -1})
	}
	reported := time.Now()
	for first := true; ctx.Err() == nil; first = false {
		if !first || f.ordered.Load() {
			if err := f.settle(ctx, consumer); err != nil {
				return err
			}
			if err := f.fetch(ctx, consumer); err != nil {
				return err
			}
		}
		if f.ordered.Load() && time.Since(reported) < f.pace.report {
			continue
		}
		info, err := consumer.Info(ctx)
		if err != nil {
			return err
		}
		reported = time.Now()
		f.hand(ctx, handout{waiting: info.NumAckPending})
		if err := f.report(ctx, info); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// settle lets the server hand out again at once what it waits for, while the desk does not have all of that; and only after the
// usual time once it has. If the process ends in between, the next one sets it right.
func (f *feed) settle(ctx context.Context, consumer jetstream.Consumer) error {
	wait := f.pace.ackWait
	if !f.ordered.Load() {
		wait = f.pace.recall
	}
	cfg := consumer.CachedInfo().Config
	if cfg.AckWait == wait {
		return nil
	}
	cfg.AckWait = wait
	if _, err := f.stream.UpdateConsumer(ctx, cfg); err != nil {
		return err
	}
	_, err := consumer.Info(ctx)
	return err
}

// fetch brings what one request for events gets. While the order is not known it is a short one: only when none is under way does
// the number of events that wait for their acknowledgement say anything.
func (f *feed) fetch(ctx context.Context, consumer jetstream.Consumer) error {
	wait := f.pace.report
	if !f.ordered.Load() {
		wait = min(wait, f.pace.again/4)
	}
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel() // the server hands out nothing to a request that nobody waits for
	batch, err := consumer.Fetch(fetchAtOnce, jetstream.FetchContext(within))
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		f.bring(ctx, append([]jetstream.Msg{m}, buffered(batch)...))
	}
	if err := batch.Error(); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// buffered is what has come of a batch already.
func buffered(batch jetstream.MessageBatch) (all []jetstream.Msg) {
	for {
		select {
		case m, open := <-batch.Messages():
			if !open {
				return all
			}
			all = append(all, m)
		default:
			return all
		}
	}
}

// bring reads messages and hands them over.
func (f *feed) bring(ctx context.Context, msgs []jetstream.Msg) {
	h := handout{waiting: -1}
	for _, m := range msgs {
		meta, err := m.Metadata()
		if err != nil {
			f.log.Error().Err(err).Str("subject", m.Subject()).Msg("a message that is none of JetStream's was dropped")
			continue
		}
		if n := meta.Sequence.Consumer; f.last != 0 && n != f.last+1 {
			h.disorder = true
			f.ordered.Store(false)
		}
		f.last = meta.Sequence.Consumer
		it := &item{msg: m, seq: seqID{streamMade(f.stream), meta.Sequence.Stream}, stored: meta.Timestamp}
		if it.ev, err = ParseEvent(m.Data()); err != nil {
			f.log.Error().Err(err).Str("subject", m.Subject()).Uint64("sequence", meta.Sequence.Stream).Msg("an event cannot be read and is told to nobody")
			it.bad = true
		}
		h.items = append(h.items, it)
	}
	if !f.hand(ctx, h) {
		for _, m := range msgs {
			_ = m.Nak()
		}
	}
}

func (f *feed) hand(ctx context.Context, h handout) bool {
	if f.stream != nil {
		h.stream = streamMade(f.stream)
	}
	h.taken = make(chan struct{})
	select {
	case f.out <- h:
		<-h.taken
		return true
	case <-ctx.Done():
		return false
	}
}
