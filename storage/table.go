package storage

import (
	"bytes"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/bbolt"
)

// The ids of the tables in checksums and in the state hash. Append, never reorder: replicas compare hashes across
// versions.
const (
	idMeta = iota + 1
	idHot
	idCold
	idJobs
	idHistory
	idFaults
	idCounts // has no bucket: the sizes of the lists
	idRejected
	idGroups
	idMembers
	idGroupTenants
	idShared
	idValues
	// What follows does not count for the state hash.
	idTenants
	idIDs
	idLists
	idErrors
	idMessages
	idAges
	idUnfinished
	idRelations
	idOutbox
	idEpochs
	idGaps
	idEnd
)

// bucketNames are the buckets of the tables by id.
var bucketNames = [idEnd][]byte{
	idMeta: bucketMeta, idHot: bucketHot, idCold: bucketCold, idJobs: bucketJobs, idHistory: bucketHistory, idFaults: bucketFaults,
	idRejected: bucketRejected, idGroups: bucketGroups, idMembers: bucketMembers,
	idGroupTenants: bucketGroupTenants, idShared: bucketShared, idValues: bucketValues,
	idTenants: bucketTenants, idIDs: bucketIDs, idLists: bucketLists, idErrors: bucketErrors, idMessages: bucketMessages,
	idAges: bucketAges, idUnfinished: bucketUnfinished, idRelations: bucketRelations,
	idOutbox: bucketOutbox, idEpochs: bucketEpochs, idGaps: bucketGaps,
}

// hashed tells whether a table counts for the state hash; of meta the counters alone do.
func hashed(id byte) bool { return id < idTenants }

// tables are all that a store holds, in one transaction and in the hands of one goroutine. There is no other way to
// it: whatever is read was verified, and damage that was met once stays known.
type tables struct {
	access

	// They count for the state hash.
	meta, hot, cold, jobs, history, faults, rejected         table
	groupRecords, members, groupTenants, shared, valueCounts table
	// They do not.
	tenantNumbers, ids, lists, errors, messages, ages, unfinished, relations, outbox, epochRecords, gapRecords table
}

// access is what the tables of a transaction share.
type access struct {
	tx      *bbolt.Tx
	opened  [idEnd]*bbolt.Bucket // nil: not yet. Opening one costs as much as a record, and most reads need few.
	seekers [idEnd]*bbolt.Cursor
	// damage is the first damaged record that was met, and the result of the transaction whatever else was read. A
	// damaged record itself is none.
	damage  error
	scratch []byte
	buffer  [320]byte // of scratch, as long as that is enough
}

// maxScratch is how much scratch in bytes is kept for the next transaction.
const maxScratch = 64 << 10

func newTables(tx *bbolt.Tx) *tables {
	s := &tables{}
	in := &s.access
	in.tx, in.scratch = tx, in.buffer[:0]
	s.meta, s.hot, s.cold, s.jobs = table{in, idMeta}, table{in, idHot}, table{in, idCold}, table{in, idJobs}
	s.history, s.faults, s.rejected = table{in, idHistory}, table{in, idFaults}, table{in, idRejected}
	s.groupRecords, s.members, s.groupTenants = table{in, idGroups}, table{in, idMembers}, table{in, idGroupTenants}
	s.shared, s.valueCounts, s.tenantNumbers = table{in, idShared}, table{in, idValues}, table{in, idTenants}
	s.ids, s.lists, s.errors, s.messages = table{in, idIDs}, table{in, idLists}, table{in, idErrors}, table{in, idMessages}
	s.ages, s.unfinished, s.relations = table{in, idAges}, table{in, idUnfinished}, table{in, idRelations}
	s.outbox, s.epochRecords, s.gapRecords = table{in, idOutbox}, table{in, idEpochs}, table{in, idGaps}
	return s
}

// table is a bucket of which each value, also an empty one, ends with a checksum over the table, the key and the value.
// It is taken off in reading: a key that is found is a key as it was written, with the value that was written to it.
type table struct {
	in *access
	id byte
}

// checksumSize is the length of a checksum in bytes: the low half of what a record adds to the state hash.
const checksumSize = 4

func (t table) name() string { return string(bucketNames[t.id]) }

func (t table) bucket() *bbolt.Bucket {
	b := t.in.opened[t.id]
	if b == nil {
		b = t.in.tx.Bucket(bucketNames[t.id])
		t.in.opened[t.id] = b
	}
	return b
}

// seeker is what finds single records: one that was used before needs no memory.
func (t table) seeker() *bbolt.Cursor {
	c := t.in.seekers[t.id]
	if c == nil {
		c = t.bucket().Cursor()
		t.in.seekers[t.id] = c
	}
	return c
}

// sum is what a record adds to the state hash, where it counts. The sum over all records is the hash, so it does not
// depend on the order in which they were written.
func (t table) sum(key, value []byte) uint64 {
	s := append(t.in.scratch[:0], t.id, byte(len(key)))
	s = append(append(s, key...), value...)
	t.in.scratch = s
	return xxhash.Sum64(s)
}

// get is a value, nil where there is none. It lives as long as the transaction.
func (t table) get(key []byte) []byte {
	k, record := t.seeker().Seek(key)
	if k == nil || !bytes.Equal(k, key) {
		return nil
	}
	return t.verified(key, record)
}

