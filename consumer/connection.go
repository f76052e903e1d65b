package consumer

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

// connection is a connection that does not give up, and tells of its changes.
type connection struct {
	*nats.Conn
	changed chan struct{} // holds a token after a change until somebody has looked
}

// connect returns at once, connected or not: what is not there yet is tried for ever. An error is one of the
// configuration.
func connect(cfg Config, log zerolog.Logger) (*connection, error) {
	c := &connection{changed: make(chan struct{}, 1)}
	opts := []nats.Option{
		nats.Name("faultd"),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.PingInterval(20 * time.Second),
		nats.ConnectHandler(func(*nats.Conn) { c.tell(log.Info(), "connected") }),
		nats.ReconnectHandler(func(*nats.Conn) { c.tell(log.Info(), "connected again") }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err == nil { // it was closed from here
				c.tell(log.Debug(), "disconnected")
				return
			}
			c.tell(log.Warn().Err(err), "connection lost")
		}),
		nats.ClosedHandler(func(nc *nats.Conn) { c.tell(log.Debug().Err(nc.LastError()), "connection closed") }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			line := log.Warn().Err(err)
			if sub != nil {
				line = line.Str("subject", sub.Subject)
			}
			line.Msg("error on the connection")
		}),
	}
	if cfg.Credentials != "" {
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
		if err := c.LastError(); err != nil {
			reason += ": " + err.Error()
		}
		return &trouble{Disconnected, reason + "; it is tried again until there is one"}
	default:
		return nil
	}
}
