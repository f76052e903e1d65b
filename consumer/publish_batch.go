package consumer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// The headers of an atomic batch. The client library has no words for it yet.
const (
	headerBatch         = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"

	batchHeaderBytes = 200 // more than these headers, and that of the expected stream, take
)

// codeNoBatches is the server's error for a stream that does not allow atomic batches.
const codeNoBatches = 10174

const ackWithin = 30 * time.Second

// publisher sends one batch after the other.
type publisher struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	opts   PublishOptions
	result PublishResult
	most   int  // messages in a batch
	singly bool // there are no atomic batches
	begun  time.Time
}

func newPublisher(nc *nats.Conn, opts PublishOptions) (*publisher, error) {
	opts.Stream = cmp.Or(opts.Stream, "JOBS")
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2*publishMessages), jetstream.WithPublishAsyncTimeout(ackWithin))
	if err != nil {
		return nil, fmt.Errorf("publishing: %w", err)
	}
	p := &publisher{nc: nc, js: js, opts: opts, most: publishMessages, begun: time.Now()}
	if opts.Rate > 0 {
		p.most = min(max(opts.Rate/20, 1), publishMessages) // twenty batches a second
	}
	return p, nil
}

// send publishes a batch when the rate allows it, and returns when all of it is acknowledged.
func (p *publisher) send(ctx context.Context, batch []line) error {
	if err := p.pace(ctx); err != nil {
		return err
	}
	left := batch
	if len(batch) > 1 && !p.singly {
		var err error
		if left, err = p.sendBatch(ctx, batch); err != nil {
			return err
		}
	}
	if err := p.sendSingly(ctx, left); err != nil {
		return err
	}
	if p.opts.Progress != nil {
		p.opts.Progress(p.result)
	}
	return nil
}

// pace waits until what was sent so far is within the rate.
func (p *publisher) pace(ctx context.Context) error {
	if p.opts.Rate <= 0 {
		return nil
	}
	due := p.begun.Add(time.Duration(float64(p.result.Messages) / float64(p.opts.Rate) * float64(time.Second)))
	select {
	case <-time.After(time.Until(due)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// batchAck is the server's answer to a message: nothing for one that waits for its batch, or this.
type batchAck struct {
	Stream   string              `json:"stream"`
	Sequence uint64              `json:"seq"`
	Batch    string              `json:"batch"`
	Count    int                 `json:"count"`
	Error    *jetstream.APIError `json:"error"`
}

// sendBatch publishes a batch that is stored as a whole or not at all, and returns the messages that are to be
// sent singly: none, or all if the server refuses the batch (for one known Nats-Msg-Id, or since it has too many
// under way), or all but the first if it is too old for batches and took that one as a message of its own.
func (p *publisher) sendBatch(ctx context.Context, batch []line) (left []line, err error) {
	batch[0].msg.Header.Set(jetstream.ExpectedStreamHeader, p.opts.Stream)
	msgs := make([]*nats.Msg, len(batch))
	for i, l := range batch {
		msgs[i] = l.msg
	}
	ack, stored, err := sendAtomic(ctx, p.nc, msgs, ackWithin)
	var refusal *jetstream.APIError
	switch {
	case errors.As(err, &refusal):
		p.singly = refusal.ErrorCode == codeNoBatches
		unbatch(msgs)
		return batch, nil // what the server refuses as a batch is sent message by message
	case err != nil:
		return nil, p.refused(batch[0], err)
	default:
		p.singly = stored < len(batch)
		unbatch(msgs[stored:])
		return batch[stored:], p.acknowledged(batch[:stored], ack.Stream, ack.Sequence)
	}
}

// sendAtomic publishes messages as a batch that is stored as a whole or not at all, and returns how many of them are
// stored: all, or the first alone where the server is too old for batches. Each answer must come within that time. A
// [jetstream.APIError] is the server's refusal, by which none is stored; after another error that is not known.
func sendAtomic(ctx context.Context, nc *nats.Conn, msgs []*nats.Msg, within time.Duration) (ack *batchAck, stored int, err error) {
	id := nuid.Next()
	for i, m := range msgs {
		m.Header.Set(headerBatch, id)
		m.Header.Set(headerBatchSequence, strconv.Itoa(i+1))
	}
	last := msgs[len(msgs)-1]
	last.Header.Set(headerBatchCommit, "1")
	if ack, err = request(ctx, nc, msgs[0], within); err != nil {
		return nil, 0, err
	}
	if ack != nil {
		return ack, 1, nil
	}
	for _, m := range msgs[1 : len(msgs)-1] {
		if err := nc.PublishMsg(m); err != nil {
			return nil, 0, err
		}
	}
	ack, err = request(ctx, nc, last, within)
	switch {
	case err != nil:
		return nil, 0, err
	case ack == nil || ack.Batch != id || ack.Count != len(msgs):
		return nil, 0, errors.New("the server's answer to a batch is not understood")
	default:
		return ack, len(msgs), nil
	}
}

// unbatch takes the headers of a batch off messages.
func unbatch(msgs []*nats.Msg) {
	for _, m := range msgs {
		m.Header.Del(headerBatch)
		m.Header.Del(headerBatchSequence)
		m.Header.Del(headerBatchCommit)
	}
}

// request publishes a message and waits for the answer; nil is an empty one, of a message that waits for its batch.
func request(ctx context.Context, nc *nats.Conn, m *nats.Msg, within time.Duration) (*batchAck, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	answer, err := nc.RequestMsgWithContext(ctx, m)
	if err != nil || len(answer.Data) == 0 {
		return nil, err
	}
	var ack batchAck
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return nil, fmt.Errorf("the server's answer is not understood: %w", err)
	}
	if ack.Error != nil {
		return nil, ack.Error
	}
	return &ack, nil
}

// sendSingly publishes messages that are stored one by one.
func (p *publisher) sendSingly(ctx context.Context, batch []line) error {
	acks := make([]jetstream.PubAckFuture, 0, len(batch))
	for _, l := range batch {
		ack, err := p.js.PublishMsgAsync(l.msg, jetstream.WithExpectStream(p.opts.Stream))
		if err != nil {
			return p.refused(l, err)
		}
		acks = append(acks, ack)
	}
	for i, ack := range acks {
		select {
		case a := <-ack.Ok():
			if a.Duplicate {
				p.result.Duplicates++
			}
			if err := p.acknowledged(batch[i:i+1], a.Stream, a.Sequence); err != nil {
				return err
			}
		case err := <-ack.Err():
			return p.refused(batch[i], err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// acknowledged counts lines that are in the stream.
func (p *publisher) acknowledged(lines []line, stream string, sequence uint64) error {
	last := lines[len(lines)-1]
	if stream != p.opts.Stream {
		return fmt.Errorf("publishing line %d: stream %s took it, not %s: it has the subject %s", last.number, stream, p.opts.Stream, last.msg.Subject)
	}
	p.result.Messages += len(lines)
	p.result.Bytes = last.end
	p.result.Sequence = max(p.result.Sequence, sequence)
	return nil
}

// refused says what an error means for whoever publishes.
func (p *publisher) refused(l line, err error) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return fmt.Errorf("publishing line %d: no stream takes subject %s: start faultd serve, which makes stream %s, or check its subjects: %w",
			l.number, l.msg.Subject, p.opts.Stream, err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, jetstream.ErrAsyncPublishTimeout):
		return fmt.Errorf("publishing line %d: no acknowledgement in time, so it and up to %d lines behind it may be in the stream or not; publishing them again does no harm: %w",
			l.number, publishMessages, err)
	default:
		return fmt.Errorf("publishing line %d: %w", l.number, err)
	}
}
