//go:build campaign

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer"
	"faultd/testdata/campaign"
)

const (
	hookReplicas = 3
	hookRetries  = "100ms,300ms,600ms" // the delays, instead of three days
	hookAttempts = 4
	// healthyFloor and killedFloor are the longest that 99 of 100 events may take to the receivers that take everything at
	// once: while nothing is killed, and while a daemon is every two seconds. Only the full campaign, which has the machine for itself,
	// holds to them.
	healthyFloor = time.Second
	killedFloor  = 45 * time.Second
)

// Three daemons tell of faults, and of their ends, receivers that take them, are slow, fail, are busy, cut connections, send elsewhere,
// talk without end, have a certificate that is out of date, or are not there; and every two seconds one of the daemons is killed.
// Everyone who takes anything in the end has everything, in order, and what nobody took is on the dead lists.
func TestCampaign_Hooks(t *testing.T) {
	faults, began := campaign.Count(t, "hooks", 300, 10_000), time.Now()
	seed := campaign.Seed(t, "hooks")
	a := newAlarm(t, seed)
	a.servers = max(75, faults/4)
	result := campaign.Result{Campaign: "hooks", Seed: seed}
	a.publish(0, faults/5, 30)
	a.settle()
	border := a.published
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.publish(faults/5, faults, 40)
	}()
	kills, leases := a.kill(done)
	a.settle()
	model := a.verify(&result)
	healthy, killed := a.delays(model, border)
	for _, l := range a.listeners {
		result.Faults += l.spoilt
	}
	if result.Faults += kills; kills == 0 || leases == 0 || result.Operations < 2*faults*9/10 {
		t.Errorf("too little was tried: %d kills of daemons that sent to %d hooks, %d events told", kills, leases, result.Operations)
	}
	result.Seconds = time.Since(began).Seconds()
	result.Note = fmt.Sprintf("%d kills, of daemons that sent to %d hooks; to a healthy receiver p50 %v p99 %v, while daemons are killed p50 %v p99 %v; one message came %d times at most",
		kills, leases, percentile(healthy, 50), percentile(healthy, 99), percentile(killed, 50), percentile(killed, 99), a.most)
	if os.Getenv("CAMPAIGN") == "full" && (percentile(healthy, 99) > healthyFloor || percentile(killed, 99) > killedFloor) {
		t.Errorf("it takes too long: %s", result.Note)
	}
	result.Report(t)
}

// alarm is a nats-server, daemons that tell of faults, and who listens to them.
type alarm struct {
	testing.TB
	random    *rand.Rand
	listeners []*listener
	replicas  []*campaign.Daemon
	processes []*campaign.Process
	env       []string
	js        jetstream.JetStream
	url       string

	servers   int    // that fail, again and again
	published uint64 // sequence of the last event
	sent      map[uint64]time.Time
	most      int // requests of one message
}

