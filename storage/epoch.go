package storage

import (
	"encoding/binary"
	"fmt"
	"slices"

	sm "faultd/statemachine"
)

// maxGaps is how many gaps are kept apart.
const maxGaps = 1000

// gap is a gap as it is kept.
type gap struct {
	sm.Gap
	epoch   uint64 // number of the epoch, from 0: a stream restored from a copy has the creation time that it had before
	missing uint64 // messages; fewer than lie between From and To where several gaps were put together
}

// NewEpoch ends the present epoch and puts the position before message first of a new one, in a transaction of its own.
// What is numbered by the log goes on behind what the old epoch had. Behind is the last sequence of the stream FAULTS at that
// time: all rows of the outbox that the new epoch writes bear it. Its errors are those of [DB.Apply]; like that, it may
// be called by one goroutine at a time.
func (db *DB) NewEpoch(stream string, epoch sm.Time, first, behind uint64) error {
	ends := db.Position()
	first = max(first, 1)
	to := sm.Position{Stream: stream, Epoch: epoch, First: first, Sequence: first - 1, Base: max(ends.Ordinal()+1, first) - first}
	_, _, err := db.commit(to, func(b *batch) error {
		b.behind = behind
		if err := b.meta.put(keyBehind, numberKey(behind)); err != nil {
			return err
		}
		if err := b.endEpoch(ends); err != nil {
			return err
		}
		return b.flush(to)
	})
	return err
}

// endEpoch keeps how an epoch ended; the position of a store that has read nothing yet is that of none.
func (b *batch) endEpoch(p sm.Position) error {
	if p.Stream == "" {
		return nil
	}
	key := numberKey(uint64(len(b.epochs)))
	b.epochs = append(slices.Clip(b.epochs), p)
	return b.epochRecords.put(key, encodePosition(p))
}

// follow goes on to a position in the same epoch. Whatever those who read the stream do wrong, no message is applied
// twice.
func (b *batch) follow(entries []sm.Entry, to sm.Position) error {
	was := b.db.position
	same := was.Stream == to.Stream && was.Epoch == to.Epoch && was.Base == to.Base && was.First == to.First
	if was.Stream != "" && (!same || to.Sequence < was.Sequence) {
		return fmt.Errorf("the position %+v does not follow %+v", to, was)
	}
	b.to = to
	last := was.Ordinal()
	for i := range entries {
		n := entries[i].Sequence
		if n <= last || n > to.Ordinal() {
			return fmt.Errorf("message %d does not follow %d on the way to %d", n, last, to.Ordinal())
		}
		last = n
	}
	return nil
}

// addGaps keeps the gaps that were noticed while the entries up to a position were read. Beyond [maxGaps] the two oldest
// of one epoch become one.
func (b *batch) addGaps(gaps []sm.Gap, to sm.Position) error {
	if len(gaps) == 0 {
		return nil
	}
	b.gaps = slices.Clone(b.gaps)
	for _, g := range gaps {
		if g.From > g.To || g.From < to.First || g.From <= b.db.position.Sequence || g.To > to.Sequence {
			return fmt.Errorf("the gap from %d to %d is not on the way from %d to %d", g.From, g.To, b.db.position.Sequence, to.Sequence)
		}
		row := gap{Gap: g, epoch: uint64(len(b.epochs)), missing: g.To - g.From + 1}
		b.gaps = append(b.gaps, row)
		if err := b.gapRecords.put(row.key(), encodeGap(&row)); err != nil {
			return err
		}
	}
	return b.joinGaps()
}

// joinGaps makes one of the oldest gaps of an epoch, until no more than [maxGaps] are left, or each is the only one of its
// epoch.
func (b *batch) joinGaps() error {
	over, kept := len(b.gaps)-maxGaps, b.gaps[:0]
	joined := map[int]bool{} // by place in kept
	for _, g := range b.gaps {
		last := len(kept) - 1
		if over <= 0 || last < 0 || kept[last].epoch != g.epoch {
			kept = append(kept, g)
			continue
		}
		over--
		one := &kept[last]
		one.To, one.missing, one.Noticed, one.Cause = g.To, one.missing+g.missing, g.Noticed, g.Cause
		joined[last] = true
		if err := b.gapRecords.delete(g.key()); err != nil {
			return err
		}
	}
	b.gaps = kept
	for i := range joined {
		g := &kept[i]
		g.Cause = fmt.Sprintf("%d messages between these are gone, in several gaps that are kept as one; the last of them: %s", g.missing, g.Cause)
		if err := b.gapRecords.put(g.key(), encodeGap(g)); err != nil {
			return err
		}
	}
	return nil
}

func (g *gap) key() []byte { return binary.BigEndian.AppendUint64(numberKey(g.epoch), g.From) }

// Gaps are the runs of messages that were gone before they were read, the oldest first. Of more than 1,000 the oldest ones
// of an epoch are put together: their Cause says how many messages are missing between From and To.
func (db *DB) Gaps() []sm.Gap {
	db.mu.RLock()
	defer db.mu.RUnlock()
	all := make([]sm.Gap, len(db.gaps))
	for i := range db.gaps {
		g := &db.gaps[i]
		all[i] = g.Gap
		if g.missing != g.To-g.From+1 {
			all[i].Missing = g.missing
		}
	}
	return all
}

// Epochs are the epochs that ended, as they ended, the oldest first.
func (db *DB) Epochs() []sm.Position {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return slices.Clone(db.epochs)
}

// allEpochs are those that ended and the present one, none for a store that has read nothing; the number of an epoch is
// its place. It is for those that have a store to themselves.
func (db *DB) allEpochs() []sm.Position {
	if db.position.Stream == "" {
		return nil
	}
	return append(slices.Clip(db.epochs), db.position)
}

func (db *DB) loadEpochs(v view) error {
	if err := v.epochRecords.all(func(k, record []byte) error {
		p, err := decodePosition(record)
		if err != nil {
			return fmt.Errorf("epoch %x: %w", k, err)
		}
		db.epochs = append(db.epochs, p)
		return nil
	}); err != nil {
		return err
	}
	return v.gapRecords.all(func(k, record []byte) error {
		g, err := decodeGap(k, record)
		if err != nil {
			return fmt.Errorf("gap %x: %w", k, err)
		}
		db.gaps = append(db.gaps, g)
		return nil
	})
}

func encodeGap(g *gap) []byte {
	var e encoder
	e.int(int64(g.Epoch))
	e.uint(g.To)
	e.uint(g.missing)
	e.int(int64(g.Noticed))
	e.text(g.Cause)
	return e.b
}

func decodeGap(key, record []byte) (g gap, err error) {
	if len(key) != 16 {
		return g, errShort
	}
	d := decoder{b: record}
	g.epoch, g.From = binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])
	g.Epoch, g.To, g.missing, g.Noticed, g.Cause = sm.Time(d.int()), d.uint(), d.uint(), sm.Time(d.int()), d.text()
	return g, d.err
}