// find is get for what must not be missed. Where the key is not there, what stands on both sides of its place is verified
// too: a key that was damaged and kept its place would else be one that never was.
func (t table) find(key []byte) []byte {
	c := t.seeker()
	k, record := c.Seek(key)
	switch {
	case k == nil:
		k, record = c.Last()
	case bytes.Equal(k, key):
		return t.verified(k, record)
	default:
		t.verified(k, record)
		k, record = c.Prev()
	}
	if k != nil {
		t.verified(k, record)
	}
	return nil
}

// before is the last record before a key. Like a cursor it goes one way only, also in a damaged tree.
func (t table) before(key []byte) (k, v []byte) {
	c := cursor{of: t, bolt: t.seeker()}
	if k, v = c.below(key); k != nil && bytes.Compare(k, key) >= 0 {
		t.in.damaged("the keys of %s are out of order", t.name())
		return nil, nil
	}
	return k, v
}

// verified takes the checksum off a record; it returns nil, and notes the damage, if that does not fit.
func (t table) verified(key, record []byte) []byte {
	if !t.fits(key, record) {
		t.in.damaged("the checksum of %s does not fit", t.record(key))
		return nil
	}
	n := len(record) - checksumSize
	return record[:n:n]
}

// fits tells whether a record ends with its checksum. One that is longer than the file is not read.
func (t table) fits(key, record []byte) bool {
	n := len(record) - checksumSize
	return n >= 0 && int64(len(key)+len(record)) <= t.in.tx.Size() && uint32(t.sum(key, record[:n])) == binary.BigEndian.Uint32(record[n:])
}

// put writes a record that does not count for the state hash; there may be room behind the value, which is given away.
func (t table) put(key, value []byte) error { return t.write(key, value, t.sum(key, value)) }

func (t table) write(key, value []byte, sum uint64) error {
	return t.bucket().Put(key, binary.BigEndian.AppendUint32(value, uint32(sum)))
}

func (t table) delete(key []byte) error { return t.bucket().Delete(key) }

// each visits the records whose keys begin so, in their order, up to the first damaged one.
func (t table) each(prefix []byte, visit func(k, v []byte)) {
	c := t.cursor()
	for k, v := c.seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.next() {
		visit(k, v)
	}
}

// all visits all records, up to the first damaged one or the first error of visit's.
func (t table) all(visit func(k, v []byte) error) error {
	c := t.cursor()
	for k, v := c.first(); k != nil; k, v = c.next() {
		if err := visit(k, v); err != nil {
			return err
		}
	}
	return nil
}

func (t table) cursor() *cursor { return &cursor{of: t, bolt: t.bucket().Cursor()} }

// cursor walks a table in one direction. It ends at the first damaged record, and where the keys are out of order, so
// that no walk through a damaged tree is endless.
type cursor struct {
	of   table
	bolt *bbolt.Cursor
	last []byte
}

func (c *cursor) seek(key []byte) (k, v []byte) { return c.start(c.bolt.Seek(key)) }
func (c *cursor) first() (k, v []byte)          { return c.start(c.bolt.First()) }

func (c *cursor) start(key, record []byte) (k, v []byte) {
	c.last = nil
	return c.step(key, record, 0)
}

func (c *cursor) next() (k, v []byte) {
	key, record := c.bolt.Next()
	return c.step(key, record, 1)
}

func (c *cursor) prev() (k, v []byte) {
	key, record := c.bolt.Prev()
	return c.step(key, record, -1)
}

// below moves to the last key before the given one.
func (c *cursor) below(key []byte) (k, v []byte) {
	if k, _ := c.bolt.Seek(key); k == nil {
		return c.start(c.bolt.Last())
	}
	return c.start(c.bolt.Prev())
}

func (c *cursor) step(key, record []byte, direction int) (k, v []byte) {
	if key == nil {
		return nil, nil
	}
	if c.last != nil && bytes.Compare(key, c.last) != direction {
		c.of.in.damaged("the keys of %s are out of order", c.of.name())
		return nil, nil
	}
	if v = c.of.verified(key, record); v == nil {
		return nil, nil
	}
	c.last = key
	return key, v
}

// put writes a record whatever stood there before.
func (b *batch) put(t table, key, is []byte) error { return b.replace(t, key, is, t.get(key)) }

// replace writes a record that counts for the state hash in place of another if it differs. An empty record is none.
func (b *batch) replace(t table, key, is, was []byte) error {
	if bytes.Equal(is, was) {
		return nil
	}
	if len(was) > 0 {
		b.hash -= t.sum(key, was)
	}
	if len(is) == 0 {
		return t.delete(key)
	}
	sum := t.sum(key, is)
	b.hash += sum
	return t.write(key, is, sum)
}

// row is a record with its key, both copied.
type row struct{ key, value []byte }

// rows are the records whose keys begin so, in the order of their keys; copied, so that they can be deleted one
// by one.
func (b *batch) rows(t table, prefix []byte) (all []row) {
	t.each(prefix, func(k, v []byte) { all = append(all, row{bytes.Clone(k), bytes.Clone(v)}) })
	return all
}
