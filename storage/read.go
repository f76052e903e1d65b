package storage

import (
	"encoding/binary"
	"fmt"
	"runtime/debug"

	"go.etcd.io/bbolt"

	sm "faultd/statemachine"
)

// view is a look at one committed state.
type view struct {
	*tables
	db *DB
}

// view looks at the committed state. Damage that is met in looking is its error, whatever look returns; what look was
// given is of no use afterwards.
func (db *DB) view(look func(v view) error) (err error) {
	db.file.RLock()
	defer db.file.RUnlock()
	if db.stuck.Load() {
		return errStuck
	}
	began := false
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if why := recover(); why != nil {
			err = errPanicked{why}
			db.stuck.CompareAndSwap(false, !began)
		}
	}()
	return db.bolt.View(func(tx *bbolt.Tx) error {
		began = true
		v := view{db.tablesOf(tx), db}
		err := look(v)
		if v.damage != nil {
			return v.damage
		}
		db.reusable.Put(v.tables)
		return err
	})
}

// tablesOf are tables that were used before, if there are any: a view is otherwise little more.
func (db *DB) tablesOf(tx *bbolt.Tx) *tables {
	s, ok := db.reusable.Get().(*tables)
	if !ok {
		return newTables(tx)
	}
	s.tx, s.damage = tx, nil
	clear(s.opened[:])
	clear(s.seekers[:])
	if cap(s.scratch) > maxScratch {
		s.scratch = s.buffer[:0]
	}
	return s
}

// tenant is the number of a tenant, 0 for one that has no resources. Numbers are for ever, so one that memory has is
// right for every state, also where it is newer than what is looked at. One that it does not have may be in the file: a
// transaction is there a moment before it is in memory, and one whose commit ended with an error may be there after all.
func (v view) tenant(name string) uint32 {
	v.db.mu.RLock()
	number := v.db.tenants[name]
	v.db.mu.RUnlock()
	if number != 0 {
		return number
	}
	if record := v.tenantNumbers.get([]byte(name)); len(record) == 4 {
		return binary.BigEndian.Uint32(record)
	}
	return 0
}

// number is the number of a resource, 0 if there is none.
func (v view) number(key sm.Key) uint64 {
	tenant := v.tenant(key.Tenant)
	if tenant == 0 {
		return 0
	}
	if n := v.ids.find(idKey(key.Kind, key.ID, tenant)); len(n) == 8 {
		return binary.BigEndian.Uint64(n)
	}
	return 0
}

func (v view) resource(number uint64) (r sm.Resource, h hot, err error) {
	key := numberKey(number)
	hotRecord := v.hot.get(key)
	r, h, err = decodeResource(hotRecord, v.cold.get(key), v.older(key, hotRecord), v.loader(number))
	if err != nil {
		return r, h, fmt.Errorf("resource number %d: %w", number, err)
	}
	return r, h, nil
}

// older is the record of the jobs but for the newest one. What forgotten jobs left stands there too: where some are forgotten, many
// are not.
func (s *tables) older(key, hotRecord []byte) []byte {
	d := decoder{b: hotRecord}
	if decodeHead(&d).jobs > 1 {
		return s.jobs.get(key)
	}
	return nil
}

// misplaced notes that an entry of an index leads to a resource that does not agree with its place: what the entry says
// must be so.
func (v view) misplaced(index table, key []byte, found sm.Key) error {
	v.damaged("%s leads to %s %s of tenant %s, which does not belong there", index.record(key), found.Kind, found.ID, found.Tenant)
	return v.damage
}

// head is what events change of a resource, but for its newest job.
func (v view) head(number uint64) (h hot, err error) {
	record := v.hot.get(numberKey(number))
	if record == nil {
		return h, fmt.Errorf("resource number %d: %w", number, errMissing)
	}
	d := decoder{b: record}
	h = decodeHead(&d)
	return h, d.err
}

// loader finds the faults of a resource.
func (v view) loader(number uint64) faultLoader {
	return func(ref faultRef) (*sm.Fault, error) {
		if ref.sequence == 0 {
			return nil, nil
		}
		return loader(v.faults, number)(ref)
	}
}

// Recent returns a resource as [DB.Resource] does if that needs no reading, and false if it does.
func (db *DB) Recent(key sm.Key) (sm.Resource, bool) {
	r, ok, _ := db.recent.get(key)
	return r, ok
}

