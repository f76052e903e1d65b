package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	sample       = "../../testdata/sample.jsonl"
	faultyServer = "52415800-8b69-11e0-9b19-734f0000ffff"
	faultyImage  = "52415800-8b69-11e0-9b19-734f5736d2a2"
)

// running is a daemon that serves.
type running struct {
	http, nats string
	log        *lockedBuffer
	stop       func() int // ends it and returns the exit code; may be called again
}

// lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startDaemon runs serve on free ports until the test ends, and returns when it serves.
func startDaemon(t testing.TB, dataDir string, more ...string) *running {
	t.Helper()
	args := append([]string{"faultd", "serve", "--data-dir", dataDir, "--http-addr", "127.0.0.1:0", "--nats-addr", "127.0.0.1:0"}, more...)
	ctx, cancel := context.WithCancel(context.Background())
	pipe, stderr := io.Pipe()
	d := &running{log: &lockedBuffer{}}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, io.Discard, stderr)
		stderr.Close()
	}()
	d.stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() {
		if got := d.stop(); got != exitDone {
			t.Errorf("the daemon ended with exit code %d; its log:\n%s", got, d.log)
		}
	})
	d.readLog(t, pipe)
	return d
}

// readLog returns when the log has told where the daemon serves, and reads on behind that.
func (d *running) readLog(t testing.TB, pipe io.Reader) {
	t.Helper()
	lines := bufio.NewScanner(io.TeeReader(pipe, d.log))
	for lines.Scan() {
		var at struct{ HTTP, NATS string }
		if json.Unmarshal(lines.Bytes(), &at) == nil && at.HTTP != "" {
			d.http, d.nats = at.HTTP, at.NATS
			go func() {
				for lines.Scan() {
				}
			}()
			return
		}
	}
	t.Fatalf("the daemon ended before it served; its log:\n%s", d.log)
}

// publish publishes a file and returns when the daemon has applied it.
func (d *running) publish(t testing.TB, file string) {
	t.Helper()
	d.ask(t, "wait") // the stream exists when the daemon is ready
	said := must(t, "publish", "--nats-url", d.nats, file)
	sequence := regexp.MustCompile(`up to sequence (\d+)`).FindStringSubmatch(said)
	if sequence == nil {
		t.Fatalf("publish tells no sequence: %s", said)
	}
	d.ask(t, "wait", "--sequence", sequence[1])
}

// ask runs a command that asks the daemon and must succeed.
func (d *running) ask(t testing.TB, args ...string) string {
	t.Helper()
	return must(t, append(args, "--server", d.http)...)
}

