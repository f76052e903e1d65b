//go:build campaign

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"faultd/testdata/campaign"
)

// rig is one round of a campaign: a daemon that is started again and again in one data directory, what is published to it,
// and the model of what came.
type rig struct {
	*campaign.Daemon
	random  *rand.Rand
	load    *campaign.Load
	ledger  *campaign.Ledger
	model   *campaign.Model
	process *campaign.Process
	quiet   func() // ends the publishing, and returns when it has ended
	kept    string // the log of the process before
}

func newRig(t testing.TB, binary, dir string, seed uint64, args ...string) *rig {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	args = append(args, "--stream-max-bytes", "8589934592") // by the free disk a small one's oldest messages would leave the stream
	r := &rig{
		Daemon: &campaign.Daemon{Binary: binary, Dir: dir, HTTP: campaign.FreeAddr(t), NATS: campaign.FreeAddr(t), Args: args},
		random: random, load: campaign.NewLoad(random, 300), ledger: &campaign.Ledger{}, model: campaign.NewModel(), quiet: func() {},
	}
	t.Cleanup(func() {
		r.quiet()
		if r.process != nil {
			r.process.Kill()
			if t.Failed() {
				t.Logf("seed %d; the log of the process before the last:\n%s\nand of the last:\n%s", seed, r.kept, r.process.Log())
			}
		}
	})
	return r
}

// start starts the daemon; env may name the step at which it ends.
func (r *rig) start(t testing.TB, env ...string) {
	t.Helper()
	if r.process != nil {
		r.kept = r.process.Log()
	}
	r.process = r.Daemon.Start(t, env...)
}

// publish publishes until quiet is called.
func (r *rig) publish(t testing.TB, pause time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended, random := make(chan struct{}), rand.New(rand.NewPCG(r.random.Uint64(), 1))
	go func() {
		defer close(ended)
		r.ledger.Publish(ctx, r.URL(), "JOBS", r.load, random, pause)
	}()
	r.quiet = func() {
		cancel()
		<-ended
	}
}

// kill ends the daemon and the publishing, and tells whether it ran until then.
func (r *rig) kill() bool {
	ran := r.process.Kill()
	r.quiet()
	return ran
}

// moment is a time of up to so many milliseconds, at random.
func (r *rig) moment(atMost int) time.Duration {
	return time.Duration(r.random.IntN(atMost*1000)) * time.Microsecond
}

// settle starts the daemon, which must become ready, and reads what the stream has beyond what the model knows: all that
// was acknowledged must be in it.
func (r *rig) settle(t testing.TB) {
	t.Helper()
	r.start(t)
	r.read(t)
}

// read is settle for a daemon that runs, to which nothing is published.
func (r *rig) read(t testing.TB) {
	t.Helper()
	if err := r.process.AwaitReady(); err != nil {
		r.model.Lost++ // whatever it is that it lacks
		t.Fatal(err)
	}
	r.model.Read(t, r.URL(), "JOBS")
	r.model.CheckAcknowledged(t, r.ledger)
	if t.Failed() {
		t.FailNow()
	}
}

// verify compares everything with the model: FAULTS, and the store after the daemon has ended as it should.
func (r *rig) verify(t testing.TB) {
	t.Helper()
	if err := r.process.AwaitApplied(r.model.Position.Sequence, time.Minute); err != nil {
		t.Fatal(err)
	}
	r.model.CheckFaults(t, r.URL())
	if err := r.process.Stop(); err != nil {
		t.Errorf("the daemon was told to end, and ended with %v; its log:\n%s", err, r.process.Log())
	}
	r.model.Check(t, filepath.Join(r.Dir, "faultd.db"))
	if t.Failed() {
		t.FailNow()
	}
}

// finish verifies a last time, with the command that operators have, and that enough was tried.
func (r *rig) finish(t testing.TB, events int) {
	t.Helper()
	r.settle(t)
	if r.ledger.Len() < events {
		r.more(t, events)
	}
	r.verify(t)
	must(t, "check", "--data-dir", r.Dir)
	c := r.model.Counters
	if c.Applied < uint64(events) || c.Ignored == 0 || c.Rejected == 0 || len(r.model.Tellings) < events/20 || r.ledger.Len() < events {
		t.Errorf("too little was tried: %d acknowledged, %d told, %+v", r.ledger.Len(), len(r.model.Tellings), c)
	}
}

// more publishes until that many events were acknowledged ever: a machine that is slow does less between two faults.
func (r *rig) more(t testing.TB, events int) {
	t.Helper()
	r.publish(t, 0)
	for deadline := time.Now().Add(time.Minute); r.ledger.Len() < events && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	r.quiet()
	r.read(t)
}

// sum adds a round to the result of its campaign.
func (r *rig) sum(total *campaign.Result) {
	total.Operations += int(r.model.Counters.Received)
	total.Lost += r.model.Lost
	total.Twice += r.model.Twice
}

// places tells how often something was broken where.
func places(hits map[string]int) string {
	return strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(hits), "map["), "]")
}
