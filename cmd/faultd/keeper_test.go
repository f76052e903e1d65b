package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"faultd/statemachine"
	"faultd/storage"
)

// keptStore is a store, and a keeper of snapshots of it.
func keptStore(t *testing.T, keep int) (*storage.DB, *keeper) {
	t.Helper()
	db, err := storage.Open(storage.Options{Path: filepath.Join(t.TempDir(), "faultd.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, newKeeper(keeping{t.TempDir(), time.Hour, keep}, db, zerolog.Nop(), prometheus.NewRegistry())
}

// moveTo applies a message that is rejected, at that second.
func moveTo(t *testing.T, db *storage.DB, second int64) {
	t.Helper()
	at := statemachine.Time(second * 1e9)
	p := db.Position()
	p.Stream, p.Epoch, p.First, p.StreamTime = "JOBS", 1, 1, at
	p.Sequence++
	e := statemachine.Entry{Reason: statemachine.Malformed, Subject: "x"}
	e.Sequence, e.StreamTime = p.Sequence, at
	if _, _, err := db.Apply([]statemachine.Entry{e}, p); err != nil {
		t.Fatal(err)
	}
}

// counted is how many snapshots have had that result.
func counted(t *testing.T, k *keeper, result string) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(k.total)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == result {
			return m.GetCounter().GetValue()
		}
	}
	return 0
}

func (k *keeper) names(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// The oldest goes when a new one is there, by when it was made: the stream's time may have gone back.
func TestKeeper_KeepsTheNewest(t *testing.T) {
	db, k := keptStore(t, 2)
	if wait := k.once(t.Context()); wait != 10*time.Minute || len(k.names(t)) != 0 {
		t.Errorf("of a store that has read nothing: wait %s, %v", wait, k.names(t))
	}
	if err := os.WriteFile(filepath.Join(k.dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"notes.txt", "snapshot-19700101T000005.000000000Z.db"},
		{"notes.txt", "snapshot-19700101T000005.000000000Z.db", "snapshot-19700101T000006.000000000Z.db"},
		{"notes.txt", "snapshot-19700101T000003.000000000Z.db", "snapshot-19700101T000006.000000000Z.db"},
		{"notes.txt", "snapshot-19700101T000003.000000000Z.db", "snapshot-19700101T000007.000000000Z.db"},
	}
	began := time.Now().Add(-time.Hour)
	for i, second := range []int64{5, 6, 3, 7} {
		moveTo(t, db, second)
		if wait := k.once(t.Context()); wait != time.Hour {
			t.Errorf("wait %s", wait)
		}
		if got := k.names(t); !slices.Equal(got, want[i]) {
			t.Errorf("%v, want %v", got, want[i])
		}
		made := filepath.Join(k.dir, "snapshot-19700101T00000"+string(rune('0'+second))+".000000000Z.db")
		if r, err := storage.Check(made); err != nil || len(r.Problems) > 0 || r.Position != db.Position() {
			t.Errorf("%v, %+v", err, r)
		}
		at := began.Add(time.Duration(i) * time.Minute) // files that are made in one tick of a clock have one time
		if err := os.Chtimes(made, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if wait := k.once(t.Context()); wait != 10*time.Minute || counted(t, k, "made") != 4 {
		t.Errorf("nothing new: wait %s, %v made", wait, counted(t, k, "made"))
	}
}

// A snapshot that cannot be made is counted, takes nothing away, and is tried again.
func TestKeeper_Failure(t *testing.T) {
	db, k := keptStore(t, 1)
	moveTo(t, db, 5)
	k.once(t.Context())
	before := k.names(t)
	k.store = failing{k.store}
	moveTo(t, db, 6)
	if wait := k.once(t.Context()); wait != 10*time.Minute || counted(t, k, "failed") != 1 || !slices.Equal(k.names(t), before) {
		t.Errorf("wait %s, %v failed, %v there", wait, counted(t, k, "failed"), k.names(t))
	}
}

// failing is a store of which no copy can be made.
type failing struct{ snapshots }

func (failing) Snapshot(context.Context, string) (statemachine.Position, error) {
	return statemachine.Position{}, errors.New("the disk is gone")
}

func TestServe_KeepsSnapshots(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snapshots")
	data := t.TempDir()
	d := startDaemon(t, data)
	d.publish(t, sample)
	d.stop()
	d = startDaemon(t, data, "--snapshot-dir", dir, "--snapshot-every", "1h")
	for !strings.Contains(d.log.String(), "snapshot made") {
		time.Sleep(10 * time.Millisecond)
	}
	made, err := filepath.Glob(filepath.Join(dir, "snapshot-*.db"))
	if err != nil || len(made) != 1 {
		t.Fatalf("%v, %v", made, err)
	}
	if r, err := storage.Check(made[0]); err != nil || len(r.Problems) > 0 || r.Resources < 10 {
		t.Errorf("%v, %+v", err, r)
	}
	if code := d.stop(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}
