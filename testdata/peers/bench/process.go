package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// roles are what this program does in processes of its own, so that no contestant has another's memory and garbage.
// Each is told what to do as JSON, and answers with one line of JSON.
var roles = map[string]func(ctx context.Context, config []byte) (any, error){
	"drain":   peer(drain),
	"sqlite":  peer(sqlite),
	"kv":      peer(keyValue),
	"bbolt":   peer(naiveBolt),
	"prefill": role(prefill),
	"open":    role(openStore),
	"serve":   role(serve),
}

func role[T any](do func(context.Context, T) (any, error)) func(context.Context, []byte) (any, error) {
	return func(ctx context.Context, config []byte) (any, error) {
		var c T
		if err := json.Unmarshal(config, &c); err != nil {
			return nil, err
		}
		return do(ctx, c)
	}
}

func child(name, config string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := errors.New("there is no such role")
	if do := roles[name]; do != nil {
		var answer any
		if answer, err = do(ctx, []byte(config)); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(answer)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// command is a role's process, which is not started.
func (b *bench) command(name string, config any) (*exec.Cmd, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(b.ctx, self, "child", name, string(text))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// play has a role played to its end, and returns the processor time that it took.
func (b *bench) play(name string, config, answer any) (cpu time.Duration, err error) {
	cmd, err := b.command(name, config)
	if err != nil {
		return 0, err
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return used(cmd), json.Unmarshal(out.Bytes(), answer)
}

// used is the processor time of a process that has ended.
func used(cmd *exec.Cmd) time.Duration {
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// daemon is a process of faultd.
type daemon struct {
	ctx     context.Context
	cmd     *exec.Cmd
	http    string
	nats    string
	began   time.Time // when it was started
	serving time.Time // when it began to read the stream and to answer
	ended   chan struct{}
	reason  error
	peak    atomic.Int64 // the most anonymous memory that was seen, in bytes
}

// startDaemon starts faultd on a directory, as anybody would: nothing is set but where things are.
func (b *bench) startDaemon(dir string, args ...string) (*daemon, error) {
	args = append([]string{"serve", "--data-dir", dir, "--http-addr", "127.0.0.1:0"}, args...)
	d := &daemon{ctx: b.ctx, cmd: exec.Command(b.daemon, args...), ended: make(chan struct{}), began: time.Now()}
	said, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	addresses, last := make(chan [2]string, 1), ""
	go func() {
		defer close(d.ended)
		for in := bufio.NewScanner(said); in.Scan(); {
			var at struct{ HTTP, NATS string }
			if last = in.Text(); json.Unmarshal(in.Bytes(), &at) == nil && at.HTTP != "" {
				addresses <- [2]string{at.HTTP, at.NATS}
			}
		}
		d.reason = d.cmd.Wait()
	}()
	select {
	case at := <-addresses:
		d.http, d.nats, d.serving = at[0], at[1], time.Now()
	case <-d.ended:
		return nil, fmt.Errorf("the daemon ended: %w: %s", d.reason, last)
	case <-b.ctx.Done():
		_, _ = d.stop()
		return nil, b.ctx.Err()
	}
	go d.watchMemory()
	return d, nil
}

// watchMemory notes the most that the process has.
func (d *daemon) watchMemory() {
	for {
		d.peak.Store(max(d.peak.Load(), anonymous(d.cmd.Process.Pid)))
		select {
		case <-d.ended:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// anonymous is a process's resident memory that is no file's, in bytes; 0 where that cannot be told.
func anonymous(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// get asks for a path.
func (d *daemon) get(path string) (code int, body []byte, err error) {
	request, err := http.NewRequestWithContext(d.ctx, http.MethodGet, d.http+path, nil)
	if err != nil {
		return 0, nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	return answer.StatusCode, body, err
}

// await waits until everything up to a sequence of a stream is on the disk, and checks that all of it was applied.
func (d *daemon) await(epoch time.Time, sequence uint64, applied int) error {
	path := "/v1/position?wait=20&min_position=" + url.QueryEscape(fmt.Sprintf("%s/%s/%d", stream.Name, epoch.Format(time.RFC3339Nano), sequence))
	for {
		code, body, err := d.get(path)
		if err != nil {
			return err
		}
		if code == http.StatusServiceUnavailable {
			continue
		}
		var at struct{ Counters struct{ Applied int } }
		if err := json.Unmarshal(body, &at); err != nil || code != http.StatusOK || at.Counters.Applied < applied {
			return fmt.Errorf("the daemon answered %d %s where %d events should have been applied (%w)", code, body, applied, err)
		}
		return nil
	}
}

// ready waits until the daemon is, and tells how long that took from its start.
func (d *daemon) ready() (time.Duration, error) {
	for {
		switch code, _, err := d.get("/readyz"); {
		case err != nil:
			return 0, err
		case code == http.StatusOK:
			return time.Since(d.began), nil
		}
		time.Sleep(time.Millisecond)
	}
}

// stop ends the daemon and tells the processor time that it took.
func (d *daemon) stop() (time.Duration, error) {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(30 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
	if d.reason != nil {
		return 0, fmt.Errorf("the daemon ended with %w", d.reason)
	}
	return used(d.cmd), nil
}
