package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	sm "faultd/statemachine"
)

// Report is what [Check] found out about a store.
type Report struct {
	Position  sm.Position
	Counters  sm.Counters
	Resources uint64
	Records   uint64 // that count for the state hash
	Hash      uint64 // drawn anew from all of them
	Problems  []string
}

// maxProblems is how many problems a check tells of; one cause often has thousands.
const maxProblems = 100

// Check reads a store at rest and compares all that follows from something else with what it follows from: the
// structure of the file, the state hash, every resource's records, the lists, the counts, what is in ERROR, and the
// counters. The error says why it could not be read at all; what is wrong with it stands in the report.
func Check(path string) (r Report, err error) {
	if _, err := os.Stat(path); err != nil {
		return r, fmt.Errorf("checking the store: %w", err)
	}
	db, err := Open(Options{Path: path})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	c := checker{report: &r, counts: map[countKey]uint64{}, places: map[string]int{}}
	err = db.view(func(v view) error {
		for problem := range v.tx.Check() {
			c.problem("the file's structure: %v", problem)
		}
		r.Position, r.Counters, _ = db.State()
		for _, check := range []func(view, *DB){c.hash, c.resources, c.index, c.counters} {
			check(v, db)
		}
		return nil
	})
	return r, err
}

// checker gathers what is wrong.
type checker struct {
	report *Report

	// As the resources say:
	counts map[countKey]uint64
	places map[string]int // in the indexes, by bucket
}

func (c *checker) problem(format string, args ...any) {
	if len(c.report.Problems) < maxProblems {
		c.report.Problems = append(c.report.Problems, fmt.Sprintf(format, args...))
	}
}

// hash draws the state hash anew.
func (c *checker) hash(v view, db *DB) {
	var scratch []byte
	for id, name := range hashedBuckets {
		t := table{v.tx.Bucket(name), id}
		_ = t.bucket.ForEach(func(k, value []byte) error {
			if id != idMeta || bytes.Equal(k, keyCounters) {
				c.report.Records++
				c.report.Hash += t.hashed(&scratch, k, value)
			}
			return nil
		})
	}
	if _, _, kept := db.State(); kept != c.report.Hash {
		c.problem("the state hash is kept as %016x, and the records give %016x", kept, c.report.Hash)
	}
}

// resources reads every resource and looks it up in the indexes.
func (c *checker) resources(v view, _ *DB) {
	_ = v.tx.Bucket(bucketHot).ForEach(func(k, record []byte) error {
		c.report.Resources++
		number := binary.BigEndian.Uint64(k)
		r, err := v.resource(number)
		if err != nil {
			c.problem("%v", err)
			return nil
		}
		d := decoder{b: record}
		c.resource(v, number, &r, decodeHead(&d))
		return nil
	})
}

func (c *checker) resource(v view, number uint64, r *sm.Resource, h hot) {
	if r.Status != h.status || refOf(r.Fault) != h.fault {
		c.problem("%s %s of %s is %s by its jobs and %s by its record", r.Kind, r.ID, r.Tenant, r.Status, h.status)
	}
	if got := v.number(r.Key); got != number {
		c.problem("%s %s of %s has number %d, and its id leads to %d", r.Kind, r.ID, r.Tenant, number, got)
	}
	for _, tenant := range [2]uint32{0, v.tenant(r.Tenant)} {
		c.counts[countKey{tenant, r.Kind, r.Status}]++
		c.places["lists"]++
		if k, _ := v.tx.Bucket(bucketLists).Cursor().Seek(listKey(tenant, r.Kind, r.Status, number)); !bytes.Equal(k, listKey(tenant, r.Kind, r.Status, number)) {
			c.problem("%s %s of %s is not in the list of what is %s", r.Kind, r.ID, r.Tenant, r.Status)
		}
		if sequence := inError(h); sequence != 0 {
			c.places["errors"]++
			if !bytes.Equal(v.tx.Bucket(bucketErrors).Get(errorKey(tenant, sequence)), numberKey(number)) {
				c.problem("%s %s of %s is not among what is in ERROR", r.Kind, r.ID, r.Tenant)
			}
		}
	}
	rows, err := v.transitions(number)
	if err != nil {
		c.problem("%v", err)
	}
	for i := range rows {
		if rows[i].Fault != nil {
			c.places["messages"] += 2
		}
	}
	c.places["relations"] += len(relationKeys(r, v.tenant(r.Tenant), number))
	c.places["ages"] += int(bit(h.oldest != 0))
	c.places["unfinished"] += int(bit(h.unfinished))
	c.places["members"] += int(bit(h.group != ""))
	c.places["ids"]++
}

// index looks for places in the indexes that no resource has, and compares the counts.
func (c *checker) index(v view, db *DB) {
	for _, name := range [][]byte{bucketLists, bucketErrors, bucketMessages, bucketRelations, bucketAges, bucketUnfinished, bucketMembers, bucketIDs} {
		if n, want := keys(v.tx.Bucket(name)), c.places[string(name)]; n != want {
			c.problem("%s has %d places, and the resources give %d", name, n, want)
		}
	}
	for key, n := range c.counts {
		if db.counts[key] != n {
			c.problem("%d %ss are counted as %s for tenant number %d, and there are %d", db.counts[key], key.kind, key.status, key.tenant, n)
		}
	}
	if len(db.counts) != len(c.counts) {
		c.problem("%d counts are kept, and the resources give %d", len(db.counts), len(c.counts))
	}
}

func keys(b *bbolt.Bucket) (n int) {
	_ = b.ForEach(func(_, _ []byte) error { n++; return nil })
	return n
}

// counters checks the sums that must hold.
func (c *checker) counters(_ view, _ *DB) {
	n, p := c.report.Counters, c.report.Position
	if n.Received != n.Applied+n.Ignored+n.Rejected {
		c.problem("%d messages were received, and %d applied, ignored or rejected", n.Received, n.Applied+n.Ignored+n.Rejected)
	}
	var byReason uint64
	for _, count := range n.ByReason {
		byReason += count
	}
	if byReason != n.Ignored+n.Rejected {
		c.problem("%d messages have a reason, and %d were ignored or rejected", byReason, n.Ignored+n.Rejected)
	}
	if p.Stream != "" && n.Received != p.Sequence-p.First+1 {
		c.problem("%d messages were received, and the position went over %d", n.Received, p.Sequence-p.First+1)
	}
}
