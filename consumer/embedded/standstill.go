package embedded

import (
	"errors"
	"fmt"
	"time"
)

// ErrFull is returned when the file system of the streams was found to be full, until the server runs again.
var ErrFull = errors.New("the embedded nats-server has no room for its streams")

const (
	// enough is what must be free before the server is started again. It is four of the largest blocks of a stream: room to
	// complete the batch that it was writing, and not to be full again the next moment.
	enough = 32 << 20
	// lookEvery is how often it is looked for room.
	lookEvery = 500 * time.Millisecond
	// restartEvery is how much time passes at least between two starts: where not bytes are what lacks, but inodes or a
	// quota, there seems to be room all the while.
	restartEvery = 10 * time.Second
)

// Err is why the server does not store what is published, nil while it does: [ErrFull], which passes by itself, or what an
// operator must mend. The text says what to do. Reading goes on meanwhile, but what is read may not be on the disk: a
// message that could not be written is handed out until the server is replaced. It is told here from the moment at which
// the server has noticed it, before it lets go of the stream's lock.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if line := s.current.log.unwritten(); s.trouble == nil && line != "" {
		return s.standstill(line)
	}
	return s.trouble
}

// enter changes what is in the way, and logs the change.
func (s *Server) enter(trouble error) {
	s.mu.Lock()
	was := s.trouble
	s.trouble = trouble
	s.mu.Unlock()
	switch {
	case trouble == nil:
		s.log.Info().Msg("started again: what is published is stored")
	case was == nil || was.Error() != trouble.Error():
		s.log.Error().Msg(trouble.Error())
	}
}

// tend ends the server when it is told to. A server that could not write takes nothing more for that stream as long as it
// runs, so when the reason has gone it is replaced by another one, which restores what is on the disk.
func (s *Server) tend(is *instance) {
	defer close(s.ended)
	began := time.Time{} // the first one may be replaced at once
	for is != nil {
		select {
		case <-s.stopping:
		case <-is.log.failed:
			s.enter(s.standstill(is.log.unwritten()))
			s.passes(began)
		}
		is.end()
		began = time.Now()
		is = s.again()
	}
}

// standstill is what a line means with which the server said that it could not write.
func (s *Server) standstill(line string) error {
	if noRoom(line) {
		return fmt.Errorf("%w on the file system of %s, and stores nothing of what is published (%s): free some space there; once %d MiB are free it goes on by itself",
			ErrFull, s.cfg.StoreDir, line, enough>>20)
	}
	return fmt.Errorf("the embedded nats-server could not write to %s, and stores no more of what is published (%s): see to that disk, and then start faultd again",
		s.cfg.StoreDir, line)
}

// passes returns when there is room again, or when the server is to stop. What is not for want of room does not pass: a
// disk that failed once may have lost what it said it had.
func (s *Server) passes(began time.Time) {
	for s.pause(lookEvery) {
		if !errors.Is(s.Err(), ErrFull) || time.Since(began) < restartEvery {
			continue
		}
		if free, err := s.free(s.cfg.StoreDir); err != nil || free >= enough {
			return // where nobody knows, it is tried
		}
	}
}

// again starts the next server, as often as it takes; nil if the server is to stop.
func (s *Server) again() *instance {
	for s.running() {
		next, err := launch(s.cfg)
		if err == nil {
			s.mu.Lock()
			s.current = next
			s.mu.Unlock()
			s.enter(nil)
			return next
		}
		s.enter(fmt.Errorf("after a standstill: %w; it is tried again until it starts", err))
		s.pause(lookEvery)
	}
	return nil
}

// pause waits, and tells whether the server is to go on.
func (s *Server) pause(d time.Duration) bool {
	select {
	case <-s.stopping:
		return false
	case <-time.After(d):
		return true
	}
}

// running tells whether the server is to go on.
func (s *Server) running() bool {
	select {
	case <-s.stopping:
		return false
	default:
		return true
	}
}
