package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"faultd/api"
	"faultd/consumer"
	"faultd/consumer/alert"
)

// alerts are the hooks of a file.
type alerts struct {
	file  string // "": there is none
	hooks []alert.Hook
}

// loadHooks reads the file of hooks, "" for none.
func loadHooks(file string) (*alerts, error) {
	a := &alerts{file: file}
	if file == "" {
		return a, nil
	}
	var err error
	if a.hooks, err = alert.Load(file); err != nil {
		return nil, fmt.Errorf("--hooks: %w", err)
	}
	return a, nil
}

// open makes what sends to the hooks; nil: there is no file. It reads what the consumer tells.
func (a *alerts) open(cfg consumer.Config, dataDir string, store alert.Store, source *consumer.Consumer) *alert.Alerter {
	if a.file == "" {
		return nil
	}
	logHooks(cfg.Logger, a.hooks)
	replica, err := replicaName(dataDir)
	if err != nil {
		cfg.Logger.Warn().Err(err).Msg("what this daemon sends is another's, or its own again, only ten seconds after it ends without a word")
	}
	return alert.New(alert.Config{URL: cfg.URL, Credentials: cfg.Credentials, Hooks: a.hooks, Store: store, Replica: replica,
		Current: func() bool { return source.Status().State == consumer.Ready },
		Render:  cfg.Render, Version: versionText(),
		Logger: cfg.Logger, Registerer: cfg.Registerer, Step: cfg.Step})
}

func logHooks(log zerolog.Logger, hooks []alert.Hook) {
	names := make([]string, len(hooks))
	for i := range hooks {
		names[i] = hooks[i].Name
	}
	log.Info().Strs("hooks", names).Msg("hooks read")
}

// files is the file of hooks, which may change while the daemon runs.
func (a *alerts) files(alerter *alert.Alerter, log zerolog.Logger) []operatorFile {
	if alerter == nil {
		return nil
	}
	return []operatorFile{{a.file, func() error {
		again, err := loadHooks(a.file)
		if err == nil {
			logHooks(log, again.hooks)
			alerter.SetHooks(again.hooks)
		}
		return err
	}}}
}

// shownHooks are an alerter's hooks as the API shows and commands them.
type shownHooks struct{ alerter *alert.Alerter }

// hooksOf is nil where there is no alerter: the API has no hooks then.
func hooksOf(alerter *alert.Alerter) api.Hooks {
	if alerter == nil {
		return nil
	}
	return shownHooks{alerter}
}

// All shows what is known of the hooks also where the server that knows the rest of it cannot be asked.
func (h shownHooks) All(ctx context.Context) ([]api.Hook, error) {
	known, err := h.alerter.Status(ctx)
	if err != nil && len(known) == 0 {
		return nil, err
	}
	all := make([]api.Hook, len(known))
	for i := range known {
		all[i] = shownHook(&known[i])
		if err != nil && all[i].Reason == "" {
			all[i].Reason = "what it has still to do is not known: " + err.Error()
		}
	}
	return all, nil
}

func shownHook(s *alert.Status) api.Hook {
	return api.Hook{Name: s.Name, Kind: string(s.Kind), State: string(s.State), Reason: s.Reason, Holder: s.Holder, Targets: s.Targets,
		Pending: s.Pending, Retrying: s.Retrying, Dead: s.Dead, Delivered: s.Delivered, Suppressed: s.Suppressed,
		Succeeded: s.LastSuccess, Failed: s.LastFailure, Error: s.LastError}
}

func (h shownHooks) Dead(ctx context.Context, hook, after string, limit int) ([]api.DeadMessage, error) {
	dead, err := h.alerter.Dead(ctx, hook, after, limit)
	if err != nil {
		return nil, hookError(err)
	}
	page := make([]api.DeadMessage, len(dead))
	for i := range page {
		m := &dead[i]
		page[i] = api.DeadMessage{ID: m.ID, Resource: m.Resource, Count: m.Count, Attempts: m.Attempts, First: m.First, Last: m.Last, Error: m.Error, Event: m.Event}
	}
	return page, nil
}

func (h shownHooks) Test(ctx context.Context, hook string) error {
	return notDelivered(h.alerter.Test(ctx, hook))
}

func (h shownHooks) Redeliver(ctx context.Context, hook, id string) (int, error) {
	n, err := h.alerter.Redeliver(ctx, hook, id)
	if err != nil && n > 0 {
		err = fmt.Errorf("%s delivered before that: %w", howMany(n, "message"), err)
	}
	return n, notDelivered(err)
}

func (h shownHooks) Replay(ctx context.Context, hook string, since time.Time) (int, error) {
	n, err := h.alerter.Replay(ctx, hook, since)
	return n, hookError(err)
}

// hookError is an error of the alerter as the API knows it.
func hookError(err error) error {
	switch {
	case errors.Is(err, alert.ErrUnknownHook):
		return fmt.Errorf("%w: %w", api.ErrUnknownHook, err)
	case errors.Is(err, alert.ErrUnknownMessage):
		return fmt.Errorf("%w: %w", api.ErrUnknownMessage, err)
	default:
		return err
	}
}

// notDelivered is an error of a command that sends: what the receiver did.
func notDelivered(err error) error {
	for _, other := range []error{alert.ErrUnknownHook, alert.ErrUnknownMessage, alert.ErrNotConnected} {
		if errors.Is(err, other) {
			return hookError(err)
		}
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", api.ErrNotDelivered, err)
}
