package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"faultd/statemachine"
)

// ErrStore is returned when the store could not apply a batch. What of it is on disk is unknown, so the
// process must end; after a restart the position in the store tells.
var ErrStore = errors.New("the store failed")

// Store is where messages go. The consumer calls Apply from one goroutine, the others from any.
type Store interface {
	// Position is the position of the last batch that was applied, the zero Position if there was none.
	Position() statemachine.Position
	Counters() statemachine.Counters
	// Apply folds the entries, in stream order, into the store in one transaction that also moves the position
	// there and keeps the gaps that were noticed on the way, and returns when all is on disk. There may be no entries.
	// It keeps nothing of the slices, which are used again. [statemachine.ErrFull] says that nothing was applied and
	// the same may be tried again; after any other error nothing more may be applied. The durations are those of the
	// folding and of the commit.
	Apply(batch []statemachine.Entry, to statemachine.Position, gaps ...statemachine.Gap) (apply, commit time.Duration, err error)
	// NewEpoch puts the position before message first of another stream, or of this one as it is now, behind being the
	// last sequence in the stream of faults. Its errors are those of Apply.
	NewEpoch(stream string, epoch statemachine.Time, first, behind uint64) error
}

// Config is what a [Consumer] needs. Only the store is required.
type Config struct {
	Store Store

	URL         string        // of the NATS server, several with commas; empty: nats://127.0.0.1:4222
	Credentials string        // path of a credentials file; empty: none
	Options     []nats.Option // further ones, such as for TLS

	Stream   string        // empty: JOBS
	MaxAge   time.Duration // of the stream, where it is made; 0: [DefaultMaxAge]; below 0: for ever
	MaxBytes int64         // of the stream, where it is made; 0: [DefaultMaxBytes]; below 0: without limit

	BatchEvents int           // how many messages a commit may hold; 0: 16,000
	BatchBytes  int           // how many bytes of messages, though one message always fits; 0: 32 MiB
	Linger      time.Duration // how long a commit waits for more while more than BatchEvents wait in the stream; 0: 10 ms
	CheckEvery  time.Duration // between two comparisons of stream and position; 0: 5 s
	StallAfter  time.Duration // how long messages may wait in the stream without one coming; 0: 30 s

	OnGap    OnGap    // what to do when messages were gone before they were read; empty: [StopAtGap]
	OnRewind OnRewind // what to do when the stream is not the one that was applied so far; empty: [StopAtRewind]

	// Unwritten is why the server could not write what it holds to its disk, nil while it could. A nil function: it cannot be
	// asked. What is read is applied only while it returns nil.
	Unwritten func() error

	Watched   Watched          // whose silent jobs are proposed as failed; nil: nobody's
	Deadlines Deadlines        // how long they may be silent
	Now       func() time.Time // the clock that tells; nil: [time.Now]

	Outbox      Outbox                              // what is to be told to [FaultsStream]; nil: nothing is
	Render      func(*statemachine.Resource) []byte // how a resource stands there, a JSON object; required with an outbox, like the next
	RenderFault func(*statemachine.Fault) []byte    // how a fault does
	// RenderDiagnosis is what a fault that was cleared came from, a JSON object as a resource in ERROR shows it. Nil: it is not said.
	RenderDiagnosis func(*statemachine.Telling) []byte
	FaultsMaxBytes  int64 // of the stream of faults, where it is made; 0: [DefaultFaultsMaxBytes]; below 0: without limit

	Logger     zerolog.Logger        // the zero Logger writes nothing
	Registerer prometheus.Registerer // nil: no metrics
	Step       func(name string)     // told of each step that a test may end the process at; nil: nobody is
}

