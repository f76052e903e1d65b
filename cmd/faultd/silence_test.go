package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A build of which nothing more is heard fails by the deadline, once for two replicas and over a restart; a success that
// comes late heals it, and the history tells both.
func TestServe_SilenceIsAFailure(t *testing.T) {
	dir, deadlines := t.TempDir(), []string{"--deadline", "server.build=1s", "--deadline", "attempt=1s"}
	first := startDaemon(t, dir, deadlines...)
	replica := startDaemon(t, t.TempDir(), append(deadlines, "--nats-url", first.nats)...)
	now := time.Now().UTC()
	first.publish(t, eventsFile(t,
		buildEvent("e-1", "silent", "started", now, ""),
		buildEvent("e-2", "tried", "started", now, ""),
		buildEvent("e-3", "tried", "progressed", now, `,"fault":{"code":503,"message":"host 1 is full"}`),
	))
	silent := first.await(t, "silent", "ERROR")
	if f := silent.Fault; f.Code != 504 || f.Reason != "TIMED_OUT" {
		t.Errorf("the silent build's fault is %+v", f)
	}
	if f := first.await(t, "tried", "ERROR").Fault; f.Code != 503 || f.Message != "host 1 is full" || f.Reason != "TIMED_OUT" {
		t.Errorf("the fault after an attempt is %+v", f)
	}
	replica.await(t, "silent", "ERROR")
	replica.await(t, "tried", "ERROR")
	if code := first.stop(); code != exitDone {
		t.Fatalf("it ended with exit code %d:\n%s", code, first.log)
	}
	first = startDaemon(t, dir, deadlines...)
	first.publish(t, eventsFile(t, buildEvent("e-4", "silent", "succeeded", now.Add(time.Second), "")))
	first.await(t, "silent", "ACTIVE")
	var story struct {
		History []struct{ From, To string }
	}
	first.get(t, "/v1/resources/server/silent/history?tenant=t", &story)
	if got := fmt.Sprint(story.History); got != "[{ERROR ACTIVE} {BUILD ERROR} {UNKNOWN BUILD}]" {
		t.Errorf("the history is %s", got)
	}
	var position struct {
		Sequence uint64
		Counters struct{ Applied uint64 }
	}
	first.get(t, "/v1/position", &position)
	if position.Sequence != 6 || position.Counters.Applied != 6 {
		t.Errorf("four events and two deadlines are %+v", position)
	}
}

func buildEvent(id, server, phase string, at time.Time, more string) string {
	return fmt.Sprintf(`{"specversion":"1.0","type":"io.faultd.v1.job.%s","source":"test","id":"%s","time":"%s","data":{"job":{"id":"b","action":"build"},`+
		`"resource":{"kind":"server","id":"%s","tenant_id":"t"}%s}}`, phase, id, at.Format(time.RFC3339Nano), server, more)
}

func eventsFile(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.jsonl")
	var text []byte
	for _, l := range lines {
		text = append(append(text, l...), '\n')
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// seen is what a test looks at in a resource.
type seen struct {
	Status string
	Fault  struct {
		Code            int
		Message, Reason string
	}
}

// await waits until a server of tenant t has a status.
func (d *running) await(t *testing.T, server, status string) (r seen) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if r = (seen{}); d.find("/v1/resources/server/"+server+"?tenant=t", &r) && r.Status == status {
			return r
		}
	}
	t.Fatalf("server %s is not %s but %+v; the log:\n%s", server, status, r, d.log)
	return r
}
