package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

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
// structure of the file, the checksum of every record, every resource's records, the lists and their sizes, what is in
// ERROR, the counters, the outbox and the state hash. The error says why it could not be read at all; what is wrong with it
// stands in the report. Where the structure is damaged nothing else is looked at.
func Check(path string) (r Report, err error) {
	if _, err := os.Stat(path); err != nil {
		return r, fmt.Errorf("checking the store: %w", err)
	}
	c := checker{report: &r, counts: map[countKey]uint64{}, places: map[byte]int{}}
	bolt, err := openFile(path, 0, false, c.structure)
	var pages errStructure
	if errors.As(err, &pages) {
		r.Problems = pages.problems
		return r, nil
	}
	if err != nil {
		return r, err
	}
	db := newDB(bolt, Options{Path: path})
	defer func() { err = errors.Join(err, db.Close()) }()
	switch err := db.view(db.load); {
	case errors.Is(err, ErrCorrupt):
		failed := damageIsNoError(db.view(c.records))
		if len(r.Problems) == 0 {
			c.problem("%s", withoutAdvice(err))
		}
		return r, failed
	case err != nil:
		return r, fmt.Errorf("checking the store: %w", err)
	}
	r.Position, r.Counters, _ = db.State()
	return r, damageIsNoError(db.view(func(v view) error { return c.all(v, db) }))
}

// damageIsNoError leaves out what stands in the report.
func damageIsNoError(err error) error {
	if errors.Is(err, ErrCorrupt) && !errors.As(err, &errPanicked{}) {
		return nil
	}
	return err
}

func (c *checker) all(v view, db *DB) error {
	if err := c.records(v); err != nil {
		return err
	}
	for _, check := range []func(view, *DB){c.resources, c.index, c.counters, c.outbox} {
		check(v, db)
	}
	for key, n := range c.counts {
		c.report.Hash += v.countSum(key, n)
	}
	if _, _, kept := db.State(); kept != c.report.Hash {
		c.problem("the state hash is kept as %016x, and the records give %016x", kept, c.report.Hash)
	}
	return nil
}

// checker gathers what is wrong.
type checker struct {
	report *Report

	// As the resources say:
	counts map[countKey]uint64
	places map[byte]int // in the indexes, by table
}

func (c *checker) problem(format string, args ...any) {
	if len(c.report.Problems) < maxProblems {
		c.report.Problems = append(c.report.Problems, fmt.Sprintf(format, args...))
	}
}

// structure verifies the pages.
func (c *checker) structure(file *os.File) error {
	leaked, err := verifyStructure(file)
	if leaked > 0 {
		c.problem("%d pages of the file are neither in use nor free", leaked)
	}
	return err
}

