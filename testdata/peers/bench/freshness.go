package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// pace is a rate of publishing, and when the embedded server writes through to the disk.
type pace struct {
	perSecond int
	sync      string
}

var paces = []pace{{500, "always"}, {2000, "always"}, {5000, "2m"}, {20_000, "2m"}}

const (
	freshFor = 5.0 // seconds that count
	warmFor  = 1.0 // seconds before them
)

// freshness measures from the call that publishes an event to its line in /v1/stream, which follows its commit. Each round
// has a daemon and a store of its own.
func (b *bench) freshness() error {
	for range b.rounds {
		for _, p := range paces {
			if err := b.freshnessAt(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// freshnessAt does one round, with a daemon whose embedded server writes through as often as the pace says.
func (b *bench) freshnessAt(p pace) error {
	dir := filepath.Join(b.dir, "data")
	defer os.RemoveAll(dir)
	d, err := b.startDaemon(dir, "--nats-addr", "127.0.0.1:0", "--nats-sync", p.sync)
	if err != nil {
		return err
	}
	f := &freshRun{b: b, d: d}
	if err = f.connect(); err == nil {
		err = f.round(p)
	}
	if _, stopped := d.stop(); err == nil {
		err = stopped
	}
	return err
}

// freshRun publishes to a daemon and watches it.
type freshRun struct {
	b  *bench
	d  *daemon
	js jetstream.JetStream
}

func (f *freshRun) connect() error {
	if _, err := f.d.ready(); err != nil {
		return err
	}
	conn, err := nats.Connect(f.d.nats)
	if err != nil {
		return err
	}
	f.js, err = jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(20_000))
	return err
}

func (f *freshRun) round(p pace) error {
	defer f.js.Conn().Close()
	values, err := f.once(p.perSecond)
	if err != nil {
		return err
	}
	f.b.results.add(fmt.Sprintf("Freshness/sync=%s/rate=%d", p.sync, p.perSecond), values...)
	f.b.say("freshness: sync %s, %d a second", p.sync, p.perSecond)
	return nil
}

// once publishes at a rate and returns what the waiting was.
func (f *freshRun) once(perSecond int) ([]value, error) {
	seconds := f.b.seconds(freshFor)
	warm := int(min(warmFor, seconds.Seconds()) * float64(perSecond))
	total := warm + int(seconds.Seconds()*float64(perSecond))
	l := load{Resources: whole(total/2 + 1), Steps: twoSteps}
	info, err := f.js.Stream(f.b.ctx, stream.Name)
	if err != nil {
		return nil, err
	}
	w, err := f.watch(info.CachedInfo().State.LastSeq, total)
	if err != nil {
		return nil, err
	}
	published, err := f.publish(&l, perSecond, total)
	if err != nil {
		return nil, err
	}
	seen, err := w.all()
	if err != nil {
		return nil, err
	}
	waits := make([]float64, 0, total)
	for i := warm; i < total; i++ {
		waits = append(waits, float64(seen[i].Sub(published[i]).Microseconds())/1000)
	}
	slices.Sort(waits)
	part := func(p float64) float64 { return waits[min(int(p*float64(len(waits))), len(waits)-1)] }
	reached := float64(total-1-warm) / published[total-1].Sub(published[warm]).Seconds()
	return []value{{part(.5), "p50-ms"}, {part(.99), "p99-ms"}, {part(.999), "p99.9-ms"}, {reached, "published/s"}, {float64(w.resets), "resets"}}, nil
}

// publish publishes the first total events, each as a message of its own, and tells when.
func (f *freshRun) publish(l *load, perSecond, total int) ([]time.Time, error) {
	at, subjects, data := make([]time.Time, total), make([]string, total), make([][]byte, total)
	for i := range total {
		subjects[i], data[i] = l.subject(i), l.line(nil, i)
	}
	for i, began := 0, time.Now(); i < total; {
		for due := int(time.Since(began).Seconds() * float64(perSecond)); i <= min(due, total-1); i++ {
			at[i] = time.Now()
			if _, err := f.js.PublishAsync(subjects[i], data[i], jetstream.WithStallWait(20*time.Second)); err != nil {
				return nil, err
			}
		}
		time.Sleep(200 * time.Microsecond)
	}
	<-f.js.PublishAsyncComplete()
	return at, nil
}

// watcher follows /v1/stream.
type watcher struct {
	seen   []time.Time
	resets int // how often it was not read as fast as transitions came
	done   chan error
	stop   func()
}

// watch notes when the n messages behind a sequence are seen. It returns when the daemon follows.
func (f *freshRun) watch(after uint64, n int) (*watcher, error) {
	ctx, cancel := context.WithCancel(f.b.ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.d.http+"/v1/stream", nil)
	if err != nil {
		cancel()
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		cancel()
		return nil, err
	}
	w := &watcher{seen: make([]time.Time, n), done: make(chan error, 1), stop: cancel}
	go func() {
		defer answer.Body.Close()
		w.done <- w.follow(bufio.NewReaderSize(answer.Body, 256<<10), after)
	}()
	return w, nil
}

// follow reads until all was seen. A reset says up to which message the lists have it all, so that much is seen as well.
func (w *watcher) follow(in *bufio.Reader, after uint64) error {
	first := 0 // that was not seen
	for reset, last := false, uint64(0); first < len(w.seen); {
		text, err := in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("%d of %d transitions did not come: %w", len(w.seen)-first, len(w.seen), err)
		}
		if number, ok := bytes.CutPrefix(text, []byte("id: ")); ok {
			if last, err = strconv.ParseUint(string(bytes.TrimSpace(number)), 10, 64); err != nil {
				return err
			}
		}
		reset = bytes.HasPrefix(text, []byte("event: reset"))
		if reset {
			w.resets++
		}
		if !reset && !bytes.HasPrefix(text, []byte("event: ")) || last <= after {
			continue
		}
		if i := int(last - after - 1); i != first && !reset {
			return fmt.Errorf("message %d came where %d should have", i, first)
		}
		for at := time.Now(); first < len(w.seen) && uint64(first) < last-after; first++ {
			w.seen[first] = at
		}
	}
	return nil
}

// all waits for all of them.
func (w *watcher) all() ([]time.Time, error) {
	defer w.stop()
	select {
	case err := <-w.done:
		return w.seen, err
	case <-time.After(time.Minute):
		return nil, fmt.Errorf("transitions did not come within a minute")
	}
}
