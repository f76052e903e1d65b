package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	sm "faultd/statemachine"
)

// batch folds a batch of the log into one transaction: each resource that it touches is read once, taken through
// its events, and written once.
type batch struct {
	db *DB
	tx *bbolt.Tx

	// What counts for the state hash, and the indexes, which follow from it.
	meta, hot, cold, jobs, history, faults, tally, rejected   *table
	groupRecords, members, groupTenants, shared, valueCounts  *table
	ids, lists, errors, ages, unfinished, relations, messages *bbolt.Bucket

	clock    sm.Time // the largest stream time so far
	hash     uint64
	scratch  []byte
	next     uint64
	tenants  map[string]uint32 // born in this batch
	open     map[sm.Key]*touched
	born     map[uint64]*touched // in this batch, so that the file does not have it yet
	order    []*touched          // as they were first touched
	counters sm.Counters
	counts   map[countKey]int64
	groups   map[string]*group
	values   map[string]int64 // by valueKey
	changes  []sm.Change
	pending  []sm.Pending // jobs that the watchdog does not know yet
	refused  []sm.Rejection
}

// touched is a resource in the hands of a batch.
type touched struct {
	number   uint64 // 0 until it is born
	tenant   uint32
	resource sm.Resource

	// What the file holds of it; the slices are bbolt's and live as long as the transaction.
	before                    sm.Resource
	was                       hot
	wasHot, wasCold, wasOlder []byte

	total       uint64           // transitions ever
	group       string           // fingerprint of the group that it is counted in, empty if none
	oldest      sm.Time          // stream time under which it stands in the ages, 0 if it does not
	transitions []*sm.Transition // to be written, with
	faults      []*sm.Fault
}

// Apply folds the entries, which follow each other in the log, into the store in one transaction that also moves
// the position there, and tells how long deciding and committing took. After an error nothing more can be
// applied: it is the same error at every further call, wrapped in [ErrBroken].
func (db *DB) Apply(entries []sm.Entry, to sm.Position) (apply, commit time.Duration, err error) {
	if db.broken != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrBroken, db.broken)
	}
	start := time.Now()
	b, err := db.begin()
	if err == nil {
		err = b.fold(entries, to)
	}
	if err != nil {
		db.broken = err
		if b != nil {
			err = errors.Join(err, b.tx.Rollback())
		}
		return 0, 0, fmt.Errorf("applying messages up to %d: %w", to.Sequence, err)
	}
	decided := time.Now()
	if err := b.tx.Commit(); err != nil {
		db.broken = err
		return 0, 0, fmt.Errorf("committing messages up to %d: %w", to.Sequence, err)
	}
	db.publish(b, to)
	return decided.Sub(start), time.Since(decided), nil
}

func (db *DB) begin() (*batch, error) {
	tx, err := db.bolt.Begin(true)
	if err != nil {
		return nil, err
	}
	hashed := func(id byte) *table { return &table{tx.Bucket(hashedBuckets[id]), id} }
	return &batch{
		db: db, tx: tx, next: db.next, counters: db.counters, hash: db.hash, clock: db.clock,
		meta: hashed(idMeta), hot: hashed(idHot), cold: hashed(idCold), jobs: hashed(idJobs), history: hashed(idHistory),
		faults: hashed(idFaults), tally: hashed(idCounts), rejected: hashed(idRejected),
		groupRecords: hashed(idGroups), members: hashed(idMembers), groupTenants: hashed(idGroupTenants), shared: hashed(idShared),
		valueCounts: hashed(idValues),
		groups:      map[string]*group{}, values: map[string]int64{},
		ids: tx.Bucket(bucketIDs), lists: tx.Bucket(bucketLists), errors: tx.Bucket(bucketErrors),
		ages: tx.Bucket(bucketAges), unfinished: tx.Bucket(bucketUnfinished), relations: tx.Bucket(bucketRelations),
		messages: tx.Bucket(bucketMessages),
		tenants:  map[string]uint32{}, open: map[sm.Key]*touched{}, born: map[uint64]*touched{}, counts: map[countKey]int64{},
	}, nil
}

