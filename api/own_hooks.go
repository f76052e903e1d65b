package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	sm "faultd/statemachine"
)

// Hooks are the alert hooks as the API shows and commands them. Any number of goroutines may call it. No text that it
// gives holds a secret. The methods that name a hook return [ErrUnknownHook], and [ErrNotDelivered] with what the
// receiver did, in words for the operator; any other error is told to the log alone.
type Hooks interface {
	// All are the hooks in the order of their file.
	All(ctx context.Context) ([]Hook, error)
	// Dead are messages that were given up, the oldest first: those behind the one with an id, or from the first for "".
	// It returns [sm.ErrUnknownMarker].
	Dead(ctx context.Context, hook, after string, limit int) ([]DeadMessage, error)
	// Test sends one message that says that it is a test, now.
	Test(ctx context.Context, hook string) error
	// Redeliver sends messages that were given up, all for "", and returns how many. It returns [ErrUnknownMessage].
	Redeliver(ctx context.Context, hook, id string) (int, error)
	// Replay sends again what was told since then, with the ids that it had, and returns how many events that is.
	Replay(ctx context.Context, hook string, since time.Time) (int, error)
}

var (
	// ErrUnknownHook is returned when there is no hook of that name.
	ErrUnknownHook = errors.New("there is no such hook")
	// ErrUnknownMessage is returned when no message of that id was given up.
	ErrUnknownMessage = errors.New("there is no such message in the dead list")
	// ErrNotDelivered is returned when a command's message did not reach its receiver, or was refused there. The text of
	// whatever wraps it is shown.
	ErrNotDelivered = errors.New("not delivered")
)

// Hook is how a hook is.
type Hook struct {
	Name, Kind string
	State      string   // active (this replica sends), elsewhere (another one does), waiting, disabled
	Reason     string   // of the state, for people; "": there is nothing to say
	Holder     string   // the replica that sends its messages; "": none does
	Targets    []string // its URLs without what may be secret in them
	Pending    uint64   // events that are still to be told, or held back
	Retrying   uint64   // messages that are to be tried again
	Dead       uint64   // messages that were given up
	Delivered  uint64   // messages, like the next since the replica that sends began to
	Suppressed uint64   // events that were not sent, since what they told of was soon over
	Succeeded  time.Time
	Failed     time.Time
	Error      string // of the last delivery that failed; "": none has
}

// DeadMessage is a message that was given up.
type DeadMessage struct {
	ID          string
	Resource    string // tenant/kind/id, that of the first of its events
	Count       int    // of its events
	Attempts    int
	First, Last time.Time // of the attempts
	Error       string    // of the last one
	Event       []byte    // what was to be delivered: a CloudEvent in JSON; nil: it is not known
}

// commandLimit is how long a command to a hook may take.
const commandLimit = 2 * time.Minute

var (
	noHook        = &problem{status: http.StatusNotFound, message: "There is no such hook."}
	noMessage     = &problem{status: http.StatusNotFound, message: "There is no such message in the hook's dead list."}
	hooksUnread   = &problem{status: http.StatusServiceUnavailable, message: "What the hooks have done cannot be read at the moment.", retry: 5 * time.Second}
	foreignOrigin = &problem{status: http.StatusForbidden, message: "A page of another origin may not command the hooks."}
)

// hookError is what a client is told of an error that a hook's method gave.
func (c *call) hookError(err error) error {
	switch {
	case errors.Is(err, sm.ErrUnknownMarker):
		return c.markerError(err)
	case errors.Is(err, ErrUnknownHook):
		return noHook
	case errors.Is(err, ErrUnknownMessage):
		return noMessage
	}
	select {
	case <-c.h.done:
		return stopping // whatever was under way
	default:
	}
	if errors.Is(err, ErrNotDelivered) {
		return &problem{status: http.StatusBadGateway, message: err.Error()}
	}
	c.h.log.Error().Err(err).Str("request_id", c.id).Str("mount", c.mount.name).Msg("a hook could not be asked")
	return hooksUnread
}

// hook is the name of the hook in the path.
func (c *call) hook() (string, error) {
	if name := c.args[0]; c.h.hooks != nil && validHook(name) {
		return name, nil
	}
	return "", noHook
}

