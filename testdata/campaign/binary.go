package campaign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BuildBinary builds the daemon with build tag campaign: one that ends itself at the step that $FAULTD_KILL_AT says, if it
// says one.
func BuildBinary(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "faultd")
	build := exec.Command("go", "build", "-tags", "campaign", "-o", path, "faultd/cmd/faultd")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the daemon: %v\n%s", err, out)
	}
	return path
}

// FreeAddr is a loopback address that nobody listens on.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Daemon is how one is started; it may be started again and again.
type Daemon struct {
	Binary string
	Dir    string // --data-dir
	HTTP   string // address
	NATS   string // address of the embedded server; empty: there is none
	Args   []string
	Env    []string
}

// URL is where clients reach the embedded server.
func (d *Daemon) URL() string { return "nats://" + d.NATS }

// Process is a daemon that was started.
type Process struct {
	cmd    *exec.Cmd
	http   string
	log    syncBuffer
	ended  chan struct{} // closed when it has
	reason error         // why; of interest when it has
}

// Start starts the daemon. Whoever starts it ends it.
func (d *Daemon) Start(t testing.TB, env ...string) *Process {
	t.Helper()
	args := append([]string{"serve", "--data-dir", d.Dir, "--http-addr", d.HTTP, "--log-level", "warn"}, d.Args...)
	if d.NATS != "" {
		args = append(args, "--nats-addr", d.NATS)
	}
	p := &Process{cmd: exec.Command(d.Binary, args...), http: "http://" + d.HTTP, ended: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), d.Env...), env...)
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		p.reason = p.cmd.Wait()
	}()
	return p
}

// Log is the end of what the process logged.
func (p *Process) Log() string {
	text := p.log.String()
	return text[max(0, len(text)-4000):]
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process as kill -9 does, and tells whether it ran until then.
func (p *Process) Kill() (ran bool) {
	select {
	case <-p.ended:
		return false
	default:
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	return p.Killed()
}

// Killed tells whether the process, which has ended, was ended by kill -9.
func (p *Process) Killed() bool {
	var exit *exec.ExitError
	if !errors.As(p.reason, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// Within tells whether the process ends within that time.
func (p *Process) Within(d time.Duration) bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(d):
		return false
	}
}

// AwaitStopped tells whether the process is stopped, as by SIGSTOP, within that time.
func (p *Process) AwaitStopped(atMost time.Duration) bool {
	for deadline := time.Now().Add(atMost); time.Now().Before(deadline) && !p.Within(200*time.Microsecond); {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
		if err == nil && bytes.Contains(stat, []byte(") T ")) {
			return true
		}
	}
	return false
}

// Stop asks the process to end, and returns how it did. It is killed where it does not end within thirty seconds.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if !p.Within(30 * time.Second) {
		p.Kill()
		return errors.New("the daemon did not end")
	}
	return p.reason
}

// Health is the daemon's state, empty while it does not answer.
func (p *Process) Health() (state string, reasons []string, lag uint64) {
	var health struct {
		State   string
		Reasons []string
		Lag     uint64
	}
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(p.http + "/readyz")
	if err != nil {
		return "", nil, 0
	}
	defer answer.Body.Close()
	if json.NewDecoder(answer.Body).Decode(&health) != nil {
		return "", nil, 0
	}
	return health.State, health.Reasons, health.Lag
}

// Get asks the daemon for a path below its root.
func (p *Process) Get(path string) (code int, body []byte, err error) {
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(p.http + path)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	return answer.StatusCode, body, err
}

// Story is what can be learnt of a daemon that does not do what it should: its state, its counters, and its log.
func (p *Process) Story() string {
	state, reasons, lag := p.Health()
	_, metrics, _ := p.Get("/metrics")
	var counters []string
	for line := range strings.Lines(string(metrics)) {
		if strings.HasPrefix(line, "faultd_events_total") || strings.HasPrefix(line, "faultd_outbox") || strings.HasPrefix(line, "faultd_position") {
			counters = append(counters, strings.TrimSpace(line))
		}
	}
	return fmt.Sprintf("it is %s %v with lag %d\n%s\nits log:\n%s", state, reasons, lag, strings.Join(counters, "\n"), p.Log())
}

// AwaitReady waits until the daemon is ready, for a minute at most. An error tells what it is instead.
func (p *Process) AwaitReady() error { return p.AwaitState("READY", time.Minute) }

// AwaitState waits until the daemon is in that state.
func (p *Process) AwaitState(want string, atMost time.Duration) error {
	for deadline := time.Now().Add(atMost); ; {
		state, reasons, _ := p.Health()
		if state == want {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the daemon has ended: %v; its log:\n%s", p.reason, p.Log())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the daemon is %s and not %s: %v; its log:\n%s", state, want, reasons, p.Log())
		}
	}
}

// AwaitApplied waits until the daemon has applied the stream up to a sequence.
func (p *Process) AwaitApplied(sequence uint64, atMost time.Duration) error {
	for deadline := time.Now().Add(atMost); ; {
		var position struct {
			Sequence uint64
			State    string
		}
		code, body, err := p.Get("/v1/position")
		if err == nil && code == http.StatusOK && json.Unmarshal(body, &position) == nil && position.Sequence >= sequence {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the daemon has ended: %v; its log:\n%s", p.reason, p.Log())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the daemon has applied %d and not %d, and is %s; its log:\n%s", position.Sequence, sequence, position.State, p.Log())
		}
	}
}

// syncBuffer is written by one goroutine and read by another.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *syncBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *syncBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
