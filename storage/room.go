package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	sm "faultd/statemachine"
)

// room is what is known of the room for the file. It belongs to the goroutine that applies.
type room struct {
	free     func(dir string) (uint64, error) // bytes for us on the file system; tests tell others
	measured time.Time                        // when free was asked
	left     uint64                           // what it said, less what was taken since
	settled  bool                             // the file on the disk is the file that is read, see settle
}

const (
	// measureEvery is how long a measurement of the free space holds.
	measureEvery = 250 * time.Millisecond
	// growth is by how much bbolt makes the file larger at a time, beyond what it needs.
	growth = 16 << 20
	// eventPages is what the pages that an event changes come to, in bytes: a few of its own and a share of those that
	// many events change.
	eventPages = 8 << 10
)

// enough returns [sm.ErrFull], wrapped, if there is no room for a batch, before anything of it is done.
func (db *DB) enough(entries []sm.Entry) error {
	if db.options.MinFree == 0 || db.broken != nil {
		return nil //nolint:nilerr // whoever applies next is told
	}
	batch := db.mayNeed(entries)
	need := max(batch, db.options.MinFree)
	if r := &db.room; r.left < need || time.Since(r.measured) > measureEvery {
		free, err := r.free(filepath.Dir(db.options.Path))
		if err != nil {
			return nil //nolint:nilerr // nobody knows: the commit will tell
		}
		r.measured, r.left = time.Now(), free
	}
	if db.room.left < need {
		return fmt.Errorf("%w on the file system of %s: %s are free there, and %s must be before more is applied (--min-free); "+
			"free some space, it goes on by itself then", sm.ErrFull, db.options.Path, Bytes(db.room.left), Bytes(need))
	}
	db.room.left -= min(db.room.left, batch-growth) // the file grows once for many batches
	return nil
}

// mayNeed is how many bytes a batch may come to at most, as a rule: a transaction writes every page that it changes to
// a new place, and those are no more than the file has.
func (db *DB) mayNeed(entries []sm.Entry) uint64 {
	raw := 0
	for i := range entries {
		raw += len(entries[i].Raw)
	}
	pages := int64(len(entries)) * eventPages
	if info, err := os.Stat(db.options.Path); err == nil {
		pages = min(pages, info.Size())
	}
	return uint64(growth + 2*int64(raw) + pages)
}

// freeSpace is what a file system has left for those who are not its administrator.
func freeSpace(dir string) (uint64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	return uint64(fs.Bavail) * uint64(fs.Bsize), nil //nolint:unconvert // both have other types on other platforms
}

// beginWrite opens a transaction that writes, on a file that is settled.
func (db *DB) beginWrite() (*bbolt.Tx, error) {
	if err := db.settle(); err != nil {
		return nil, err
	}
	return db.bolt.Begin(true) // the goroutine that applies is the one that opens the file anew: it needs no lock
}