// validHook tells whether a hook can be called that.
func validHook(name string) bool {
	return name != "" && len(name) <= 32 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func listHooks(c *call) error {
	var hooks []Hook
	if c.h.hooks != nil {
		var err error
		if hooks, err = c.h.hooks.All(c.r.Context()); err != nil {
			return c.hookError(err)
		}
	}
	body := append(appendName([]byte{'{'}, "hooks"), '[')
	for i := range hooks {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendHook(body, &hooks[i])
	}
	return c.json(append(body, ']', '}'))
}

func appendHook(dst []byte, h *Hook) []byte {
	dst = appendText(append(dst, '{'), "name", h.Name)
	dst = appendText(dst, "kind", h.Kind)
	dst = appendText(dst, "state", h.State)
	dst = appendTextOrNull(dst, "reason", h.Reason)
	dst = appendTextOrNull(dst, "holder", h.Holder)
	dst = append(appendName(dst, "targets"), '[')
	for i, target := range h.Targets {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, target)
	}
	dst = appendNumber(append(dst, ']'), "pending", h.Pending)
	dst = appendNumber(dst, "retrying", h.Retrying)
	dst = appendNumber(dst, "dead", h.Dead)
	dst = appendNumber(dst, "delivered", h.Delivered)
	dst = appendNumber(dst, "suppressed", h.Suppressed)
	dst = appendTime(dst, "last_success", since1970(h.Succeeded), precise)
	dst = appendName(dst, "last_error")
	if h.Error == "" {
		return append(append(dst, "null"...), '}')
	}
	dst = appendTime(append(dst, '{'), "time", since1970(h.Failed), precise)
	return append(appendText(dst, "message", h.Error), '}', '}')
}

// since1970 is 0 for the zero time, which is not known.
func since1970(t time.Time) sm.Time {
	if t.IsZero() {
		return 0
	}
	return sm.At(t)
}

// listDead answers with the messages of a hook that were given up. The marker is the id of a message.
func listDead(c *call) error {
	hook, err := c.hook()
	if err != nil {
		return err
	}
	limit, err := c.limit()
	if err != nil {
		return err
	}
	if c.params.Has("marker") && c.param("marker") == "" {
		return c.markerError(sm.ErrUnknownMarker)
	}
	page, err := c.h.hooks.Dead(c.r.Context(), hook, c.param("marker"), limit)
	if err != nil {
		return c.hookError(err)
	}
	body := append(appendName([]byte{'{'}, "dead"), '[')
	for i := range page {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendDead(body, &page[i])
	}
	next := ""
	if len(page) == limit && limit > 0 {
		next = c.nextAt(page[len(page)-1].ID)
	}
	return c.json(append(appendNext(append(body, ']'), next), '}'))
}

func appendDead(dst []byte, m *DeadMessage) []byte {
	dst = appendText(append(dst, '{'), "id", m.ID)
	dst = appendText(dst, "resource", m.Resource)
	dst = appendNumber(dst, "count", m.Count)
	dst = appendNumber(dst, "attempts", m.Attempts)
	dst = appendTime(dst, "first", since1970(m.First), precise)
	dst = appendTime(dst, "last", since1970(m.Last), precise)
	dst = appendText(dst, "error", m.Error)
	dst = appendName(dst, "event")
	if !json.Valid(m.Event) {
		return append(append(dst, "null"...), '}')
	}
	return append(append(dst, m.Event...), '}')
}

// command prepares for what may take longer than an answer, and refuses what a browser sends for a page from
// elsewhere: where there are no tokens, a page's script could command the hooks of whoever looks at it.
func (c *call) command() (hook string, ctx context.Context, cancel context.CancelFunc, err error) {
	if c.h.sameOrigin.Check(c.r) != nil {
		return "", nil, nil, foreignOrigin
	}
	if hook, err = c.hook(); err != nil {
		return "", nil, nil, err
	}
	// Who cannot have a deadline has no limit either.
	_ = http.NewResponseController(&c.w).SetWriteDeadline(time.Now().Add(commandLimit + c.h.writeLimit))
	ctx, leave := c.untilDone()
	ctx, stop := context.WithTimeout(ctx, commandLimit)
	return hook, ctx, func() { stop(); leave() }, nil
}

// commanded replies with how many a command was about.
func (c *call) commanded(name string, n int, err error) error {
	if err != nil {
		return c.hookError(err)
	}
	return c.json(append(appendNumber([]byte{'{'}, name, n), '}'))
}

// testHook is a command: a message that says that it is a test is sent.
func testHook(c *call) error {
	hook, ctx, cancel, err := c.command()
	if err != nil {
		return err
	}
	defer cancel()
	return c.commanded("delivered", 1, c.h.hooks.Test(ctx, hook))
}

// redeliver is a command: what was given up is sent again.
func redeliver(c *call) error {
	if c.params.Has("id") && c.param("id") == "" { // as from a script whose variable is empty: all is not what it means
		return badRequest("id must be that of a message of the dead list; without it, all of them are meant")
	}
	hook, ctx, cancel, err := c.command()
	if err != nil {
		return err
	}
	defer cancel()
	n, err := c.h.hooks.Redeliver(ctx, hook, c.param("id"))
	return c.commanded("redelivered", n, err)
}

// replayHook is a command: what was told is sent again.
func replayHook(c *call) error {
	since, ok := parseTime(c.param("since"))
	if !ok {
		return badRequest("since must be a time in ISO 8601, not [%s]", sm.Clip(c.param("since"), maxName))
	}
	hook, ctx, cancel, err := c.command()
	if err != nil {
		return err
	}
	defer cancel()
	n, err := c.h.hooks.Replay(ctx, hook, since.Std())
	return c.commanded("replayed", n, err)
}
