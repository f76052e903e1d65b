package storage

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	sm "faultd/statemachine"
)

const (
	// maxTrim is how many rows of the outbox one commit deletes.
	maxTrim = 10_000
	// outboxPage is how many bytes of records an answer of [DB.Outbox] holds, beyond its first row.
	outboxPage = 8 << 20
)

// outbox is what is known of the rows that are to be told without reading them. It is locked before DB.file and DB.mu.
type outbox struct {
	sync.Mutex
	rows   uint64  // committed and not told
	oldest sm.Time // stream time of the first of them
	told   uint64  // all rows up to this ordinal are told
	kept   uint64  // told and not deleted yet
}

// tellings are the rows that a batch adds and takes away.
type tellings struct {
	added, deleted uint64
	oldest         sm.Time // stream time of the first that it adds
}

// tell writes a row for an entry into ERROR, another fault in it, or a recovery: at most one for an event.
func (b *batch) tell(tr *sm.Transition, was, is *sm.Resource) error {
	raised := is.Status == sm.Error && (was.Status != sm.Error || refOf(was.Fault) != refOf(is.Fault))
	cleared := was.Status == sm.Error && is.Status != sm.Error
	if !raised && !cleared {
		return nil
	}
	row := sm.Telling{Ordinal: tr.Sequence, Epoch: b.to.Epoch, Sequence: tr.Sequence - b.to.Base, StreamTime: tr.StreamTime, Time: tr.Time,
		Behind: b.behind, Raised: raised, Previous: tr.From, Fault: was.Fault, Resource: *is}
	if cleared {
		row.Action = was.FailedAction()
	}
	if b.tellings.added == 0 {
		b.tellings.oldest = row.StreamTime
	}
	b.tellings.added++
	return b.outbox.put(numberKey(row.Ordinal), encodeTelling(&row))
}

// trimOutbox deletes rows that were told.
func (b *batch) trimOutbox() error {
	o := &b.db.outbox
	o.Lock()
	told, kept := o.told, o.kept
	o.Unlock()
	if kept == 0 {
		return nil
	}
	var keys [][]byte
	c := b.outbox.cursor()
	for k, _ := c.first(); k != nil && binary.BigEndian.Uint64(k) <= told && len(keys) < maxTrim; k, _ = c.next() {
		keys = append(keys, slices.Clone(k))
	}
	for _, k := range keys {
		if err := b.outbox.delete(k); err != nil {
			return err
		}
	}
	b.tellings.deleted = uint64(len(keys))
	return nil
}

// committed takes a batch's rows into account; the outbox is locked.
func (o *outbox) committed(t tellings) {
	if o.rows == 0 {
		o.oldest = t.oldest
	}
	o.rows += t.added
	o.kept -= t.deleted
}