// records verifies each record by itself and draws the state hash anew.
func (c *checker) records(v view) error {
	o := owners{v: v}
	for id := byte(idMeta); id < idEnd; id++ {
		if id == idCounts {
			continue
		}
		t := table{&v.access, id}
		if err := t.bucket().ForEach(func(k, record []byte) error {
			if !t.fits(k, record) {
				c.problem("the checksum of %s does not fit", o.record(t, k))
				return nil
			}
			if hashed(id) && (id != idMeta || bytes.Equal(k, keyCounters)) {
				c.report.Records++
				c.report.Hash += t.sum(k, record[:len(record)-checksumSize])
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// each visits the records that are whole; the others are told of.
func each(t table, visit func(k, v []byte)) {
	_ = t.bucket().ForEach(func(k, record []byte) error { // visit has no error
		if t.fits(k, record) {
			visit(k, record[:len(record)-checksumSize])
		}
		return nil
	})
}

// resources reads every resource and looks it up in the indexes.
func (c *checker) resources(v view, _ *DB) {
	each(v.hot, func(k, _ []byte) {
		c.report.Resources++
		number := binary.BigEndian.Uint64(k)
		r, h, err := v.resource(number)
		if err != nil {
			c.problem("%s", withoutAdvice(err))
			return
		}
		c.resource(v, number, &r, &h)
	})
}

func (c *checker) resource(v view, number uint64, r *sm.Resource, h *hot) {
	name, tenant, key := r.Kind.String()+" "+r.ID+" of tenant "+r.Tenant, v.tenant(r.Tenant), numberKey(number)
	if got := v.number(r.Key); got != number {
		c.problem("%s has number %d, and its id leads to %d", name, number, got)
	}
	c.places[idIDs]++
	for _, t := range [2]uint32{0, tenant} {
		c.counts[countKey{t, r.Kind, r.Status}]++
		c.listed(v.lists, listKey(t, r.Kind, r.Status), number, name+" is not in the list of what is "+r.Status.String())
		if sequence := inError(*h); sequence != 0 {
			c.stands(v.errors, errorKey(t, sequence), key, name+" is not among what is in ERROR")
		}
	}
	for _, k := range relationKeys(r, tenant, number) {
		c.stands(v.relations, k, nil, name+" is not among what it is related to")
	}
	if h.oldest != 0 {
		c.listed(v.ages, ageKey(h.oldest), number, name+" is not among what will expire")
	}
	if h.unfinished {
		c.listed(v.unfinished, nil, number, name+" is not among what is unfinished")
	}
	if h.group != "" {
		c.places[idMembers]++
		if v.members.get(memberKey(h.group, number)) == nil {
			c.problem("%s is not in the group of its fault", name)
		}
	}
	c.history(v, number, name, tenant)
}

// stands checks that an index has an entry.
func (c *checker) stands(index table, key, value []byte, problem string) {
	c.places[index.id]++
	if got := index.get(key); got == nil || !bytes.Equal(got, value) {
		c.problem("%s", problem)
	}
}

// listed checks that a number is in its set.
func (c *checker) listed(in table, set []byte, number uint64, problem string) {
	c.places[in.id]++
	if place := int(number % chunkSpan); chunk(in.get(chunkKey(set, number))).below(place+1) != place {
		c.problem("%s", problem)
	}
}

func (c *checker) history(v view, number uint64, name string, tenant uint32) {
	rows, err := v.transitions(number)
	if err != nil {
		c.problem("%s", withoutAdvice(err))
	}
	for i := range rows {
		if rows[i].Fault == nil {
			continue
		}
		for _, t := range [2]uint32{0, tenant} {
			c.stands(v.messages, errorKey(t, rows[i].Sequence), numberKey(number), name+" has a fault that is not among the messages")
		}
	}
}

// index looks for places in the indexes that no resource has, and compares the counts.
func (c *checker) index(v view, db *DB) {
	for _, t := range []table{v.lists, v.errors, v.messages, v.relations, v.ages, v.unfinished, v.members, v.ids} {
		if n, want := places(t), c.places[t.id]; n != want {
			c.problem("%s has %d places, and the resources give %d", t.name(), n, want)
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

// places is how many entries an index has, or numbers in its sets.
func places(t table) (n int) {
	_ = t.bucket().ForEach(func(k, record []byte) error {
		switch {
		case !t.holdsSets():
			n++
		case t.fits(k, record):
			n += chunk(record[:len(record)-checksumSize]).size()
		}
		return nil
	})
	return n
}

// counters checks the sums that must hold.
func (c *checker) counters(_ view, db *DB) {
	n := c.report.Counters
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
	var went, missing uint64
	epochs := db.allEpochs()
	for _, p := range epochs {
		went += p.Sequence + 1 - p.First
	}
	for i := range db.gaps {
		missing += db.gaps[i].missing
		c.gap(&db.gaps[i], epochs)
	}
	if n.Received != went-missing {
		c.problem("%d messages were received, and the position went over %d, of which %d were gone", n.Received, went, missing)
	}
}

// gap checks that a gap lies in its epoch.
func (c *checker) gap(g *gap, epochs []sm.Position) {
	if g.epoch >= uint64(len(epochs)) {
		c.problem("the gap from %d to %d is of epoch number %d, and there are %d", g.From, g.To, g.epoch, len(epochs))
		return
	}
	if p := epochs[g.epoch]; g.From < p.First || g.To > p.Sequence || g.From > g.To || g.missing > g.To-g.From+1 {
		c.problem("the gap of %d messages from %d to %d is not one of the %d to %d of its epoch", g.missing, g.From, g.To, p.First, p.Sequence)
	}
}

// outbox reads the rows that are to be told.
func (c *checker) outbox(v view, db *DB) {
	epochs := db.allEpochs()
	each(v.outbox, func(k, record []byte) {
		row, err := decodeTelling(binary.BigEndian.Uint64(k), record)
		if err != nil {
			c.problem("%s", withoutAdvice(err))
			return
		}
		if !slices.ContainsFunc(epochs, func(p sm.Position) bool { return read(p, &row) }) {
			c.problem("outbox row %d is of message %d of an epoch that has not read it", row.Ordinal, row.Sequence)
		}
		if r := &row.Resource; row.Raised != (r.Status == sm.Error) || row.Fault == nil || r.Status == 0 {
			c.problem("outbox row %d is none of a resource that is %s", row.Ordinal, r.Status)
		}
	})
}

// read tells whether a row is of a message that the epoch has read.
func read(p sm.Position, row *sm.Telling) bool {
	return p.Epoch == row.Epoch && p.Base+row.Sequence == row.Ordinal && row.Sequence >= p.First && row.Sequence <= p.Sequence
}
