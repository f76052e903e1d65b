package main

import (
	"bytes"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
)

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
