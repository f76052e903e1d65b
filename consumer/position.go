package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"faultd/statemachine"
)

// sight is what a look at the stream showed, around a position.
type sight struct {
	created     statemachine.Time
	first, last uint64 // sequences; first is last+1 where the stream is empty
	applied     uint64 // digest of the message at the position; 0: it is not there
	next        uint64 // sequence of the first message behind the position; 0: there is none
}

// look takes the stream's present figures and the messages on both sides of the position.
func look(ctx context.Context, stream jetstream.Stream, pos statemachine.Position) (sight, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return sight{}, fmt.Errorf("looking at stream %s: %w", stream.CachedInfo().Config.Name, err)
	}
	s := sight{created: statemachine.At(info.Created), first: max(info.State.FirstSeq, 1), last: info.State.LastSeq}
	if pos.Stream == "" {
		return s, nil
	}
	if pos.Sequence >= s.first && pos.Sequence <= s.last {
		m, err := message(ctx, stream, pos.Sequence)
		if err != nil {
			return sight{}, err
		}
		if m != nil {
			s.applied = digest(m.Subject, m.Data)
		}
	}
	if s.last > pos.Sequence {
		m, err := message(ctx, stream, pos.Sequence+1, jetstream.WithGetMsgSubject(">"))
		if err != nil {
			return sight{}, err
		}
		if m != nil {
			s.next = m.Sequence
		}
	}
	return s, nil
}

// message is the message of that sequence, or nil if it is gone.
func message(ctx context.Context, stream jetstream.Stream, seq uint64, opts ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error) {
	m, err := stream.GetMsg(ctx, seq, opts...)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading message %d of stream %s: %w", seq, stream.CachedInfo().Config.Name, err)
	default:
		return m, nil
	}
}

// check compares the store's position with the stream, and says what forbids to read on from there; nil is
// nothing. A message at the position that has aged out proves nothing; another one than was applied does. The time
// of that message is not compared: a server that lost power in the middle of an atomic batch completes the batch
// when it starts, with the same messages at new times.
func check(name string, pos statemachine.Position, s sight) *trouble {
	switch {
	case pos.Stream == "":
		return nil
	case pos.Stream != name:
		return rewound("the store follows stream %s, not %s", pos.Stream, name)
	case s.created != pos.Epoch:
		return rewound("stream %s was made anew at %s; the store holds the one of %s",
			name, s.created.Std().Format(time.RFC3339), pos.Epoch.Std().Format(time.RFC3339))
	case s.last < pos.Sequence:
		return rewound("stream %s ends at message %d, and %d has been applied", name, s.last, pos.Sequence)
	case s.applied != 0 && s.applied != pos.Digest:
		return rewound("message %d of stream %s is not the one that was applied", pos.Sequence, name)
	case s.next > pos.Sequence+1:
		return gap(name, pos.Sequence+1, s.next-1)
	case s.next == 0 && s.first > pos.Sequence+1:
		return gap(name, pos.Sequence+1, s.first-1)
	default:
		return nil
	}
}

func gap(name string, from, to uint64) *trouble {
	return &trouble{Gap, fmt.Sprintf("messages %d to %d of %s were gone before they were read (aged out, purged or deleted), "+
		"and nothing behind them is applied: bring the stream back from a copy that has them, "+
		"or put the store aside and start with an empty one, which begins at the stream's first message", from, to, name)}
}

func rewound(format string, args ...any) *trouble {
	return &trouble{Rewound, fmt.Sprintf(format, args...) + ": bring that stream back, or put the store aside and start " +
		"with an empty one, which begins at the stream's first message"}
}

func missing(name string) *trouble {
	return &trouble{StreamMissing, fmt.Sprintf("stream %s is gone, and the store holds what was applied of it: bring it back from a copy, "+
		"or put the store aside and start with an empty one, which makes the stream anew", name)}
}

// digest stands for a message where it is compared with another: 64-bit FNV-1a of the subject, a zero byte and
// the data. It is stored with the position, so it may never change. It is never 0, which stands for no message.
func digest(subject string, data []byte) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(subject) {
		h = (h ^ uint64(subject[i])) * prime
	}
	h *= prime // a zero byte
	for _, b := range data {
		h = (h ^ uint64(b)) * prime
	}
	return max(h, 1)
}
