package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"faultd/consumer"
)

var update = flag.Bool("update", false, "write what the commands print to the golden files")

// result is what a command did.
type result struct {
	code           int
	stdout, stderr string
}

// faultd runs a command.
func faultd(t testing.TB, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{"faultd"}, args...), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

func TestRun_Usage(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"unknown command":          {[]string{"nosuch"}, "unknown command"},
		"unknown flag":             {[]string{"serve", "--nosuch"}, "unknown flag"},
		"argument missing":         {[]string{"show", "server"}, "accepts 2 arg"},
		"argument too many":        {[]string{"states", "more"}, "unknown command"},
		"no such output":           {[]string{"states", "-o", "svg"}, "must be table or mermaid or dot"},
		"no such kind":             {[]string{"states", "--kind", "volume"}, "no kind of resource"},
		"no such kind to show":     {[]string{"show", "volume", "x"}, "no kind of resource"},
		"limit of nothing":         {[]string{"list", "--limit", "0"}, "--limit"},
		"rate below nothing":       {[]string{"publish", "--rate", "-1", "-"}, "--rate"},
		"no URL":                   {[]string{"list", "--server", "localhost"}, "--server"},
		"http beyond loopback":     {[]string{"serve", "--http-addr", "0.0.0.0:8080"}, "without tokens everyone"},
		"http on all":              {[]string{"serve", "--http-addr", ":8080"}, "without tokens everyone"},
		"http by name":             {[]string{"serve", "--http-addr", "example.org:8080"}, "not a loopback address"},
		"http without port":        {[]string{"serve", "--http-addr", "127.0.0.1"}, "missing port"},
		"nats beyond loopback":     {[]string{"serve", "--nats-addr", "192.0.2.1:4222"}, "anyone who reached"},
		"sync of no length":        {[]string{"serve", "--nats-sync", "often"}, "--nats-sync"},
		"creds of embedded nats":   {[]string{"serve", "--nats-creds", "x.creds"}, "--nats-url"},
		"stream without name":      {[]string{"serve", "--stream", ""}, "--stream"},
		"no such level":            {[]string{"serve", "--log-level", "loud"}, "must be debug or info"},
		"several things at once 1": {[]string{"serve", "--http-addr", "0.0.0.0:1", "--nats-sync", "x"}, "without tokens"},
		"several things at once 2": {[]string{"serve", "--http-addr", "0.0.0.0:1", "--nats-sync", "x"}, "--nats-sync"},
	} {
		t.Run(name, func(t *testing.T) {
			r := faultd(t, test.args...)
			if r.code != exitUsage || !strings.Contains(r.stderr, test.says) || r.stdout != "" {
				t.Errorf("exit code %d, want %d; it must say %q:\n%s%s", r.code, exitUsage, test.says, r.stdout, r.stderr)
			}
		})
	}
}

func TestRun_Help(t *testing.T) {
	r := faultd(t, "serve", "--help")
	for _, flag := range []string{"--data-dir", "--http-addr", "--nats-url", "--stream", "--log-format json|console", "FAULTD_DATA_DIR"} {
		if !strings.Contains(r.stdout, flag) {
			t.Errorf("the help of serve lacks %s:\n%s", flag, r.stdout)
		}
	}
	if r.code != exitDone {
		t.Errorf("exit code %d, want %d", r.code, exitDone)
	}
}

func TestRun_WithoutCommand(t *testing.T) {
	r := faultd(t)
	if r.code != exitUsage || !strings.Contains(r.stderr, "serve") {
		t.Errorf("exit code %d, want %d and the commands:\n%s", r.code, exitUsage, r.stderr)
	}
}

func TestRun_Version(t *testing.T) {
	version = "v9.8.7"
	t.Cleanup(func() { version = "" })
	if r := faultd(t, "--version"); r.code != exitDone || r.stdout != "faultd v9.8.7\n" {
		t.Errorf("exit code %d, printed %q", r.code, r.stdout)
	}
}

func TestRun_Environment(t *testing.T) {
	t.Setenv("FAULTD_OUTPUT", "dot")
	if r := faultd(t, "states", "--kind", "image"); !strings.HasPrefix(r.stdout, "digraph image") {
		t.Errorf("the variable is not heeded:\n%s%s", r.stdout, r.stderr)
	}
	if r := faultd(t, "states", "--kind", "image", "-o", "mermaid"); !strings.HasPrefix(r.stdout, "%% image") {
		t.Errorf("the flag does not win:\n%s%s", r.stdout, r.stderr)
	}
	t.Setenv("FAULTD_OUTPUT", "svg")
	if r := faultd(t, "states"); r.code != exitUsage || !strings.Contains(r.stderr, "FAULTD_OUTPUT") {
		t.Errorf("exit code %d for a wrong variable:\n%s", r.code, r.stderr)
	}
	t.Setenv("FAULTD_OUTPUT", "")
	if r := faultd(t, "states"); r.code != exitDone {
		t.Errorf("exit code %d for an empty variable:\n%s", r.code, r.stderr)
	}
}

func TestExitCode(t *testing.T) {
	for name, test := range map[string]struct {
		err       error
		signalled bool
		want      int
	}{
		"done":             {nil, false, exitDone},
		"by a signal":      {fmt.Errorf("asking: %w", context.Canceled), true, exitDone},
		"cancelled":        {context.Canceled, false, exitFailed},
		"failed":           {errors.New("x"), false, exitFailed},
		"failed meanwhile": {errors.New("x"), true, exitFailed},
		"usage":            {fmt.Errorf("x: %w", usagef("y")), false, exitUsage},
		"store":            {errors.Join(errors.New("x"), storeError{errors.New("y")}), false, exitStore},
		"store, consuming": {fmt.Errorf("x: %w", consumer.ErrStore), false, exitStore},
		"store at the end": {consumer.ErrStore, true, exitStore},
	} {
		if got := exitCode(test.err, test.signalled); got != test.want {
			t.Errorf("%s: exit code %d, want %d", name, got, test.want)
		}
	}
}

func TestStates_Golden(t *testing.T) {
	for _, format := range []string{"table", "mermaid", "dot"} {
		t.Run(format, func(t *testing.T) {
			golden(t, "states."+format, faultd(t, "states", "-o", format).stdout)
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what is printed (go test -update writes it):\n%s", path, got)
	}
}
