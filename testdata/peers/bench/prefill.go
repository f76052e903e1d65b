package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"faultd/consumer"
	sm "faultd/statemachine"
	"faultd/storage"
)

// retention is the daemon's own: stores of another one would be another policy's.
const retention = 720 * time.Hour

// prefillBatch is large, so that a large store is made soon.
const prefillBatch = 300_000

// store returns the path of a store with so many resources, three events each, nothing left to tell. It is made once, out
// of the next smaller one, and must not be written.
func (b *bench) store(resources int) (string, error) {
	resources = whole(resources)
	path := filepath.Join(b.dir, fmt.Sprintf("store-%d.db", resources))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	have := 0
	for _, n := range b.stores {
		if n < resources {
			have = max(have, n)
		}
	}
	b.say("making a store of %d resources out of %d", resources, have)
	if have > 0 {
		if err := copyFile(path, filepath.Join(b.dir, fmt.Sprintf("store-%d.db", have))); err != nil {
			return "", err
		}
	}
	l := load{First: have, Resources: resources - have, Steps: threeSteps, Backups: true}
	if _, err := b.play("prefill", prefillConfig{path, l}, &struct{}{}); err != nil {
		return "", err
	}
	b.stores = append(b.stores, resources)
	return path, nil
}

type prefillConfig struct {
	Path string
	Load load
}

// prefill applies a load to a store, behind what is there, as a stream that is no more.
func prefill(ctx context.Context, c prefillConfig) (any, error) {
	db, err := storage.Open(storage.Options{Path: c.Path, Retention: retention})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	at := db.Position()
	if at.Stream == "" {
		at = sm.Position{Stream: stream.Name, Epoch: 1, First: 1}
	}
	batches, stop := decoded(ctx, &c.Load, at.Sequence)
	defer stop()
	for entries := range batches {
		last := &entries[len(entries)-1]
		at.Sequence, at.StreamTime = last.Sequence, last.StreamTime
		if _, _, err := db.Apply(entries, at); err != nil {
			return nil, err
		}
		db.Told(at.Sequence)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	_, _, err = db.Apply(nil, at) // with that, what was told leaves
	return struct{}{}, err
}

// decoded makes the batches while others are applied.
func decoded(ctx context.Context, l *load, after uint64) (<-chan []sm.Entry, func()) {
	ctx, cancel := context.WithCancel(ctx)
	batches, now := make(chan []sm.Entry), sm.At(time.Now().Add(-time.Hour))
	go func() {
		defer close(batches)
		for n := 0; n < l.events(); {
			entries := make([]sm.Entry, 0, prefillBatch)
			for ; n < l.events() && len(entries) < prefillBatch; n++ {
				entries = append(entries, consumer.Decode(consumer.Message{Subject: l.subject(n), Data: l.line(nil, n),
					Sequence: after + uint64(n) + 1, StreamTime: now + sm.Time(after) + sm.Time(n)}))
			}
			select {
			case batches <- entries:
			case <-ctx.Done():
				return
			}
		}
	}()
	return batches, cancel
}

// copyFile makes a copy that is on the disk when it returns, so that nothing of it is written later.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("copying a store: %w", err)
	}
	return out.Sync()
}

type openConfig struct{ Path string }

// openStore tells how long opening a store takes.
func openStore(_ context.Context, c openConfig) (any, error) {
	began := time.Now()
	db, err := storage.Open(storage.Options{Path: c.Path, Retention: retention})
	took := time.Since(began)
	if err != nil {
		return nil, err
	}
	return peerAnswer{took.Seconds()}, db.Close()
}
