//go:build campaign

package disk_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/peers/disk"
	"faultd/testdata/campaign"
)

const (
	// jobBlocks are the files of the job stream in the embedded server's directory.
	jobBlocks = "jetstream/$G/streams/JOBS/msgs/*.blk"

	batchEvents = 100
	atMost      = time.Minute // for what must come
	pause       = 10 * time.Millisecond
)

// What the embedded server has of an atomic batch is neither handed out nor applied before it is synced.
//
// The first half is nats-server's own doing: in 2.15 one goroutine of a stream writes and syncs its batches and sends what
// its consumers have read (stream.go, internalLoop), so that the daemon need not ask whether it may apply them. A server
// that hands them out earlier fails here: then the store could get ahead of the stream in a power cut. The server locks a
// block of messages while it writes to it or syncs it: the slow disk gives it the time to read them between two writes.
func TestRootCampaign_BatchIsHandedOutWhenSynced(t *testing.T) {
	r := newSyncRig(t)
	r.publish(t, 1)
	if err := r.process.AwaitApplied(1, atMost); err != nil {
		t.Fatal(err)
	}
	handedOut, published := r.handedOut(t), make(chan error, 1)

	r.gate.Shut(t)
	go func() { published <- r.sendBatch(batchEvents) }()
	for until := time.Now().Add(atMost); r.gate.Waiting(t) == 0; time.Sleep(pause) {
		r.stays(t)
		if time.Now().After(until) {
			t.Fatalf("nothing is to be synced; %s", r.process.Story())
		}
	}
	for until := time.Now().Add(time.Second); time.Now().Before(until); time.Sleep(pause) {
		r.stays(t)
	}
	if len(handedOut) > 0 {
		t.Errorf("%d messages of the batch were handed out before it is synced", len(handedOut))
	}
	if len(published) > 0 {
		t.Fatalf("the batch was acknowledged before it is synced: %v", <-published)
	}

	r.gate.Open(t)
	if err := r.process.AwaitApplied(1+batchEvents, atMost); err != nil {
		t.Fatal(err)
	}
	if err := <-published; err != nil {
		t.Errorf("publishing the batch: %v", err)
	}
	for range batchEvents {
		select {
		case <-handedOut:
		case <-time.After(atMost):
			t.Fatal("messages of the batch are not handed out") // and it is not known whether they were not before
		}
	}
}

// syncRig is a daemon whose job stream lies behind a gate.
type syncRig struct {
	gate    *disk.Gate
	process *campaign.Process
	reads   *nats.Conn
	writes  *nats.Conn // the server does nothing else for a connection whose batch it writes
}

func newSyncRig(t *testing.T) *syncRig {
	t.Helper()
	daemon := campaign.Daemon{Binary: buildDaemon(t), Dir: t.TempDir(), HTTP: campaign.FreeAddr(t), NATS: campaign.FreeAddr(t),
		Args: []string{"--nats-sync", "always"}}
	streams := filepath.Join(daemon.Dir, "nats")
	if err := os.Mkdir(streams, 0o700); err != nil {
		t.Fatal(err)
	}
	r := &syncRig{gate: disk.StartGated(t, streams, jobBlocks), process: daemon.Start(t)}
	t.Cleanup(func() {
		if err := r.process.Stop(); err != nil {
			t.Errorf("the daemon ended with %v; its log:\n%s", err, r.process.Log())
		}
	})
	if err := r.process.AwaitReady(); err != nil {
		t.Fatal(err)
	}
	for _, conn := range []**nats.Conn{&r.reads, &r.writes} {
		var err error
		if *conn, err = nats.Connect(daemon.URL()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup((*conn).Close)
	}
	return r
}

// buildDaemon builds the daemon as its own module builds it.
func buildDaemon(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "faultd")
	build := exec.Command("go", "build", "-C", "../../..", "-o", binary, "./cmd/faultd")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the daemon: %v\n%s", err, out)
	}
	return binary
}

// handedOut gets a token for each message of the job stream behind the first that a reader other than the daemon is sent.
func (r *syncRig) handedOut(t *testing.T) <-chan struct{} {
	t.Helper()
	js, err := jetstream.New(r.reads)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := js.CreateConsumer(t.Context(), "JOBS", jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq: 2, AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan struct{}, batchEvents)
	reading, err := reader.Consume(func(jetstream.Msg) { got <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reading.Stop)
	return got
}

// stays checks that nothing behind the first message is applied.
func (r *syncRig) stays(t *testing.T) {
	t.Helper()
	var position struct{ Sequence uint64 }
	code, body, err := r.process.Get("/v1/position")
	if err != nil || code != http.StatusOK || json.Unmarshal(body, &position) != nil {
		t.Fatalf("asking for the position: %d %v %s", code, err, body)
	}
	if position.Sequence != 1 {
		t.Fatalf("%d messages are applied, of a batch that is not synced", position.Sequence-1)
	}
}

func (r *syncRig) publish(t *testing.T, n int) {
	t.Helper()
	if _, err := r.writes.Request("jobs.t.server.s", event(n), atMost); err != nil {
		t.Fatal(err)
	}
}

// sendBatch publishes a batch, and returns when it is acknowledged. What "faultd publish" makes a batch of hangs on how fast it
// can read.
func (r *syncRig) sendBatch(size int) error {
	for i := 1; i <= size; i++ {
		m := nats.NewMsg("jobs.t.server.s")
		m.Header.Set("Nats-Batch-Id", "batch")
		m.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i))
		m.Data = event(1 + i)
		if i < size {
			if err := r.writes.PublishMsg(m); err != nil {
				return err
			}
			continue
		}
		m.Header.Set("Nats-Batch-Commit", "1")
		answer, err := r.writes.RequestMsg(m, atMost)
		if err != nil {
			return err
		}
		var ack struct {
			Count int
			Error *jetstream.APIError
		}
		if err := json.Unmarshal(answer.Data, &ack); err != nil || ack.Error != nil || ack.Count != size {
			return fmt.Errorf("the server's answer is %s", answer.Data)
		}
	}
	return nil
}

func event(n int) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","type":"io.faultd.v1.job.started","source":"test","id":"%d",`+
		`"data":{"job":{"id":"j-%d","action":"build"},"resource":{"kind":"server","id":"s","tenant_id":"t"}}}`, n, n)
}
