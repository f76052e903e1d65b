package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"go.etcd.io/bbolt"

	sm "faultd/statemachine"
)

const (
	// compactSuffix is what the name of the compacted file ends in until it takes the other's place.
	compactSuffix = ".compact"
	// compactBatch is how many bytes of records go into one transaction.
	compactBatch = 16 << 20
	// compactFill is how full the pages become: what comes next finds a little room in each.
	compactFill = 0.9
)

// Compact writes the records of a store at rest into a new file without the pages that are free in it, and puts that in
// its place when it is durable and has the same records, position and state hash, all of which [Check] has found in order. It
// returns the size of the file before and after, in bytes. Whatever ends it leaves the store as it was. progress is
// told how many bytes of records are written, of how many at most; nil is nobody. The error wraps [ErrInUse], [sm.ErrFull] if there is
// no room for the new file beside the old one, or [ErrCorrupt].
func Compact(ctx context.Context, o Options, progress func(done, total int64)) (before, after int64, err error) {
	if o.Path, err = filepath.EvalSymlinks(o.Path); err != nil { // the file is replaced where it is, not a link to it
		return 0, 0, fmt.Errorf("compacting the store: %w", err)
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	db, err := Open(o)
	if err != nil {
		return 0, 0, err
	}
	// It is locked until the other file has its name, so that nobody writes into the one that goes.
	defer func() { err = errors.Join(err, db.Close()) }()
	before, after, err = db.compact(ctx, progress)
	if err != nil {
		err = fmt.Errorf("compacting the store %s: %w", o.Path, err)
	}
	return before, after, err
}

func (db *DB) compact(ctx context.Context, progress func(done, total int64)) (before, after int64, err error) {
	path, temporary := db.options.Path, db.options.Path+compactSuffix
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, 0, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary)
		}
	}()
	if before, err = size(path); err != nil {
		return 0, 0, err
	}
	if err := db.rewrite(ctx, temporary, progress); err != nil {
		return 0, 0, err
	}
	r, err := verify(ctx, temporary)
	if err != nil {
		return 0, 0, err
	}
	if p, n, hash := db.State(); r.Position != p || r.Counters != n || r.Hash != hash {
		return 0, 0, corrupt("what was written is at %d with state hash %016x, and the store at %d with %016x", r.Position.Sequence, r.Hash, p.Sequence, hash)
	}
	if after, err = size(temporary); err != nil {
		return 0, 0, err
	}
	if err := sameOwner(temporary, path); err != nil {
		return 0, 0, err
	}
	db.step("compact")
	if err := os.Rename(temporary, path); err != nil {
		return 0, 0, err
	}
	return before, after, syncDir(filepath.Dir(path))
}

// sameOwner gives a file to the owner of another: an administrator may compact what a daemon of another user must open.
func sameOwner(path, as string) error {
	info, err := os.Stat(as)
	if err != nil {
		return err
	}
	if is, ok := info.Sys().(*syscall.Stat_t); ok && (int(is.Uid) != os.Geteuid() || int(is.Gid) != os.Getegid()) {
		return os.Chown(path, int(is.Uid), int(is.Gid))
	}
	return nil
}

func size(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// rewrite writes all records into a new file, through to the disk.
func (db *DB) rewrite(ctx context.Context, path string, progress func(done, total int64)) (err error) {
	return db.view(func(v view) (err error) {
		used := v.tx.Size() - int64(db.bolt.Stats().FreePageN)*int64(db.bolt.Info().PageSize)
		if err := db.roomFor(filepath.Dir(path), used+growth); err != nil {
			return err
		}
		target, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, InitialMmapSize: 16 << 30, NoSync: true})
		if err != nil {
			return err
		}
		target.AllocSize = os.Getpagesize() // the file is not to end in room for more
		w := rewriter{ctx: ctx, target: target, progress: func(done int64) { progress(done, used) }}
		err = w.all(v.tx)
		if err == nil {
			err = target.Sync()
		}
		if noSpace(err) {
			err = fmt.Errorf("%w on the file system of %s: %w", sm.ErrFull, path, err)
		}
		return errors.Join(err, target.Close())
	})
}

// rewriter writes records into a file in transactions of a bounded size.
type rewriter struct {
	ctx      context.Context //nolint:containedctx // it lives for one call
	target   *bbolt.DB
	progress func(done int64)

	tx      *bbolt.Tx
	bucket  *bbolt.Bucket
	done    int64
	pending int // bytes that are not committed
}

func (w *rewriter) all(from *bbolt.Tx) (err error) {
	if w.tx, err = w.target.Begin(true); err != nil {
		return err
	}
	defer func() { _ = w.tx.Rollback() }() // of what is committed it is none
	err = from.ForEach(func(name []byte, b *bbolt.Bucket) error {
		if _, err := w.tx.CreateBucket(name); err != nil {
			return err
		}
		w.open(name)
		return b.ForEach(func(k, v []byte) error { return w.put(name, k, v) })
	})
	if err != nil {
		return err
	}
	return w.tx.Commit()
}

func (w *rewriter) open(name []byte) {
	w.bucket = w.tx.Bucket(name)
	w.bucket.FillPercent = compactFill
}

func (w *rewriter) put(bucket, k, v []byte) error {
	if w.pending += len(k) + len(v); w.pending > compactBatch {
		if err := w.next(bucket); err != nil {
			return err
		}
		w.pending = len(k) + len(v)
	}
	w.done += int64(len(k) + len(v))
	return w.bucket.Put(k, v)
}

// next goes on in another transaction.
func (w *rewriter) next(bucket []byte) error {
	w.progress(w.done)
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if err := w.tx.Commit(); err != nil {
		return err
	}
	tx, err := w.target.Begin(true)
	if err != nil {
		return err
	}
	w.tx = tx
	w.open(bucket)
	return nil
}
