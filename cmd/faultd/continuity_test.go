package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer"
)

// A stream that was made anew is told of and not applied; with --on-rewind=new-epoch it is, and what was there before
// stays.
func TestServe_StreamMadeAnew(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	d.publish(t, sample)
	js := d.jetStream(t)
	if err := js.DeleteStream(t.Context(), "JOBS"); err != nil {
		t.Fatal(err)
	}
	cfg := jetstream.StreamConfig{Name: "JOBS", Subjects: consumer.Subjects, AllowAtomicPublish: true}
	for _, err := js.CreateStream(t.Context(), cfg); err != nil; _, err = js.CreateStream(t.Context(), cfg) {
		time.Sleep(10 * time.Millisecond)
	}
	if reasons := d.awaitState(t, "REWOUND"); !strings.Contains(reasons, "was made anew") || !strings.Contains(reasons, "--on-rewind=new-epoch") {
		t.Errorf("reasons: %s", reasons)
	}
	if code := d.stop(); code != exitDone {
		t.Fatalf("ended with %d", code)
	}

	d = startDaemon(t, dir, "--on-rewind", "new-epoch", "--on-gap", "continue")
	d.publish(t, sample)
	var position struct {
		State             string
		Sequence, Ordinal uint64
		Epochs            []struct{ First, Last uint64 }
		Counters          struct{ Received, Applied, Ignored, Rejected uint64 }
	}
	d.get(t, "/v1/position", &position)
	n := position.Counters
	if len(position.Epochs) != 1 || position.Epochs[0].Last != position.Sequence || position.Ordinal != 2*position.Sequence || n.Received != position.Ordinal {
		t.Errorf("%+v", position)
	}
	if n.Applied > position.Sequence || n.Received != n.Applied+n.Ignored+n.Rejected {
		t.Errorf("what was applied before is not recognised: %+v", n)
	}
}

// awaitState waits until /readyz says that state, and returns its reasons.
func (d *running) awaitState(t *testing.T, state string) string {
	t.Helper()
	var said struct {
		State   string
		Reasons []string
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get(d.http + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(answer.Body).Decode(&said)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if said.State == state {
			return strings.Join(said.Reasons, "\n")
		}
	}
	t.Fatalf("waited for %s, got %+v", state, said)
	return ""
}
