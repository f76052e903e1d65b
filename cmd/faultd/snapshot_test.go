package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"faultd/storage"
)

// state is what a daemon says of its position.
func (d *running) state(t *testing.T) (p struct {
	Sequence uint64
	Hash     string `json:"state_hash"`
},
) {
	t.Helper()
	d.get(t, "/v1/position", &p)
	return p
}

// A copy of a running daemon's store, put back later, goes on behind its position to the same state.
func TestSnapshot_RestoredGoesOn(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	d.publish(t, sample)
	older := filepath.Join(t.TempDir(), "older.db")
	at := d.state(t)
	if said := d.ask(t, "snapshot", older); !strings.Contains(said, at.Hash) || !strings.Contains(said, older) {
		t.Errorf("it is at %+v, and the copy is %s", at, said)
	}
	if r := faultd(t, "snapshot", older, "--server", d.http); r.code != exitUsage || !strings.Contains(r.stderr, "not written over") {
		t.Errorf("over a file that is there: exit code %d\n%s", r.code, r.stderr)
	}
	d.publish(t, eventsFile(t, buildEvent("e-1", "later", "started", time.Now(), "")))
	want := d.state(t)
	if want.Sequence <= at.Sequence || want.Hash == at.Hash {
		t.Fatalf("nothing came behind the copy: %+v, %+v", at, want)
	}
	d.stop()

	restore(t, older, dir)
	d = startDaemon(t, dir)
	d.ask(t, "wait")
	if got := d.state(t); got != want {
		t.Errorf("it went on to %+v, not %+v", got, want)
	}
}

// A copy that is newer than the stream is not taken: what it holds and the stream has not would be told twice.
func TestSnapshot_NewerThanTheStream(t *testing.T) {
	dir, before := t.TempDir(), t.TempDir()
	d := startDaemon(t, dir)
	d.publish(t, sample)
	d.stop()
	if err := os.CopyFS(filepath.Join(before, "nats"), os.DirFS(filepath.Join(dir, "nats"))); err != nil {
		t.Fatal(err)
	}
	d = startDaemon(t, dir)
	d.publish(t, eventsFile(t, buildEvent("e-1", "later", "started", time.Now(), "")))
	newer := filepath.Join(t.TempDir(), "newer.db")
	d.ask(t, "snapshot", newer)
	d.stop()

	restore(t, newer, before)
	d = startDaemon(t, before)
	var health struct {
		State   string
		Reasons []string
	}
	for health.State == "" || health.State == "STARTING" {
		d.health(t, &health)
	}
	if health.State != "REWOUND" {
		t.Errorf("its state is %s %q", health.State, health.Reasons)
	}
}

func restore(t *testing.T, snapshot, dir string) {
	t.Helper()
	data, err := os.ReadFile(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "faultd.db"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What a daemon that stops in the middle sends is no copy, and leaves nothing.
func TestSnapshot_LeavesNothingHalf(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "copy.db")
	for name, body := range map[string]string{
		"cut short": "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nshort",
		"no store":  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshort",
		"refused":   "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
	} {
		r := faultd(t, "snapshot", file, "--server", answering(t, body))
		want := exitFailed
		if name == "no store" {
			want = exitStore
		}
		if r.code != want || r.stdout != "" {
			t.Errorf("%s: exit code %d\n%s%s", name, r.code, r.stdout, r.stderr)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s: %v, %v are left", name, err, left)
		}
	}
}

func TestCompact(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	d.publish(t, sample)
	want := d.state(t)
	if r := faultd(t, "compact", "--data-dir", dir); r.code != exitFailed || !strings.Contains(r.stderr, "in use") {
		t.Errorf("in use: exit code %d\n%s", r.code, r.stderr)
	}
	d.stop()
	path := filepath.Join(dir, "faultd.db")
	before := sizeOf(t, path)
	said := must(t, "compact", "--data-dir", dir)
	if after := sizeOf(t, path); after >= before || said != path+" had "+storage.Bytes(uint64(before))+" and has "+storage.Bytes(uint64(after))+"\n" {
		t.Errorf("before %d, after %d: %s", before, after, said)
	}
	must(t, "check", "--data-dir", dir)
	d = startDaemon(t, dir)
	d.ask(t, "wait")
	if got := d.state(t); got != want {
		t.Errorf("it is at %+v, not %+v", got, want)
	}
	if r := faultd(t, "compact", "--data-dir", t.TempDir()); r.code != exitFailed || !strings.Contains(r.stderr, "no such file") {
		t.Errorf("no store: exit code %d\n%s", r.code, r.stderr)
	}
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// A store that is damaged is an exit code of its own, whatever meets it first.
func TestExitCode_DamagedStore(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	d.publish(t, sample)
	d.stop()
	path := filepath.Join(dir, "faultd.db")
	if err := os.Truncate(path, 5*int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "compact"} {
		if r := faultd(t, command, "--data-dir", dir); r.code != exitStore || r.stderr == "" {
			t.Errorf("%s: exit code %d, want %d\n%s", command, r.code, exitStore, r.stderr)
		}
	}
	if r := faultd(t, "serve", "--data-dir", dir, "--http-addr", "127.0.0.1:0", "--nats-addr", "127.0.0.1:0"); r.code != exitStore {
		t.Errorf("serve: exit code %d, want %d\n%s", r.code, exitStore, r.stderr)
	}
}

// answering is the URL of a server that answers everything with these bytes and hangs up.
func answering(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// health asks how the daemon is, whatever the status.
func (d *running) health(t *testing.T, into any) {
	t.Helper()
	answer, err := http.Get(d.http + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}
