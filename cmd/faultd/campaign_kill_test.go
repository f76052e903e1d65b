//go:build campaign

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer"
	"faultd/testdata/campaign"
)

// points are the steps at which the process is ended, in the order of a round. Behind "epoch" a store could not be made
// anew: the stream of the first epoch is gone.
var points = []string{"create", "open", "read", "begin", "copy", "put", "stopping", "committed", "told", "compact", "closed", "epoch"}

// killsInRound is how many times a daemon is killed before another one begins.
const killsInRound = 25

// The process is killed while events come, at random times and at every named step. In the end the store is what the log
// in the stream says, event by event, to a model that is a map, and each fault was told once.
func TestCampaign_Kill(t *testing.T) {
	kills, began := campaign.Count(t, "kill", 15, 500), time.Now()
	binary, hits := campaign.BuildBinary(t), map[string]int{}
	seeds := campaign.Seeds(t, "kill", (kills+killsInRound-1)/killsInRound)
	result := campaign.Result{Campaign: "kill", Seed: seeds[0]}
	for i, seed := range seeds {
		n := min(killsInRound, kills-i*killsInRound)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			k := &killing{rig: newRig(t, binary, t.TempDir(), seed, "--on-rewind", "new-epoch"), hits: hits}
			defer func() { k.sum(&result) }()
			k.round(t, n)
		})
	}
	for _, n := range hits {
		result.Faults += n
	}
	for _, point := range points {
		if hits[point] == 0 && kills > len(points) && !t.Failed() {
			t.Errorf("the process was never ended at %s", point)
		}
	}
	result.Seconds, result.Note = time.Since(began).Seconds(), places(hits)
	result.Report(t)
}

// killing is a round of the campaign.
type killing struct {
	*rig
	hits map[string]int // by point
}

// round kills n times: at every point, as far as n goes, and else at random times.
func (k *killing) round(t *testing.T, n int) {
	order := append([]string(nil), points[:min(n, len(points))]...)
	for len(order) < n {
		at := k.random.IntN(len(order) + 1)
		order = append(order[:at], append([]string{"any time"}, order[at:]...)...)
	}
	for i, point := range order {
		k.at(t, point)
		if i%5 == 4 {
			k.settle(t)
			k.verify(t)
		}
	}
	k.finish(t, 100*n)
}

// at kills the process at a point.
func (k *killing) at(t *testing.T, point string) {
	t.Helper()
	hit := false
	switch point {
	case "any time":
		hit = k.anyTime(t)
	case "create":
		k.forget(t)
		hit = k.starting(t, point, 1)
	case "open":
		hit = k.starting(t, point, 1)
	case "compact":
		hit = k.compacting(t)
	case "copy":
		hit = k.copying(t)
	case "stopping", "closed":
		hit = k.stopping(t, point)
	case "epoch":
		hit = k.rewinding(t)
	default:
		hit = k.starting(t, point, 1+k.random.IntN(8))
	}
	if hit {
		k.hits[point]++
	} else {
		t.Fatalf("the process was not ended at %s, with %d events acknowledged ever; the log of the last one:\n%s", point, k.ledger.Len(), k.process.Log())
	}
}

// killAt makes a daemon end itself at the nth time that it comes to a point.
func killAt(point string, nth int) string { return fmt.Sprintf("FAULTD_KILL_AT=%s:%d", point, nth) }

// anyTime kills the process when it has run for up to half a second.
func (k *killing) anyTime(t *testing.T) bool {
	k.start(t)
	k.publish(t, k.moment(10))
	time.Sleep(k.moment(500))
	return k.kill()
}

// starting has the process end itself while it starts, or while events come.
func (k *killing) starting(t *testing.T, point string, nth int) bool {
	k.start(t, killAt(point, nth))
	k.publish(t, k.moment(10))
	defer k.kill()
	return k.process.Within(30*time.Second) && k.process.Killed()
}

// forget takes the store away: it is made anew from the stream, and nothing is told again.
func (k *killing) forget(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(k.Dir, "faultd.db*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// stopping has the process end itself while it ends.
func (k *killing) stopping(t *testing.T, point string) bool {
	k.start(t, killAt(point, 1))
	k.publish(t, k.moment(10))
	if err := k.process.AwaitReady(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(k.moment(200))
	_ = syscall.Kill(k.process.PID(), syscall.SIGTERM)
	defer k.kill()
	return k.process.Within(30*time.Second) && k.process.Killed()
}

// compacting has the command end itself.
func (k *killing) compacting(t *testing.T) bool {
	compact := exec.Command(k.Binary, "compact", "--data-dir", k.Dir)
	compact.Env = append(os.Environ(), killAt("compact", 1))
	out, err := compact.CombinedOutput()
	if err == nil || !strings.Contains(err.Error(), "killed") {
		t.Logf("faultd compact: %v\n%s", err, out)
		return false
	}
	return true
}

// copying has the process end itself when it has made a copy of the store that somebody asked for.
func (k *killing) copying(t *testing.T) bool {
	k.start(t, killAt("copy", 1))
	k.publish(t, k.moment(10))
	if err := k.process.AwaitReady(); err != nil {
		t.Fatal(err)
	}
	code, _, err := k.process.Get("/v1/snapshot")
	if err == nil {
		t.Logf("GET /v1/snapshot: %d", code)
	}
	defer k.kill()
	return k.process.Within(5*time.Second) && k.process.Killed()
}

// rewinding makes the stream anew, so that the next process begins another epoch, and ends itself just before. What it has
// not told of the epoch that ends is told all the same.
func (k *killing) rewinding(t *testing.T) bool {
	k.settle(t)
	if err := k.process.AwaitApplied(k.model.Position.Sequence, time.Minute); err != nil {
		t.Fatal(err)
	}
	k.renew(t)
	k.ledger.Forget()
	k.kill()
	return k.starting(t, "epoch", 1)
}

// renew deletes the stream and makes it anew.
func (k *killing) renew(t *testing.T) {
	conn, err := nats.Connect(k.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "JOBS"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "JOBS", Subjects: consumer.Subjects, AllowAtomicPublish: true}); err != nil {
		t.Fatal(err)
	}
}
