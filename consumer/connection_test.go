package consumer

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

// What faultd may not do beside reading keeps it from nothing.
func TestConnection_DenialsThatMatter(t *testing.T) {
	for text, matters := range map[string]bool{
		`Permissions Violation for Publish to "$JS.API.STREAM.INFO.JOBS"`:               true,
		`Permissions Violation for Publish to "$JS.API.STREAM.MSG.GET.JOBS"`:            true,
		`Permissions Violation for Publish to "$JS.API.CONSUMER.MSG.NEXT.JOBS.x"`:       true,
		`Permissions Violation for Subscription to "_INBOX.abc.*"`:                      true,
		`Permissions Violation for Publish to "$JS.API.STREAM.INFO.FAULTS"`:             false,
		`Permissions Violation for Publish to "$JS.API.STREAM.MSG.GET.FAULTS"`:          false,
		`Permissions Violation for Publish to "faults.t.server.s.raised"`:               false,
		`Permissions Violation for Publish to "jobs.t.server.JS-API.failed"`:            false,
		`Permissions Violation for Publish to "$JS.API.CONSUMER.DURABLE.CREATE.FAULTS"`: false,
	} {
		c := &connection{changed: make(chan struct{}, 1), logged: map[string]time.Time{}}
		began := time.Now()
		err := fmt.Errorf("%w: %s", nats.ErrPermissionViolation, text)
		c.complain(nil, nil, err)
		if denied := c.denied(began); (denied != nil) != matters || matters && !errors.Is(denied, err) || matters != (len(c.changed) == 1) {
			t.Errorf("%s: %v, %d changes", text, denied, len(c.changed))
		}
		if c.denied(time.Now().Add(time.Second)) != nil {
			t.Errorf("%s: it counts for what came later", text)
		}
	}
}

// An error that goes on and on is one line, and comes again when it lasts.
func TestConnection_LogsOnce(t *testing.T) {
	log := make(lineLog, 1000)
	c := &connection{changed: make(chan struct{}, 1), logged: map[string]time.Time{}, log: zerolog.New(log)}
	for range 500 {
		c.complain(nil, nil, nats.ErrAuthorization)
		c.complain(nil, nil, nats.ErrAuthExpired)
	}
	if len(log) != 2 {
		t.Errorf("%d lines", len(log))
	}
	if !c.news(nats.ErrAuthorization.Error(), time.Now().Add(logAgain)) {
		t.Error("it is never logged again")
	}
	for n := range 1000 {
		c.complain(nil, nil, fmt.Errorf("error %d", n))
	}
	if len(c.logged) > 100 {
		t.Errorf("%d errors are remembered", len(c.logged))
	}
}
