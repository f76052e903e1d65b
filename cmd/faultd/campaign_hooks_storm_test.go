//go:build campaign

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/testdata/campaign"
)

// A storm of faults that are alike, in a minute, is at most five messages of a hook that groups them for a quarter of that time, and
// their counts add up. The short campaign's minute is shorter.
func TestCampaign_HooksStorm(t *testing.T) {
	faults, began := campaign.Count(t, "hooksstorm", 1000, 10_000), time.Now()
	minute := 6 * time.Second
	if os.Getenv("CAMPAIGN") == "full" {
		minute = time.Minute
	}
	var w weather
	dir := t.TempDir()
	hooks := writeHooks(t, dir, webhook("pager", serving(t, w.ServeHTTP))+"\ngroup_by: [fingerprint]\ngroup_interval: "+(minute/4).String())
	d := &campaign.Daemon{Binary: campaign.BuildBinary(t), Dir: filepath.Join(dir, "data"), HTTP: campaign.FreeAddr(t), NATS: campaign.FreeAddr(t), Args: []string{"--hooks", hooks}}
	process := d.Start(t)
	defer process.Kill()
	if err := process.AwaitReady(); err != nil {
		t.Fatal(err)
	}
	took := storm(t, d.URL(), faults, minute-minute/20)
	until(t, "all faults are received", func(context.Context) bool { return w.events() >= faults })
	result := campaign.Result{Campaign: "hooks storm", Seed: 1, Operations: faults, Faults: faults, Lost: max(faults-w.events(), 0), Twice: max(w.events()-faults, 0)}
	result.Seconds = time.Since(began).Seconds()
	result.Note = fmt.Sprintf("messages of %v events, in %v", w.counts, took.Round(time.Second/10))
	if most := max(5, 2+int(took/(minute/4))); len(w.counts) > most || len(w.counts) < 3 || len(w.ids) != len(w.counts) || took > minute && minute == time.Minute {
		t.Errorf("there are %d messages with %d ids, more than %d or too few: %s", len(w.counts), len(w.ids), most, result.Note)
	}
	result.Report(t)
}

// storm publishes the failures of that many servers, evenly over the time, and returns how long it took.
func storm(t *testing.T, url string, faults int, over time.Duration) time.Duration {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the hook reads the stream of faults", func(ctx context.Context) bool {
		_, err := js.Consumer(ctx, "FAULTS", "hook-pager")
		return err == nil
	})
	begun := time.Now()
	for n := range faults {
		time.Sleep(time.Until(begun.Add(over * time.Duration(n) / time.Duration(faults))))
		subject, data := faultOf(fmt.Sprint("s-", n), n, 0, true)
		if _, err := js.PublishAsync(subject, data); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		t.Fatal("the storm was not published")
	}
	return time.Since(begun)
}

// weather is what a receiver has of a storm.
type weather struct {
	mu     sync.Mutex
	ids    map[string]bool
	counts []int
}

func (w *weather) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var message struct {
		ID   string
		Data struct{ Count int }
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &message) != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ids == nil {
		w.ids = map[string]bool{}
	}
	w.ids[message.ID] = true
	w.counts = append(w.counts, max(message.Data.Count, 1))
}

// events is how many events the messages tell of.
func (w *weather) events() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, count := range w.counts {
		n += count
	}
	return n
}
