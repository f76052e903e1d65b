//go:build campaign

package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"faultd/testdata/campaign"
)

// within is how long the tests of one bug may take; beyond it they hang, which is a failure that was noticed.
const within = 2 * time.Minute

// Every seeded bug makes some test fail. Nothing in the tree is touched: the compiler is given the changed file in the
// place of the real one.
func TestMutants(t *testing.T) {
	began := time.Now()
	var caught atomic.Int64
	t.Run("bugs", func(t *testing.T) {
		for _, m := range mutants {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel() // most of the time one waits for the compiler or the disk
				if m.check(t) {
					caught.Add(1)
				}
			})
		}
	})
	if n := caught.Load(); n != int64(len(mutants)) {
		t.Errorf("%d of %d seeded bugs were caught", n, len(mutants))
	}
	campaign.Result{Campaign: "mutants", Operations: len(mutants), Faults: int(caught.Load()), Seconds: time.Since(began).Seconds()}.Report(t)
}

func (m mutant) check(t *testing.T) bool {
	top := root(t)
	file := filepath.Join(top, m.file)
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(source, []byte(m.old)); n != 1 {
		t.Fatalf("%s holds what the bug replaces %d times; it was changed, so must the bug be:\n%s", m.file, n, m.old)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, "changed.go")
	write(t, changed, bytes.Replace(source, []byte(m.old), []byte(m.new), 1))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{file: changed}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "overlay.json"), overlay)
	ctx, cancel := context.WithTimeout(t.Context(), within+time.Minute) // and the compiler's time
	defer cancel()
	args := append([]string{"test", "-count=1", "-failfast", "-vet=off", "-timeout", within.String(), "-overlay", filepath.Join(dir, "overlay.json")}, strings.Fields(m.test)...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.WaitDelay = top, time.Second
	out, err := cmd.CombinedOutput()
	switch {
	case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")):
		t.Errorf("it does not compile:\n%s", out)
		return false
	case err == nil:
		t.Errorf("go %s passes all the same", strings.Join(args, " "))
		return false
	default:
		t.Logf("caught by %s", failing(out))
		return true
	}
}

func root(t *testing.T) string {
	_, self, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("this file is not known")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(self)))
}

func write(t *testing.T, path string, data []byte) {
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// failing is the name of the first test that failed.
func failing(out []byte) string {
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); ok {
			return name
		}
	}
	return "a panic or a time limit"
}
