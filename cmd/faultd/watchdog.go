package main

import (
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"time"
)

// stopLimit is how long the daemon may take to stop. Whoever started it waits longer than that before it kills.
const stopLimit = 20 * time.Second

// watchdog ends the process if stopping hangs, and shows where.
type watchdog struct {
	limit time.Duration
	bite  func()
	timer *time.Timer
}

func newWatchdog(stderr io.Writer) *watchdog {
	d := &watchdog{limit: stopLimit}
	d.bite = func() {
		within(lastLimit, func() { // the process ends either way, also if nobody reads this
			fmt.Fprintf(stderr, "faultd: has not stopped within %s; what it was doing:\n", d.limit)
			_ = pprof.Lookup("goroutine").WriteTo(stderr, 2)
		})
		os.Exit(exitFailed)
	}
	return d
}

// on begins to count; it is called once, when the daemon is told to stop.
func (d *watchdog) on() { d.timer = time.AfterFunc(d.limit, d.bite) }

// off is called when everything has stopped.
func (d *watchdog) off() {
	if d.timer != nil {
		d.timer.Stop()
	}
}
