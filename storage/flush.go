package storage

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"

	sm "faultd/statemachine"
)

// maxHistory is how many transitions of a resource are kept; the newest fault is kept beyond that.
const maxHistory = 100

// maxRejections is how many rejected messages are kept.
const maxRejections = 10_000

// flush writes what the batch changed: one table after the other, so that what is looked at in a table stays close to the
// processor until the table is done.
func (b *batch) flush(to sm.Position) error {
	for _, write := range []func(*touched) error{b.writeHot, b.writeCold, b.writeJobs, b.listForAll, b.listForTenant, b.index} {
		for _, t := range b.order {
			if t.number == 0 {
				continue
			}
			if err := write(t); err != nil {
				return err
			}
		}
	}
	for _, write := range []func() error{b.listed.write, b.awaited.write, b.aging.write, b.hashCounts, b.writeGroups, b.writeValues} {
		if err := write(); err != nil {
			return err
		}
	}
	if err := b.writeRejected(); err != nil {
		return err
	}
	if err := b.trimOutbox(); err != nil {
		return err
	}
	return b.writeMeta(to)
}

// writeHot writes what changes often of a resource.
func (b *batch) writeHot(t *touched) error {
	r := &t.resource
	pending, was := r.Pending(), t.before.Pending()
	b.pending = append(b.pending, news(pending, was)...)
	b.ended = append(b.ended, news(was, pending)...)
	t.is = hot{status: r.Status, sequence: r.Sequence, updated: r.Updated, fault: refOf(r.Fault), transitions: t.total,
		oldest: t.oldest, group: t.group, unfinished: len(pending) > 0, jobs: len(r.Jobs)}
	return b.replace(b.hot, numberKey(t.number), encodeHot(t.is, &r.Jobs[len(r.Jobs)-1]), t.wasHot)
}

// writeCold writes what seldom changes, and counts the values in it.
func (b *batch) writeCold(t *touched) error {
	b.countValues(t)
	return b.replace(b.cold, numberKey(t.number), encodeCold(&t.resource), t.wasCold)
}

// writeJobs writes the jobs but for the newest one, and the history.
func (b *batch) writeJobs(t *touched) error {
	r := &t.resource
	older := encodeOlder(r)
	long := t.is.transitions > maxHistory && (t.aged || len(t.transitions) > 0 || !bytes.Equal(older, t.wasOlder) ||
		!maps.Equal(usedFaults(r), usedFaults(&t.before))) // a job lets go of a fault without a transition, too
	if err := b.replace(b.jobs, numberKey(t.number), older, t.wasOlder); err != nil {
		return err
	}
	if err := b.writeHistory(t); err != nil || !long {
		return err
	}
	_, err := b.cut(t, 0)
	return err
}

// news are the pending jobs that were not pending in this way before.
func news(is, was []sm.Pending) (all []sm.Pending) {
	for _, p := range is {
		if !slices.ContainsFunc(was, p.Same) {
			all = append(all, p)
		}
	}
	return all
}

func (b *batch) writeHistory(t *touched) error {
	for _, tr := range t.transitions {
		if err := b.replace(b.history, rowKey(t.number, tr.Sequence), encodeTransition(tr), nil); err != nil {
			return err
		}
		if tr.Fault == nil {
			continue
		}
		for _, tenant := range [2]uint32{0, t.tenant} {
			if err := b.messages.put(errorKey(tenant, tr.Sequence), numberKey(t.number)); err != nil {
				return err
			}
		}
	}
	for _, f := range t.faults {
		if err := b.put(b.faults, faultKey(t.number, refOf(f)), encodeFault(f)); err != nil {
			return err
		}
	}
	t.transitions, t.faults = nil, nil
	return nil
}

// cut takes from the history what is over [maxHistory] or not younger than the given stream time, but for the
// newest fault; and the faults that nothing refers to any more. It returns when the oldest row came that age will
// take, 0 for none. What it leaves depends on what the resource is, not on how the batches came.
func (b *batch) cut(t *touched, until sm.Time) (oldest sm.Time, err error) {
	rows := b.rows(b.history, numberKey(t.number))
	newestFault := -1
	for i := range rows {
		if transitionFault(rows[i].value).sequence != 0 {
			newestFault = i
		}
	}
	used := usedFaults(&t.resource)
	for i, row := range rows {
		came := transitionTime(row.value)
		old := i < len(rows)-maxHistory || came <= until
		if old && i != newestFault {
			if err := b.dropRow(t, row); err != nil {
				return 0, err
			}
			continue
		}
		used[transitionFault(row.value)] = true
		if !old && oldest == 0 {
			oldest = came
		}
	}
	return oldest, b.dropFaults(t.number, used)
}

