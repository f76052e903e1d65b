package storage_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"faultd/storage"
)

// Of two that begin in an empty directory each finds a whole store, whoever makes it.
func TestOpen_TwoMakeOneStore(t *testing.T) {
	for range 20 {
		path := temp(t)
		var wait sync.WaitGroup
		for range 2 {
			wait.Go(func() {
				db, err := storage.Open(storage.Options{Path: path})
				if err != nil {
					t.Error(err)
					return
				}
				_ = db.Close()
			})
		}
		wait.Wait()
		if r, err := storage.Check(path); err != nil || len(r.Problems) > 0 {
			t.Fatalf("%v, %v", err, r.Problems)
		}
	}
}

// A name that leads to a file that is not there, as of a disk that is not mounted, is no new store.
func TestOpen_LinkThatLeadsNowhere(t *testing.T) {
	path := temp(t)
	if err := os.Symlink(filepath.Join(t.TempDir(), "gone.db"), path); err != nil {
		t.Fatal(err)
	}
	if db, err := storage.Open(storage.Options{Path: path}); err == nil {
		_ = db.Close()
		t.Error("a new store has taken the place of the link")
	}
}