func newAlarm(t *testing.T, seed uint64) *alarm {
	t.Helper()
	a := &alarm{TB: t, random: rand.New(rand.NewPCG(seed, 0)), sent: map[uint64]time.Time{}}
	a.serveNATS()
	var trust string
	a.listeners, trust = newListeners(t)
	var entries []string
	for _, l := range a.listeners {
		entries = append(entries, l.entry())
	}
	a.env = []string{trust, "FAULTD_HOOK_RETRIES=" + hookRetries}
	file, binary := writeHooks(t, t.TempDir(), entries...), campaign.BuildBinary(t)
	for range hookReplicas {
		a.replicas = append(a.replicas, &campaign.Daemon{Binary: binary, Dir: t.TempDir(), HTTP: campaign.FreeAddr(t), Env: a.env,
			Args: []string{"--nats-url", a.url, "--hooks", file}})
	}
	t.Cleanup(a.end)
	for _, d := range a.replicas {
		a.processes = append(a.processes, d.Start(t))
	}
	for _, p := range a.processes {
		if err := p.AwaitReady(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "every hook reads the stream of faults", func(ctx context.Context) bool {
		return !slices.ContainsFunc(a.listeners, func(l *listener) bool {
			_, err := a.js.Consumer(ctx, "FAULTS", "hook-"+l.name)
			return err != nil
		})
	})
	return a
}

func (a *alarm) end() {
	for _, p := range a.processes {
		p.Kill()
	}
	if a.Failed() {
		for i, p := range a.processes {
			a.Logf("the log of daemon %d ends:\n%s", i, p.Log())
		}
	}
}

// serveNATS starts a nats-server with both streams.
func (a *alarm) serveNATS() {
	a.Helper()
	dir, address := a.TempDir(), campaign.FreeAddr(a)
	a.url = "nats://" + address
	conf := writeFile(a, filepath.Join(dir, "nats.conf"), fmt.Sprintf("listen: %q\nlogfile: %q\njetstream: {store_dir: %q, max_file_store: 8GB}\n",
		address, filepath.Join(dir, "nats.log"), dir))
	server := exec.Command(buildServer(a), conf)
	if err := server.Start(); err != nil {
		a.Fatal(err)
	}
	a.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	conn, err := nats.Connect(a.url, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		a.Fatal(err)
	}
	a.Cleanup(conn.Close)
	if a.js, err = jetstream.New(conn); err != nil {
		a.Fatal(err)
	}
	for _, cfg := range []jetstream.StreamConfig{
		{Name: "JOBS", Subjects: consumer.Subjects, AllowAtomicPublish: true, AllowDirect: true, MaxBytes: 512 << 20},
		{Name: "FAULTS", Subjects: []string{"faults.>"}, AllowAtomicPublish: true, AllowDirect: true, MaxBytes: 512 << 20},
	} {
		until(a, "stream "+cfg.Name+" is made", func(ctx context.Context) bool {
			_, err := a.js.CreateStream(ctx, cfg)
			return err == nil
		})
	}
}

// publish publishes the failures from the nth to before the last, so many a second, and the success of each resource some time after
// its failure.
func (a *alarm) publish(n, last, perSecond int) {
	a.Helper()
	const behind = 20
	futures := make(map[jetstream.PubAckFuture]time.Time)
	send := func(n int, failed bool) {
		subject, data := faultOf(fmt.Sprint("s-", n%a.servers), n, n, failed)
		at := time.Now()
		ack, err := a.js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: data})
		if err != nil {
			a.Errorf("publishing: %v", err)
			return
		}
		futures[ack] = at
	}
	for begun, i := time.Now(), n; i < last; i++ {
		time.Sleep(time.Until(begun.Add(time.Duration(i-n) * time.Second / time.Duration(perSecond))))
		send(i, true)
		if i >= behind {
			send(i-behind, false)
		}
	}
	for ack, at := range futures {
		select {
		case got := <-ack.Ok():
			a.sent[got.Sequence], a.published = at, max(a.published, got.Sequence)
		case err := <-ack.Err():
			a.Errorf("publishing: %v", err)
		case <-time.After(30 * time.Second):
			a.Error("an event is not acknowledged")
		}
	}
}

// faultOf is the event of the nth job, which fails, or of the one that ends that fault, of a server. Faults of one kind are alike.
func faultOf(id string, n, kind int, failed bool) (subject string, data []byte) {
	phase := "succeeded"
	if failed {
		phase = "failed"
	}
	event := map[string]any{"specversion": "1.0", "type": "io.faultd.v1.job." + phase, "source": "campaign", "id": fmt.Sprint(n, phase),
		"time": time.Now().UTC().Format(time.RFC3339Nano), "data": map[string]any{"job": map[string]any{"id": fmt.Sprint(n, phase), "action": "rebuild"},
			"resource": map[string]any{"kind": "server", "id": id, "tenant_id": "t-1"}}}
	if failed {
		event["data"].(map[string]any)["fault"] = map[string]any{"code": []int{404, 500, 503}[kind%3], "message": fmt.Sprintf("host %d has failed", kind%5)}
	}
	data, err := json.Marshal(event)
	if err != nil {
		panic(err) // nothing in it cannot be JSON
	}
	return "jobs.t-1.server." + id + "." + phase, data
}