// dropRow deletes a row of history.
func (b *batch) dropRow(t *touched, r row) error {
	for _, tenant := range [2]uint32{0, t.tenant} {
		if err := b.messages.delete(errorKey(tenant, binary.BigEndian.Uint64(r.key[8:]))); err != nil {
			return err
		}
	}
	return b.replace(b.history, r.key, nil, r.value)
}

// dropFaults deletes the faults of a resource that are not used.
func (b *batch) dropFaults(number uint64, used map[faultRef]bool) error {
	for _, row := range b.rows(b.faults, numberKey(number)) {
		if used[faultRef{binary.BigEndian.Uint64(row.key[8:]), row.key[16] != 0}] {
			continue
		}
		if err := b.replace(b.faults, row.key, nil, row.value); err != nil {
			return err
		}
	}
	return nil
}

// usedFaults are the faults that a resource's jobs refer to.
func usedFaults(r *sm.Resource) map[faultRef]bool {
	used := map[faultRef]bool{}
	for i := range r.Jobs {
		j := &r.Jobs[i]
		used[refOf(j.SaidFault)] = true
		for _, a := range j.Attempts {
			used[refOf(a.Fault)] = true
		}
		for _, p := range j.Providers {
			used[refOf(p.Fault)] = true
		}
	}
	return used
}

func (b *batch) listForAll(t *touched) error    { return b.list(t, 0) }
func (b *batch) listForTenant(t *touched) error { return b.list(t, t.tenant) }

// index moves the resource in the indexes, but for the lists: in each only if what that goes by has changed.
func (b *batch) index(t *touched) error {
	for _, tenant := range [2]uint32{0, t.tenant} {
		if err := b.indexError(t, tenant); err != nil {
			return err
		}
	}
	if t.was.unfinished != t.is.unfinished {
		b.awaited.mark(nil, t.number, t.is.unfinished)
	}
	return b.relate(t)
}

// list moves the resource from one list to another and counts it there. Status 0 is no list.
func (b *batch) list(t *touched, tenant uint32) error {
	was, is, kind := t.was.status, t.is.status, t.resource.Kind
	if is == was {
		return nil
	}
	if was != 0 {
		b.counts[countKey{tenant, kind, was}]--
		b.listed.mark(listKey(tenant, kind, was), t.number, false)
	}
	if is != 0 {
		b.counts[countKey{tenant, kind, is}]++
		b.listed.mark(listKey(tenant, kind, is), t.number, true)
	}
	return nil
}

func (b *batch) indexError(t *touched, tenant uint32) error {
	was, now := inError(t.was), inError(t.is)
	if was == now {
		return nil
	}
	if was != 0 {
		if err := b.errors.delete(errorKey(tenant, was)); err != nil {
			return err
		}
	}
	if now == 0 {
		return nil
	}
	return b.errors.put(errorKey(tenant, now), numberKey(t.number))
}

// inError is the sequence of the fault under which a resource stands among what is in ERROR, 0 if it does not.
func inError(h hot) uint64 {
	if h.status != sm.Error {
		return 0
	}
	return h.fault.sequence
}

// hashCounts has the sizes of the lists count for the state hash. They are not written: the lists have them.
func (b *batch) hashCounts() error {
	for key, d := range b.counts {
		was := b.db.counts[key]
		if d < 0 && was < uint64(-d) {
			return corrupt("%d %ss are counted as %s for tenant number %d, and %d go", was, key.kind, key.status, key.tenant, -d)
		}
		b.hash += b.countSum(key, was+uint64(d)) - b.countSum(key, was)
	}
	return nil
}

// countSum is what the size of a list adds to the state hash.
func (s *tables) countSum(key countKey, n uint64) uint64 {
	if n == 0 {
		return 0
	}
	return table{&s.access, idCounts}.sum(listKey(key.tenant, key.kind, key.status), numberKey(n))
}

func (b *batch) writeRejected() error {
	for i := range b.refused {
		if err := b.put(b.rejected, numberKey(b.refused[i].Sequence), encodeRejection(&b.refused[i])); err != nil {
			return err
		}
	}
	if len(b.refused) == 0 || b.counters.Rejected <= maxRejections {
		return nil
	}
	rows := b.rows(b.rejected, nil)
	for _, row := range rows[:max(0, len(rows)-maxRejections)] {
		if err := b.replace(b.rejected, row.key, nil, row.value); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) writeMeta(to sm.Position) error {
	if err := b.replace(b.meta, keyCounters, encodeCounters(&b.counters), b.meta.get(keyCounters)); err != nil {
		return err
	}
	for _, record := range []struct{ key, value []byte }{
		{keyNext, numberKey(b.next)},
		{keyPosition, encodePosition(to)},
		{keyHash, numberKey(b.hash)},
		{keyClock, numberKey(uint64(b.clock))},
	} {
		if err := b.meta.put(record.key, record.value); err != nil {
			return err
		}
	}
	return nil
}