// publish shows readers what was committed.
func (db *DB) publish(b *batch, to sm.Position) {
	for name, n := range b.tenants {
		db.tenants[name] = n
	}
	db.next = b.next
	db.mu.Lock()
	defer db.mu.Unlock()
	for key, d := range b.counts {
		if db.counts[key] += uint64(d); db.counts[key] == 0 {
			delete(db.counts, key)
		}
	}
	db.position, db.counters, db.hash, db.clock = to, b.counters, b.hash, b.clock
	db.pending = append(db.pending, b.pending...)
	db.feed.add(b.changes)
	close(db.changed)
	db.changed = make(chan struct{})
}

func (b *batch) fold(entries []sm.Entry, to sm.Position) error {
	for i := range entries {
		err := b.tick(entries[i].StreamTime)
		if err == nil {
			err = b.take(&entries[i])
		}
		if err != nil {
			return fmt.Errorf("message %d: %w", entries[i].Sequence, err)
		}
	}
	return b.flush(to)
}

// take decides one entry.
func (b *batch) take(e *sm.Entry) error {
	reason, detail := e.Reason, e.Detail
	if reason == 0 {
		outcome, err := b.decide(e)
		if err != nil {
			return err
		}
		reason, detail = outcome.Reason, outcome.Detail
	}
	b.counters.Count(reason, e.Unknown)
	if reason.Verdict() == sm.Rejected {
		b.refused = append(b.refused, sm.Rejection{Sequence: e.Sequence, StreamTime: e.StreamTime, Subject: e.Subject,
			Reason: reason, Detail: detail, Size: len(e.Raw), Data: slices.Clone(e.Raw[:min(len(e.Raw), sm.MaxRejected)])})
	}
	return nil
}

func (b *batch) decide(e *sm.Entry) (sm.Outcome, error) {
	event := e.Event
	if event.Tenant == "" || event.Job == "" {
		known, err := b.find(event.Key)
		if err != nil {
			return sm.Outcome{}, err
		}
		var reason sm.Reason
		if event, reason = sm.Resolve(event, known); reason != 0 {
			return sm.Outcome{Reason: reason}, nil
		}
	}
	t, err := b.touch(event.Key)
	if err != nil {
		return sm.Outcome{}, err
	}
	was := t.resource
	is, outcome := sm.Apply(was, event)
	t.resource = is
	if t.number == 0 && is.Status != 0 {
		if err := b.bear(t); err != nil {
			return outcome, err
		}
	}
	if outcome.Transition == nil {
		return outcome, nil
	}
	if err := b.record(t, &event, outcome.Transition); err != nil {
		return outcome, err
	}
	return outcome, b.regroup(t, &was)
}

// record keeps a transition, and the faults that came with it.
func (b *batch) record(t *touched, e *sm.Event, tr *sm.Transition) error {
	t.transitions = append(t.transitions, tr)
	t.total++
	if e.Fault != nil {
		t.faults = append(t.faults, e.Fault)
	}
	if tr.Fault != nil && tr.Fault != e.Fault {
		t.faults = append(t.faults, tr.Fault)
	}
	b.changes = append(b.changes, sm.Change{Key: e.Key, Transition: *tr})
	if t.oldest != 0 {
		return nil
	}
	return b.age(t, tr.StreamTime)
}

// find returns the resources of a kind and id: those of all tenants where the key names none.
func (b *batch) find(key sm.Key) (known []sm.Resource, err error) {
	if key.Tenant != "" {
		t, err := b.touch(key)
		if err != nil || t.number == 0 {
			return nil, err
		}
		return []sm.Resource{t.resource}, nil
	}
	prefix := idPrefix(key.Kind, key.ID)
	var numbers []uint64
	eachPrefix(b.ids, prefix, func(_, v []byte) { numbers = append(numbers, binary.BigEndian.Uint64(v)) })
	for _, n := range numbers {
		t, err := b.touchNumber(n)
		if err != nil {
			return nil, err
		}
		known = append(known, t.resource)
	}
	return known, nil
}

