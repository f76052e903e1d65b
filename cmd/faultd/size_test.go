package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"
)

func TestSize_Set(t *testing.T) {
	for text, want := range map[string]size{
		"0": 0, "1": 1, "7B": 7, "1KiB": 1 << 10, "512MiB": 512 << 20, "3GiB": 3 << 30, "1TiB": 1 << 40, "9223372036854775807": math.MaxInt64,
	} {
		var s size
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "B", "MiB", "-1", "+1", "1.5GiB", "1 GiB", " 1", "1gib", "1GB", "1K", "1M", "0x10", "1_000", "1e6", "GiB1", "1MiBB", "1KiBMiB",
		"9223372036854775808", "8388608TiB", "16777216TiB", "99999999999999999999"} {
		s := size(5)
		if err := s.Set(text); err == nil || s != 5 || !strings.Contains(err.Error(), "512MiB") {
			t.Errorf("%q: %d, %v", text, s, err)
		}
	}
}

func TestSize_StringIsTakenAgain(t *testing.T) {
	for _, s := range []size{0, 1, 1 << 10, 1<<10 + 1, 256 << 20, 1 << 30, 3 << 40, math.MaxInt64} {
		var again size
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%d is %s, which is %d, %v", int64(s), &s, int64(again), err)
		}
	}
}

func TestLimitMemory(t *testing.T) {
	was := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(was) })
	set := func(string) (string, bool) { return "2GiB", true }
	unset := func(string) (string, bool) { return "", false }
	for name, c := range map[string]struct {
		limit  size
		given  bool
		lookup func(string) (string, bool)
		want   int64
	}{
		"by itself":             {defaultMemory, false, unset, 1 << 30},
		"the environment's":     {defaultMemory, false, set, 7},
		"the flag's":            {512 << 20, true, unset, 512 << 20},
		"the flag wins":         {512 << 20, true, set, 512 << 20},
		"none":                  {0, true, set, math.MaxInt64},
		"the flag, the default": {defaultMemory, true, set, 1 << 30},
	} {
		debug.SetMemoryLimit(7)
		if limitMemory(c.limit, c.given, c.lookup); debug.SetMemoryLimit(-1) != c.want {
			t.Errorf("%s: %d, want %d", name, debug.SetMemoryLimit(-1), c.want)
		}
	}
}

func TestGarbageShare(t *testing.T) {
	for live, want := range map[uint64]int{0: 5500, 8 << 20: 2700, 52 << 20: 325, 104 << 20: 100, 90 << 20: 125, 1 << 30: 100} {
		if is := garbageShare(heapGoal, live); is != want {
			t.Errorf("%d bytes alive: %d %%, want %d", live, is, want)
		}
	}
}

func TestSettings_HeapGoal(t *testing.T) {
	for url, want := range map[string]uint64{"": heapGoalWithServer, "nats://127.0.0.1:4222": heapGoal} {
		if is := (&settings{natsURL: url}).heapGoal(); is != want {
			t.Errorf("with --nats-url %q the heap grows to %d, want %d", url, is, want)
		}
	}
}

// The share follows what is alive, from one collection to the next, unless the operator has set it.
func TestPaceGarbage_FollowsWhatIsAlive(t *testing.T) {
	was := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(was) })
	paceGarbage(heapGoal, func(string) (string, bool) { return "77", true })
	if is := debug.SetGCPercent(100); is != 100 {
		t.Fatalf("GOGC is set, and the share is %d %%", is)
	}
	paceGarbage(heapGoal, func(string) (string, bool) { return "", false })
	share := func(alive uint64, holds func(int) bool) {
		t.Helper()
		var is int
		for range 100 {
			runtime.GC()
			time.Sleep(time.Millisecond) // cleanups run beside
			if is = gcPercent(); holds(is) {
				return
			}
		}
		t.Errorf("with %d more bytes alive the share is %d %%", alive, is)
	}
	share(0, func(is int) bool { return is > 100 })
	held := make([]byte, heapGoal)
	share(heapGoal, func(is int) bool { return is == 100 })
	runtime.KeepAlive(held)
	share(0, func(is int) bool { return is > 100 })
}

// gcPercent is the share that is set.
func gcPercent() int {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}

func TestServe_SizesThatCannotBeMeant(t *testing.T) {
	for name, args := range map[string][]string{
		"--max-size":       {"--max-size", "31MiB"},
		"--min-free":       {"--min-free", "lots"},
		"--memory-limit":   {"--memory-limit", "1MiB"},
		"--snapshot-every": {"--snapshot-dir", "x", "--snapshot-every", "1s"},
		"--snapshot-keep":  {"--snapshot-dir", "x", "--snapshot-keep", "0"},
	} {
		if r := faultd(t, append([]string{"serve", "--data-dir", t.TempDir()}, args...)...); r.code != exitUsage || !strings.Contains(r.stderr, name) {
			t.Errorf("%v: exit code %d, want %d\n%s", args, r.code, exitUsage, r.stderr)
		}
	}
}
