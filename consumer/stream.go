package consumer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"faultd/statemachine"
)

// Subjects are what the job stream must hold: job events, and notifications.
var Subjects = []string{"jobs.>", "openstack.>"}

// ErrSubjects is returned when the stream exists and does not take every subject of [Subjects].
var ErrSubjects = errors.New("the stream lacks a subject")

// The limits of a stream that is made where the configuration names none.
const (
	DefaultMaxAge   = 7 * 24 * time.Hour
	DefaultMaxBytes = 10 << 30
)

// open finds the stream. Only a store without a position may have it made: where one has a position, an absent
// stream is lost, and an empty one in its place would hide that. An existing stream is left as it is.
func (c *Consumer) open(ctx context.Context, js jetstream.JetStream, pos statemachine.Position) (jetstream.Stream, error) {
	name := c.cfg.Stream
	stream, err := js.Stream(ctx, name)
	switch {
	case err == nil:
		return stream, lacks(stream.CachedInfo().Config)
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("looking for stream %s: %w", name, err)
	case pos.Stream == name:
		return nil, missing(name)
	case pos.Stream != "":
		return nil, renamed(name, pos.Stream)
	}
	stream, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name:               name,
		Description:        "job events, the log that faultd applies",
		Subjects:           Subjects,
		Storage:            jetstream.FileStorage,
		MaxAge:             c.cfg.MaxAge,
		MaxBytes:           c.cfg.MaxBytes,
		AllowAtomicPublish: true,
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return c.open(ctx, js, pos) // another faultd was faster
	}
	if err != nil {
		return nil, fmt.Errorf("making stream %s: %w", name, err)
	}
	c.log.Info().Str("stream", name).Dur("max_age", c.cfg.MaxAge).Int64("max_bytes", c.cfg.MaxBytes).Msg("stream made")
	return stream, nil
}

// lacks tells which subject a stream misses. A mirror has none of its own and takes what its origin has.
func lacks(cfg jetstream.StreamConfig) error {
	if cfg.Mirror != nil {
		return nil
	}
	for _, want := range Subjects {
		found := false
		for _, has := range cfg.Subjects {
			found = found || covers(has, want)
		}
		if !found {
			return fmt.Errorf("stream %s has the subjects %s and not %s: %w; add it (nats stream edit %s), or name another stream with --stream",
				cfg.Name, strings.Join(cfg.Subjects, ", "), want, ErrSubjects, cfg.Name)
		}
	}
	return nil
}

// covers tells whether every subject that matches want matches has as well; want is one of [Subjects].
func covers(has, want string) bool {
	h, w := strings.Split(has, "."), strings.Split(want, ".")
	for i := range h {
		switch {
		case h[i] == ">":
			return true
		case i >= len(w) || w[i] == ">":
			return false
		case h[i] != "*" && h[i] != w[i]:
			return false
		}
	}
	return len(h) == len(w)
}
