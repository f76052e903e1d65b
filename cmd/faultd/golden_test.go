package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"faultd/consumer"
	"faultd/statemachine"
	"faultd/storage"
)

const goldenHash = "../../testdata/golden/sample.hash"

// goldenLog is the sample log as a stream that was filled in one hour holds it.
func goldenLog(t *testing.T) (log []statemachine.Entry) {
	t.Helper()
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		m, err := consumer.Line(line)
		if err != nil {
			t.Fatal(err)
		}
		m.Sequence = uint64(len(log) + 1)
		m.StreamTime = statemachine.At(start.Add(time.Duration(len(log)) * 25 * time.Second))
		log = append(log, consumer.Decode(m))
	}
	return log
}

// One log gives one state, in whatever batches it is applied, in this version and in all that come: where a change of
// the rules changes the hash on purpose, the golden file changes with it, and the changelog says so.
func TestGolden_OneLogOneState(t *testing.T) {
	log := goldenLog(t)
	for _, size := range []int{1, 7, len(log)} {
		path := filepath.Join(t.TempDir(), "faultd.db")
		db, err := storage.Open(storage.Options{Path: path, Retention: 720 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for batch := range slices.Chunk(log, size) {
			last := batch[len(batch)-1]
			to := statemachine.Position{Stream: "JOBS", Epoch: 1, First: 1, Sequence: last.Sequence, StreamTime: last.StreamTime}
			if _, _, err := db.Apply(batch, to); err != nil {
				t.Fatal(err)
			}
		}
		_, counters, hash := db.State()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if report, err := storage.Check(path); err != nil || len(report.Problems) > 0 {
			t.Errorf("in batches of %d the store is not as it should be: %v, %v", size, report.Problems, err)
		}
		got := fmt.Sprintf("%016x  %d applied, %d ignored, %d rejected\n", hash, counters.Applied, counters.Ignored, counters.Rejected)
		compareHash(t, size, got)
	}
}

func compareHash(t *testing.T, size int, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(goldenHash, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenHash)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("in batches of %d the log gives %s, not %s", size, strings.TrimSpace(got), strings.TrimSpace(string(want)))
	}
}
