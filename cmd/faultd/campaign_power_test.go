//go:build campaign

package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"faultd/testdata/campaign"
)

// cutsInRound is how many times the power is cut before another disk and daemon begin.
const cutsInRound = 30

// The power is cut while events come, while the daemon starts, stops, and copies its store. What the stream acknowledged is
// in it; the store is never ahead of it; all is as the log says, and each fault was told once.
func TestRootCampaign_Power(t *testing.T) {
	cuts, began := campaign.Count(t, "power", 15, 300), time.Now()
	binary, hits := campaign.BuildBinary(t), map[string]int{}
	seeds := campaign.Seeds(t, "power", (cuts+cutsInRound-1)/cutsInRound)
	result := campaign.Result{Campaign: "power", Seed: seeds[0]}
	for i, seed := range seeds {
		n := min(cutsInRound, cuts-i*cutsInRound)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			disk := newDisk(t, 1<<30)
			p := &power{rig: newRig(t, binary, disk.dir+"/data", seed), disk: disk, hits: hits}
			defer func() { p.sum(&result) }()
			p.round(t, n)
		})
	}
	for _, n := range hits {
		result.Faults += n
	}
	result.Seconds, result.Note = time.Since(began).Seconds(), places(hits)
	result.Report(t)
}

// power is a round of the campaign.
type power struct {
	*rig
	disk *disk
	hits map[string]int // by what the daemon did when the power was cut
}

func (p *power) round(t *testing.T, cuts int) {
	for i := range cuts {
		p.hits[p.cut(t)]++
		p.disk.unmount(t)
		p.disk.mount(t)
		if i%8 == 7 {
			p.settle(t)
			p.verify(t)
		}
	}
	p.finish(t, 100*cuts)
}

// cutPoints are the steps at which the power is cut to the point.
var cutPoints = []string{"read", "begin", "put", "committed", "told"}

// cut cuts the power in the middle of something, and says of what.
func (p *power) cut(t *testing.T) (what string) {
	t.Helper()
	if n := p.random.IntN(3 * len(cutPoints)); n < len(cutPoints) {
		return p.at(t, cutPoints[n])
	}
	what = p.during(t)
	// In half of the cuts the daemon has a moment in which its disk fails. What it says then no machine without power says.
	if p.random.IntN(2) == 0 {
		_ = syscall.Kill(p.process.PID(), syscall.SIGSTOP)
	}
	p.ledger.Deafen()
	p.disk.cut(t)
	p.kill()
	return what
}

// at cuts the power at a step: the daemon stops itself there.
func (p *power) at(t *testing.T, point string) string {
	t.Helper()
	p.start(t, killAt(point, 1+p.random.IntN(6)), "FAULTD_STOP=1")
	p.publish(t, p.moment(5))
	if !p.process.AwaitStopped(30 * time.Second) {
		t.Fatalf("the power was not cut at %s, with %d events acknowledged ever: %s", point, p.ledger.Len(), p.process.Story())
	}
	p.disk.cut(t)
	p.kill()
	return point
}

// during starts the daemon, and returns in the middle of something.
func (p *power) during(t *testing.T) (what string) {
	t.Helper()
	if p.random.IntN(6) == 0 {
		p.start(t)
		p.publish(t, 0)
		time.Sleep(p.moment(300))
		return "starting"
	}
	p.settle(t)
	p.publish(t, p.moment(5))
	time.Sleep(p.moment(400))
	switch p.random.IntN(6) {
	case 0:
		_ = syscall.Kill(p.process.PID(), syscall.SIGTERM)
		time.Sleep(p.moment(100))
		return "stopping"
	case 1:
		process := p.process
		go func() { _, _, _ = process.Get("/v1/snapshot") }()
		time.Sleep(p.moment(100))
		return "copying"
	case 2:
		p.quiet()
		return "resting"
	default:
		return "running"
	}
}