func must(t testing.TB, args ...string) string {
	t.Helper()
	r := faultd(t, args...)
	if r.code != exitDone {
		t.Fatalf("faultd %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// find is get for what may not be there yet.
func (d *running) find(path string, into any) bool {
	answer, err := http.Get(d.http + path)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK && json.NewDecoder(answer.Body).Decode(into) == nil
}

// get asks the daemon as any HTTP client does.
func (d *running) get(t testing.TB, path string, into any) {
	t.Helper()
	answer, err := http.Get(d.http + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d %v %s", path, answer.StatusCode, err, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s: %v in %s", path, err, body)
	}
}

// The documents are those of the Compute API's guide; the image's JSON there says SAVING, its text and its XML say ERROR.
func TestServe_DocumentedExample(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	d.publish(t, sample)
	for _, test := range []struct{ name, path string }{
		{"server", "/compute/v2.1/1234/servers/" + faultyServer},
		{"image", "/compute/v2.1/1234/images/" + faultyImage},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join("testdata", "documented-"+test.name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var want, got any
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			d.get(t, test.path, &got)
			contains(t, test.name, got, want)
			link := got.(map[string]any)[test.name].(map[string]any)["links"].([]any)[0].(map[string]any)
			if link["rel"] != "self" || link["href"] != d.http+test.path {
				t.Errorf("the first link is %v, want self at %s", link, d.http+test.path)
			}
		})
	}
}

// contains checks that every member of want stands in got with its value.
func contains(t *testing.T, at string, got, want any) {
	t.Helper()
	members, ok := want.(map[string]any)
	if !ok {
		if got != want {
			t.Errorf("%s is %v, want %v", at, got, want)
		}
		return
	}
	has, _ := got.(map[string]any)
	for name, value := range members {
		contains(t, at+"."+name, has[name], value)
	}
}

func TestServe_PublishedAgain(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	d.publish(t, sample)
	before := d.ask(t, "list", "--limit", "500", "-o", "json")
	if !strings.Contains(before, faultyServer) {
		t.Fatalf("the sample log is not applied:\n%s", before)
	}
	if got := d.ask(t, "show", "server", faultyServer); !strings.Contains(got, "404 Could not find image") {
		t.Errorf("show:\n%s", got)
	}
	d.stop()

	d = startDaemon(t, dir)
	d.publish(t, sample)
	if after := d.ask(t, "list", "--limit", "500", "-o", "json"); after != before {
		t.Errorf("after a restart, and the same log once more:\n%s\nbefore:\n%s", after, before)
	}
	var position struct {
		Hash     string `json:"state_hash"`
		Counters struct{ Received, Applied, Ignored, Rejected uint64 }
	}
	d.get(t, "/v1/position", &position)
	if c := position.Counters; c.Received != c.Applied+c.Ignored+c.Rejected || c.Rejected != 0 || c.Received < 141 {
		t.Errorf("counters %+v", c)
	}
	if len(position.Hash) != 16 || position.Hash == "0000000000000000" {
		t.Errorf("state hash %q", position.Hash)
	}
}

func TestServe_DataDirInUse(t *testing.T) {
	dir := t.TempDir()
	startDaemon(t, dir)
	r := faultd(t, "serve", "--data-dir", dir, "--http-addr", "127.0.0.1:0", "--nats-addr", "127.0.0.1:0")
	if r.code != exitFailed || !strings.Contains(r.stderr, "in use by another process") || !strings.Contains(r.stderr, "--data-dir") {
		t.Errorf("exit code %d, want %d and a clear word:\n%s", r.code, exitFailed, r.stderr)
	}
}

func TestServe_AddressTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, flag := range []string{"--http-addr", "--nats-addr"} {
		addresses := map[string]string{"--http-addr": "127.0.0.1:0", "--nats-addr": "127.0.0.1:0"}
		addresses[flag] = taken.Addr().String()
		r := faultd(t, "serve", "--data-dir", t.TempDir(), "--http-addr", addresses["--http-addr"], "--nats-addr", addresses["--nats-addr"])
		if r.code != exitFailed || !strings.Contains(r.stderr, flag) {
			t.Errorf("%s taken: exit code %d, want %d and what to do:\n%s", flag, r.code, exitFailed, r.stderr)
		}
	}
}

func TestServe_StoreBroken(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "faultd.db"), bytes.Repeat([]byte("no store "), 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := faultd(t, "serve", "--data-dir", dir, "--http-addr", "127.0.0.1:0", "--nats-addr", "127.0.0.1:0"); r.code != exitStore {
		t.Errorf("exit code %d, want %d:\n%s", r.code, exitStore, r.stderr)
	}
}

// A signal is a clean end, of the process as it is installed.
func TestServe_SIGTERM(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "faultd")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd := exec.Command(binary, "serve", "--data-dir", t.TempDir(), "--http-addr", "127.0.0.1:0", "--nats-addr", "127.0.0.1:0")
		pipe, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		d := &running{log: &lockedBuffer{}}
		d.readLog(t, pipe)
		d.ask(t, "wait")
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after %s: %v; its log:\n%s", signal, err, d.log)
		}
	}
}

func TestWatchdog(t *testing.T) {
	bitten := make(chan struct{})
	hanging := &watchdog{limit: time.Millisecond, bite: func() { close(bitten) }}
	hanging.on()
	<-bitten

	calm := &watchdog{limit: time.Hour, bite: func() { t.Error("it bites although all has stopped") }}
	calm.off() // never told to stop
	calm.on()
	calm.off()
	if calm.timer.Stop() {
		t.Error("it still counts")
	}
}
