package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"faultd/api"
	"faultd/statemachine"
)

// keeping is what the flags of serve say of the snapshots that are made by themselves.
type keeping struct {
	dir   string // "": none are made
	every time.Duration
	keep  int // of them
}

func (k *keeping) check() error {
	if k.dir != "" && (k.every < time.Minute || k.keep < 1) {
		return usagef("--snapshot-every must be a minute at least, --snapshot-keep 1 at least")
	}
	return nil
}

// prepare makes the directory if need be.
func (k *keeping) prepare() error {
	if k.dir == "" {
		return nil
	}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return fmt.Errorf("making the directory of the snapshots: %w", err)
	}
	return nil
}

const (
	// snapshotRetry is when a snapshot that failed is tried again, if the next is not due before.
	snapshotRetry = 10 * time.Minute
	// snapshotUnnamed is the name of one whose position is not known yet.
	snapshotUnnamed = "snapshot.next"
)

// errNothingNew is returned when there is a snapshot of the present position already, or nothing was applied yet.
var errNothingNew = errors.New("there is nothing that is not in a snapshot")

// snapshots is the store as the keeper needs it.
type snapshots interface {
	Position() statemachine.Position
	Snapshot(ctx context.Context, path string) (statemachine.Position, error)
}

// keeper makes snapshots of the store into a directory, and removes the oldest of them when a new one is verified.
type keeper struct {
	keeping
	store snapshots
	log   zerolog.Logger
	total *prometheus.CounterVec
	last  prometheus.Gauge
}

// newKeeper returns nil where no snapshots are to be made.
func newKeeper(k keeping, store snapshots, log zerolog.Logger, registry prometheus.Registerer) *keeper {
	if k.dir == "" {
		return nil
	}
	all := &keeper{keeping: k, store: store, log: log.With().Str("component", "snapshots").Logger(),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "faultd_snapshots_total",
			Help: "Snapshots into --snapshot-dir, by result: made or failed."}, []string{"result"}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{Name: "faultd_snapshot_last_timestamp_seconds",
			Help: "When the newest snapshot in --snapshot-dir was made."}),
	}
	all.total.WithLabelValues("made")
	all.total.WithLabelValues("failed")
	registry.MustRegister(all.total, all.last)
	return all
}

// run makes snapshots until the context ends.
func (k *keeper) run(ctx context.Context) {
	due := time.Now()
	if newest := k.newest(); !newest.IsZero() {
		k.last.Set(float64(newest.Unix()))
		if due = newest.Add(k.every); time.Until(due) > k.every { // made by a clock that was ahead
			due = time.Now()
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		due = time.Now().Add(k.once(ctx))
	}
}

// once makes a snapshot, and tells how long to wait for the next.
func (k *keeper) once(ctx context.Context) time.Duration {
	began := time.Now()
	name, err := k.take(ctx)
	switch {
	case ctx.Err() != nil:
		return 0
	case errors.Is(err, errNothingNew):
		return min(k.every, snapshotRetry)
	case err != nil:
		k.total.WithLabelValues("failed").Inc()
		k.log.Error().Err(err).Str("dir", k.dir).Msg("no snapshot could be made; the older ones stay")
		return min(k.every, snapshotRetry)
	}
	k.total.WithLabelValues("made").Inc()
	k.last.Set(float64(time.Now().Unix()))
	k.log.Info().Str("file", name).Dur("took", time.Since(began)).Msg("snapshot made")
	if err := k.removeOldest(name); err != nil {
		k.log.Error().Err(err).Msg("an old snapshot could not be removed")
	}
	return k.every
}

// take makes a snapshot and returns the name of its file.
func (k *keeper) take(ctx context.Context) (string, error) {
	at := k.store.Position()
	if _, err := os.Stat(filepath.Join(k.dir, api.SnapshotName(at))); at.Stream == "" || err == nil {
		return "", errNothingNew
	}
	unnamed := filepath.Join(k.dir, snapshotUnnamed)
	if err := os.Remove(unnamed); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("removing what is left of a snapshot: %w", err)
	}
	at, err := k.store.Snapshot(ctx, unnamed)
	if err != nil {
		return "", err
	}
	name := api.SnapshotName(at)
	if err := os.Rename(unnamed, filepath.Join(k.dir, name)); err != nil {
		return "", fmt.Errorf("naming a snapshot: %w", err)
	}
	return name, syncDir(k.dir)
}

// all are the snapshots in the directory, the one that was made last first.
func (k *keeper) all() ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		return nil, err
	}
	var files []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && strings.HasPrefix(e.Name(), "snapshot-") && strings.HasSuffix(e.Name(), ".db") {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		if c := b.ModTime().Compare(a.ModTime()); c != 0 {
			return c
		}
		return strings.Compare(b.Name(), a.Name())
	})
	return files, nil
}

// newest is when the last snapshot was made, the zero time if there is none.
func (k *keeper) newest() time.Time {
	files, err := k.all()
	if err != nil || len(files) == 0 {
		return time.Time{}
	}
	return files[0].ModTime()
}

// removeOldest removes what is more than is to be kept, but never the one that was just made.
func (k *keeper) removeOldest(made string) error {
	files, err := k.all()
	if err != nil {
		return err
	}
	for _, f := range files[min(k.keep, len(files)):] {
		if f.Name() != made {
			err = errors.Join(err, os.Remove(filepath.Join(k.dir, f.Name())))
		}
	}
	return err
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
