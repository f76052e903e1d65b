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
	// heapGoalWithServer is that where the embedded server is in the same heap, with its buffers and its index of subjects.
	heapGoalWithServer = 2 * heapGoal
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

// paceGarbage has garbage collected by the size of the heap and not by a share of what is alive, unless GOGC says how: a quiet
// daemon keeps few megabytes alive, would collect several times a second as soon as events come, and they would wait for that.
func paceGarbage(goal uint64, lookup func(string) (string, bool)) {
	if _, set := lookup("GOGC"); !set {
		paceAfterEach(pace{goal, 100})
	}
}

// pace is a size of the heap, and the share that it led to.
type pace struct {
	goal  uint64
	share int
}

// paceAfterEach sets the share anew after each collection: a cleanup runs after the collection that finds its object dead.
func paceAfterEach(p pace) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	is := garbageShare(p.goal, live[0].Value.Uint64())
	if is != p.share {
		debug.SetGCPercent(is)
	}
	runtime.AddCleanup(new([64]byte), paceAfterEach, pace{p.goal, is})
}

// garbageShare is how much garbage may gather beside what is alive, in percent of it, in steps, since to change it stops all
// goroutines for a moment.
func garbageShare(goal, live uint64) int {
	const step = 25
	share := 100 * goal / max(live, 4<<20)
	return max(100, int(share-100)/step*step)
}
