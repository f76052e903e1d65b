package storage

import (
	"cmp"
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
	*tables

	to       sm.Position // where it leads
	epochs   []sm.Position
	gaps     []gap
	behind   uint64
	tellings tellings
	clock    sm.Time // the largest stream time so far
	hash     uint64
	next     uint64
	tenants  map[string]uint32 // born in this batch
	listed   sets              // who is in which list
	awaited  sets              // who is unfinished
	aging    sets              // what will expire when
	open     map[sm.Key]*touched
	born     map[uint64]*touched // in this batch, so that the file does not have it yet
	order    []*touched          // as they were first touched
	unused   []touched           // see fresh
	counters sm.Counters
	counts   map[countKey]int64
	groups   map[string]*group
	values   map[string]int64 // by valueKey
	changes  []sm.Change
	pending  []sm.Pending // jobs that the watchdog does not know yet
	ended    []sm.Pending // those that are no longer pending
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

	is          hot              // what is written of it, as far as it is known
	total       uint64           // transitions ever
	group       string           // fingerprint of the group that it is counted in, empty if none
	oldest      sm.Time          // stream time under which it stands in the ages, 0 if it does not
	transitions []*sm.Transition // to be written, with
	faults      []*sm.Fault
	aged        bool // transitions of this batch may have been written before its end, see expireOne
}

// Apply folds the entries, which follow each other in the log, into the store in one transaction that also moves
// the position there and keeps the gaps that were noticed while they were read, and tells how long deciding and
// committing took. There may be no entries. It returns [sm.ErrFull], wrapped, if there was no room: nothing is applied then,
// and the same can be tried again. After any other error nothing more can be applied: it is the same error at every
// further call, wrapped in [ErrBroken].
func (db *DB) Apply(entries []sm.Entry, to sm.Position, gaps ...sm.Gap) (apply, commit time.Duration, err error) {
	if err := db.enough(entries); err != nil {
		return 0, 0, fmt.Errorf("applying messages up to %d: %w", to.Sequence, err)
	}
	return db.commit(to, func(b *batch) error { return b.fold(entries, to, gaps) })
}

// commit does one transaction of the log's and shows it to readers.
func (db *DB) commit(to sm.Position, fold func(*batch) error) (apply, commit time.Duration, err error) {
	if db.broken != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrBroken, db.broken)
	}
	start := time.Now()
	db.step("begin")
	b, err := db.fold(fold)
	if err != nil {
		if !errors.Is(err, sm.ErrFull) {
			db.broken = err
		}
		if b != nil {
			err = errors.Join(err, db.rollback(b.tx))
		}
		return 0, 0, fmt.Errorf("applying messages up to %d: %w", to.Sequence, err)
	}
	decided := time.Now()
	db.step("put")
	if err := db.write(b.tx); err != nil {
		return 0, 0, fmt.Errorf("committing messages up to %d: %w", to.Sequence, err)
	}
	db.step("committed")
	db.publish(b, to)
	return decided.Sub(start), time.Since(decided), nil
}

// fold makes a batch of what is to be done. Damage that was met on the way is its error; the batch is nil where there is
// no transaction.
func (db *DB) fold(fold func(*batch) error) (b *batch, err error) {
	if db.stuck.Load() {
		return nil, errStuck
	}
	err = protect(func() (err error) {
		if b, err = db.begin(); err != nil {
			return err
		}
		err = fold(b)
		return cmp.Or(b.damage, err)
	})
	if b == nil && errors.As(err, &errPanicked{}) {
		db.stuck.Store(true)
	}
	return b, err
}

// rollback undoes a transaction; if bbolt panics in that too, its locks are held for ever.
func (db *DB) rollback(tx *bbolt.Tx) error {
	err := protect(tx.Rollback)
	if errors.As(err, &errPanicked{}) {
		db.stuck.Store(true)
	}
	return err
}

// write is finish, for pages that may be damaged.
func (db *DB) write(tx *bbolt.Tx) error {
	err := protect(func() error { return db.finish(tx) })
	if errors.As(err, &errPanicked{}) {
		db.broken = err
		_ = db.rollback(tx) // it says that the transaction is closed, or panics again
	}
	return err
}

func (db *DB) begin() (*batch, error) {
	tx, err := db.beginWrite()
	if err != nil {
		return nil, err
	}
	s := newTables(tx)
	return &batch{
		db: db, tables: s, next: db.next, counters: db.counters, hash: db.hash, clock: db.clock,
		listed: sets{of: s.lists}, awaited: sets{of: s.unfinished}, aging: sets{of: s.ages},
		epochs: db.epochs, gaps: db.gaps, behind: db.behind,
		groups: map[string]*group{}, values: map[string]int64{},
		tenants: map[string]uint32{}, open: map[sm.Key]*touched{}, born: map[uint64]*touched{}, counts: map[countKey]int64{},
	}, nil
}

