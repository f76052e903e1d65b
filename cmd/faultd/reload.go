package main

import (
	"os"
	"os/signal"
	"syscall"
)

// operatorFile is a file that an operator changes while the daemon runs.
type operatorFile struct {
	what string
	load func() error // where it fails, what was loaded before stays
}

// hangups are the daemon's SIGHUPs from now on; without anybody to take them they would end the process.
func hangups() (signals chan os.Signal, stop func()) {
	signals = make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}

// reloadAt loads all files again at each SIGHUP until it is told to stop.
func (d *daemon) reloadAt(hangup <-chan os.Signal, stop <-chan struct{}) {
	for {
		select {
		case <-hangup:
			d.reload()
		case <-stop:
			return
		}
	}
}

func (d *daemon) reload() {
	for _, f := range d.files {
		if err := f.load(); err != nil {
			d.log.Error().Err(err).Str("file", f.what).Msg("the file is bad: what was read before stays in force")
			continue
		}
		d.log.Info().Str("file", f.what).Msg("read again")
	}
}
