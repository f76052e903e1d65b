package main

import (
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// scaleResources are how many there are in the stores before they get the ingest's million events.
var scaleResources = []int{100_000, 1_000_000, 5_000_000}

// scaling measures the ingest into stores of all sizes, in turn, and how they start again.
func (b *bench) scaling() error {
	s, err := b.startServer()
	if err != nil {
		return err
	}
	defer s.stop()
	for _, n := range scaleResources {
		if _, err := b.store(b.count(n)); err != nil {
			return err
		}
	}
	for round := range b.rounds {
		if err := b.scaleRound(s, round); err != nil {
			return err
		}
		b.say("scale: round %d of %d", round+1, b.rounds)
	}
	return nil
}

// scaleRound measures all stores with events that none of them knows.
func (b *bench) scaleRound(s *server, round int) error {
	l := load{Resources: whole(b.count(ingestResources)), Steps: tenSteps}
	l.First = whole(b.count(10_000_000)) + round*l.Resources
	filled, err := s.fill(&l)
	if err != nil {
		return err
	}
	base := 0.0
	for _, n := range scaleResources {
		rate, err := b.scaleOnce(s, filled, n, round, base)
		if err != nil {
			return err
		}
		if base == 0 {
			base = rate
		}
	}
	return nil
}

// scaleOnce measures one store. base is the rate with the smallest, 0 if that is this one. The largest is too large to be
// copied each time: it keeps what each round brings.
func (b *bench) scaleOnce(s *server, filled jetstream.Stream, resources, round int, base float64) (rate float64, err error) {
	dir := filepath.Join(b.dir, "scale-"+inStore(resources))
	path := filepath.Join(dir, "faultd.db")
	kept := whole(b.count(resources)) > whole(b.count(readResources))
	if !kept {
		defer os.RemoveAll(dir)
	}
	switch {
	case !kept:
		err = b.place(resources, path)
	case round == 0:
		err = b.move(resources, path)
	}
	if err != nil {
		return 0, err
	}
	events := whole(b.count(ingestResources)) * len(tenSteps)
	applied := whole(b.count(resources))*len(threeSteps) + events
	if kept {
		applied += round * events
	}
	syscall.Sync()
	d, took, err := b.ingested(s, filled, dir, events, applied)
	if err != nil {
		return 0, err
	}
	cpu, err := d.stop()
	if err != nil {
		return 0, err
	}
	values := perEvent(events, took, cpu)
	rate = values[0].amount
	if base > 0 {
		values = append(values, value{rate / base, "x-100k"})
	}
	values = append(values, value{mebibytes(d.peak.Load()), "MiB-memory"})
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	values = append(values, value{mebibytes(info.Size()), "MiB-file"})
	restart, err := b.restart(s, path, dir)
	b.results.add("Scale/resources="+inStore(resources), append(values, restart...)...)
	return rate, err
}

// place puts a copy of a store where a daemon looks for it.
func (b *bench) place(resources int, path string) error {
	store, err := b.store(b.count(resources))
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return copyFile(path, store)
}

// move puts a store itself there.
func (b *bench) move(resources int, path string) error {
	store, err := b.store(b.count(resources))
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.Rename(store, path)
}

// restart opens a store that is up to date, and then starts a daemon on it.
func (b *bench) restart(s *server, path, dir string) ([]value, error) {
	var opened peerAnswer
	if _, err := b.play("open", openConfig{path}, &opened); err != nil {
		return nil, err
	}
	d, err := b.startDaemon(dir, "--nats-url", s.url)
	if err != nil {
		return nil, err
	}
	ready, err := d.ready()
	time.Sleep(200 * time.Millisecond) // so that its memory is seen
	if _, stopped := d.stop(); err == nil {
		err = stopped
	}
	return []value{{opened.Seconds * 1000, "ms-open"}, {ready.Seconds() * 1000, "ms-ready"}, {mebibytes(d.peak.Load()), "MiB-memory-idle"}}, err
}