// settle makes the file's name durable, and writes both meta pages as they are read, each through to the disk, before
// the first transaction writes. A process that ended between renaming a file and syncing its directory leaves a name
// that a power cut takes back, with all that was committed to the file since. The process before this one, or a commit that failed, may have left the newer one in the system's cache
// alone; a transaction on top of it would write over pages that the older one, which is on the disk, still refers to, and
// a power cut in the middle of that would leave neither whole. A write that is cut short does no harm: where the disk
// has the page already it stays as it is, and where not, the other one is whole.
func (db *DB) settle() (err error) {
	if db.room.settled {
		return nil
	}
	f, err := os.OpenFile(db.options.Path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("settling the store: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := syncDir(filepath.Dir(db.options.Path)); noSpace(err) {
		return db.full(err)
	} else if err != nil {
		return fmt.Errorf("settling the store: %w", err)
	}
	page := make([]byte, db.bolt.Info().PageSize)
	for i := range int64(2) {
		at := i * int64(len(page))
		_, err := f.ReadAt(page, at)
		if err == nil {
			_, err = f.WriteAt(page, at)
		}
		if err == nil {
			err = f.Sync()
		}
		if noSpace(err) {
			return db.full(err)
		}
		if err != nil {
			return fmt.Errorf("settling the store: %w", err)
		}
	}
	db.room.settled = true
	return nil
}

// finish commits a transaction. If that fails for want of room the file is opened anew and tells what came of it: nil is
// returned if the transaction is in it after all, [sm.ErrFull], wrapped, if it is not. After any other failure nobody
// knows, and the store is broken.
func (db *DB) finish(tx *bbolt.Tx) error {
	id := tx.ID()
	if err := tx.Commit(); err != nil {
		return db.outcome(id, err)
	}
	return nil
}

// outcome is what has come of the transaction of that number, whose commit failed.
func (db *DB) outcome(id int, cause error) error {
	if !noSpace(cause) {
		db.broken = cause
		return cause
	}
	last, err := db.reopen()
	switch {
	case err != nil:
		db.broken = fmt.Errorf("%w; and then, opening the file anew: %w", cause, err)
	case last == id: // as the cache has it; it may be told to others only when the disk has it too
		if err := db.settle(); err != nil {
			db.broken = fmt.Errorf("%w; and then, settling the file: %w", cause, err)
			return db.broken
		}
		return nil
	case last == id-1: // what is in memory is as of then, too: nothing changes it before the commit
		return db.full(cause)
	default:
		db.broken = fmt.Errorf("%w; and the file is at transaction %d, not %d", cause, last, id-1)
	}
	return db.broken
}

// full is the error of a commit for which there was no room.
func (db *DB) full(cause error) error {
	if errors.Is(cause, bolterrors.ErrMaxSizeReached) {
		return fmt.Errorf("%w: the store %s may have %s at most (--max-size); start it again with more, or stop it and compact it with faultd compact: %w",
			sm.ErrFull, db.options.Path, Bytes(uint64(db.options.MaxSize)), cause)
	}
	left := ""
	if free, err := db.room.free(filepath.Dir(db.options.Path)); err == nil {
		left = " (" + Bytes(free) + " are free)"
	}
	return fmt.Errorf("%w on the file system of %s, or in its quota%s; free some space, it goes on by itself then: %w", sm.ErrFull, db.options.Path, left, cause)
}

// noSpace tells whether an error comes from a lack of room. bbolt passes some of the system's errors on as texts.
func noSpace(err error) bool {
	if err == nil {
		return false
	}
	for _, lack := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, bolterrors.ErrMaxSizeReached} {
		if errors.Is(err, lack) || strings.HasSuffix(err.Error(), lack.Error()) {
			return true
		}
	}
	return false
}

// reopen closes the file and opens it anew, since bbolt's picture of it is not to be trusted after a commit that failed,
// and returns the number of the last transaction that is in it. Readers wait meanwhile; copies that are being made are
// given up. After an error readers find the store closed.
func (db *DB) reopen() (last int, err error) {
	db.file.Lock()
	defer db.file.Unlock()
	if db.closed {
		return 0, bolterrors.ErrDatabaseNotOpen
	}
	close(db.ending)
	db.ending = make(chan struct{})
	failed := db.bolt.Close()
	db.step("reopen")
	// Its structure is not verified as at the start: that would read all of it while readers wait.
	bolt, err := openFile(db.options.Path, db.options.MaxSize, false, func(*os.File) error { return nil })
	if err != nil {
		return 0, errors.Join(err, failed)
	}
	db.bolt, db.room.settled = bolt, false
	err = bolt.View(func(tx *bbolt.Tx) error { last = tx.ID(); return nil })
	return last, err
}

// Bytes is a number of bytes for people.
func Bytes(n uint64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/(1<<10), 0
	for size >= 1000 && unit < len(units)-1 {
		size /= 1 << 10
		unit++
	}
	if size < 10 {
		return fmt.Sprintf("%.1f %ciB", size, units[unit])
	}
	return fmt.Sprintf("%.0f %ciB", size, units[unit])
}
