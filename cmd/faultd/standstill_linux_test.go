package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer"
	"faultd/consumer/embedded"
)

// A disk that does not take what the embedded server writes makes the daemon not ready, until it is started again.
func TestServe_StreamsNotWritten(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	d.publish(t, sample)
	blocksTo(t, dir, "/dev") // which nobody can write to
	if d.taken(t) {
		t.Fatal("what was not written was acknowledged")
	}
	d.awaitReadiness(t, "FAILED", "start faultd again")
	var list struct{ Resources []json.RawMessage }
	if d.get(t, "/v1/resources", &list); len(list.Resources) == 0 {
		t.Error("what was applied is not shown any more")
	}
	if code := d.stop(); code != exitDone {
		t.Fatalf("it ended with exit code %d:\n%s", code, d.log)
	}
	again := startDaemon(t, dir)
	again.awaitReadiness(t, "READY", "")
	if !again.taken(t) {
		t.Error("nothing is stored after a new start")
	}
}

// A full disk that has room again makes the daemon go on by itself.
func TestServe_StreamsWithoutRoom(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	d.publish(t, sample)
	blocksTo(t, dir, "/dev/full")
	if d.taken(t) {
		t.Fatal("what was not written was acknowledged")
	}
	for deadline := time.Now().Add(time.Minute); !d.taken(t); {
		if time.Now().After(deadline) {
			t.Fatalf("nothing is stored although there is room; the log:\n%s", d.log)
		}
	}
	d.awaitReadiness(t, "READY", "")
	if !strings.Contains(d.log.String(), embedded.ErrFull.Error()) {
		t.Errorf("nothing was said of it; the log:\n%s", d.log)
	}
	if state := standstill(fmt.Errorf("so it is: %w", embedded.ErrFull)); state != consumer.StoreFull {
		t.Errorf("without room it is %s", state)
	}
}

// taken tells whether an event is acknowledged, within a second.
func (d *running) taken(t *testing.T) bool {
	t.Helper()
	conn, err := nats.Connect(d.nats)
	if err != nil {
		return false // it is being started again
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.Publish(t.Context(), "jobs.t.server.late.started", []byte(buildEvent("late", "late", "started", time.Now(), "")))
	return err == nil
}

// awaitReadiness waits until /readyz says that, with such a reason.
func (d *running) awaitReadiness(t *testing.T, state, reason string) {
	t.Helper()
	var is struct {
		State   string
		Reasons []string
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		answer, err := http.Get(d.http + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(answer.Body).Decode(&is)
		answer.Body.Close()
		if err == nil && is.State == state && strings.Contains(strings.Join(is.Reasons, "\n"), reason) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is %s %v, and not %s with %q; the log:\n%s", is.State, is.Reasons, state, reason, d.log)
		}
	}
}

// blocksTo has what this process writes to blocks of the stream JOBS go to another file.
func blocksTo(t *testing.T, dataDir, path string) {
	t.Helper()
	other, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err == syscall.EISDIR {
		other, err = syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(other)
	blocks, replaced := filepath.Join(dataDir, "nats", "jetstream", "$G", "streams", "JOBS", "msgs")+"/", 0
	for fd := range 1000 {
		if is, err := os.Readlink(fmt.Sprint("/proc/self/fd/", fd)); err != nil || !strings.HasPrefix(is, blocks) || !strings.HasSuffix(is, ".blk") {
			continue
		}
		if err := syscall.Dup3(other, fd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		replaced++
	}
	if replaced == 0 {
		t.Fatal("no block of the stream is open")
	}
}
