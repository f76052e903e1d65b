package storage

import (
	"encoding/binary"
	"errors"

	sm "faultd/statemachine"
)

// loadPending reads which jobs have not ended, for the watchdog.
func (db *DB) loadPending() error {
	return db.view(func(v view) error {
		return v.unfinished.all(func(k, _ []byte) error {
			r, h, err := v.resource(binary.BigEndian.Uint64(k))
			if err == nil && !h.unfinished {
				err = v.misplaced(v.unfinished, k, r.Key)
			}
			if err != nil {
				return err
			}
			db.pending = append(db.pending, r.Pending()...)
			return nil
		})
	})
}

// Pending returns the jobs that are to be watched and were not returned before: after Open all that have not ended,
// then those that began, or failed an attempt, since the last call.
func (db *DB) Pending() []sm.Pending {
	db.mu.Lock()
	defer db.mu.Unlock()
	all := db.pending
	db.pending = nil
	return all
}

// Look returns what a pending job is now, or false if it has ended or no longer matters.
func (db *DB) Look(p sm.Pending) (sm.Pending, bool, error) {
	r, err := db.Resource(p.Key)
	if errors.Is(err, sm.ErrNotFound) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	for _, now := range r.Pending() {
		if now.Job == p.Job && now.Action == p.Action {
			return now, true, nil
		}
	}
	return p, false, nil
}
