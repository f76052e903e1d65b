package consumer

import (
	"context"
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
	deleted     uint64 // the last message behind the position if all behind it are known to be deleted; else 0
	unfit       error  // the stream lacks a subject that it must take, see [lacks]
	replicated  bool   // there are several servers that have the stream, of which one may answer that has fallen behind
}

// look takes the stream's present figures and the messages on both sides of the position.
func (s source) look(ctx context.Context, pos statemachine.Position) (sight, error) {
	info, err := s.Info(ctx)
	if err != nil {
		return sight{}, fmt.Errorf("looking at stream %s: %w", s.name(), err)
	}
	seen := sight{created: statemachine.At(info.Created), first: max(info.State.FirstSeq, 1), last: info.State.LastSeq, unfit: lacks(info.Config),
		replicated: info.Cluster != nil && len(info.Cluster.Replicas) > 0}
	if pos.Stream == "" {
		if seen.first <= seen.last {
			seen.next = seen.first
		}
		return seen, nil
	}
	if pos.Digest != 0 && pos.Sequence >= seen.first && pos.Sequence <= seen.last {
		m, err := s.message(ctx, pos.Sequence)
		if err != nil {
			return sight{}, err
		}
		if m != nil {
			seen.applied = digest(m.Subject, m.Data)
		}
	}
	if seen.last <= pos.Sequence {
		return seen, nil
	}
	m, err := s.messageFrom(ctx, pos.Sequence+1)
	switch {
	case err != nil:
		return sight{}, err
	case m != nil:
		seen.next = m.Sequence
	case seen.first <= seen.last:
		seen.deleted, err = s.deletedFrom(ctx, pos.Sequence+1)
	}
	return seen, err
}

// deletedFrom is the stream's last sequence if no message from that one on is left, and 0 otherwise. It goes by the
// stream's list of what was deleted: that a message is not found may have other reasons.
func (s source) deletedFrom(ctx context.Context, seq uint64) (uint64, error) {
	info, err := s.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return 0, fmt.Errorf("looking at what was deleted from stream %s: %w", s.name(), err)
	}
	seq = max(seq, info.State.FirstSeq)
	gone := make(map[uint64]bool, len(info.State.Deleted))
	for _, n := range info.State.Deleted {
		gone[n] = true
	}
	for ; seq <= info.State.LastSeq; seq++ {
		if !gone[seq] {
			return 0, nil
		}
	}
	return info.State.LastSeq, nil
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
		return renamed(name, pos.Stream)
	case s.created != pos.Epoch:
		return rewound("stream %s was made anew at %s; the store holds the one of %s",
			name, s.created.Std().Format(time.RFC3339), pos.Epoch.Std().Format(time.RFC3339))
	case s.last < pos.Sequence:
		return rewound("stream %s ends at message %d, and %d has been applied", name, s.last, pos.Sequence)
	case s.applied != 0 && pos.Digest != 0 && s.applied != pos.Digest:
		return rewound("message %d of stream %s is not the one that was applied", pos.Sequence, name)
	case s.next > pos.Sequence+1:
		return gap(name, pos.Sequence+1, s.next-1)
	case s.next == 0 && s.gone() > pos.Sequence:
		return gap(name, pos.Sequence+1, s.gone())
	default:
		return nil
	}
}

// gone is the sequence up to which all messages behind the position are gone, where there is none to be read.
func (s *sight) gone() uint64 { return max(s.first-1, s.deleted) }

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
