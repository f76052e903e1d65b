package storage_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	sm "faultd/statemachine"
	"faultd/storage"
)

// A copy that is made while the log is applied is the state of one position, and goes on behind it to the same state.
func TestSnapshot_IsOnePositionAndGoesOn(t *testing.T) {
	log := jobs(4000)
	db := open(t, temp(t))
	apply(t, db, log[:1000])
	hashes := map[uint64]uint64{} // by sequence
	first := make(chan struct{})
	var applying sync.WaitGroup
	applying.Go(func() {
		for i, batch := range slices.Collect(slices.Chunk(log[1000:], 500)) {
			apply(t, db, batch)
			p, _, hash := db.State()
			if hashes[p.Sequence] = hash; i == 0 {
				close(first)
			}
		}
	})
	<-first
	path := temp(t)
	at, err := db.Snapshot(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	applying.Wait()
	r := isClean(t, path)
	if r.Position != at || r.Hash != hashes[at.Sequence] || at.Sequence < 1500 {
		t.Errorf("the copy is at %d with %x, was said to be at %d, and the store had %x there", r.Position.Sequence, r.Hash, at.Sequence, hashes[at.Sequence])
	}
	restored := open(t, path)
	for batch := range slices.Chunk(log[at.Sequence:], 700) {
		apply(t, restored, batch)
	}
	_, _, want := db.State()
	if _, _, got := restored.State(); got != want {
		t.Errorf("it came to %x, not %x", got, want)
	}
}

func TestSnapshot_LeavesNothingHalf(t *testing.T) {
	db := open(t, temp(t))
	apply(t, db, jobs(100))
	dir := t.TempDir()
	path := filepath.Join(dir, "copy.db")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.Snapshot(cancelled, path); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if names := list(t, dir); len(names) != 0 {
		t.Errorf("it leaves %v", names)
	}
	if err := os.WriteFile(path+".copy", []byte("what a process before this one left"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Snapshot(t.Context(), path); err != nil {
		t.Error(err)
	}
	if names := list(t, dir); !slices.Equal(names, []string{"copy.db"}) {
		t.Errorf("it leaves %v", names)
	}
	if _, err := db.Snapshot(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the name is taken: %v", err)
	}
	if _, err := db.Snapshot(t.Context(), filepath.Join(dir, "none", "copy.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is no such directory: %v", err)
	}
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// The copy has no name before it is verified.
func TestSnapshot_UnnamedUntilVerified(t *testing.T) {
	path, copied := temp(t), temp(t)
	steps := 0
	db := openWith(t, storage.Options{Path: path, Step: func(name string) {
		if name != "copy" {
			return
		}
		steps++
		if _, err := os.Stat(copied); err == nil {
			t.Error("it has its name")
		}
		isClean(t, copied+".copy")
	}})
	apply(t, db, jobs(10))
	if _, err := db.Snapshot(t.Context(), copied); err != nil || steps != 1 {
		t.Errorf("%v, %d steps", err, steps)
	}
}

func TestSnapshot_DamageIsNotCopied(t *testing.T) {
	path := temp(t)
	db := open(t, path)
	apply(t, db, jobs(10))
	_ = db.Close()
	tamper(t, path, "lists", deleteIt)
	db = open(t, path)
	copied := temp(t)
	if _, err := db.Snapshot(t.Context(), copied); !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), "list") {
		t.Errorf("%v", err)
	}
	if names := list(t, filepath.Dir(copied)); len(names) != 0 {
		t.Errorf("it leaves %v", names)
	}
}

func TestSnapshot_NoRoom(t *testing.T) {
	if !alone(t) {
		return
	}
	db := openWith(t, storage.Options{Path: temp(t), MinFree: 1 << 60})
	if _, err := db.Snapshot(t.Context(), temp(t)); !errors.Is(err, sm.ErrFull) || !strings.Contains(err.Error(), "must be") {
		t.Errorf("%v", err)
	}
	db = open(t, temp(t))
	apply(t, db, jobs(100))
	limitFiles(t, 64<<10, func() {
		if _, err := db.Snapshot(t.Context(), temp(t)); !errors.Is(err, sm.ErrFull) {
			t.Errorf("%v", err)
		}
	})
	if _, err := db.Snapshot(t.Context(), temp(t)); err != nil {
		t.Error(err)
	}
}

// A commit that finds no room opens the file anew: a copy that is being made gives way instead of holding it up.
func TestSnapshot_GivesWayWhenTheFileIsOpenedAnew(t *testing.T) {
	log := jobs(4000)
	db := openWith(t, storage.Options{Path: temp(t), MaxSize: 2 << 20})
	apply(t, db, log[:1000])
	ending := db.Ending()
	full := make(chan error, 1)
	ctx := &busyContext{Context: t.Context(), first: func() {
		go func() {
			_, _, err := db.Apply(log[1000:], until(log))
			full <- err
		}()
		<-ending
	}}
	if _, err := db.Snapshot(ctx, temp(t)); !errors.Is(err, storage.ErrClosing) {
		t.Errorf("the copy: %v", err)
	}
	if err := <-full; !errors.Is(err, sm.ErrFull) {
		t.Errorf("the commit: %v", err)
	}
	if _, err := db.Snapshot(t.Context(), temp(t)); err != nil {
		t.Errorf("and then: %v", err)
	}
}

// busyContext does something when a copy first looks whether it is to end.
type busyContext struct {
	context.Context
	first func()
	turns int
}

func (c *busyContext) Done() <-chan struct{} {
	if c.turns++; c.turns == 2 { // the first is that for its turn
		c.first()
	}
	return c.Context.Done()
}

// One copy is made at a time, and who waits for its turn can go.
func TestSnapshot_OneAtATime(t *testing.T) {
	db := open(t, temp(t))
	apply(t, db, jobs(10))
	inner := make(chan error, 1)
	ctx := &busyContext{Context: t.Context(), first: func() {
		waits, cancel := context.WithCancel(t.Context())
		go func() {
			_, err := db.Snapshot(waits, temp(t))
			inner <- err
		}()
		cancel()
		if err := <-inner; !errors.Is(err, context.Canceled) {
			t.Errorf("who waits: %v", err)
		}
	}}
	if _, err := db.Snapshot(ctx, temp(t)); err != nil {
		t.Error(err)
	}
}

func TestClose_EndsACopy(t *testing.T) {
	db := open(t, temp(t))
	apply(t, db, jobs(100))
	ending, closed := db.Ending(), make(chan error, 1)
	ctx := &busyContext{Context: t.Context(), first: func() {
		go func() { closed <- db.Close() }()
		<-ending
	}}
	if _, err := db.Snapshot(ctx, temp(t)); !errors.Is(err, storage.ErrClosing) {
		t.Errorf("%v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
