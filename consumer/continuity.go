package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"faultd/statemachine"
)

// OnGap is what to do when messages were gone before they were read. The zero value is to stop.
type OnGap string

// The answers to a gap.
const (
	StopAtGap     OnGap = "stop"     // nothing more is applied, until an operator decides
	ContinueAtGap OnGap = "continue" // it is recorded, and reading goes on behind it
)

// OnRewind is what to do when the stream is not the one that was applied so far. The zero value is to stop.
type OnRewind string

// The answers to a rewind.
const (
	StopAtRewind     OnRewind = "stop"      // nothing more is applied, until an operator decides
	NewEpochAtRewind OnRewind = "new-epoch" // the stream that is there is read from its first message
)

// passes tells whether the operator has allowed to go on in spite of the trouble.
func (c *Consumer) passes(t *trouble) bool {
	return t.state == Gap && c.cfg.OnGap == ContinueAtGap || t.anew && c.cfg.OnRewind == NewEpochAtRewind
}

// hole is how the reader begins a gap, nil where it is to stop at one.
func (c *Consumer) hole() func() *statemachine.Gap {
	if c.cfg.OnGap != ContinueAtGap {
		return nil
	}
	return func() *statemachine.Gap { return &statemachine.Gap{Noticed: statemachine.At(c.cfg.Now())} }
}

// skip records that all messages behind the position are gone, up to that sequence. There is none behind them that could
// bring the news.
func (c *Consumer) skip(ctx context.Context, stream source, pos statemachine.Position, to uint64) error {
	g := *c.hole()()
	g.From, g.To = pos.Sequence+1, to
	gaps := []statemachine.Gap{g}
	if err := c.explain(ctx, stream, pos, gaps); err != nil {
		return err
	}
	pos.Sequence, pos.Digest = to, 0
	_, _, err := c.store.Apply(nil, pos, gaps...)
	return c.stored(err, "recording a gap")
}

// explain fills in what there is to say about gaps behind a position, and logs them. Whoever delivers the messages may be a
// replica that lacks some: a gap is one only if the stream's leader says so, else the messages are read again.
func (c *Consumer) explain(ctx context.Context, stream source, pos statemachine.Position, gaps []statemachine.Gap) error {
	if len(gaps) == 0 {
		return nil
	}
	info, err := stream.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return fmt.Errorf("%w: asking what was deleted: %w", errBroken, err)
	}
	slices.Sort(info.State.Deleted)
	for i := range gaps {
		g := &gaps[i]
		if !gone(&info.State, g.From, g.To) {
			m, err := stream.messageFrom(ctx, g.From)
			if err != nil || m == nil || m.Sequence <= g.To {
				return fmt.Errorf("%w: messages %d to %d were left out, and the stream may have some of them (%v)", errBroken, g.From, g.To, err)
			}
		}
		g.Epoch = pos.Epoch
		g.Cause = "deleted"
		if g.To < info.State.FirstSeq {
			g.Cause = cut(&info.Config, c.cfg.Now().Sub(pos.StreamTime.Std()))
		}
		c.log.Error().Uint64("from", g.From).Uint64("to", g.To).Str("cause", g.Cause).Msg("messages were gone before they were read: a gap is recorded")
	}
	return nil
}

// gone tells whether the stream has none of the messages; what was deleted is sorted.
func gone(state *jetstream.StreamState, from, to uint64) bool {
	from = max(from, state.FirstSeq)
	if from > to {
		return true
	}
	i, found := slices.BinarySearch(state.Deleted, from)
	last := uint64(i) + to - from
	return found && last < uint64(len(state.Deleted)) && state.Deleted[last] == to
}

// cut is what can have taken messages off the head of a stream, all of which came after one of that age.
func cut(cfg *jetstream.StreamConfig, age time.Duration) string {
	var causes []string
	if cfg.MaxAge > 0 && age >= cfg.MaxAge {
		causes = append(causes, "aged out")
	}
	if cfg.MaxBytes > 0 || cfg.MaxMsgs > 0 || cfg.MaxMsgsPerSubject > 0 {
		causes = append(causes, "pushed out by the stream's limits")
	}
	return strings.Join(append(causes, "purged"), ", or ")
}

// doubts tells whether a rewind must be seen again before it counts. Where a stream has replicas, one that has lost its
// leadership without knowing answers for a while with what it had; a new epoch is for ever.
func (c *Consumer) doubts(epoch statemachine.Time, seen *sight) bool {
	if !seen.replicated || seen.created != epoch { // that time is the cluster's, not a server's
		return false
	}
	if c.doubted.IsZero() {
		c.doubted = time.Now()
	}
	return time.Since(c.doubted) < 4*c.cfg.CheckEvery
}

// newEpoch puts the store's position before the first message of the stream that is there.
func (c *Consumer) newEpoch(ctx context.Context, js jetstream.JetStream, seen *sight, why *trouble) error {
	was := c.store.Position()
	var behind uint64 // where the creation time tells the streams apart, what others have told of the new one counts
	if seen.created == was.Epoch {
		switch faults, err := js.Stream(ctx, FaultsStream); {
		case err == nil:
			behind = faults.CachedInfo().State.LastSeq
		case !errors.Is(err, jetstream.ErrStreamNotFound):
			return fmt.Errorf("looking for stream %s: %w", FaultsStream, err)
		}
	}
	c.cfg.Step("epoch")
	if err := c.store.NewEpoch(c.cfg.Stream, seen.created, seen.first, behind); err != nil {
		return c.stored(err, "beginning an epoch")
	}
	c.doubted = time.Time{}
	c.log.Error().Str("because", why.fact).Uint64("applied", was.Sequence).Time("was", was.Epoch.Std()).Time("epoch", seen.created.Std()).
		Uint64("first", seen.first).Uint64("last", seen.last).Msg("the stream was rewound: a new epoch begins, read from its first message")
	return nil
}

// stored says what an error of the store means.
func (c *Consumer) stored(err error, doing string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, statemachine.ErrFull):
		return full(err)
	default:
		return fmt.Errorf("%w: %s: %w", ErrStore, doing, err)
	}
}
