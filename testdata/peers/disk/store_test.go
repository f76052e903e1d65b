//go:build campaign

package disk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	sm "faultd/statemachine"
	"faultd/storage"
)

// store is a store that actions are done with.
type store struct {
	path      string
	db        *storage.DB
	snapshots int
}

func openStore(dir string) (*store, error) {
	s := &store{path: filepath.Join(dir, storeFile)}
	return s, s.open()
}

func (s *store) open() (err error) {
	s.db, err = storage.Open(storage.Options{Path: s.path, Retention: retention})
	return err
}

func (s *store) close() error {
	if s.db == nil {
		return nil
	}
	db := s.db
	s.db = nil
	return db.Close()
}

func (s *store) do(a *action) error {
	switch a.name {
	case "apply":
		_, _, err := s.db.Apply(a.entries, a.to, a.gaps...)
		return err
	case "epoch":
		return s.db.NewEpoch(a.to.Stream, a.to.Epoch, a.to.First, a.behind)
	case "told":
		s.db.Told(a.told)
	case "snapshot":
		s.snapshots++
		_, err := s.db.Snapshot(context.Background(), s.snapshot(s.snapshots))
		return err
	case "reopen":
		return errors.Join(s.close(), s.open())
	case "compact":
		return errors.Join(s.close(), compact(s.path), s.open())
	}
	return nil
}

func (s *store) snapshot(n int) string {
	return filepath.Join(filepath.Dir(s.path), fmt.Sprintf("snapshot-%d.db", n))
}

// state is all that a store holds, but for what the outbox may have told.
type state struct {
	position    sm.Position
	counters    sm.Counters
	hash        uint64
	gaps, ended string
}

func (s *store) state() (is state) {
	is.position, is.counters, is.hash = s.db.State()
	is.gaps, is.ended = fmt.Sprint(s.db.Gaps()), fmt.Sprint(s.db.Epochs())
	return is
}

// outbox reads the rows behind an ordinal.
func (s *store) outbox(after uint64) (rows map[uint64]string, err error) {
	rows = map[uint64]string{}
	for {
		page, err := s.db.Outbox(after, 1000)
		if err != nil || len(page) == 0 {
			return rows, err
		}
		for i := range page {
			row, err := json.Marshal(&page[i])
			if err != nil {
				return nil, err
			}
			after = page[i].Ordinal
			rows[after] = string(row)
		}
	}
}

// read reads something of everything, as those do who ask.
func (s *store) read() error {
	page, err := s.db.List(sm.Query{Statuses: slices.Concat(sm.Server.Statuses(), sm.Image.Statuses(), sm.Backup.Statuses()), Limit: 1000})
	for i := range page {
		_, _, failed := s.db.History(page[i].Key)
		err = errors.Join(err, failed)
	}
	_, failed := s.outbox(0)
	return errors.Join(err, failed)
}

func compact(path string) error {
	_, _, err := storage.Compact(context.Background(), storage.Options{Path: path, Retention: retention}, nil)
	return err
}