// Resource returns one resource, or [sm.ErrNotFound]. Others are given the same one: what it refers to must not be
// changed.
func (db *DB) Resource(key sm.Key) (r sm.Resource, err error) {
	r, ok, commits := db.recent.get(key)
	if ok {
		return r, nil
	}
	err = db.view(func(v view) error {
		number := v.number(key)
		if number == 0 {
			return sm.ErrNotFound
		}
		r, _, err = v.resource(number)
		if err == nil && r.Key != key {
			err = v.misplaced(v.ids, idPrefix(key.Kind, key.ID), r.Key)
		}
		return err
	})
	if err == nil {
		db.recent.keep(r, commits)
	}
	return r, err
}

// Find returns the resources of a kind and id of all tenants, in the order of the tenants' numbers.
func (db *DB) Find(kind sm.Kind, id string) (all []sm.Resource, err error) {
	err = db.view(func(v view) error {
		var numbers []uint64
		v.ids.each(idPrefix(kind, id), func(_, n []byte) { numbers = append(numbers, binary.BigEndian.Uint64(n)) })
		for _, n := range numbers {
			r, _, err := v.resource(n)
			if err == nil && (r.Kind != kind || r.ID != id) {
				err = v.misplaced(v.ids, idPrefix(kind, id), r.Key)
			}
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		return nil
	})
	return all, err
}

// History returns the transitions that are kept of a resource, newest first, and how many older ones were cut;
// or [sm.ErrNotFound].
func (db *DB) History(key sm.Key) (rows []sm.Transition, cut uint64, err error) {
	err = db.view(func(v view) error {
		number := v.number(key)
		if number == 0 {
			return sm.ErrNotFound
		}
		h, err := v.head(number)
		if err != nil {
			return err
		}
		if rows, err = v.transitions(number); err == nil && uint64(len(rows)) > h.transitions {
			err = corrupt("resource number %d has %d rows of history, and had %d ever", number, len(rows), h.transitions)
		}
		cut = h.transitions - uint64(len(rows))
		return err
	})
	return rows, cut, err
}

func (v view) transitions(number uint64) (rows []sm.Transition, err error) {
	load := v.loader(number)
	v.history.each(numberKey(number), func(k, record []byte) {
		t, failed := decodeTransition(binary.BigEndian.Uint64(k[8:]), record, load)
		if failed != nil && err == nil {
			err = fmt.Errorf("resource number %d: %w", number, failed)
		}
		rows = append(rows, t)
	})
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	return rows, err
}

// Rejected returns rejected messages with a sequence below before, newest first, at most limit; before 0 begins
// with the newest.
func (db *DB) Rejected(before uint64, limit int) (rows []sm.Rejection, err error) {
	err = db.view(func(v view) error {
		c := v.rejected.cursor()
		for k, record := seekBelow(c, nil, before); k != nil && len(rows) < limit; k, record = c.prev() {
			r, err := decodeRejection(binary.BigEndian.Uint64(k), record)
			if err != nil {
				return fmt.Errorf("rejected message %d: %w", binary.BigEndian.Uint64(k), err)
			}
			rows = append(rows, r)
		}
		return nil
	})
	return rows, err
}

// seekBelow moves a cursor to the last key that has the prefix and a number below the given one behind it; 0 is
// beyond all numbers. It returns nil where there is none.
func seekBelow(c *cursor, prefix []byte, number uint64) (k, v []byte) {
	if number == 0 {
		number = 1<<64 - 1
	}
	k, v = c.below(binary.BigEndian.AppendUint64(append([]byte(nil), prefix...), number))
	if len(k) != len(prefix)+8 || string(k[:len(prefix)]) != string(prefix) {
		return nil, nil
	}
	return k, v
}

// Summary counts resources by kind and status, those of one tenant, or of all for "". What is 0 is left out.
func (db *DB) Summary(tenant string) map[sm.Kind]map[sm.Status]uint64 {
	var number uint32
	if tenant != "" {
		db.mu.RLock()
		number = db.tenants[tenant]
		db.mu.RUnlock()
		if number == 0 {
			return map[sm.Kind]map[sm.Status]uint64{}
		}
	}
	return db.count(number)
}

func (db *DB) count(tenant uint32) map[sm.Kind]map[sm.Status]uint64 {
	all := map[sm.Kind]map[sm.Status]uint64{}
	db.mu.RLock()
	defer db.mu.RUnlock()
	for _, kind := range sm.Kinds {
		for _, status := range kind.Statuses() {
			n := db.counts[countKey{tenant, kind, status}]
			if n == 0 {
				continue
			}
			if all[kind] == nil {
				all[kind] = map[sm.Status]uint64{}
			}
			all[kind][status] = n
		}
	}
	return all
}
