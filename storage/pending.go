package storage

import (
	"errors"

	sm "faultd/statemachine"
)

// loadPending reads which jobs have not ended, for the watchdog.
func (db *DB) loadPending() error {
	return db.view(func(v view) error {
		return v.unfinished.all(func(k, record []byte) error {
			for _, n := range chunk(record).members(firstOf(k)) {
				r, h, err := v.resource(n)
				if err == nil && !h.unfinished {
					err = v.misplaced(v.unfinished, k, r.Key)
				}
				if err != nil {
					return err
				}
				db.watch(r.Pending(), nil)
			}
			return nil
		})
	})
}

// Pending returns the jobs that are to be watched and were not returned before: after Open all that have not ended,
// then those that began, or failed an attempt, since the last call.
func (db *DB) Pending() []sm.Pending {
	db.mu.Lock()
	defer db.mu.Unlock()
	all := make([]sm.Pending, 0, len(db.pending))
	for _, p := range db.pending {
		all = append(all, p)
	}
	db.pending = nil
	return all
}

// pendingKey is a job that is pending.
type pendingKey struct {
	sm.Key
	job    string
	action sm.Action
}

// watch keeps jobs for the watchdog, and forgets what has ended before it asked: while the store is far behind the stream
// it does not ask, and all jobs of the stream would gather.
func (db *DB) watch(pending, ended []sm.Pending) {
	for _, p := range ended {
		delete(db.pending, pendingKey{p.Key, p.Job, p.Action})
	}
	if db.pending == nil && len(pending) > 0 {
		db.pending = map[pendingKey]sm.Pending{}
	}
	for _, p := range pending {
		db.pending[pendingKey{p.Key, p.Job, p.Action}] = p
	}
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
