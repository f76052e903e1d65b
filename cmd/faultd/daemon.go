package main

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	oklog "github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"faultd/api"
	"faultd/consumer"
	"faultd/consumer/alert"
	"faultd/consumer/embedded"
	"faultd/statemachine"
	"faultd/storage"
)

// drainLimit is how long requests may go on after the daemon was told to stop.
const drainLimit = 5 * time.Second

// daemon is what serve runs; every part is open.
type daemon struct {
	log      zerolog.Logger
	source   *consumer.Consumer
	nats     *embedded.Server // nil: the server is another process
	server   *http.Server
	listener net.Listener
	files    []operatorFile // that SIGHUP loads again
	streams  chan struct{}  // closed when those who follow the stream of transitions must go
	keeper   *keeper        // of snapshots; nil: none are made
	alerter  *alert.Alerter // of what is told of faults; nil: there is no file of hooks
	stopping func()         // told that the daemon is about to stop
	hangup   <-chan os.Signal
}

// runDaemon opens what the daemon consists of, runs it until ctx ends or a part of it fails, and closes it. The
// order of the end: readiness falls and the consumer commits what it has read, HTTP drains, the embedded
// server stops, the store closes.
func runDaemon(ctx context.Context, s *settings, log zerolog.Logger, lines *logWriter, stopping func()) (err error) {
	hangup, ignoreHangups := hangups()
	defer ignoreHangups()
	access, err := loadAccess(s, log)
	if err != nil {
		return err
	}
	alerts, err := loadHooks(s.hooks)
	if err != nil {
		return err
	}
	step := steps()
	store, err := openStore(s, log, step)
	if err != nil {
		return err
	}
	defer func() {
		if failed := store.Close(); failed != nil {
			err = errors.Join(err, storeError{fmt.Errorf("closing the store: %w", failed)})
		}
		step("closed")
	}()
	cfg := consumer.Config{Store: store, Watched: store, Deadlines: s.deadlines.Deadlines, URL: s.natsURL, Credentials: s.natsCreds, Stream: s.stream,
		MaxAge: s.maxAge, MaxBytes: s.maxBytes, Logger: log, Step: step,
		OnGap: consumer.OnGap(s.onGap.value), OnRewind: consumer.OnRewind(s.onRewind.value),
		Outbox: store, FaultsMaxBytes: s.faultsMaxBytes, RenderFault: api.RenderFault,
		RenderDiagnosis: func(t *statemachine.Telling) []byte {
			return api.RenderDiagnosis(&t.Resource, t.Action, t.Fault, store.SharedVault(&t.Resource))
		},
		Render: func(r *statemachine.Resource) []byte { return api.Render(r, r.Fault != nil && store.SharedVault(r)) }}
	var server *embedded.Server
	if s.natsURL == "" {
		server, err = embedded.Start(embedded.Config{StoreDir: filepath.Join(s.dataDir, "nats"), Addr: s.natsAddr,
			Sync: s.natsSync, Logger: log})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Stop()) }()
		cfg.URL, cfg.Unwritten = server.URL(), server.Err
		if cfg.MaxBytes == 0 {
			cfg.MaxBytes = server.StreamBytes()
		}
		if cfg.FaultsMaxBytes == 0 {
			cfg.FaultsMaxBytes = server.FaultsBytes()
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.httpAddr)
	if err != nil {
		return fmt.Errorf("serving HTTP: %w; choose another address with --http-addr", err)
	}
	d := newDaemon(s, store, cfg, listener, access, alerts, lines)
	d.nats = server
	d.stopping, d.hangup = func() { step("stopping"); stopping() }, hangup
	log.Info().Str("version", versionText()).Str("http", access.scheme()+"://"+listener.Addr().String()).
		Str("nats", redacted(cfg.URL)).Str("data_dir", s.dataDir).Msg("serving")
	return d.run(ctx)
}