func eachPrefix(bucket *bbolt.Bucket, prefix []byte, visit func(k, v []byte)) {
	c := bucket.Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix) && k != nil; k, v = c.Next() {
		visit(k, v)
	}
}

// touch takes a resource in hand, one that does not exist too.
func (b *batch) touch(key sm.Key) (*touched, error) {
	if t := b.open[key]; t != nil {
		return t, nil
	}
	t := &touched{tenant: b.tenantNumber(key.Tenant)}
	if t.tenant != 0 {
		if v := b.ids.Get(idKey(key.Kind, key.ID, t.tenant)); v != nil {
			t.number = binary.BigEndian.Uint64(v)
			if err := b.load(t); err != nil {
				return nil, err
			}
		}
	}
	b.open[key] = t
	b.order = append(b.order, t)
	return t, nil
}

// touchNumber is touch for a resource of which only the number is known.
func (b *batch) touchNumber(number uint64) (*touched, error) {
	if t := b.born[number]; t != nil {
		return t, nil
	}
	var r sm.Resource
	if err := decodeCold(b.cold.get(numberKey(number)), &r); err != nil {
		return nil, fmt.Errorf("resource %d: %w", number, err)
	}
	return b.touch(r.Key)
}

func (b *batch) load(t *touched) error {
	key := numberKey(t.number)
	t.wasHot, t.wasCold, t.wasOlder = b.hot.get(key), b.cold.get(key), b.jobs.get(key)
	var err error
	t.resource, t.was, err = decodeResource(t.wasHot, t.wasCold, t.wasOlder, loader(b.faults.bucket, t.number))
	if err != nil {
		return fmt.Errorf("resource %d: %w", t.number, err)
	}
	t.before, t.total, t.oldest, t.group = t.resource, t.was.transitions, t.was.oldest, t.was.group
	return nil
}

// loader finds the faults of a resource.
func loader(faults *bbolt.Bucket, number uint64) faultLoader {
	return func(ref faultRef) (*sm.Fault, error) {
		if ref.sequence == 0 {
			return nil, nil
		}
		v := faults.Get(faultKey(number, ref))
		if v == nil {
			return nil, fmt.Errorf("fault of message %d: %w", ref.sequence, errMissing)
		}
		return decodeFault(ref, v)
	}
}

// errMissing is returned when a record refers to one that is not there.
var errMissing = errors.New("a record is missing")

// decodeResource puts a resource together from its records.
func decodeResource(hotRecord, coldRecord, olderRecord []byte, load faultLoader) (r sm.Resource, h hot, err error) {
	if hotRecord == nil || coldRecord == nil {
		return r, h, errMissing
	}
	if err = decodeCold(coldRecord, &r); err != nil {
		return r, h, err
	}
	if olderRecord != nil {
		if err = decodeOlder(olderRecord, &r, load); err != nil {
			return r, h, err
		}
	}
	d := decoder{b: hotRecord}
	h = decodeHead(&d)
	newest, err := decodeJob(&d, load)
	if err != nil {
		return r, h, err
	}
	r.Jobs = append(r.Jobs, newest)
	r.Sequence, r.Updated = h.sequence, h.updated
	r.Derive()
	return r, h, nil
}

func (b *batch) tenantNumber(tenant string) uint32 {
	if n, ok := b.tenants[tenant]; ok {
		return n
	}
	return b.db.tenants[tenant]
}

// bear gives a resource its number. Numbers follow the log, so they are the same in every replica.
func (b *batch) bear(t *touched) error {
	if t.tenant = b.tenantNumber(t.resource.Tenant); t.tenant == 0 {
		t.tenant = uint32(len(b.db.tenants) + len(b.tenants) + 1)
		b.tenants[t.resource.Tenant] = t.tenant
		if err := b.tx.Bucket(bucketTenants).Put([]byte(t.resource.Tenant), binary.BigEndian.AppendUint32(nil, t.tenant)); err != nil {
			return err
		}
	}
	t.number = b.next
	b.next++
	b.born[t.number] = t
	return b.ids.Put(idKey(t.resource.Kind, t.resource.ID, t.tenant), numberKey(t.number))
}
