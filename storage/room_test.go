package storage_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sm "faultd/statemachine"
	"faultd/storage"
)

// openWith opens a store with further options.
func openWith(tb testing.TB, o storage.Options) *storage.DB {
	tb.Helper()
	db, err := storage.Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// until is the position behind a batch.
func until(batch []sm.Entry) sm.Position {
	last := batch[len(batch)-1]
	return sm.Position{Stream: "JOBS", Epoch: 1, First: 1, Sequence: last.Sequence, StreamTime: last.StreamTime}
}

// whole is the state hash that a log comes to in a store that always had room.
func whole(tb testing.TB, log []sm.Entry) uint64 {
	tb.Helper()
	db := open(tb, temp(tb))
	apply(tb, db, log)
	_, _, hash := db.State()
	_ = db.Close()
	return hash
}

// isClean checks a store at rest.
func isClean(tb testing.TB, path string) storage.Report {
	tb.Helper()
	r, err := storage.Check(path)
	if err != nil || len(r.Problems) > 0 {
		tb.Fatalf("check: %v, %q", err, r.Problems)
	}
	return r
}

// applyUntilFull applies batches, and returns those that were not applied, the first of which found no room.
func applyUntilFull(tb testing.TB, db *storage.DB, batches [][]sm.Entry) [][]sm.Entry {
	tb.Helper()
	for i, batch := range batches {
		_, _, err := db.Apply(batch, until(batch))
		if errors.Is(err, sm.ErrFull) {
			return batches[i:]
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	tb.Fatal("there was always room")
	return nil
}

// A file that may not grow: reading goes on, nothing is lost, and the same batch is applied when there is room.
func TestApply_FileAtItsLargest(t *testing.T) {
	log := jobs(16_000)
	path, reopened := temp(t), 0
	db := openWith(t, storage.Options{Path: path, MaxSize: 4 << 20, Step: func(name string) {
		if name == "reopen" {
			reopened++
		}
	}})
	// The last is more than there could be room for, also without the pages that readers hold.
	batches := [][]sm.Entry{log[:1000], log[1000:2000], log[2000:4000], log[4000:]}
	apply(t, db, batches[0])
	stop := readAlways(t, db, log[0].Event.Key)
	defer stop()
	left := applyUntilFull(t, db, batches[1:])
	at, counters, hash := db.State()
	changes, _ := db.Changes(0)
	for range 3 { // as often as it is tried
		_, _, err := db.Apply(left[0], until(left[0]))
		if !errors.Is(err, sm.ErrFull) || errors.Is(err, storage.ErrBroken) || !strings.Contains(err.Error(), "4.0 MiB at most (--max-size)") {
			t.Fatalf("%v", err)
		}
	}
	stop()
	if p, n, h := db.State(); p != at || n != counters || h != hash || reopened != 4 {
		t.Errorf("it was reopened %d times, and is at %v with %x, not at %v with %x", reopened, p, h, at, hash)
	}
	if now, ok := db.Changes(0); !ok || len(now) != len(changes) {
		t.Errorf("the feed has %d rows (%v), and had %d", len(now), ok, len(changes))
	}
	_ = db.Close()
	if r := isClean(t, path); r.Hash != hash || r.Position != at {
		t.Errorf("on the disk it is at %v with %x, not at %v with %x", r.Position, r.Hash, at, hash)
	}
	db = openWith(t, storage.Options{Path: path})
	for _, batch := range left {
		apply(t, db, batch)
	}
	if _, _, got := db.State(); got != whole(t, log) {
		t.Errorf("it came to %x", got)
	}
	_ = db.Close()
	isClean(t, path)
}

// readAlways reads a resource and waits for commits until stop is called; each reading must succeed.
func readAlways(t *testing.T, db *storage.DB, key sm.Key) (stop func()) {
	ended := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-ended:
					return
				case <-db.Changed():
				case <-time.After(time.Millisecond):
				}
				if _, err := db.Resource(key); err != nil {
					t.Errorf("reading meanwhile: %v", err)
					return
				}
			}
		})
	}
	return sync.OnceFunc(func() { close(ended); readers.Wait() })
}

// The system's own limit on files: what bbolt passes on is a text, and the store goes on in the same process.
func TestApply_SystemHasNoRoom(t *testing.T) {
	if !alone(t) {
		return
	}
	log := jobs(2000)
	path := temp(t)
	db := open(t, path)
	apply(t, db, log[:10])
	limitFiles(t, 1<<20, func() {
		if _, _, err := db.Apply(log[10:], until(log)); !errors.Is(err, sm.ErrFull) || !strings.Contains(err.Error(), "are free") {
			t.Errorf("%v", err)
		}
		if _, err := db.Resource(log[0].Event.Key); err != nil {
			t.Error(err)
		}
	})
	apply(t, db, log[10:])
	if _, _, got := db.State(); got != whole(t, log) {
		t.Errorf("it came to %x", got)
	}
	_ = db.Close()
	isClean(t, path)
}

// alone tells whether the test runs in a process of its own. Where it does not it is run in one, and has nothing more to do.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv("FAULTD_TEST_ALONE") != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "FAULTD_TEST_ALONE=yes")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// limitFiles calls a function while no file of the process may become larger than that; the log of the test among them, which is
// why the test must be [alone].
func limitFiles(t *testing.T, largest uint64, do func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	now := was
	now.Cur = largest
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &now); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	do()
}