// openStore opens the store in the data directory, which it makes if need be.
func openStore(s *settings, log zerolog.Logger, step func(string)) (*storage.DB, error) {
	if err := os.MkdirAll(s.dataDir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	if err := s.snapshot.prepare(); err != nil {
		return nil, err
	}
	store, err := storage.Open(storage.Options{Path: filepath.Join(s.dataDir, "faultd.db"), Retention: s.retention, Logger: log, Step: step,
		MaxSize: int64(s.maxSize), MinFree: uint64(s.minFree)})
	switch {
	case errors.Is(err, storage.ErrInUse):
		return nil, err // there is nothing wrong with the store
	case err != nil:
		return nil, storeError{err}
	}
	if err := api.CleanSpool(s.dataDir); err != nil {
		log.Warn().Err(err).Msg("the copy of an earlier process stays where it is")
	}
	return store, nil
}

func newDaemon(s *settings, store *storage.DB, cfg consumer.Config, listener net.Listener, access *access, alerts *alerts, lines *logWriter) *daemon {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), lines)
	cfg.Registerer = registry
	d := &daemon{log: cfg.Logger, source: consumer.New(cfg), listener: listener, streams: make(chan struct{})}
	d.alerter = alerts.open(cfg, s.dataDir, store, d.source)
	handler := api.New(api.Config{Store: store, Health: d.health, Logger: cfg.Logger, Registry: registry, Done: d.streams,
		Tokens: access.tokens, Limits: access.limits,
		Retention: s.retention, Machine: statemachine.Version, Spool: s.dataDir, Hooks: hooksOf(d.alerter)})
	d.keeper = newKeeper(s.snapshot, store, cfg.Logger, registry)
	d.server = api.NewServer(listener.Addr().String(), handler)
	d.files = append(access.files(handler), alerts.files(d.alerter, cfg.Logger)...)
	d.server.TLSConfig = access.tlsConfig()
	d.server.ErrorLog = stdlog.New(cfg.Logger.With().Str("component", "http").Logger(), "", 0)
	return d
}

// health is the consumer's, unless all is well with that and the embedded server stores nothing.
func (d *daemon) health() api.Health {
	s := d.source.Status()
	h := api.Health{State: s.State.String(), Reasons: s.Reasons, Lag: s.Lag}
	if d.nats == nil {
		return h
	}
	if trouble := d.nats.Err(); trouble != nil {
		h.Reasons = append(h.Reasons, trouble.Error())
		switch s.State {
		case consumer.Starting, consumer.CatchingUp, consumer.Ready, consumer.Disconnected:
			h.State = standstill(trouble).String()
		}
	}
	return h
}

// standstill is the state of a daemon whose server stores nothing.
func standstill(trouble error) consumer.State {
	if errors.Is(trouble, embedded.ErrFull) {
		return consumer.StoreFull
	}
	return consumer.Failed
}

// run runs the parts until one of them ends. Each is told to stop without waiting for it, in the order in
// which they stand here, and every one has ended when it returns.
func (d *daemon) run(ctx context.Context) error {
	var group oklog.Group
	{ // the end, by a signal or because a part has failed
		ctx, cancel := context.WithCancel(ctx)
		group.Add(func() error {
			<-ctx.Done()
			return nil
		}, func(error) {
			d.log.Info().Msg("stopping")
			d.stopping()
			cancel()
		})
	}
	// What goes wrong while stopping counts too, and the group tells the first error alone.
	var consuming, serving error
	committed := make(chan struct{})
	{ // from the stream to the store
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		group.Add(func() error {
			defer close(committed)
			consuming = d.source.Run(ctx)
			return consuming
		}, func(error) { cancel() })
	}
	{ // from the store to whoever asks
		stop := make(chan struct{})
		group.Add(func() error {
			serving = d.serveHTTP(stop, committed)
			return serving
		}, func(error) { close(stop) })
	}
	if d.alerter != nil { // from what was told to the hooks; what the consumer tells last is still for them
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		group.Add(func() error {
			return d.alerter.Run(ctx)
		}, func(error) { go func() { <-committed; cancel() }() })
	}
	if d.keeper != nil { // from the store to copies of it
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		group.Add(func() error {
			d.keeper.run(ctx)
			return nil
		}, func(error) { cancel() })
	}
	{ // from the operator's files to what is in force
		stop := make(chan struct{})
		group.Add(func() error {
			d.reloadAt(d.hangup, stop)
			return nil
		}, func(error) { close(stop) })
	}
	first := group.Run()
	if all := errors.Join(consuming, serving); all != nil {
		return all
	}
	return first
}

// accept serves HTTP, over TLS if there is something to show there.
func (d *daemon) accept() error {
	if d.server.TLSConfig != nil {
		return d.server.ServeTLS(d.listener, "", "")
	}
	return d.server.Serve(d.listener)
}

// serveHTTP answers requests until it is told to stop and the last batch is committed: what was asked by then
// is answered.
func (d *daemon) serveHTTP(stop, committed <-chan struct{}) error {
	ended := make(chan error, 1)
	go func() { ended <- d.accept() }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving HTTP: %w", err)
	case <-stop:
	}
	<-committed
	close(d.streams)
	ctx, cancel := context.WithTimeout(context.Background(), drainLimit)
	defer cancel()
	if err := d.server.Shutdown(ctx); err != nil {
		d.log.Warn().Err(err).Msg("requests were cut short")
		_ = d.server.Close() // closes what Shutdown waited for
	}
	return nil
}
