package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestLogWriter_WritesAllInOrder(t *testing.T) {
	var out lockedBuffer
	l := newLogWriter(&out)
	var want strings.Builder
	for i := range 1000 {
		fmt.Fprintf(l, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}
	l.close()
	if out.String() != want.String() || l.dropped() != 0 {
		t.Errorf("%d dropped:\n%s", l.dropped(), &out)
	}
}

// Lines that nobody reads are lost, counted, and told to who reads at last; the end waits for nobody.
func TestLogWriter_NobodyReads(t *testing.T) {
	r, w := io.Pipe()
	l := newLogWriter(w)
	const lines = 3*logLines + 100
	for i := range lines {
		fmt.Fprintf(l, `{"line":%d}`+"\n", i)
	}
	l.close()
	if got := l.dropped(); got < logLines {
		t.Errorf("%d dropped before somebody reads", got)
	}
	read, missing := 0, 0
	for s := bufio.NewScanner(r); read+missing < lines && s.Scan(); {
		var line struct {
			Line  *int
			Lines int
			Level string
		}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("%v in %s", err, s.Text())
		}
		if missing += line.Lines; line.Line != nil {
			read++
		}
	}
	if missing == 0 || int64(missing) != l.dropped() {
		t.Errorf("%d lines are read and %d told to be missing; %d are counted", read, missing, l.dropped())
	}
}

// build builds the program as it is installed.
func build(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "faultd")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return binary
}

// A daemon whose log goes into a pipe that is full applies, answers, and ends at a signal.
func TestServe_NobodyReadsTheLog(t *testing.T) {
	cmd := exec.Command(build(t), "serve", "--data-dir", t.TempDir(), "--http-addr", "127.0.0.1:0", "--nats-addr", "127.0.0.1:0", "--log-level", "debug")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	d := &running{log: &lockedBuffer{}}
	d.awaitServing(t, r)
	go func() { // fills the pipe, and keeps it full
		_, _ = w.Write(make([]byte, 1<<20))
	}()
	defer w.Close()
	d.publish(t, sample)
	if got := d.ask(t, "list", "--limit", "500"); !strings.Contains(got, faultyServer) {
		t.Errorf("list:\n%s", got)
	}
	d.ask(t, "wait")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		t.Error("it has not ended within ten seconds")
	}
}

// awaitServing reads until the daemon tells where it serves, and nothing behind that.
func (d *running) awaitServing(t *testing.T, r io.Reader) {
	t.Helper()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var at struct{ HTTP, NATS string }
		if json.Unmarshal(lines.Bytes(), &at) == nil && at.HTTP != "" {
			d.http, d.nats = at.HTTP, at.NATS
			return
		}
	}
	t.Fatal("the daemon ended before it served")
}

// A reader of the log that goes does not take the daemon with it.
func TestServe_ReaderOfTheLogGoes(t *testing.T) {
	cmd := exec.Command(build(t), "serve", "--data-dir", t.TempDir(), "--http-addr", "127.0.0.1:0", "--nats-addr", "127.0.0.1:0", "--log-level", "debug")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	d := &running{log: &lockedBuffer{}}
	d.awaitServing(t, r)
	_ = r.Close()
	d.publish(t, sample)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
