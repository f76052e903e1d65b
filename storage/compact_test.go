package storage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	sm "faultd/statemachine"
	"faultd/storage"
)

func deleteIt(b *bbolt.Bucket, k, _ []byte) error { return b.Delete(k) }

// roomy is a store at rest with much that is free in its file, and how large that is.
func roomy(t *testing.T, log []sm.Entry) (path string, size int64, hash uint64) {
	t.Helper()
	path = temp(t)
	db := open(t, path)
	for batch := range slices.Chunk(log, 500) {
		apply(t, db, batch)
	}
	_, _, hash = db.State()
	_ = db.Close()
	return path, sizeOf(t, path), hash
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestCompact_SmallerAndTheSame(t *testing.T) {
	log := jobs(6000)
	path, size, hash := roomy(t, log[:20_000])
	_, _, same := roomy(t, log)
	told := int64(-1)
	before, after, err := storage.Compact(t.Context(), storage.Options{Path: path}, func(done, total int64) {
		if done < told || done > total {
			t.Errorf("told %d of %d after %d", done, total, told)
		}
		told = done
	})
	if err != nil || before != size || after != sizeOf(t, path) || after >= before {
		t.Errorf("%v: before %d (%d), after %d (%d)", err, before, size, after, sizeOf(t, path))
	}
	if r := isClean(t, path); r.Hash != hash || r.Position.Sequence != 20_000 {
		t.Errorf("it is at %d with %x", r.Position.Sequence, r.Hash)
	}
	db := open(t, path)
	apply(t, db, log[20_000:])
	if _, _, got := db.State(); got != same {
		t.Errorf("it goes on to %x, not %x", got, same)
	}
	if names := list(t, filepath.Dir(path)); !slices.Equal(names, []string{"faultd.db"}) {
		t.Errorf("it leaves %v", names)
	}
}

// Whatever keeps a compaction from its end leaves the store as it was, and nothing beside it.
func TestCompact_OrNothing(t *testing.T) {
	log := jobs(1000)
	for name, c := range map[string]struct {
		prepare func(t *testing.T, o *storage.Options) context.Context
		is      error
	}{
		"in use": {func(t *testing.T, o *storage.Options) context.Context {
			open(t, o.Path)
			return t.Context()
		}, storage.ErrInUse},
		"no room": {func(t *testing.T, o *storage.Options) context.Context {
			o.MinFree = 1 << 60
			return t.Context()
		}, sm.ErrFull},
		"damaged": {func(t *testing.T, o *storage.Options) context.Context {
			tamper(t, o.Path, "lists", deleteIt)
			return t.Context()
		}, storage.ErrCorrupt},
		"interrupted": {func(t *testing.T, _ *storage.Options) context.Context {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return ctx
		}, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			path, size, _ := roomy(t, log)
			o := storage.Options{Path: path}
			ctx := c.prepare(t, &o)
			if _, _, err := storage.Compact(ctx, o, nil); !errors.Is(err, c.is) {
				t.Errorf("%v", err)
			}
			if got := sizeOf(t, path); got != size {
				t.Errorf("its size is %d, not %d", got, size)
			}
			if names := list(t, filepath.Dir(path)); !slices.Equal(names, []string{"faultd.db"}) {
				t.Errorf("it leaves %v", names)
			}
		})
	}
	if _, _, err := storage.Compact(t.Context(), storage.Options{Path: temp(t)}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no store: %v", err)
	}
}

// A process that ends before the new file has its name leaves the old one, and the next start cleans up.
func TestCompact_EndedBeforeItIsNamed(t *testing.T) {
	path, size, hash := roomy(t, jobs(100))
	func() {
		defer func() { _ = recover() }()
		_, _, _ = storage.Compact(t.Context(), storage.Options{Path: path, Step: func(name string) {
			if name == "compact" {
				panic("ended")
			}
		}}, nil)
	}()
	if sizeOf(t, path) != size || sizeOf(t, path+".compact") == 0 {
		t.Error("the step comes too late or too early")
	}
	db := open(t, path)
	if _, _, got := db.State(); got != hash {
		t.Errorf("it is %x", got)
	}
	if names := list(t, filepath.Dir(path)); !slices.Equal(names, []string{"faultd.db"}) {
		t.Errorf("it leaves %v", names)
	}
}

// Who waits for the store while it is compacted must not get the file that went.
func TestOpen_WaitedForAFileThatWent(t *testing.T) {
	path, _, _ := roomy(t, jobs(10))
	other, _, _ := roomy(t, jobs(20))
	held := open(t, path)
	type opened struct {
		db  *storage.DB
		err error
	}
	waits := make(chan opened)
	go func() {
		db, err := storage.Open(storage.Options{Path: path})
		waits <- opened{db, err}
	}()
	time.Sleep(100 * time.Millisecond) // it waits for the lock by now; if not, it gets the new file
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	_ = held.Close()
	got := <-waits
	if got.err == nil {
		defer got.db.Close()
		if p := got.db.Position(); p.Sequence != 200 {
			t.Errorf("it got a file at %d, which has no name any more", p.Sequence)
		}
		return
	}
	if !errors.Is(got.err, storage.ErrInUse) {
		t.Error(got.err)
	}
}
