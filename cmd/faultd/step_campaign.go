//go:build campaign

package main

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// steps is told the name of each step. The process ends, as kill -9 would end it, at the nth step of the name that
// $FAULTD_KILL_AT says, NAME:N. With $FAULTD_STOP it stops there, as kill -STOP would stop it.
func steps() func(string) {
	name, count, found := strings.Cut(os.Getenv("FAULTD_KILL_AT"), ":")
	if !found {
		return func(string) {}
	}
	nth, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		panic("FAULTD_KILL_AT: " + err.Error())
	}
	signal := syscall.SIGKILL
	if os.Getenv("FAULTD_STOP") != "" {
		signal = syscall.SIGSTOP
	}
	var taken atomic.Int64
	return func(step string) {
		if step == name && taken.Add(1) == nth {
			_ = syscall.Kill(os.Getpid(), signal)
			select {} // until that has happened
		}
	}
}
