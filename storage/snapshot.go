package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	sm "faultd/statemachine"
)

// ErrClosing is returned when a copy was given up because the file had to be closed.
var ErrClosing = errors.New("the store was closed meanwhile")

// copySuffix is what a copy's name ends in until it is whole.
const copySuffix = ".copy"

// Snapshot makes a copy of the last committed state under a name that is free, and returns its position. What is
// applied meanwhile is not in it and does not wait for it. The copy gets its name when it is durable and [Check] has
// found nothing wrong with it; while it is made it stands beside that with .copy at the end, and whoever ends the process leaves
// it there. One copy is made at a time, others wait. The error wraps [fs.ErrExist] if the name is taken, [sm.ErrFull] if there is
// no room, or [ErrCorrupt].
func (db *DB) Snapshot(ctx context.Context, path string) (sm.Position, error) {
	select {
	case db.copying <- struct{}{}:
		defer func() { <-db.copying }()
	case <-ctx.Done():
		return sm.Position{}, fmt.Errorf("copying the store: %w", ctx.Err())
	}
	p, err := db.snapshot(ctx, path)
	if err != nil {
		return p, fmt.Errorf("copying the store to %s: %w", path, err)
	}
	return p, nil
}

func (db *DB) snapshot(ctx context.Context, path string) (p sm.Position, err error) {
	if _, err := os.Lstat(path); err == nil {
		return p, fs.ErrExist
	}
	temporary := path + copySuffix
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary)
		}
	}()
	if err := db.copyTo(ctx, temporary); err != nil {
		return p, err
	}
	r, err := verify(ctx, temporary)
	if err != nil {
		return p, err
	}
	db.step("copy")
	if err := os.Rename(temporary, path); err != nil {
		return p, err
	}
	return r.Position, syncDir(filepath.Dir(path))
}

// copyTo writes what one transaction sees into a new file, through to the disk.
func (db *DB) copyTo(ctx context.Context, path string) (err error) {
	tx, ending, err := db.look()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	if err := db.roomFor(filepath.Dir(path), tx.Size()); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	to := copier{to: f, ctx: ctx, ending: ending}
	if _, err = tx.WriteTo(&to); err == nil {
		err = f.Sync()
	} else if to.err != nil {
		err = to.err // bbolt passes some on as texts
	}
	if noSpace(err) {
		err = fmt.Errorf("%w on the file system of %s: %w", sm.ErrFull, path, err)
	}
	return errors.Join(err, f.Close())
}

// look opens a transaction that reads, and a channel that is closed when it must end.
func (db *DB) look() (tx *bbolt.Tx, ending <-chan struct{}, err error) {
	db.file.RLock()
	defer db.file.RUnlock()
	if db.stuck.Load() {
		return nil, nil, errStuck
	}
	err = protect(func() (err error) {
		tx, err = db.bolt.Begin(false)
		return err
	})
	if errors.As(err, &errPanicked{}) {
		db.stuck.Store(true)
	}
	return tx, db.ending, err
}

// roomFor tells whether a file of that size leaves room for what is applied meanwhile.
func (db *DB) roomFor(dir string, size int64) error {
	need := uint64(size) + db.options.MinFree
	if free, err := freeSpace(dir); err == nil && free < need {
		return fmt.Errorf("%w for a copy on the file system of %s: %s are free there, and %s must be", sm.ErrFull, dir, Bytes(free), Bytes(need))
	}
	return nil
}

// copier writes until it must end.
type copier struct {
	to     io.Writer
	ctx    context.Context //nolint:containedctx // it lives for one call
	ending <-chan struct{}
	err    error // the first
}

func (c *copier) Write(b []byte) (n int, err error) {
	select {
	case <-c.ctx.Done():
		err = c.ctx.Err()
	case <-c.ending:
		err = ErrClosing
	default:
		n, err = c.to.Write(b)
	}
	c.err = err
	return n, err
}

// verify checks a copy, and does not wait for that when the context ends: who removes the copy then takes nothing from
// the check, which ends by itself.
func verify(ctx context.Context, path string) (Report, error) {
	type result struct {
		report Report
		err    error
	}
	done := make(chan result, 1)
	go func() {
		r, err := Check(path)
		done <- result{r, err}
	}()
	select {
	case <-ctx.Done():
		return Report{}, ctx.Err()
	case r := <-done:
		if r.err == nil && len(r.report.Problems) > 0 {
			r.err = corrupt("%s, and %d more problems", r.report.Problems[0], len(r.report.Problems)-1)
		}
		return r.report, r.err
	}
}
