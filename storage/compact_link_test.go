package storage_test

import (
	"os"
	"path/filepath"
	"testing"

	sm "faultd/statemachine"
	"faultd/storage"
)

func TestCompact_BehindALink(t *testing.T) {
	path, link := temp(t), temp(t)
	db := open(t, path)
	apply(t, db, entries([]sm.Event{ev(1, sm.Server, "a", sm.ActBuild, "b", sm.PhaseFailed)}))
	_ = db.Close()
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	_, after, err := storage.Compact(t.Context(), storage.Options{Path: link}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if leads, err := filepath.EvalSymlinks(link); err != nil || filepath.Base(filepath.Dir(leads)) != filepath.Base(filepath.Dir(path)) {
		t.Errorf("the name leads to %s, %v", leads, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != after {
		t.Errorf("%v, %v: the file behind the link is as it was", info, err)
	}
}
