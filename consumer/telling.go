package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"faultd/statemachine"
)

// Outbox is the store as the teller sees it. Its methods may be called while a batch is applied.
type Outbox interface {
	// Outbox returns rows behind an ordinal, at most limit, the oldest first. They are on disk, and stay until they
	// are told. There are no more only where it returns none.
	Outbox(after uint64, limit int) ([]statemachine.Telling, error)
	// Told says that every row up to an ordinal is in the stream of faults. It may be forgotten in a crash.
	Told(ordinal uint64)
	// OutboxState is how many rows are not told, and the stream time of the oldest, 0 for none.
	OutboxState() (rows uint64, oldest statemachine.Time)
	// Changed returns a channel that is closed when there may be more rows.
	Changed() <-chan struct{}
}

const (
	tellRows  = 500     // rows that are looked at together, and at most in one batch
	tellBytes = 4 << 20 // of messages that are published together, though one always fits

	tellAgain  = 50 * time.Millisecond // after the first failure; then twice as long each time
	tellAtMost = 5 * time.Second

	tellBehind = 250 * time.Millisecond // from one batch to the next while the store is far behind the stream
)

// teller publishes what the store's outbox holds to the stream of faults: in order, nothing left out, and nothing
// that the stream's last message shows to be there, whoever put it there. Replicas run one each, for one stream: each
// publishes behind the last message that it knows of or not at all, so that the first of them tells and the others
// see that it did. It outlives sessions: what was committed is told whatever has become of the job stream since.
// Only the goroutine that calls run uses it, but for the counts.
type teller struct {
	box    Outbox
	conn   *connection
	faults *faults
	event  *faultWriter
	step   func(string)
	log    zerolog.Logger
	counts *tellCounts
	behind func() bool // whether the store is far behind the stream: what is told is late already

	seen   *mark  // of the last message in the stream that is not from here; nil: it has to be looked at
	after  uint64 // ordinal of the last row that is told
	reason string // of the last failure, in short; empty: it works
}

// tellCounts are for metrics; any goroutine may read them.
type tellCounts struct {
	published, known, failed atomic.Uint64
}

// startTelling lets what the outbox holds be told until the context ends or the returned function is called, which
// waits for the end.
func (c *Consumer) startTelling(ctx context.Context, conn *connection) (stop func(), err error) {
	if c.cfg.Outbox == nil {
		return func() {}, nil
	}
	js, err := jetstream.New(conn.Conn, jetstream.WithDefaultTimeout(answerWithin))
	if err != nil {
		return nil, err
	}
	log := c.cfg.Logger.With().Str("component", "telling").Logger()
	t := &teller{box: c.cfg.Outbox, conn: conn, step: c.cfg.Step, log: log, counts: &c.metrics.tellings,
		behind: func() bool { return c.lag.messages() > behindLag },
		faults: &faults{nc: conn.Conn, js: js, maxBytes: c.cfg.FaultsMaxBytes, log: log},
		event:  &faultWriter{stream: c.cfg.Stream, resource: c.cfg.Render, fault: c.cfg.RenderFault, diagnosis: c.cfg.RenderDiagnosis}}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t.run(ctx)
	}()
	return func() { cancel(); <-ended }, nil
}

// run tells until the context ends. Nothing that goes wrong ends it.
func (t *teller) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		changed := t.box.Changed()
		more, err := t.round(ctx)
		t.report(ctx, err)
		switch {
		case errors.Is(err, errMoved) && failures == 0:
			failures++ // another was faster: now it is looked at what that one told
		case errors.Is(err, errNotConnected):
			pause(ctx, 4*tellAgain, nil)
		case err != nil:
			pause(ctx, min(tellAgain<<min(failures, 10), tellAtMost), nil)
			failures++
		case more:
			failures = 0
			if t.behind() {
				pause(ctx, tellBehind, nil) // each batch costs the server some milliseconds
			}
		default:
			failures = 0
			pause(ctx, 0, changed)
		}
	}
}

// pause waits until the context ends, that long if it is not 0, or until the channel is closed.
func pause(ctx context.Context, d time.Duration, changed <-chan struct{}) {
	var over <-chan time.Time
	if d > 0 {
		over = time.After(d)
	}
	select {
	case <-ctx.Done():
	case <-over:
	case <-changed:
	}
}

// errNotConnected is returned while there is no connection, which tells of itself.
var errNotConnected = errors.New("no connection to NATS")

// round tells the next rows, and says whether there were any. After an error the stream is looked at anew: what had
// been sent may be in it or not.
func (t *teller) round(ctx context.Context) (more bool, err error) {
	if !t.conn.IsConnected() {
		t.seen = nil
		return false, errNotConnected
	}
	if t.seen == nil {
		m, err := t.faults.open(ctx)
		if err != nil {
			return false, err
		}
		t.seen = &m
	}
	rows, err := t.box.Outbox(t.after, tellRows)
	if err != nil {
		return false, fmt.Errorf("reading what is to be told: %w", err)
	}
	if err := t.tell(ctx, rows); err != nil {
		t.seen = nil
		return true, err
	}
	return len(rows) > 0, nil
}

// tell publishes those of the rows that nobody has told.
func (t *teller) tell(ctx context.Context, rows []statemachine.Telling) error {
	var batch []*nats.Msg
	var ordinals []uint64 // of the rows in the batch
	var bytes int
	flush := func() error {
		stored, err := t.faults.publish(ctx, batch)
		if stored > 0 {
			t.counts.published.Add(uint64(stored))
			t.step("told")
			t.told(ordinals[stored-1])
		}
		batch, ordinals, bytes = nil, nil, 0
		return err
	}
	for i := range rows {
		if t.seen.covers(&rows[i]) {
			t.counts.known.Add(1)
			continue
		}
		m := t.event.message(&rows[i], t.faults.limit-batchHeaderBytes)
		if len(batch) > 0 && bytes+m.Size() > tellBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		batch, ordinals, bytes = append(batch, m), append(ordinals, rows[i].Ordinal), bytes+m.Size()
	}
	if err := flush(); err != nil || len(rows) == 0 {
		return err
	}
	t.told(rows[len(rows)-1].Ordinal)
	return nil
}

func (t *teller) told(ordinal uint64) {
	if ordinal > t.after {
		t.after = ordinal
		t.box.Told(ordinal)
	}
}

// report logs a change between working and not, and one of the reason why not.
func (t *teller) report(ctx context.Context, err error) {
	if ctx.Err() != nil || errors.Is(err, errMoved) || errors.Is(err, errNotConnected) {
		return
	}
	was := t.reason
	t.reason = inShort(err)
	if err != nil {
		t.counts.failed.Add(1)
	}
	switch {
	case t.reason == was:
	case err != nil:
		t.log.Error().Err(err).Msg("faults are not told; they are kept, and it is tried again until they are")
	default:
		t.log.Info().Msg("faults are told again")
	}
}

// inShort tells reasons apart whose texts may differ from try to try.
func inShort(err error) string {
	var refused *jetstream.APIError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrSubjects):
		return ErrSubjects.Error()
	case errors.Is(err, errTooSmall):
		return errTooSmall.Error()
	case errors.As(err, &refused):
		return fmt.Sprint("refused: ", refused.ErrorCode)
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded), errors.Is(err, jetstream.ErrNoStreamResponse),
		errors.Is(err, nats.ErrTimeout):
		return "no answer"
	default:
		return "other"
	}
}
