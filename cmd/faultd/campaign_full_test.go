//go:build campaign

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"faultd/consumer/embedded"
	"faultd/testdata/campaign"
)

// smallDisk is the size of the disks that are filled; those with streams are twice as large.
const smallDisk = 128 << 20

// The disk is filled, by the store and by a neighbour, and has room again. The daemon stays up, says that it is full, answers
// all the while, and goes on by itself; in the end all is as the log says, and each fault was told once.
func TestRootCampaign_Full(t *testing.T) {
	fills, began := campaign.Count(t, "full", 3, 50), time.Now()
	binary, hits := campaign.BuildBinary(t), map[string]int{}
	seeds := campaign.Seeds(t, "full", (fills+1)/2)
	result := campaign.Result{Campaign: "full", Seed: seeds[0]}
	for i, seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			f := newFilling(t, binary, seed, i)
			defer func() { f.sum(&result) }()
			f.round(t, min(2, fills-2*i))
			result.Faults += f.hits
			hits[f.name] += f.hits
		})
	}
	result.Seconds, result.Note = time.Since(began).Seconds(), places(hits)
	result.Report(t)
}

// filling is a round of the campaign.
type filling struct {
	*rig
	disk    *disk
	name    string // what kind of round it is
	minFree int64
	ours    bool // we take the last of the room, not a neighbour
	apart   bool // the embedded server has another disk
	hits    int
}

// newFilling makes the nth round: on ext4 or in memory, with a watermark or without, filled by us or by a neighbour,
// the streams on another disk or on the same, where they would be full before the store if there were no watermark.
func newFilling(t *testing.T, binary string, seed uint64, nth int) *filling {
	t.Helper()
	f := &filling{apart: nth%4 == 0 || nth%4 == 3}
	f.ours = nth%3 == 1 || !f.apart
	size := int64(smallDisk)
	if !f.apart {
		size *= 2
	}
	if nth%2 == 0 {
		f.disk, f.name = newDisk(t, size), "ext4"
	} else {
		f.disk, f.name = newMemoryDisk(t, size), "tmpfs"
	}
	if nth/2%2 == 0 || !f.apart {
		f.minFree = 24 << 20
		f.name += ", watermark"
	}
	if f.ours {
		f.name += ", by us"
	}
	if !f.apart {
		f.name += ", with streams"
	}
	dir := filepath.Join(f.disk.dir, "data")
	if f.apart {
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Symlink(t.TempDir(), filepath.Join(dir, "nats"))); err != nil {
			t.Fatal(err)
		}
	}
	f.rig = newRig(t, binary, dir, seed, "--min-free", fmt.Sprint(f.minFree))
	if f.ours {
		f.load = campaign.NewLoad(f.random, 30_000)
	}
	return f
}

func (f *filling) round(t *testing.T, fills int) {
	f.start(t)
	f.publish(t, f.pause())
	for range fills {
		if err := f.process.AwaitReady(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(f.moment(300))
		f.fill(t)
		if f.random.IntN(2) == 0 {
			f.process.Kill()
			f.start(t)
			f.endure(t)
		}
		f.resume(t)
		f.hits++
	}
	f.quiet()
	f.read(t)
	f.verify(t)
	f.finish(t, 300)
}

// pause is how long the publishing rests between two batches. With the streams on the disk it must not fill that by itself.
func (f *filling) pause() time.Duration {
	if f.apart {
		return f.moment(3)
	}
	return 20*time.Millisecond + f.moment(3)
}

// fill fills the disk until the daemon says that it is full: a neighbour takes all, or all but what we will take. With the
// streams on that disk the neighbour takes the rest then, so that they have no room either.
func (f *filling) fill(t *testing.T) {
	t.Helper()
	leave := uint64(0)
	if f.ours {
		leave = uint64(f.minFree) + 2<<20
	}
	f.grow(t, leave)
	f.endure(t)
	if !f.apart {
		f.grow(t, 0)
		f.standstill(t)
		f.endure(t)
	}
}

// standstill waits until the daemon says that its streams have no room either.
func (f *filling) standstill(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, reasons, _ := f.process.Health()
		if strings.Contains(strings.Join(reasons, "\n"), embedded.ErrFull.Error()) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d bytes are free, and the daemon says only %v; the log:\n%s", f.name, f.free(t), reasons, f.process.Log())
		}
	}
}

// neighbour is the path of the neighbour's file.
func (f *filling) neighbour() string { return filepath.Join(f.disk.dir, "neighbour") }

// grow has the neighbour's file grow until no more than that is free.
func (f *filling) grow(t *testing.T, leave uint64) {
	t.Helper()
	file, err := os.OpenFile(f.neighbour(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for chunk := make([]byte, 64<<10); leave == 0 || f.free(t) > leave; {
		switch _, err := file.Write(chunk); {
		case errors.Is(err, syscall.ENOSPC):
			return
		case err != nil:
			t.Fatal(err)
		}
	}
}

// resume gives the room back, and waits until the daemon goes on and the stream takes events.
func (f *filling) resume(t *testing.T) {
	t.Helper()
	if err := os.Remove(f.neighbour()); err != nil {
		t.Fatal(err)
	}
	if err := f.process.AwaitReady(); err != nil {
		t.Fatalf("%s: there is room again: %v", f.name, err)
	}
	had := f.ledger.Len()
	for deadline := time.Now().Add(time.Minute); f.ledger.Len() == had; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: there is room again, and the stream takes nothing; the log:\n%s", f.name, f.process.Log())
		}
	}
}

// free is how many bytes are free on the disk.
func (f *filling) free(t *testing.T) uint64 {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(f.disk.dir, &fs); err != nil {
		t.Fatal(err)
	}
	return fs.Bavail * uint64(fs.Bsize)
}

// endure waits until the daemon says that the disk is full, and asks it what it can still answer.
func (f *filling) endure(t *testing.T) {
	t.Helper()
	if err := f.process.AwaitState("STORE_FULL", 30*time.Second); err != nil {
		t.Fatalf("%s: %d bytes are free: %v", f.name, f.free(t), err)
	}
	time.Sleep(f.moment(300))
	for path, want := range map[string]int{"/readyz": http.StatusServiceUnavailable, "/livez": http.StatusOK, "/v1/position": http.StatusOK,
		"/v1/resources?limit=10": http.StatusOK, "/v1/faults": http.StatusOK, "/compute/v2.1/t-1/servers/detail": http.StatusOK} {
		if code, body, err := f.process.Get(path); err != nil || code != want {
			t.Errorf("%s: GET %s of a daemon whose disk is full: %d %v %s", f.name, path, code, err, body)
		}
	}
}