// withDefaults fills in what is zero.
func (cfg Config) withDefaults() Config {
	cfg.URL = cmp.Or(cfg.URL, nats.DefaultURL)
	cfg.Stream = cmp.Or(cfg.Stream, "JOBS")
	cfg.MaxAge = max(cmp.Or(cfg.MaxAge, DefaultMaxAge), 0)
	cfg.MaxBytes = max(cmp.Or(cfg.MaxBytes, DefaultMaxBytes), -1)
	cfg.FaultsMaxBytes = max(cmp.Or(cfg.FaultsMaxBytes, DefaultFaultsMaxBytes), -1)
	cfg.BatchEvents = cmp.Or(cfg.BatchEvents, 16_000)
	cfg.BatchBytes = cmp.Or(cfg.BatchBytes, 32<<20)
	cfg.Linger = cmp.Or(cfg.Linger, 10*time.Millisecond)
	cfg.CheckEvery = cmp.Or(cfg.CheckEvery, 5*time.Second)
	cfg.StallAfter = cmp.Or(cfg.StallAfter, 30*time.Second)
	if cfg.Step == nil {
		cfg.Step = func(string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Unwritten == nil {
		cfg.Unwritten = func() error { return nil }
	}
	return cfg
}

// Consumer applies a stream to a store.
type Consumer struct {
	cfg       Config
	store     Store
	log       zerolog.Logger
	metrics   *metrics
	condition condition
	lag       lag
	stall     stall

	// Only Run's goroutine uses these.
	opened     bool      // a session has begun
	doubted    time.Time // when the rewind was first seen that is not certain yet; zero: there is none
	unanswered int       // sessions in a row that ended since nothing was answered
}

// New returns a consumer, which does nothing before [Consumer.Run].
func New(cfg Config) *Consumer {
	c := &Consumer{cfg: cfg.withDefaults(), store: cfg.Store, log: cfg.Logger.With().Str("component", "consumer").Logger()}
	c.condition.log = c.log
	c.metrics = newMetrics(c)
	return c
}

// Status is the present state; any goroutine may ask.
func (c *Consumer) Status() Status {
	state, reason := c.condition.now()
	s := Status{State: state, Lag: c.lag.messages()}
	switch {
	case reason != "":
		s.Reasons = []string{reason}
	case state == CatchingUp:
		s.Reasons = []string{fmt.Sprintf("%d messages of %s are still to be applied", s.Lag, c.cfg.Stream)}
	}
	return s
}

// Run applies messages until the context ends, then commits what it has read and returns nil. It returns an
// error if it cannot go on: [ErrStore] at once when the store failed; [ErrSubjects] if the stream that it finds
// at its start is not fit; [ErrStalled]; or when the connection was closed for good. Whatever else is wrong is a state
// that lasts until it is mended. Run is called once.
func (c *Consumer) Run(ctx context.Context) error {
	if c.cfg.Registerer != nil {
		if err := c.cfg.Registerer.Register(c.metrics); err != nil {
			return fmt.Errorf("registering the consumer's metrics: %w", err)
		}
	}
	conn, err := connect(c.cfg, c.log)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop, err := c.startWatchdog(ctx, conn)
	if err != nil {
		return err
	}
	defer stop()
	stopTelling, err := c.startTelling(ctx, conn)
	if err != nil {
		return err
	}
	defer stopTelling()

	for failures := 0; ; failures++ {
		before, began := c.lag.position.Load(), time.Now()
		err := c.session(ctx, conn)
		if errors.Is(err, errStalled) && ctx.Err() == nil {
			err = errors.Join(err, c.revive(conn.Conn))
		}
		if c.final(err) {
			c.condition.enter(Failed, err.Error())
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if c.lag.position.Load() != before || time.Since(began) > c.cfg.CheckEvery {
			failures = 0
		}
		c.hearAgain(conn, err)
		c.wait(ctx, conn, c.judge(err, conn.denied(began), failures))
	}
}

// final tells whether what ended a session ends the consumer.
func (c *Consumer) final(err error) bool {
	return errors.Is(err, ErrStore) || errors.Is(err, ErrStalled) || errors.Is(err, errClosed) || errors.Is(err, ErrSubjects) && !c.opened
}

// judge makes a state of what ended a session, and says how long to wait before the next. What the server denied during
// the session may be why: it tells that apart from the request, which is not answered.
func (c *Consumer) judge(err, denied error, failures int) time.Duration {
	again := min(50*time.Millisecond<<min(failures, 10), c.cfg.CheckEvery)
	var t *trouble
	switch {
	case errors.As(err, &t) && c.passes(t) && failures == 0:
		c.log.Info().Str("reason", t.fact).Msg("reading begins anew")
		return 0
	case errors.As(err, &t):
		c.condition.enter(t.state, t.Error())
		return c.cfg.CheckEvery
	case errors.Is(err, ErrSubjects):
		c.condition.enter(Failed, err.Error())
		return c.cfg.CheckEvery
	case denied != nil:
		c.condition.enter(Disconnected, fmt.Sprintf("NATS does not let faultd read the stream: %v (%v); allow its user that, it is tried again until it works", denied, err))
		return c.cfg.CheckEvery
	case errors.Is(err, errBroken) && failures == 0, errors.Is(err, errStalled):
		c.log.Info().Err(err).Msg("reading begins anew")
		return 0
	default:
		c.condition.enter(Disconnected, "NATS does not serve the stream: "+err.Error()+"; it is tried again until it does")
		return again
	}
}

// wait waits for that long, or until the connection has changed or the context has ended.
func (c *Consumer) wait(ctx context.Context, conn *connection, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-conn.changed:
	case <-time.After(d):
	}
}
