package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/diode"
)

const (
	// logLines is how many lines of the log wait for whoever reads it. When more come, those that wait are lost.
	logLines = 4096
	// logPoll is how often it is looked for lines to write. To be woken instead is no choice: the wake can be lost, and the
	// last line before a silence would wait for the next one.
	logPoll = 10 * time.Millisecond
	// lastLimit is how long the end of the log may take, and the last words of the process.
	lastLimit = 2 * time.Second
)

// logWriter takes lines without ever waiting for whoever reads them: one who has stopped, or a pipe that is full,
// loses lines and stops nobody. Those that were lost are counted, and told to the reader as soon as there is one.
type logWriter struct {
	out     io.Writer
	lines   diode.Writer
	taken   atomic.Int64 // lines
	written atomic.Int64 // of them, with the one that is being written
	missed  atomic.Int64 // of them, as far as the writing side has noticed
}

func newLogWriter(out io.Writer) *logWriter {
	l := &logWriter{out: out}
	l.lines = diode.NewWriter(writerFunc(l.write), logLines, logPoll, l.tell)
	return l
}

// Write takes a line.
func (l *logWriter) Write(line []byte) (int, error) {
	l.taken.Add(1)
	return l.lines.Write(line)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// write waits for as long as it takes.
func (l *logWriter) write(line []byte) (int, error) {
	l.written.Add(1)
	return l.out.Write(line)
}

// tell says in the log that some of it is missing here. It is called where the lines are written.
func (l *logWriter) tell(missed int) {
	l.missed.Add(int64(missed))
	log := zerolog.New(l.out).With().Timestamp().Logger()
	log.Warn().Int("lines", missed).Msg("lines of the log are missing here: nobody read them, and there was no room for more")
}

// dropped is how many lines were lost so far, those too of which nobody could be told yet.
func (l *logWriter) dropped() int64 {
	return max(l.missed.Load(), l.taken.Load()-l.written.Load()-logLines)
}

// Describe implements [prometheus.Collector].
func (l *logWriter) Describe(out chan<- *prometheus.Desc) { out <- logDropped }

// Collect implements [prometheus.Collector].
func (l *logWriter) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(logDropped, prometheus.CounterValue, float64(l.dropped()))
}

var logDropped = prometheus.NewDesc("faultd_log_lines_dropped_total", "Lines of the log that were lost because nobody read them.", nil, nil)

// close writes what waits, for as long as the end may take. What is logged behind it is lost.
func (l *logWriter) close() {
	within(lastLimit, func() { _ = l.lines.Close() })
}

// within calls a function and waits for it that long. What takes longer goes on, and must not matter to anybody.
func within(limit time.Duration, do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

// lastWords prints what a process ends with, unless nobody takes it.
func lastWords(stderr io.Writer, lines ...string) {
	within(lastLimit, func() {
		for _, line := range lines {
			fmt.Fprintln(stderr, line)
		}
	})
}
