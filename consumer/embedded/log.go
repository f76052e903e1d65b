package embedded

import (
	"fmt"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// logger writes the server's log lines to ours. The server calls it from many goroutines.
type logger struct {
	log zerolog.Logger

	mu    sync.Mutex
	first string // the first fatal line
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

func (l *logger) Warnf(format string, v ...any)  { l.log.Warn().Msgf(format, v...) }
func (l *logger) Errorf(format string, v ...any) { l.log.Error().Msgf(format, v...) }
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
