package storage_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	sm "faultd/statemachine"
	"faultd/storage"
)

const pageSize = 4096

// damages are what disks and people do to files; each returns the damaged copy that it is given, and what it did. The
// last two put a whole page that fits into the place of another, which the check alone may find.
var damages = []func(r *rand.Rand, s *specimen, file []byte) ([]byte, string){
	func(r *rand.Rand, _ *specimen, file []byte) ([]byte, string) {
		at := r.IntN(len(file))
		file[at] ^= byte(1 << r.IntN(8))
		return file, fmt.Sprint("a bit of byte ", at, " of page ", at/pageSize)
	},
	func(r *rand.Rand, _ *specimen, file []byte) ([]byte, string) {
		at := r.IntN(len(file)/pageSize)*pageSize + r.IntN(200) // where lengths and places stand
		file[at] = byte(r.Uint32())
		return file, fmt.Sprint("byte ", at%pageSize, " of page ", at/pageSize)
	},
	func(r *rand.Rand, _ *specimen, file []byte) ([]byte, string) {
		n := 1 + r.IntN(100)
		for range n {
			file[r.IntN(len(file))] = byte(r.Uint32())
		}
		return file, fmt.Sprint(n, " bytes")
	},
	func(r *rand.Rand, _ *specimen, file []byte) ([]byte, string) {
		n := r.IntN(len(file))
		return file[:n], fmt.Sprint("cut to ", n, " bytes")
	},
	func(r *rand.Rand, _ *specimen, file []byte) ([]byte, string) {
		a, b := r.IntN(len(file)/pageSize), r.IntN(len(file)/pageSize)
		x := append([]byte(nil), file[a*pageSize:][:pageSize]...)
		copy(file[a*pageSize:][:pageSize], file[b*pageSize:])
		copy(file[b*pageSize:], x)
		return file, fmt.Sprint("pages ", a, " and ", b, " swapped")
	},
	func(r *rand.Rand, _ *specimen, file []byte) ([]byte, string) {
		a := r.IntN(len(file) / pageSize)
		clear(file[a*pageSize:][:pageSize])
		return file, fmt.Sprint("page ", a, " zeroed")
	},
	func(r *rand.Rand, _ *specimen, file []byte) ([]byte, string) {
		a := r.IntN(len(file) / 512)
		for i := range 512 {
			file[a*512+i] = byte(r.Uint32())
		}
		return file, fmt.Sprint("sector ", a, " of page ", a/8, " overwritten")
	},
	func(r *rand.Rand, _ *specimen, file []byte) ([]byte, string) { // a page that says that it is another
		a, b := 2+r.IntN(len(file)/pageSize-2), 2+r.IntN(len(file)/pageSize-2)
		copy(file[a*pageSize:][:pageSize], file[b*pageSize:])
		binary.NativeEndian.PutUint64(file[a*pageSize:], uint64(a))
		return file, fmt.Sprint("page ", a, " is that of ", b)
	},
	func(r *rand.Rand, s *specimen, file []byte) ([]byte, string) { // a write that did not reach the disk
		a := r.IntN(len(s.older) / pageSize)
		copy(file[a*pageSize:][:pageSize], s.older[a*pageSize:])
		return file, fmt.Sprint("page ", a, " as it was before the last commit")
	},
}

// corruptions is how many damaged files the test opens; more by the environment variable of this name.
const corruptions = 306

func TestCorrupt_NeverWrongNeverPanics(t *testing.T) {
	s, n := newSpecimen(t), corruptions
	if more, err := strconv.Atoi(os.Getenv("CORRUPTIONS")); err == nil {
		n = more
	}
	path := filepath.Join(t.TempDir(), "faultd.db")
	seen := map[string]int{}
	for i := range n {
		r := rand.New(rand.NewPCG(4, uint64(i)))
		file, what := damages[i%len(damages)](r, s, append([]byte(nil), s.file...))
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		outcome := s.examine(t, fmt.Sprintf("case %d, %s", i, what), path)
		if outcome == checkAlone && i%len(damages) < len(damages)-2 {
			t.Errorf("case %d, %s: it was read without an error", i, what)
		}
		seen[outcome]++
	}
	t.Logf("of %d damaged files: %v", n, seen)
	for _, outcome := range []string{"refused", "errors", "as before"} {
		if seen[outcome] == 0 {
			t.Errorf("no case came to %q", outcome)
		}
	}
}

