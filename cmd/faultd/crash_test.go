package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/api"
	"faultd/consumer"
	"faultd/statemachine"
	"faultd/storage"
)

const (
	crashes     = 20
	crashEvents = 50_000
)

// The process is killed twenty times while events are published. In the end the store is what the log in the stream
// says, event by event, to a model that is a map.
func TestServe_KilledWhileEventsCome(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	binary, dir := buildBinary(t), t.TempDir()
	httpAddr, natsAddr := freeAddr(t), freeAddr(t)
	start := func() *exec.Cmd { return startBinary(t, binary, dir, httpAddr, natsAddr) }

	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	published := make(chan error, 1)
	process := start()
	go func() { published <- publishAll(ctx, "nats://"+natsAddr, crashLog(random)) }()
	for range crashes {
		time.Sleep(time.Duration(50+random.IntN(300)) * time.Millisecond)
		if err := process.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = process.Wait()
		process = start()
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	must(t, "wait", "--server", "http://"+httpAddr)
	model := readModel(t, "nats://"+natsAddr)
	must(t, "wait", "--server", "http://"+httpAddr, "--sequence", fmt.Sprint(model.last))
	if err := process.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err != nil {
		t.Fatalf("the daemon ended with %v", err)
	}
	model.check(t, filepath.Join(dir, "faultd.db"))
}

func buildBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "faultd")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// freeAddr is a loopback address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func startBinary(t *testing.T, binary, dir, httpAddr, natsAddr string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(binary, "serve", "--data-dir", dir, "--http-addr", httpAddr, "--nats-addr", natsAddr, "--log-level", "warn")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if t.Failed() && log.Len() > 0 {
			t.Logf("log of process %d:\n%s", cmd.Process.Pid, log.String())
		}
	})
	return cmd
}

// crashLog is a log of builds of 5,000 servers with some failures, repetitions and what cannot be decoded.
func crashLog(random *rand.Rand) []string {
	phases := []string{"accepted", "started", "progressed", "progressed", "progressed", "succeeded"}
	lines := make([]string, 0, crashEvents)
	for i := range crashEvents {
		server, phase := random.IntN(5000), phases[random.IntN(len(phases))]
		fault, action := "", "build"
		switch random.IntN(20) {
		case 0:
			phase, fault = "failed", `,"fault":{"code":500,"message":"it failed"}`
		case 1:
			action = "nonsense"
		case 2:
			if i > 0 {
				lines = append(lines, lines[random.IntN(i)])
				continue
			}
		}
		lines = append(lines, fmt.Sprintf(`{"specversion":"1.0","type":"io.faultd.v1.job.%s","source":"crash","id":"%d","time":"2026-09-21T%02d:%02d:%02dZ",`+
			`"data":{"job":{"id":"j-%d","action":"%s"},"resource":{"kind":"server","id":"s-%d","tenant_id":"t-%d"},"progress":%d%s}}`,
			phase, i, i/3600%24, i/60%60, i%60, random.IntN(3), action, server, server%7, random.IntN(101), fault))
	}
	return lines
}

// publishAll publishes the lines a thousand at a time, each until it is acknowledged, whatever happens to the server.
func publishAll(ctx context.Context, url string, lines []string) error {
	const chunk = 1000
	for len(lines) > 0 {
		n := min(chunk, len(lines))
		if publishSome(ctx, url, lines[:n]) == nil {
			lines = lines[n:]
			continue
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d lines are not published: %w", len(lines), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func publishSome(ctx context.Context, url string, lines []string) error {
	conn, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err = consumer.Publish(ctx, conn, strings.NewReader(strings.Join(lines, "\n")+"\n"), consumer.PublishOptions{Stream: "JOBS"})
	return err
}

// logModel is what the log says, by a map.
type logModel struct {
	resources map[statemachine.Key]statemachine.Resource
	history   map[statemachine.Key]int
	counters  statemachine.Counters
	last      uint64
}

// readModel reads the whole stream.
func readModel(t *testing.T, url string) *logModel {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	source, err := js.OrderedConsumer(t.Context(), "JOBS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m := &logModel{resources: map[statemachine.Key]statemachine.Resource{}, history: map[statemachine.Key]int{}}
	for pending := uint64(1); pending > 0; {
		msg, err := source.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		pending, m.last = meta.NumPending, meta.Sequence.Stream
		m.apply(consumer.Decode(consumer.Message{Subject: msg.Subject(), Header: msg.Headers(), Data: msg.Data(),
			Sequence: meta.Sequence.Stream, StreamTime: statemachine.At(meta.Timestamp)}))
	}
	return m
}

func (m *logModel) apply(e statemachine.Entry) {
	reason := e.Reason
	if reason == 0 {
		is, outcome := statemachine.Apply(m.resources[e.Key], e.Event)
		if is.Status != 0 {
			m.resources[e.Key] = is
		}
		if outcome.Transition != nil {
			m.history[e.Key]++
		}
		reason = outcome.Reason
	}
	m.counters.Count(reason, e.Unknown)
}

func (m *logModel) check(t *testing.T, path string) {
	t.Helper()
	db, err := storage.Open(storage.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got := db.Counters()
	if got != m.counters || got.Received != got.Applied+got.Ignored+got.Rejected || got.Received != m.last {
		t.Errorf("counters are %+v, not %+v of %d messages", got, m.counters, m.last)
	}
	if got.Received < crashEvents*9/10 || got.Rejected == 0 || got.Ignored == 0 {
		t.Errorf("too little was tried: %+v", got)
	}
	wrong := 0
	for key, want := range m.resources {
		is, err := db.Resource(key)
		rows, cut, failed := db.History(key)
		if err != nil || failed != nil || !bytes.Equal(api.Render(&is, false), api.Render(&want, false)) || len(rows)+int(cut) != m.history[key] {
			if wrong++; wrong < 5 {
				t.Errorf("%v is\n%s (%d lines of history, %v)\nnot\n%s (%d lines)", key, api.Render(&is, false), len(rows), err, api.Render(&want, false), m.history[key])
			}
		}
	}
	if n := db.Summary("")[statemachine.Server]; total(n) != uint64(len(m.resources)) {
		t.Errorf("the store has %d servers, the log %d; %d are wrong", total(n), len(m.resources), wrong)
	}
}

func total(counts map[statemachine.Status]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}