// Outbox returns committed rows behind an ordinal that were not told yet, the oldest first, at most limit, and no more
// than 8 MiB of records behind the first. There are no more only where it returns none.
func (db *DB) Outbox(after uint64, limit int) (rows []sm.Telling, err error) {
	db.outbox.Lock()
	after, end := max(after, db.outbox.told), db.Position().Ordinal()
	db.outbox.Unlock()
	err = db.view(func(v view) error {
		size := 0
		c := v.outbox.cursor()
		for k, record := c.seek(numberKey(after + 1)); k != nil && len(rows) < limit; k, record = c.next() {
			ordinal := binary.BigEndian.Uint64(k)
			size += len(record)
			if ordinal > end || len(rows) > 0 && size > outboxPage {
				return nil
			}
			row, err := decodeTelling(ordinal, record)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows, err
}

// Told says that all rows up to an ordinal are in the stream FAULTS. They are not counted any more, and deleted with a
// later commit; after a restart before that they are there again.
func (db *DB) Told(ordinal uint64) {
	o := &db.outbox
	o.Lock()
	defer o.Unlock()
	end := db.Position().Ordinal() // rows behind it are in the file, and not counted yet
	if ordinal = min(ordinal, end); ordinal <= o.told {
		return
	}
	var told uint64
	var oldest sm.Time
	if err := db.view(func(v view) error {
		c := v.outbox.cursor()
		k, record := c.seek(numberKey(o.told + 1))
		for ; k != nil && binary.BigEndian.Uint64(k) <= ordinal; k, record = c.next() {
			told++
		}
		if k != nil && binary.BigEndian.Uint64(k) <= end {
			oldest = tellingTime(record)
		}
		return nil
	}); err != nil {
		return // the file is closed or damaged: they are told again
	}
	o.told, o.oldest = ordinal, oldest
	o.rows -= told
	o.kept += told
}

// OutboxState is how many rows are not told yet, and the stream time of the oldest of them, 0 for none.
func (db *DB) OutboxState() (rows uint64, oldest sm.Time) {
	db.outbox.Lock()
	defer db.outbox.Unlock()
	return db.outbox.rows, db.outbox.oldest
}

func (db *DB) loadOutbox(v view) error {
	return v.outbox.all(func(k, record []byte) error {
		if len(k) != 8 {
			return fmt.Errorf("outbox row %x: %w", k, errShort)
		}
		if db.outbox.rows == 0 {
			db.outbox.oldest = tellingTime(record)
		}
		db.outbox.rows++
		return nil
	})
}

// encodeTelling holds all that the row is about, so that it can be told whatever becomes of the resource.
func encodeTelling(t *sm.Telling) []byte {
	r := &t.Resource
	faults := faultsOf(r)
	e := encoder{make([]byte, 0, 512)}
	e.fixed(uint64(t.StreamTime))
	e.int(int64(t.StreamTime - t.Time))
	e.int(int64(t.Epoch))
	e.uint(t.Sequence)
	e.uint(t.Behind)
	e.byte(byte(t.Previous))
	e.bool(t.Raised)
	if !t.Raised {
		encodeWholeFault(&e, t.Fault)
		e.byte(byte(t.Action))
	}
	e.bytes(encodeHot(hot{status: r.Status, sequence: r.Sequence, updated: r.Updated, fault: refOf(r.Fault), jobs: len(r.Jobs)}, &r.Jobs[len(r.Jobs)-1]))
	e.bytes(encodeCold(r))
	e.bytes(encodeOlder(r))
	e.uint(uint64(len(faults)))
	for _, f := range faults {
		encodeWholeFault(&e, f)
	}
	return e.b
}

func decodeTelling(ordinal uint64, record []byte) (t sm.Telling, err error) {
	d := decoder{b: record}
	t.Ordinal, t.StreamTime = ordinal, sm.Time(d.fixed())
	t.Time, t.Epoch = t.StreamTime-sm.Time(d.int()), sm.Time(d.int())
	t.Sequence, t.Behind = d.uint(), d.uint()
	t.Previous, t.Raised = sm.Status(d.byte()), d.bool()
	if !t.Raised {
		t.Fault, t.Action = decodeWholeFault(&d), sm.Action(d.byte())
	}
	hotRecord, cold, older := d.take(d.uint()), d.take(d.uint()), d.take(d.uint())
	if len(older) == 0 {
		older = nil
	}
	faults := map[faultRef]*sm.Fault{{}: nil}
	for range d.count() {
		f := decodeWholeFault(&d)
		faults[refOf(f)] = f
	}
	if d.err != nil {
		return t, fmt.Errorf("outbox row %d: %w", ordinal, d.err)
	}
	t.Resource, _, err = decodeResource(hotRecord, cold, older, func(ref faultRef) (*sm.Fault, error) {
		f, ok := faults[ref]
		if !ok {
			return nil, fmt.Errorf("fault of message %d: %w", ref.sequence, errMissing)
		}
		return f, nil
	})
	if err != nil {
		return t, fmt.Errorf("outbox row %d: %w", ordinal, err)
	}
	if t.Raised {
		t.Fault = t.Resource.Fault
	}
	return t, nil
}

// tellingTime is the stream time of a row's record, 0 for one that is cut short.
func tellingTime(record []byte) sm.Time {
	d := decoder{b: record}
	return sm.Time(d.fixed())
}

// faultsOf are the faults that a resource's jobs refer to, each once, in the order of the jobs.
func faultsOf(r *sm.Resource) (all []*sm.Fault) {
	add := func(f *sm.Fault) {
		if f != nil && !slices.ContainsFunc(all, func(g *sm.Fault) bool { return refOf(f) == refOf(g) }) {
			all = append(all, f)
		}
	}
	for i := range r.Jobs {
		j := &r.Jobs[i]
		add(j.SaidFault)
		for _, a := range j.Attempts {
			add(a.Fault)
		}
		for _, p := range j.Providers {
			add(p.Fault)
		}
	}
	return all
}

func encodeWholeFault(e *encoder, f *sm.Fault) {
	e.uint(f.Sequence)
	e.bool(f.Summary)
	e.bytes(encodeFault(f))
}

func decodeWholeFault(d *decoder) *sm.Fault {
	ref := faultRef{d.uint(), d.bool()}
	f, err := decodeFault(ref, d.take(d.uint()))
	if err != nil && d.err == nil {
		d.err = err
	}
	return f
}
