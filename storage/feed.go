package storage

import sm "faultd/statemachine"

// The newest transitions are kept in memory for those who follow them, up to so many and so many bytes of
// fault texts.
const (
	feedRows  = 10_000
	feedBytes = 8 << 20
)

// feed holds the newest transitions of all resources, oldest first.
type feed struct {
	since uint64 // every transition behind this sequence is here
	rows  []sm.Change
	bytes int
}

func (f *feed) start(position uint64) { f.since = position }

func (f *feed) add(rows []sm.Change) {
	f.rows = append(f.rows, rows...)
	for i := range rows {
		f.bytes += changeSize(&rows[i])
	}
	drop := 0
	for len(f.rows)-drop > feedRows || f.bytes > feedBytes && drop < len(f.rows) {
		f.since = f.rows[drop].Sequence
		f.bytes -= changeSize(&f.rows[drop])
		f.rows[drop] = sm.Change{}
		drop++
	}
	f.rows = f.rows[drop:]
}

func changeSize(c *sm.Change) int {
	if c.Fault == nil {
		return 0
	}
	return len(c.Fault.Message) + len(c.Fault.Details)
}

// changesPage bounds an answer of [DB.Changes].
const changesPage = 1000

// Changes returns the transitions behind a sequence, oldest first, at most 1,000: whoever got as many asks again
// behind the last of them. It is false where some of them are no longer in memory, or the sequence is beyond
// what has been applied.
func (db *DB) Changes(after uint64) (rows []sm.Change, ok bool) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if after < db.feed.since || after > db.position.Ordinal() {
		return nil, false
	}
	lo, hi := 0, len(db.feed.rows)
	for lo < hi {
		if mid := (lo + hi) / 2; db.feed.rows[mid].Sequence <= after {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	rows = db.feed.rows[lo:min(lo+changesPage, len(db.feed.rows))]
	return append([]sm.Change(nil), rows...), true
}

// Changed returns a channel that is closed at the next commit.
func (db *DB) Changed() <-chan struct{} {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.changed
}
