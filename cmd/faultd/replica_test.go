package main

import (
	"path/filepath"
	"testing"
)

func TestReplicaName_Stays(t *testing.T) {
	dir := t.TempDir()
	first, err := replicaName(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := replicaName(dir); err != nil || again != first {
		t.Errorf("it is %s, and then %s: %v", first, again, err)
	}
	if other, err := replicaName(t.TempDir()); err != nil || other == first {
		t.Errorf("another directory's is %s: %v", other, err)
	}
	writeFile(t, filepath.Join(dir, replicaFile), "x\x00y")
	if damaged, err := replicaName(dir); err != nil || damaged == first || len(damaged) != len(first) {
		t.Errorf("of a damaged file it is %q: %v", damaged, err)
	}
	if name, err := replicaName(filepath.Join(dir, "absent")); err == nil {
		t.Errorf("where nothing can be kept it is %s", name)
	}
}
