package storage

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	sm "faultd/statemachine"
)

// view is a look at one committed state.
type view struct {
	tx *bbolt.Tx
	*opened
}

// opened are the buckets that views read, each opened when it is first used: it costs as much as a record, and most
// reads need few of them.
type opened struct {
	tenants, ids, hot, cold, jobs, history, faults, lists, errors, relations lazyBucket
}

type lazyBucket struct {
	tx     *bbolt.Tx
	name   []byte
	bucket *bbolt.Bucket // nil: not opened yet
}

func (l *lazyBucket) open() *bbolt.Bucket {
	if l.bucket == nil {
		l.bucket = l.tx.Bucket(l.name)
	}
	return l.bucket
}

// Get is as that of a bucket.
func (l *lazyBucket) Get(key []byte) []byte { return l.open().Get(key) }

// Cursor is as that of a bucket.
func (l *lazyBucket) Cursor() *bbolt.Cursor { return l.open().Cursor() }

func (db *DB) view(look func(v view) error) error {
	return db.bolt.View(func(tx *bbolt.Tx) error {
		lazy := func(name []byte) lazyBucket { return lazyBucket{tx: tx, name: name} }
		return look(view{tx, &opened{
			tenants: lazy(bucketTenants), ids: lazy(bucketIDs), hot: lazy(bucketHot), cold: lazy(bucketCold), jobs: lazy(bucketJobs),
			history: lazy(bucketHistory), faults: lazy(bucketFaults), lists: lazy(bucketLists), errors: lazy(bucketErrors),
			relations: lazy(bucketRelations),
		}})
	})
}

// tenant is the number of a tenant, 0 for one that has no resources.
func (v view) tenant(name string) uint32 {
	if n := v.tenants.Get([]byte(name)); len(n) == 4 {
		return binary.BigEndian.Uint32(n)
	}
	return 0
}

// number is the number of a resource, 0 if there is none.
func (v view) number(key sm.Key) uint64 {
	tenant := v.tenant(key.Tenant)
	if tenant == 0 {
		return 0
	}
	if n := v.ids.Get(idKey(key.Kind, key.ID, tenant)); len(n) == 8 {
		return binary.BigEndian.Uint64(n)
	}
	return 0
}

func (v view) resource(number uint64) (sm.Resource, error) {
	key := numberKey(number)
	hotRecord := v.hot.Get(key)
	var older []byte // what forgotten jobs left stands there too: where some are forgotten, many are not
	d := decoder{b: hotRecord}
	if decodeHead(&d).jobs > 1 {
		older = v.jobs.Get(key)
	}
	r, _, err := decodeResource(hotRecord, v.cold.Get(key), older, v.loader(number))
	if err != nil {
		return r, fmt.Errorf("resource %d: %w", number, err)
	}
	return r, nil
}

// loader finds the faults of a resource.
func (v view) loader(number uint64) faultLoader {
	return func(ref faultRef) (*sm.Fault, error) {
		if ref.sequence == 0 {
			return nil, nil
		}
		return loader(v.faults.open(), number)(ref)
	}
}

// Resource returns one resource, or [sm.ErrNotFound].
func (db *DB) Resource(key sm.Key) (r sm.Resource, err error) {
	err = db.view(func(v view) error {
		number := v.number(key)
		if number == 0 {
			return sm.ErrNotFound
		}
		r, err = v.resource(number)
		return err
	})
	return r, err
}

// Find returns the resources of a kind and id of all tenants, in the order of the tenants' numbers.
func (db *DB) Find(kind sm.Kind, id string) (all []sm.Resource, err error) {
	err = db.view(func(v view) error {
		var numbers []uint64
		eachPrefix(v.ids.open(), idPrefix(kind, id), func(_, n []byte) { numbers = append(numbers, binary.BigEndian.Uint64(n)) })
		for _, n := range numbers {
			r, err := v.resource(n)
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
		d := decoder{b: v.hot.Get(numberKey(number))}
		total := decodeHead(&d).transitions
		rows, err = v.transitions(number)
		cut = total - uint64(len(rows))
		return err
	})
	return rows, cut, err
}

func (v view) transitions(number uint64) (rows []sm.Transition, err error) {
	load := v.loader(number)
	eachPrefix(v.history.open(), numberKey(number), func(k, record []byte) {
		t, failed := decodeTransition(binary.BigEndian.Uint64(k[8:]), record, load)
		if failed != nil && err == nil {
			err = fmt.Errorf("resource %d: %w", number, failed)
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
		c := v.tx.Bucket(bucketRejected).Cursor()
		for k, record := seekBelow(c, nil, before); k != nil && len(rows) < limit; k, record = c.Prev() {
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
func seekBelow(c *bbolt.Cursor, prefix []byte, number uint64) (k, v []byte) {
	if number == 0 {
		number = 1<<64 - 1
	}
	if k, _ = c.Seek(binary.BigEndian.AppendUint64(append([]byte(nil), prefix...), number)); k == nil {
		k, v = c.Last()
	} else {
		k, v = c.Prev()
	}
	if len(k) != len(prefix)+8 || string(k[:len(prefix)]) != string(prefix) {
		return nil, nil
	}
	return k, v
}

// Summary counts resources by kind and status, those of one tenant, or of all for "". What is 0 is left out.
func (db *DB) Summary(tenant string) map[sm.Kind]map[sm.Status]uint64 {
	var number uint32
	if tenant != "" {
		_ = db.view(func(v view) error { number = v.tenant(tenant); return nil })
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
