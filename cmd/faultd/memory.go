package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// defaultMemory is the limit that holds if nobody says another, neither here nor in GOMEMLIMIT.
	defaultMemory = size(1 << 30)
	// leastMemory is less than the daemon can do with: it would collect garbage all the time.
	leastMemory = size(64 << 20)
	// heapGoal is how large the heap may become before garbage is collected, while half of it or less is alive.
	heapGoal = 224 << 20
)

// limitMemory sets what the process tries to stay under: near it, garbage is collected more often. It is no wall. given
// tells whether the flag was.
func limitMemory(limit size, given bool, lookup func(string) (string, bool)) {
	if _, set := lookup("GOMEMLIMIT"); set && !given {
		return // the runtime has read it
	}
	if limit == 0 {
		debug.SetMemoryLimit(math.MaxInt64)
		return
	}
	debug.SetMemoryLimit(int64(limit))
}

// paceGarbage has garbage collected by [heapGoal] and not by a share of what is alive, unless GOGC says how: a quiet daemon
// keeps few megabytes alive, would collect several times a second as soon as events come, and they would wait for that.
func paceGarbage(lookup func(string) (string, bool)) {
	if _, set := lookup("GOGC"); !set {
		paceAfterEach(100)
	}
}

// paceAfterEach sets the share anew after each collection: a cleanup runs after the collection that finds its object dead.
func paceAfterEach(was int) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	is := garbageShare(live[0].Value.Uint64())
	if is != was {
		debug.SetGCPercent(is)
	}
	runtime.AddCleanup(new([64]byte), paceAfterEach, is)
}

// garbageShare is how much garbage may gather beside what is alive, in percent of it, in steps, since to change it stops all
// goroutines for a moment.
func garbageShare(live uint64) int {
	const step = 25
	share := 100 * heapGoal / max(live, 4<<20)
	return max(100, int(share-100)/step*step)
}