// kill kills a daemon every two seconds until that is done, and starts it again at once; of the full campaign's some stay away until
// another has taken over what they sent. It returns how often it did, and to how many hooks those that were killed sent at that moment.
func (a *alarm) kill(done <-chan struct{}) (kills, leases int) {
	a.Helper()
	every := time.NewTicker(2 * time.Second)
	defer every.Stop()
	away, back := -1, 0 // the daemon that stays away, and after which kill it starts again
	for {
		select {
		case <-done:
			if away >= 0 {
				a.processes[away] = a.replicas[away].Start(a)
			}
			return kills, leases
		case <-every.C:
		}
		i, active := a.victim(kills%2 == 0, away)
		if !a.processes[i].Kill() {
			a.Errorf("daemon %d had ended; its log:\n%s", i, a.processes[i].Log())
		}
		kills, leases = kills+1, leases+active
		if kills%20 == 11 {
			away, back = i, kills+8
			continue
		}
		a.processes[i] = a.replicas[i].Start(a)
		if away >= 0 && kills >= back {
			a.processes[away] = a.replicas[away].Start(a)
			away = -1
		}
	}
}

// victim is a daemon that is there, and to how many hooks it sends: the one that sends to most, or any.
func (a *alarm) victim(most bool, away int) (which, active int) {
	counts := make([]int, len(a.replicas))
	for i := range a.replicas {
		for _, h := range a.hooks(i) {
			if h.State == "active" {
				counts[i]++
			}
		}
	}
	which = a.random.IntN(len(counts))
	if most {
		which = slices.Index(counts, slices.Max(counts))
	}
	if which == away {
		which = (which + 1) % len(counts)
	}
	return which, counts[which]
}

// hooks are those that a daemon shows; none where it does not answer.
func (a *alarm) hooks(i int) []hook {
	var page struct{ Hooks []hook }
	code, body, err := a.processes[i].Get("/v1/hooks")
	if err != nil || code != http.StatusOK || json.Unmarshal(body, &page) != nil {
		return nil
	}
	return page.Hooks
}

// settle waits until nothing is to be delivered any more, as long as anything is.
func (a *alarm) settle() {
	a.Helper()
	for had, patience := -1, time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		owed, progress, story := a.owed()
		if !owed {
			return
		}
		if progress > had {
			had, patience = progress, time.Now().Add(time.Minute)
		}
		if time.Now().After(patience) {
			a.Errorf("nothing is delivered any more, and this is left:\n%s", story)
			return
		}
	}
}

// owed tells whether something is left to be delivered, how much was, and what each hook has to do.
func (a *alarm) owed() (owed bool, progress int, story string) {
	hooks := a.hooks(0)
	stream, err := a.js.Stream(a.Context(), "FAULTS")
	if err != nil || len(hooks) != len(a.listeners) || a.replicasBehind() {
		return true, 0, fmt.Sprintf("hooks %v, FAULTS %v", hooks, err)
	}
	told := int(stream.CachedInfo().State.Msgs)
	for i, l := range a.listeners {
		h, events := hooks[i], l.events()
		if events+int(h.Dead) < told || h.Retrying > 0 || h.Pending > 0 {
			owed = true
			story += fmt.Sprintf("%s: %d of %d events taken; %+v\n", l.name, events, told, h)
		}
		progress += events + int(h.Dead)
		for _, heard := range l.copy() {
			progress += heard.requests
		}
	}
	return owed, progress, story
}

// replicasBehind tells whether not even the fastest daemon has applied all events.
func (a *alarm) replicasBehind() bool {
	for _, p := range a.processes {
		var position struct{ Sequence uint64 }
		code, body, err := p.Get("/v1/position")
		if err == nil && code == http.StatusOK && json.Unmarshal(body, &position) == nil && position.Sequence >= a.published {
			return false
		}
	}
	return true
}
