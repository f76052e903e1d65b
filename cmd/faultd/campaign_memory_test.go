//go:build campaign

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"faultd/consumer"
	"faultd/testdata/campaign"
)

const (
	memoryLimit = 300 << 20 // resident, the page cache aside
	perResource = 3         // events
)

// A million resources are applied and served by a daemon with a nats-server of its own: what it has resident beside the
// page cache stays bounded, in the store's growing, behind it, and after a restart.
func TestCampaign_Memory(t *testing.T) {
	began := time.Now()
	resources := campaign.Count(t, "memory", 20_000, 1_000_000)
	url := startPlainServer(t)
	d := &campaign.Daemon{Binary: campaign.BuildBinary(t), Dir: t.TempDir(), HTTP: campaign.FreeAddr(t), Args: []string{"--nats-url", url}}
	process := d.Start(t)
	if err := process.AwaitReady(); err != nil {
		t.Fatal(err)
	}
	peak := watchMemory(process.PID())
	last := publishBirths(t, url, resources)
	if err := process.AwaitApplied(last, 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	readLists(t, process)
	growing := peak()
	if err := process.Stop(); err != nil {
		t.Fatal(err)
	}
	process = d.Start(t)
	peak = watchMemory(process.PID())
	if err := process.AwaitReady(); err != nil {
		t.Fatal(err)
	}
	readLists(t, process)
	opened := peak()
	if err := process.Stop(); err != nil {
		t.Fatal(err)
	}
	if max(growing, opened) > memoryLimit {
		t.Errorf("%d MiB are resident while %d resources come, %d MiB after a restart; %d MiB are allowed", growing>>20, resources, opened>>20, memoryLimit>>20)
	}
	campaign.Result{Campaign: "memory", Operations: resources * perResource, Faults: resources, Seconds: time.Since(began).Seconds(),
		Note: fmt.Sprintf("%d resources, %d MiB resident at most while they come, %d MiB after a restart", resources, growing>>20, opened>>20)}.Report(t)
}

// startPlainServer runs one nats-server, a process of its own, and returns its URL.
func startPlainServer(t *testing.T) string {
	t.Helper()
	addr := campaign.FreeAddr(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "server.conf")
	text := fmt.Sprintf("listen: %q\njetstream: {store_dir: %q}\n", addr, dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(buildServer(t), file)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	url := "nats://" + addr
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := nats.Connect(url)
		if err == nil {
			conn.Close()
			return url
		}
		if time.Now().After(end) {
			t.Fatalf("the server does not start: %v", err)
		}
	}
}

// publishBirths publishes the events of so many servers, a tenth of which fail, and returns the last sequence.
func publishBirths(t *testing.T, url string, resources int) uint64 {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lines, write := io.Pipe()
	go func() {
		for i := range resources {
			for n, phase := range [perResource]string{"accepted", "started", "succeeded"} {
				fault := ""
				if phase == "succeeded" && i%10 == 0 {
					phase, fault = "failed", `,"fault":{"code":500,"message":"No valid host was found. There are not enough hosts available."}`
				}
				_, _ = fmt.Fprintf(write, `{"specversion":"1.0","type":"io.faultd.v1.job.%s","source":"memory","id":"%d-%d","time":"2026-09-21T10:00:0%dZ",`+
					`"data":{"job":{"id":"job-%d","action":"build"},"resource":{"kind":"server","id":"%08x-8b69-11e0-9b19-734f6f006e54","tenant_id":"tenant-%d",`+
					`"name":"server-%d","attributes":{"hostId":"host-%d","flavor":{"id":"1"},"image":{"id":"52415800-8b69-11e0-9b19-734f6f006e54"}}}%s}}`+"\n",
					phase, i, n, n, i, i, i%100, i, i%500, fault)
			}
		}
		_ = write.Close()
	}()
	done, err := consumer.Publish(t.Context(), conn, lines, consumer.PublishOptions{Stream: "JOBS"})
	if err != nil || done.Messages != resources*perResource {
		t.Fatalf("%d messages are published: %v", done.Messages, err)
	}
	return done.Sequence
}

func readLists(t *testing.T, process *campaign.Process) {
	t.Helper()
	for _, path := range []string{"/v1/resources?limit=1000", "/v1/faults?limit=1000", "/v1/faults/groups", "/v1/summary", "/compute/v2.1/servers/detail?limit=1000"} {
		if code, body, err := process.Get(path); err != nil || code != 200 {
			t.Errorf("%s gives %d, %v: %.200s", path, code, err, body)
		}
	}
}

// watchMemory follows how much anonymous memory a process has resident, until the returned function is called, which
// returns the most that was seen.
func watchMemory(pid int) (peak func() int64) {
	stop, most := make(chan struct{}), make(chan int64)
	go func() {
		var seen int64
		for {
			seen = max(seen, anonymous(pid))
			select {
			case <-stop:
				most <- seen
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(stop); return <-most }
}

// anonymous is the memory of a process that is no file's, in bytes; 0 where the process is gone.
func anonymous(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kilobytes, _ := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}
