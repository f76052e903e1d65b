package consumer

import (
	"slices"
	"sync"

	"github.com/rs/zerolog"
)

// State is how the consumer stands to its stream. Only in [Ready] is what the store shows up to date.
type State uint8

// The states.
const (
	Starting      State = iota // nothing is known of the stream yet
	CatchingUp                 // messages that were there before are being applied, or more come than are applied
	Ready                      // what the store shows is the stream, but for the last moments
	Disconnected               // no server, or none that answers for the stream
	Gap                        // messages were gone before they were read
	Rewound                    // the stream is not the one that was applied so far
	StreamMissing              // the stream is gone
	StoreFull                  // the store has no room for more
	Failed                     // something that an operator must mend
	Draining                   // being stopped
)

var stateNames = [...]string{"STARTING", "CATCHING_UP", "READY", "DISCONNECTED", "GAP", "REWOUND", "STREAM_MISSING",
	"STORE_FULL", "FAILED", "DRAINING"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return ""
}

// Status is what the consumer says of itself.
type Status struct {
	State   State
	Reasons []string // why, and what to do; for people
	Lag     uint64   // messages of the stream that are known of and not applied
}

// trouble is a state in which nothing is read, with what to tell about it. It is the error that ends a session
// or keeps one from beginning.
type trouble struct {
	state State
	fact  string // what happened
	ways  string // what an operator can do about it
	anew  bool   // a new epoch of the store ends it
}

func (t *trouble) Error() string { return t.fact + t.ways }

// condition is the present state. Once it is [Draining] it stays.
type condition struct {
	log zerolog.Logger

	mu     sync.Mutex // guards what follows
	state  State
	reason string
}

// enter changes the state and logs the change. The same state with another reason is no change: a gap that
// grows would be logged for ever.
func (c *condition) enter(s State, reason string) {
	c.mu.Lock()
	was := c.state
	if was == Draining && s != Failed {
		c.mu.Unlock()
		return
	}
	c.state, c.reason = s, reason
	c.mu.Unlock()
	if s == was {
		return
	}
	level := zerolog.InfoLevel
	if slices.Contains([]State{Gap, Rewound, StreamMissing, StoreFull, Failed}, s) {
		level = zerolog.ErrorLevel
	} else if s == Disconnected {
		level = zerolog.WarnLevel
	}
	c.log.WithLevel(level).Str("reason", reason).Stringer("state", s).Stringer("was", was).Msg("state changed")
}

func (c *condition) now() (State, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.reason
}
