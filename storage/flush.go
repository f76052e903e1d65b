package storage

import (
	"bytes"
	"encoding/binary"

	"go.etcd.io/bbolt"

	sm "faultd/statemachine"
)

// maxHistory is how many transitions of a resource are kept; the newest fault is kept beyond that.
const maxHistory = 100

// maxRejections is how many rejected messages are kept.
const maxRejections = 10_000

// flush writes what the batch changed.
func (b *batch) flush(to sm.Position) error {
	for _, t := range b.order {
		if t.number == 0 {
			continue
		}
		if err := b.write(t); err != nil {
			return err
		}
	}
	if err := b.writeCounts(); err != nil {
		return err
	}
	if err := b.writeRejected(); err != nil {
		return err
	}
	return b.writeMeta(to)
}

func (b *batch) write(t *touched) error {
	r := &t.resource
	is := hot{status: r.Status, sequence: r.Sequence, updated: r.Updated, fault: refOf(r.Fault),
		transitions: t.was.transitions + uint64(len(t.transitions)), jobs: len(r.Jobs)}
	key, older := numberKey(t.number), encodeOlder(r)
	settled := bytes.Equal(older, t.wasOlder)
	if err := b.put(b.hot, key, encodeHot(is, &r.Jobs[len(r.Jobs)-1]), t.wasHot); err != nil {
		return err
	}
	if err := b.put(b.cold, key, encodeCold(r), t.wasCold); err != nil {
		return err
	}
	if err := b.put(b.jobs, key, older, t.wasOlder); err != nil {
		return err
	}
	if err := b.writeHistory(t); err != nil {
		return err
	}
	if is.transitions > maxHistory && (len(t.transitions) > 0 || !settled) {
		if err := b.cut(t); err != nil {
			return err
		}
	}
	return b.index(t, is)
}

// put writes a record if it changed. An empty record is none.
func (b *batch) put(bucket *bbolt.Bucket, key, is, was []byte) error {
	switch {
	case bytes.Equal(is, was):
		return nil
	case len(is) == 0:
		return bucket.Delete(key)
	default:
		return bucket.Put(key, is)
	}
}

func (b *batch) writeHistory(t *touched) error {
	for _, tr := range t.transitions {
		if err := b.history.Put(rowKey(t.number, tr.Sequence), encodeTransition(tr)); err != nil {
			return err
		}
	}
	for _, f := range t.faults {
		if err := b.faults.Put(faultKey(t.number, refOf(f)), encodeFault(f)); err != nil {
			return err
		}
	}
	return nil
}

// cut takes from the history what is over [maxHistory], and the faults that nothing refers to any more. What it
// leaves depends on what the resource is, not on how the batches came.
func (b *batch) cut(t *touched) error {
	var rows, drop [][]byte
	used := usedFaults(&t.resource)
	prefix := numberKey(t.number)
	var refs []faultRef
	eachPrefix(b.history, prefix, func(k, v []byte) {
		rows, refs = append(rows, bytes.Clone(k)), append(refs, transitionFault(v))
	})
	newestFault := -1
	for i := range refs {
		if refs[i].sequence != 0 {
			newestFault = i
		}
	}
	for i := range rows {
		if i < len(rows)-maxHistory && i != newestFault {
			drop = append(drop, rows[i])
			continue
		}
		used[refs[i]] = true
	}
	if err := deleteAll(b.history, drop); err != nil {
		return err
	}
	drop = nil
	eachPrefix(b.faults, prefix, func(k, _ []byte) {
		if !used[faultRef{binary.BigEndian.Uint64(k[8:]), k[16] != 0}] {
			drop = append(drop, bytes.Clone(k))
		}
	})
	return deleteAll(b.faults, drop)
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

func deleteAll(bucket *bbolt.Bucket, keys [][]byte) error {
	for _, k := range keys {
		if err := bucket.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// index moves the resource in the lists and the counts if its status changed, and among what is in ERROR if its
// fault did.
func (b *batch) index(t *touched, is hot) error {
	kind := t.resource.Kind
	for _, tenant := range [2]uint32{0, t.tenant} {
		if is.status != t.was.status {
			if t.was.status != 0 {
				b.counts[countKey{tenant, kind, t.was.status}]--
				if err := b.lists.Delete(listKey(tenant, kind, t.was.status, t.number)); err != nil {
					return err
				}
			}
			b.counts[countKey{tenant, kind, is.status}]++
			if err := b.lists.Put(listKey(tenant, kind, is.status, t.number), nil); err != nil {
				return err
			}
		}
		if err := b.indexError(t, tenant, is); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) indexError(t *touched, tenant uint32, is hot) error {
	was, now := inError(t.was), inError(is)
	if was == now {
		return nil
	}
	if was != 0 {
		if err := b.errors.Delete(errorKey(tenant, was)); err != nil {
			return err
		}
	}
	if now == 0 {
		return nil
	}
	return b.errors.Put(errorKey(tenant, now), numberKey(t.number))
}

// inError is the sequence of the fault under which a resource stands among what is in ERROR, 0 if it does not.
func inError(h hot) uint64 {
	if h.status != sm.Error {
		return 0
	}
	return h.fault.sequence
}

func (b *batch) writeCounts() error {
	bucket := b.tx.Bucket(bucketCounts)
	for key, d := range b.counts {
		if d == 0 {
			continue
		}
		k, n := listPrefix(key.tenant, key.kind, key.status), b.db.counts[key]+uint64(d)
		if n == 0 {
			if err := bucket.Delete(k); err != nil {
				return err
			}
			continue
		}
		if err := bucket.Put(k, numberKey(n)); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) writeRejected() error {
	if len(b.rejected) == 0 {
		return nil
	}
	bucket := b.tx.Bucket(bucketRejected)
	for i := range b.rejected {
		if err := bucket.Put(numberKey(b.rejected[i].Sequence), encodeRejection(&b.rejected[i])); err != nil {
			return err
		}
	}
	if b.counters.Rejected <= maxRejections {
		return nil
	}
	var drop [][]byte
	kept, c := 0, bucket.Cursor()
	for k, _ := c.Last(); k != nil; k, _ = c.Prev() {
		if kept++; kept > maxRejections {
			drop = append(drop, bytes.Clone(k))
		}
	}
	return deleteAll(bucket, drop)
}

func (b *batch) writeMeta(to sm.Position) error {
	meta := b.tx.Bucket(bucketMeta)
	if err := meta.Put(keyNext, numberKey(b.next)); err != nil {
		return err
	}
	if err := meta.Put(keyCounters, encodeCounters(&b.counters)); err != nil {
		return err
	}
	return meta.Put(keyPosition, encodePosition(to))
}