func TestCorrupt_BeneathAnOpenStore(t *testing.T) {
	s := newSpecimen(t)
	for name, size := range map[string]int{"to nothing": 0, "to the meta pages": 2 * pageSize, "to the half": len(s.file) / 2 / pageSize * pageSize, "not at all": len(s.file)} {
		t.Run("cut "+name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "faultd.db")
			if err := os.WriteFile(path, s.file, 0o600); err != nil {
				t.Fatal(err)
			}
			db := open(t, path)
			position := db.Position().Sequence
			if err := os.Truncate(path, int64(size)); err != nil {
				t.Fatal(err)
			}
			got := observe(db, s.log)
			if wrong := got.differs(s.truth[position]); len(wrong) > 0 {
				t.Errorf("%q", wrong)
			}
			failed := 0
			for _, a := range got {
				failed += map[bool]int{true: 1}[errors.Is(a.err, storage.ErrCorrupt)]
			}
			if (failed > 0) != (size < len(s.file)) {
				t.Errorf("%d of %d questions are answered with an error", failed, len(got))
			}
			last := s.log[len(s.log)-1]
			_, _, err := db.Apply(s.log[position:], sm.Position{Stream: "JOBS", Epoch: 1, First: 1, Sequence: last.Sequence, StreamTime: last.StreamTime})
			if size < len(s.file) != (err != nil) {
				t.Errorf("applying more: %v", err)
			}
			if err := db.Close(); err != nil {
				t.Errorf("closing: %v", err)
			}
		})
	}
}

func TestCorrupt_RecordsBeneathAnOpenStore(t *testing.T) {
	s := newSpecimen(t)
	path := filepath.Join(t.TempDir(), "faultd.db")
	if err := os.WriteFile(path, s.file, 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, path)
	at := strings.LastIndex(string(s.file), "name of server-33")
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("N"), int64(at))
		err = errors.Join(err, f.Close())
	}
	if err != nil || at < 0 {
		t.Fatal(err, at)
	}
	key := sm.Key{Tenant: "tenant-3", Kind: sm.Server, ID: "server-33"}
	if _, err := db.Resource(key); !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), "of cold") {
		t.Errorf("the server: %v", err)
	}
	if _, err := db.List(sm.Query{Limit: 1000, Statuses: sm.Server.Statuses()}); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("a list that it is in: %v", err)
	}
	key.ID, key.Tenant = "server-34", "tenant-0"
	if r, err := db.Resource(key); err != nil || r.Name != "name of server-34" {
		t.Errorf("another server: %v, %v", r, err)
	}
	_ = db.Close()
	report, err := storage.Check(path)
	if err != nil || len(report.Problems) == 0 || !strings.Contains(report.Problems[0], "server server-33 of tenant number") {
		t.Errorf("the check: %q, %v", report.Problems, err)
	}
}

// examine does with a damaged file all that can be done with a store, and tells what came of it.
func (s *specimen) examine(t *testing.T, what, path string) (outcome string) {
	t.Helper()
	report, err := storage.Check(path)
	found := err != nil || len(report.Problems) > 0
	if err != nil && !errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrLayout) {
		t.Errorf("%s: the check: %v", what, err)
	}
	db, err := storage.Open(storage.Options{Path: path})
	if err != nil {
		if !errors.Is(err, storage.ErrCorrupt) || !found || !strings.Contains(err.Error(), "faultd check") {
			t.Errorf("%s: not opened: %v, and the check finds %q", what, err, report.Problems)
		}
		return "refused"
	}
	defer db.Close()
	got := observe(db, s.log)
	outcome = s.compare(t, what, got, db.Position().Sequence, found)
	rest := s.log[db.Position().Sequence:]
	last := rest[len(rest)-1]
	_, _, err = db.Apply(rest, sm.Position{Stream: "JOBS", Epoch: 1, First: 1, Sequence: last.Sequence, StreamTime: last.StreamTime})
	if err != nil {
		if !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s: applying more: %v", what, err)
		}
		if _, _, err := db.Apply(nil, db.Position()); !errors.Is(err, storage.ErrBroken) {
			t.Errorf("%s: applying after that: %v", what, err)
		}
		return outcome
	}
	if err := db.Close(); err != nil {
		t.Errorf("%s: closing: %v", what, err)
	}
	if db, err = storage.Open(storage.Options{Path: path}); err != nil {
		if !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s: opened again: %v", what, err)
		}
		return outcome
	}
	defer db.Close()
	s.compare(t, what+", and more applied", observe(db, s.log), last.Sequence, found)
	return outcome
}

// checkAlone is the outcome where something wrong was read without an error, and the check says so.
const checkAlone = "found by the check alone"

// compare checks that what was read without an error is the truth, or the check has found why it is not.
func (s *specimen) compare(t *testing.T, what string, got observed, position uint64, found bool) string {
	t.Helper()
	truth := s.truth[position]
	if truth == nil {
		t.Errorf("%s: it is at %d", what, position)
		return "wrong"
	}
	if wrong := got.differs(truth); len(wrong) > 0 {
		if !found {
			t.Errorf("%s:\n%s", what, strings.Join(wrong, "\n"))
		}
		t.Logf("%s: %.150q", what, wrong[0])
		return checkAlone
	}
	for _, a := range got {
		if errors.Is(a.err, storage.ErrCorrupt) {
			if !found {
				t.Errorf("%s: %v, and the check finds nothing", what, a.err)
			}
			return "errors"
		}
	}
	return "as before"
}
