package embedded

import (
	"fmt"
	"strings"
	"sync"
	"syscall"

	"github.com/rs/zerolog"
)

// logger writes the server's log lines to ours. The server calls it from many goroutines.
type logger struct {
	log    zerolog.Logger
	failed chan struct{} // closed when the server has told that it could not write

	mu      sync.Mutex
	first   string // the first fatal line
	failure string // the first line that told that the server could not write
}

func newLogger(log zerolog.Logger) *logger {
	return &logger{log: log.With().Str("component", "nats-server").Logger(), failed: make(chan struct{})}
}

// Noticef logs what the server tells of itself. Its banner, which is indented, goes to debug.
func (l *logger) Noticef(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	text := strings.TrimSpace(line)
	if text != line || strings.HasPrefix(text, "---") || strings.HasPrefix(text, "| |") || text == "" {
		l.log.Debug().Msg(text)
		return
	}
	l.log.Info().Msg(text)
}

func (l *logger) Warnf(format string, v ...any) { l.log.Warn().Msgf(format, v...) }

// Errorf logs an error. That the server could not write is told by [Server.Err] and its log line, once: the server tells it
// at every message.
func (l *logger) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if !couldNotWrite(text) {
		l.log.Error().Msg(text)
		return
	}
	l.log.Debug().Msg(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure == "" {
		l.failure = text
		close(l.failed)
	}
}

// couldNotWrite tells whether a line says that something could not be written to the disk. After that the server takes
// nothing more for that stream until it is started again, which shows nowhere but in its log.
func couldNotWrite(line string) bool {
	return strings.Contains(line, "Critical write error") || noRoom(line)
}

// noRoom tells whether that is for want of room.
func noRoom(line string) bool {
	return strings.Contains(line, syscall.ENOSPC.Error()) || strings.Contains(line, syscall.EDQUOT.Error())
}

func (l *logger) Debugf(format string, v ...any) { l.log.Debug().Msgf(format, v...) }
func (l *logger) Tracef(format string, v ...any) { l.log.Trace().Msgf(format, v...) }

// Fatalf does not end the process, as the server expects of it: [Start] returns an error instead.
func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == "" {
		l.first = fmt.Sprintf(format, v...)
		return // Start tells it
	}
	l.log.Error().Msgf(format, v...)
}

func (l *logger) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

// unwritten is the line that said that the server could not write, empty while there is none.
func (l *logger) unwritten() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}