func TestApply_FreeSpaceBelowTheMark(t *testing.T) {
	free, asked := uint64(10<<20), 0
	path := temp(t)
	db := openWith(t, storage.Options{Path: path, MinFree: 256 << 20})
	db.SetFree(func(dir string) (uint64, error) {
		if asked++; dir != filepath.Dir(path) {
			t.Errorf("asked for %s", dir)
		}
		return free, nil
	})
	log := jobs(20)
	_, _, err := db.Apply(log, until(log))
	if !errors.Is(err, sm.ErrFull) || !strings.Contains(err.Error(), "10 MiB are free there, and 256 MiB must be") || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	if p := db.Position(); p.Sequence != 0 {
		t.Errorf("it is at %v", p)
	}
	free = 300 << 20 // noticed at once, although nothing was measured for as long as a measurement holds
	asked = 0
	began := time.Now()
	for _, e := range log {
		apply(t, db, []sm.Entry{e})
	}
	if most := int(time.Since(began)/(250*time.Millisecond)) + 2; asked > most {
		t.Errorf("asked %d times, more than %d", asked, most)
	}
}

// Where nobody can tell what is free, the commit will.
func TestApply_FreeSpaceUnknown(t *testing.T) {
	db := openWith(t, storage.Options{Path: temp(t), MinFree: 256 << 20})
	db.SetFree(func(string) (uint64, error) { return 0, errors.New("not supported") })
	apply(t, db, jobs(10))
}

// A batch that needs more than the mark is not begun either.
func TestApply_BatchNeedsMoreThanTheMark(t *testing.T) {
	db := openWith(t, storage.Options{Path: temp(t), MinFree: 1})
	db.SetFree(func(string) (uint64, error) { return 100 << 20, nil })
	log := jobs(10)
	log[0].Raw = make([]byte, 50<<20)
	if _, _, err := db.Apply(log, until(log)); !errors.Is(err, sm.ErrFull) {
		t.Errorf("%v", err)
	}
	log[0].Raw = nil
	apply(t, db, log)
}

// What a failed commit comes to is what the file says.
func TestApply_OutcomeOfAFailedCommit(t *testing.T) {
	noSpace := fmt.Errorf("file resize error: %s", &fs.PathError{Op: "truncate", Path: "faultd.db", Err: syscall.ENOSPC}) //nolint:errorlint // as bbolt makes it
	for name, c := range map[string]struct {
		later  int // than the last transaction
		cause  error
		is     error // nil: committed
		broken bool
	}{
		"it is there":             {0, syscall.ENOSPC, nil, false},
		"it is not":               {1, syscall.ENOSPC, sm.ErrFull, false},
		"as a text":               {1, noSpace, sm.ErrFull, false},
		"over the quota":          {1, syscall.EDQUOT, sm.ErrFull, false},
		"something else is there": {3, syscall.ENOSPC, storage.ErrBroken, true},
		"another cause":           {1, syscall.EIO, storage.ErrBroken, true},
		"another cause, there":    {0, syscall.EIO, storage.ErrBroken, true},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, temp(t))
			log := jobs(10)
			apply(t, db, log[:50])
			err := db.Outcome(db.LastTransaction()+c.later, c.cause)
			if c.is == nil && err != nil || c.is != nil && !c.broken && !errors.Is(err, c.is) || c.broken && err == nil {
				t.Errorf("%v", err)
			}
			_, _, err = db.Apply(log[50:], until(log))
			if c.broken != errors.Is(err, storage.ErrBroken) || c.broken && errors.Is(err, sm.ErrFull) {
				t.Errorf("and then %v", err)
			}
			if _, err := db.Resource(log[0].Event.Key); err != nil {
				t.Errorf("reading: %v", err)
			}
		})
	}
}

// A store that was closed stays closed, whatever a commit does.
func TestClose_WhileACommitFails(t *testing.T) {
	path := temp(t)
	db := open(t, path)
	_ = db.Close()
	if err := db.Outcome(1, syscall.ENOSPC); err == nil || errors.Is(err, sm.ErrFull) {
		t.Errorf("%v", err)
	}
	open(t, path) // nobody holds it
}

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1 << 10: "1.0 KiB", 256 << 20: "256 MiB", 1000 << 20: "1.0 GiB", 1<<64 - 1: "16 EiB"} {
		if got := storage.Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// Before a transaction writes, the pages that say which one was the last are written through to the disk once more: at the
// start, and after each commit that failed.
func TestApply_SettlesTheFileFirst(t *testing.T) {
	if !alone(t) {
		return
	}
	log, put := jobs(2000), 0
	path := temp(t)
	db := open(t, path)
	apply(t, db, log[:10])
	_ = db.Close()
	db = openWith(t, storage.Options{Path: path, Step: func(name string) {
		if name == "put" {
			put++
		}
	}})
	tryAt := func(largest uint64, wantPut int) {
		t.Helper()
		put = 0
		limitFiles(t, largest, func() {
			if _, _, err := db.Apply(log[10:], until(log)); !errors.Is(err, sm.ErrFull) || put != wantPut {
				t.Errorf("with %d bytes: %v, %d times put", largest, err, put)
			}
		})
	}
	tryAt(1, 0)     // it cannot be settled
	tryAt(2<<20, 1) // it is, and then there is no room
	tryAt(1, 0)     // and again
	tryAt(1<<20, 1)
	apply(t, db, log[10:])
	_ = db.Close()
	isClean(t, path)
}
