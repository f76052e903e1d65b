package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const ingestResources = 100_000

// ingest has a million events that wait in a stream read by faultd into a new store until the last is durable, and by
// each peer, in turn. faultd's clock begins when it begins to read, and a peer's when it does.
func (b *bench) ingest() error {
	s, err := b.startServer()
	if err != nil {
		return err
	}
	defer s.stop()
	l := load{Resources: whole(b.count(ingestResources)), Steps: tenSteps}
	b.say("ingest: publishing %d events of about %d bytes", l.events(), len(l.line(nil, 3*width)))
	filled, err := s.fill(&l)
	if err != nil {
		return err
	}
	for round := range b.rounds {
		if err := b.ingestRound(s, filled, &l); err != nil {
			return err
		}
		b.say("ingest: round %d of %d", round+1, b.rounds)
	}
	return nil
}

// ingestRound measures each peer between two runs of faultd, and compares it with their mean: what else a machine does
// changes from minute to minute. What is said of faultd itself is the mean of all its runs of the round.
func (b *bench) ingestRound(s *server, filled jetstream.Stream, l *load) error {
	before, err := b.ingestOnce(s, filled, l)
	if err != nil {
		return err
	}
	mean := slices.Clone(before)
	var ratios []value
	peers := []string{"drain", "sqlite", "kv", "bbolt"}
	for _, name := range peers {
		syscall.Sync() // what one has left to write is not to be the next one's
		values, err := b.peer(name, s, l.events())
		if err == nil {
			err = s.remove(bucketStream) // nor its keys the server's, when that has others to serve
		}
		if err != nil {
			return err
		}
		b.results.add("Ingest/"+name, values...)
		after, err := b.ingestOnce(s, filled, l)
		if err != nil {
			return err
		}
		ratios = append(ratios, value{(before[0].amount + after[0].amount) / 2 / values[0].amount, "x-" + name})
		for i := range mean {
			mean[i].amount += after[i].amount
		}
		before = after
	}
	for i := range mean {
		mean[i].amount /= float64(1 + len(peers))
	}
	b.results.add("Ingest/faultd", append(mean, ratios...)...)
	return nil
}

// ingestOnce is one run of faultd: its rate, what an event costs, and its memory.
func (b *bench) ingestOnce(s *server, filled jetstream.Stream, l *load) ([]value, error) {
	syscall.Sync()
	dir := filepath.Join(b.dir, "data")
	d, took, err := b.ingested(s, filled, dir, l.events(), l.events())
	if err != nil {
		return nil, err
	}
	cpu, err := d.stop()
	if err != nil {
		return nil, err
	}
	return append(perEvent(l.events(), took, cpu), value{mebibytes(d.peak.Load()), "MiB-memory"}), os.RemoveAll(dir)
}

// ingested starts a daemon on a directory and returns it when the stream's events are in the store, which has applied so
// many then.
func (b *bench) ingested(s *server, filled jetstream.Stream, dir string, events, applied int) (*daemon, time.Duration, error) {
	if err := s.remove("FAULTS"); err != nil { // or there would be nothing to tell
		return nil, 0, err
	}
	d, err := b.startDaemon(dir, "--nats-url", s.url, "--on-rewind", "new-epoch")
	if err != nil {
		return nil, 0, err
	}
	if err := d.await(filled.CachedInfo().Created, uint64(events), applied); err != nil {
		_, _ = d.stop()
		return nil, 0, err
	}
	return d, time.Since(d.serving), nil
}

// peer has a peer read the first n events of the stream.
func (b *bench) peer(name string, s *server, n int) ([]value, error) {
	dir := filepath.Join(b.dir, "peer")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var answer peerAnswer
	cpu, err := b.play(name, peerConfig{URL: s.url, Events: n, Dir: dir}, &answer)
	if err != nil {
		return nil, err
	}
	return perEvent(n, time.Duration(answer.Seconds*float64(time.Second)), cpu), nil
}

// perEvent is a rate, first, and what one event costs.
func perEvent(n int, took, cpu time.Duration) []value {
	return []value{{float64(n) / took.Seconds(), "events/s"}, {float64(cpu.Microseconds()) / float64(n), "cpu-us/event"}}
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// inStore names a number of resources, as 100k or 5M.
func inStore(resources int) string {
	switch {
	case resources >= 1_000_000 && resources%1_000_000 == 0:
		return fmt.Sprintf("%dM", resources/1_000_000)
	case resources%1000 == 0:
		return fmt.Sprintf("%dk", resources/1000)
	default:
		return fmt.Sprint(resources)
	}
}
