package storage

import sm "faultd/statemachine"

// SetFree tells the store what is free on its file system.
func (db *DB) SetFree(free func(dir string) (uint64, error)) { db.room.free = free }

// Outcome is what a commit comes to that failed.
func (db *DB) Outcome(id int, cause error) error { return db.outcome(id, cause) }

// LastTransaction is the number of the last one that is in the file.
func (db *DB) LastTransaction() (id int) {
	_ = db.view(func(v view) error { id = v.tx.ID(); return nil })
	return id
}

// Ending is closed when copies that are being made must end.
func (db *DB) Ending() <-chan struct{} { return db.ending }

// Kept is how many bytes of resources are kept that were read, and about how many each half of them may have.
func (db *DB) Kept() (bytes, half int) {
	for _, kept := range []map[sm.Key]sm.Resource{db.recent.young, db.recent.old} {
		for _, r := range kept {
			bytes += footprint(&r)
		}
	}
	return bytes, maxRecent
}
