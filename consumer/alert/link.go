package alert

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// link is the connection to the server; it never gives up.
type link struct {
	*nats.Conn
	js     jetstream.JetStream
	bucket *bucket
}

// connect returns at once, connected or not. An error is one of the configuration.
func (a *Alerter) connect() (*link, error) {
	opts := []nats.Option{
		nats.Name("faultd hooks"),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.PingInterval(20 * time.Second),
		nats.ConnectHandler(func(*nats.Conn) { a.log.Info().Msg("connected") }),
		nats.ReconnectHandler(func(*nats.Conn) { a.log.Info().Msg("connected again") }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // else it was closed from here
				a.log.Warn().Err(err).Msg("connection lost")
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			a.log.Debug().Err(err).Msg("error on the connection")
		}),
	}
	if a.cfg.Credentials != "" { // the file is read at each attempt to connect
		opts = append(opts, nats.UserCredentials(a.cfg.Credentials))
	}
	nc, err := nats.Connect(a.cfg.URL, append(opts, a.cfg.Options...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(answerWithin))
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &link{Conn: nc, js: js, bucket: &bucket{js: js, log: a.log}}, nil
}

// linked is the connection of a running alerter.
func (a *Alerter) linked() (*link, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.link == nil || !a.link.IsConnected() {
		return nil, ErrNotConnected
	}
	return a.link, nil
}

// pause waits that long, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
