package main

import (
	"math"
	"runtime/debug"
)

const (
	// defaultMemory is the limit that holds if nobody says another, neither here nor in GOMEMLIMIT.
	defaultMemory = size(1 << 30)
	// garbageShare is how much garbage may gather, in percent of what lives, before it is collected, if GOGC does not say.
	// More than Go's own 100: reading a backlog costs a seventh less of the processor, and stays under 300 MiB.
	garbageShare = 175
	// leastMemory is less than the daemon can do with: it would collect garbage all the time.
	leastMemory = size(64 << 20)
)

// limitMemory sets what the process tries to stay under: near it, garbage is collected more often. It is no wall. given
// tells whether the flag was.
func limitMemory(limit size, given bool, lookup func(string) (string, bool)) {
	if _, set := lookup("GOGC"); !set {
		debug.SetGCPercent(garbageShare)
	}
	if _, set := lookup("GOMEMLIMIT"); set && !given {
		return // the runtime has read it
	}
	if limit == 0 {
		debug.SetMemoryLimit(math.MaxInt64)
		return
	}
	debug.SetMemoryLimit(int64(limit))
}
