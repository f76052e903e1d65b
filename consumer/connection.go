package consumer

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// connection is a connection that does not give up, and tells of its changes.
type connection struct {
	*nats.Conn
	changed chan struct{} // holds a token after a change until somebody has looked
	log     zerolog.Logger

	mu     sync.Mutex // guards what follows
	dialed error      // why the last attempt to connect failed; nil after one that did not
	denial denial
	logged map[string]time.Time // when an error was last logged
}

// denial is what the server said last that faultd may not do, of what it takes to read.
type denial struct {
	err error
	at  time.Time
}

// connect returns at once, connected or not: what is not there yet is tried for ever. An error is one of the
// configuration.
func connect(cfg Config, log zerolog.Logger) (*connection, error) {
	c := &connection{changed: make(chan struct{}, 1), log: log, logged: map[string]time.Time{}}
	opts := []nats.Option{
		nats.Name("faultd"),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.PingInterval(20 * time.Second),
		nats.ConnectHandler(func(*nats.Conn) { c.failed(nil); c.tell(log.Info(), "connected") }),
		nats.ReconnectHandler(func(*nats.Conn) { c.failed(nil); c.tell(log.Info(), "connected again") }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err == nil { // it was closed from here
				c.tell(log.Debug(), "disconnected")
				return
			}
			c.tell(log.Warn().Err(err), "connection lost")
		}),
		nats.ClosedHandler(func(nc *nats.Conn) { c.tell(log.Debug().Err(nc.LastError()), "connection closed") }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { c.failed(err) }),
		nats.ErrorHandler(c.complain),
	}
	if cfg.Credentials != "" { // the file is read at each attempt to connect: what it holds may change
		opts = append(opts, nats.UserCredentials(cfg.Credentials))
	}
	nc, err := nats.Connect(cfg.URL, append(opts, cfg.Options...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	c.Conn = nc
	return c, nil
}

// Connect connects a command that does something once and gives up: it fails at once where no server is there.
func Connect(url, credentials string) (*nats.Conn, error) {
	opts := []nats.Option{nats.Name("faultd")}
	if credentials != "" {
		opts = append(opts, nats.UserCredentials(credentials))
	}
	nc, err := nats.Connect(url, opts...)
	if errors.Is(err, nats.ErrNoServers) {
		return nil, fmt.Errorf("no NATS server answers: start faultd serve, which runs one, or name another with --nats-url: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	return nc, nil
}

// tell wakes whoever waits for a change, and logs it.
func (c *connection) tell(line *zerolog.Event, msg string) {
	line.Msg(msg)
	signal(c.changed)
}

// failed keeps why there is no connection: the library forgets it while it waits to try again.
func (c *connection) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialed = err
}

// complain takes what went wrong beside all requests.
func (c *connection) complain(_ *nats.Conn, sub *nats.Subscription, err error) {
	c.mu.Lock()
	reading := errors.Is(err, nats.ErrPermissionViolation) && concernsReading(err.Error())
	if reading {
		c.denial = denial{err, time.Now()}
	}
	news := c.news(err.Error(), time.Now())
	c.mu.Unlock()
	if reading {
		signal(c.changed)
	}
	if !news {
		return
	}
	line := c.log.Warn().Err(err)
	if sub != nil {
		line = line.Str("subject", sub.Subject)
	}
	line.Msg("error on the connection")
}

// concernsReading tells whether a permissions violation keeps faultd from reading the job stream. What it may not
// publish, and what it asks of the stream of faults, is the matter of whoever does that.
func concernsReading(violation string) bool {
	return strings.Contains(violation, "Subscription to") ||
		strings.Contains(violation, jetstream.DefaultAPIPrefix) && !strings.Contains(violation, "."+FaultsStream)
}

// logAgain is after how long an error on the connection is logged that goes on and on.
const logAgain = time.Minute

// news tells whether an error is to be logged. The caller holds mu.
func (c *connection) news(text string, now time.Time) bool {
	if at, known := c.logged[text]; known && now.Sub(at) < logAgain {
		return false
	}
	if len(c.logged) >= 100 {
		clear(c.logged)
	}
	c.logged[text] = now
	return true
}

// denied is what the server has denied since then that it takes to read, or nil. It says so apart from the request, which
// is never answered.
func (c *connection) denied(since time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.denial.err == nil || c.denial.at.Before(since) {
		return nil
	}
	return c.denial.err
}

// why is what is known of why there is no connection, nil for nothing.
func (c *connection) why() error {
	if err := c.LastError(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dialed
}

// errClosed is returned when the connection is closed for good.
var errClosed = errors.New("the connection to NATS is closed for good")

// usable is nil while the connection stands.
func (c *connection) usable() error {
	switch {
	case c.IsClosed():
		if err := c.LastError(); err != nil {
			return fmt.Errorf("%w: %w", errClosed, err)
		}
		return errClosed
	case !c.IsConnected():
		reason := "no connection to NATS"
		if err := c.why(); err != nil {
			reason += ": " + err.Error()
		}
		return &trouble{state: Disconnected, fact: reason, ways: "; it is tried again until there is one"}
	default:
		return nil
	}
}
