//go:build campaign

package disk_test

import (
	"errors"
	"fmt"
	"path/filepath"

	sm "faultd/statemachine"
	"faultd/storage"
)

// moment is an action of a run: when it began and returned, in operations of the disk, and what the store was then.
type moment struct {
	began, returned int
	is              state
	told            uint64 // ordinal up to which nothing needs to be in the outbox
	end             uint64 // ordinal up to which something can be
}

// reference is a run in which nothing failed: its moments, of which the first is the making of the store and the others
// are the script's, and all rows that the outbox ever had.
type reference struct {
	script  []action
	moments []moment
	rows    map[uint64]string
}

// run does a script in a directory. count tells how many operations the disk has recorded.
func run(dir string, actions []action, count func() int) (*reference, error) {
	r := &reference{script: actions, rows: map[uint64]string{}}
	began := count()
	s, err := openStore(dir)
	if err != nil {
		return nil, err
	}
	r.note(s, began, count(), 0)
	var told uint64
	for i := range actions {
		began = count()
		if err := s.do(&actions[i]); err != nil {
			return nil, fmt.Errorf("action %d, %s: %w", i+1, actions[i].name, err)
		}
		returned := count()
		rows, err := s.outbox(r.moments[i].end)
		if err != nil {
			return nil, err
		}
		for ordinal, row := range rows {
			r.rows[ordinal] = row
		}
		told = max(told, actions[i].told)
		r.note(s, began, returned, told)
	}
	return r, s.close()
}

func (r *reference) note(s *store, began, returned int, told uint64) {
	is := s.state()
	r.moments = append(r.moments, moment{began, returned, is, told, is.position.Ordinal()})
}

// possible are the moments at which a store may be that was cut off when the disk had done so many operations: the last
// that had returned, -1 for none, and those that were under way.
func (r *reference) possible(done int) (first, last int) {
	first = -1
	for i := range r.moments {
		if r.moments[i].returned <= done {
			first = i
		}
	}
	for last = first; last+1 < len(r.moments) && r.moments[last+1].began < done; {
		last++
	}
	return first, last
}

// check opens a store that was cut off, and returns at which moment it is: one of the given ones, or the first of all
// if it was not made yet.
func (r *reference) check(dir string, first, last int) (at int, err error) {
	s, err := openStore(dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	is := s.state()
	if at, err = r.place(is, first, last); err != nil {
		return 0, err
	}
	if err := r.checkOutbox(s, at); err != nil {
		return at, err
	}
	if err := s.close(); err != nil {
		return at, err
	}
	return at, checkFile(s.path, is.position, is.hash)
}

func (r *reference) place(is state, first, last int) (int, error) {
	for i := max(last, 0); i >= max(first, 0); i-- {
		if r.moments[i].is == is {
			return i, nil
		}
	}
	for i := range r.moments {
		if r.moments[i].is == is {
			return 0, fmt.Errorf("it is as after action %d; %d had returned, %d was begun", i, first, last)
		}
	}
	return 0, fmt.Errorf("it is as after no action, %+v with %016x; %d had returned, %d was begun", is.position, is.hash, first, last)
}

// checkOutbox looks at the rows of a store that is at a moment: what was told by then may be deleted, or not.
func (r *reference) checkOutbox(s *store, at int) error {
	rows, err := s.outbox(0)
	if err != nil {
		return err
	}
	told := r.moments[at].told
	for ordinal, want := range r.rows {
		got, ok := rows[ordinal]
		if ok && (got != want || ordinal > r.moments[at].end) || !ok && ordinal > told && ordinal <= r.moments[at].end {
			return fmt.Errorf("row %d of the outbox is %q, not %q; told is %d", ordinal, got, want, told)
		}
		delete(rows, ordinal)
	}
	if len(rows) != 0 {
		return fmt.Errorf("the outbox has %d rows that it should not have", len(rows))
	}
	return nil
}

// checkFile checks a store at rest.
func checkFile(path string, position sm.Position, hash uint64) error {
	report, err := storage.Check(path)
	if err != nil {
		return err
	}
	if len(report.Problems) > 0 || report.Hash != hash || report.Position != position {
		return fmt.Errorf("%s is at %d with hash %016x, not at %d with %016x; problems: %q", filepath.Base(path), report.Position.Sequence,
			report.Hash, position.Sequence, hash, report.Problems)
	}
	return nil
}

// goOn does what is left of the script with a store that is at some moment, and compares how it ends.
func (r *reference) goOn(dir string, at int) error {
	s, err := openStore(dir)
	if err != nil {
		return err
	}
	s.snapshots = 100 // others than those that may be there
	for i := at; i < len(r.script); i++ {
		if err := s.do(&r.script[i]); err != nil {
			return errors.Join(fmt.Errorf("going on with action %d, %s: %w", i+1, r.script[i].name, err), s.close())
		}
	}
	is := s.state()
	if err := s.close(); err != nil {
		return err
	}
	if want := r.moments[len(r.moments)-1].is; is != want {
		return fmt.Errorf("going on from action %d it ends at %+v with %016x, not at %+v with %016x", at, is.position, is.hash, want.position, want.hash)
	}
	return checkFile(s.path, is.position, is.hash)
}
