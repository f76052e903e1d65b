package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// What the sample log tells of the server and the image of the Compute API's documentation.
const (
	tenant       = "1234"
	faultyServer = "52415800-8b69-11e0-9b19-734f0000ffff"
	faultyImage  = "52415800-8b69-11e0-9b19-734f5736d2a2"
)

// binary is the daemon's, as its own module builds it.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "faultd-peers-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "faultd")
	build := exec.Command("go", "build", "-C", "../..", "-o", binary, "./cmd/faultd")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		panic("building the daemon: " + err.Error())
	}
	return m.Run()
}

// start runs a daemon that has applied the sample log, and returns its URL.
func start(t testing.TB) string {
	t.Helper()
	d := serve(t)
	d.publish(t, "../sample.jsonl")
	return d.HTTP
}

// served is a daemon that runs until the test ends.
type served struct {
	addresses
	process *os.Process
}

// serve runs a daemon with an embedded server, and further flags.
func serve(t testing.TB, flags ...string) *served {
	t.Helper()
	serve := exec.Command(binary, append([]string{"serve", "--data-dir", t.TempDir(), "--http-addr", "127.0.0.1:0", "--nats-addr", "127.0.0.1:0"}, flags...)...)
	pipe, err := serve.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	log := read(pipe)
	t.Cleanup(func() {
		_ = serve.Process.Signal(syscall.SIGTERM)
		<-log.ended
		if err := serve.Wait(); err != nil {
			t.Errorf("the daemon ended with %v; its log:\n%s", err, &log.all)
		}
	})
	d := &served{process: serve.Process}
	select {
	case d.addresses = <-log.addresses:
	case <-log.ended:
		t.Fatal("the daemon ended before it served")
	}
	faultd(t, "wait", "--server", d.HTTP) // by then it has made the stream
	return d
}

// publish publishes a file of events, and waits until the daemon has applied them.
func (d *served) publish(t testing.TB, path string) {
	t.Helper()
	said := faultd(t, "publish", "--nats-url", d.NATS, path)
	sequence := regexp.MustCompile(`up to sequence (\d+)`).FindStringSubmatch(said)
	if sequence == nil {
		t.Fatalf("publish said no sequence: %s", said)
	}
	faultd(t, "wait", "--server", d.HTTP, "--sequence", sequence[1])
}

// addresses are where a daemon serves.
type addresses struct{ HTTP, NATS string }

// daemonLog is the log of a daemon, read as it is written.
type daemonLog struct {
	all       bytes.Buffer // to be read when it has ended
	addresses chan addresses
	ended     chan struct{}
}

func read(pipe io.Reader) *daemonLog {
	log := &daemonLog{addresses: make(chan addresses, 1), ended: make(chan struct{})}
	go func() {
		defer close(log.ended)
		lines := bufio.NewScanner(io.TeeReader(pipe, &log.all))
		for lines.Scan() {
			var at addresses
			if json.Unmarshal(lines.Bytes(), &at) == nil && at.HTTP != "" {
				log.addresses <- at
			}
		}
	}()
	return log
}

// faultd runs a command that must succeed, and returns what it printed.
func faultd(t testing.TB, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out, wrong bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &wrong
	if err := cmd.Run(); err != nil {
		t.Fatalf("faultd %v: %v\n%s%s", args, err, &out, &wrong)
	}
	return out.String()
}