// publish shows readers what was committed.
func (db *DB) publish(b *batch, to sm.Position) {
	db.next = b.next
	db.recent.commit(b.order)
	db.outbox.Lock()
	defer db.outbox.Unlock()
	db.outbox.committed(b.tellings)
	db.mu.Lock()
	defer db.mu.Unlock()
	for name, n := range b.tenants {
		db.tenants[name] = n
	}
	for key, d := range b.counts {
		if db.counts[key] += uint64(d); db.counts[key] == 0 {
			delete(db.counts, key)
		}
	}
	db.position, db.counters, db.hash, db.clock = to, b.counters, b.hash, b.clock
	db.epochs, db.gaps, db.behind = b.epochs, b.gaps, b.behind
	db.watch(b.pending, b.ended)
	db.feed.add(b.changes)
	close(db.changed)
	db.changed = make(chan struct{})
}

func (b *batch) fold(entries []sm.Entry, to sm.Position, gaps []sm.Gap) error {
	if err := b.follow(entries, to); err != nil {
		return err
	}
	if err := b.addGaps(gaps, to); err != nil {
		return err
	}
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
	b.record(t, &event, outcome.Transition)
	if err := b.tell(outcome.Transition, &was, &t.resource); err != nil {
		return outcome, err
	}
	return outcome, b.regroup(t, &was)
}

// record keeps a transition, and the faults that came with it.
func (b *batch) record(t *touched, e *sm.Event, tr *sm.Transition) {
	t.transitions = append(t.transitions, tr)
	t.total++
	if e.Fault != nil {
		t.faults = append(t.faults, e.Fault)
	}
	if tr.Fault != nil && tr.Fault != e.Fault {
		t.faults = append(t.faults, tr.Fault)
	}
	b.changes = append(b.changes, sm.Change{Key: e.Key, Transition: *tr})
	if t.oldest == 0 {
		b.age(t, tr.StreamTime)
	}
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
	b.ids.each(prefix, func(_, v []byte) { numbers = append(numbers, binary.BigEndian.Uint64(v)) })
	for _, n := range numbers {
		t, err := b.touchNumber(n)
		if err != nil {
			return nil, err
		}
		known = append(known, t.resource)
	}
	return known, nil
}

// touch takes a resource in hand, one that does not exist too.
func (b *batch) touch(key sm.Key) (*touched, error) {
	if t := b.open[key]; t != nil {
		return t, nil
	}
	t := b.fresh()
	if t.tenant = b.tenantNumber(key.Tenant); t.tenant != 0 {
		if v := b.ids.find(idKey(key.Kind, key.ID, t.tenant)); v != nil {
			t.number = binary.BigEndian.Uint64(v)
			if err := b.load(t); err != nil {
				return nil, err
			}
			if t.resource.Key != key {
				return nil, corrupt("the id of %s %s of tenant %s leads to %s %s of tenant %s", key.Kind, key.ID, key.Tenant,
					t.resource.Kind, t.resource.ID, t.resource.Tenant)
			}
		}
	}
	b.open[key] = t
	b.order = append(b.order, t)
	return t, nil
}

// fresh is the next touched of a slab, each of which is as large as all before it up to a limit: one by one they would cost
// more to allocate than to fill.
func (b *batch) fresh() *touched {
	const most = 64
	if len(b.unused) == 0 {
		b.unused = make([]touched, min(max(1, len(b.order)), most))
	}
	t := &b.unused[0]
	b.unused = b.unused[1:]
	return t
}

// touchNumber is touch for a resource of which only the number is known.
func (b *batch) touchNumber(number uint64) (*touched, error) {
	if t := b.born[number]; t != nil {
		return t, nil
	}
	var r sm.Resource
	if err := decodeCold(b.cold.get(numberKey(number)), &r); err != nil {
		return nil, fmt.Errorf("resource number %d: %w", number, err)
	}
	return b.touch(r.Key)
}

func (b *batch) load(t *touched) error {
	key := numberKey(t.number)
	t.wasHot, t.wasCold = b.hot.get(key), b.cold.get(key)
	t.wasOlder = b.older(key, t.wasHot)
	var err error
	t.resource, t.was, err = decodeResource(t.wasHot, t.wasCold, t.wasOlder, loader(b.faults, t.number))
	if err != nil {
		return fmt.Errorf("resource number %d: %w", t.number, err)
	}
	t.before, t.total, t.oldest, t.group = t.resource, t.was.transitions, t.was.oldest, t.was.group
	return nil
}

// loader finds the faults of a resource.
func loader(faults table, number uint64) faultLoader {
	return func(ref faultRef) (*sm.Fault, error) {
		if ref.sequence == 0 {
			return nil, nil
		}
		v := faults.get(faultKey(number, ref))
		if v == nil {
			return nil, fmt.Errorf("fault of message %d: %w", ref.sequence, errMissing)
		}
		return decodeFault(ref, v)
	}
}

// errMissing is returned when a record refers to one that is not there.
var errMissing = corrupt("a record is missing")

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
	if len(r.Jobs) != h.jobs || r.Status != h.status || refOf(r.Fault) != h.fault { // of different times
		err = corrupt("%s %s of tenant %s is %s by %d jobs, and %s by its record, which has %d", r.Kind, r.ID, r.Tenant, r.Status, len(r.Jobs), h.status, h.jobs)
	}
	return r, h, err
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
		if err := b.tenantNumbers.put([]byte(t.resource.Tenant), binary.BigEndian.AppendUint32(nil, t.tenant)); err != nil {
			return err
		}
	}
	t.number = b.next
	b.next++
	b.born[t.number] = t
	return b.ids.put(idKey(t.resource.Kind, t.resource.ID, t.tenant), numberKey(t.number))
}
