package storage

import (
	"bytes"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/bbolt"
)

// table is a bucket of records that count for the state hash, in the hands of a batch.
type table struct {
	bucket *bbolt.Bucket
	id     byte // tells the tables apart in the hash
}

// The ids of the tables in the hash. Append, never reorder: replicas compare hashes across versions.
const (
	idMeta = iota + 1
	idHot
	idCold
	idJobs
	idHistory
	idFaults
	idCounts
	idRejected
	idGroups
	idMembers
	idGroupTenants
	idShared
	idValues
)

// hashedBuckets are the buckets of the tables; of meta the counters alone count.
var hashedBuckets = map[byte][]byte{
	idMeta: bucketMeta, idHot: bucketHot, idCold: bucketCold, idJobs: bucketJobs, idHistory: bucketHistory, idFaults: bucketFaults,
	idCounts: bucketCounts, idRejected: bucketRejected, idGroups: bucketGroups, idMembers: bucketMembers,
	idGroupTenants: bucketGroupTenants, idShared: bucketShared, idValues: bucketValues,
}

func (t *table) get(key []byte) []byte { return t.bucket.Get(key) }

// hashed is what a record adds to the state hash. The sum over all records is the hash, so it does not depend on
// the order in which they were written.
func (t *table) hashed(scratch *[]byte, key, value []byte) uint64 {
	if len(value) == 0 {
		return 0
	}
	*scratch = append((*scratch)[:0], t.id, byte(len(key)))
	*scratch = append(append(*scratch, key...), value...)
	return xxhash.Sum64(*scratch)
}

// put writes a record whatever stood there before.
func (b *batch) put(t *table, key, is []byte) error { return b.replace(t, key, is, t.get(key)) }

// replace writes a record in place of another if it differs. An empty record is none.
func (b *batch) replace(t *table, key, is, was []byte) error {
	if bytes.Equal(is, was) {
		return nil
	}
	b.hash += t.hashed(&b.scratch, key, is) - t.hashed(&b.scratch, key, was)
	if len(is) == 0 {
		return t.bucket.Delete(key)
	}
	return t.bucket.Put(key, is)
}

// row is a record with its key, both copied.
type row struct{ key, value []byte }

// rows are the records whose keys begin so, in the order of their keys; copied, so that they can be deleted one
// by one.
func (b *batch) rows(t *table, prefix []byte) (all []row) {
	eachPrefix(t.bucket, prefix, func(k, v []byte) { all = append(all, row{bytes.Clone(k), bytes.Clone(v)}) })
	return all
}
