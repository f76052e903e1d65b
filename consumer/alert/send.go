package alert

import (
	"context"
	"errors"
	"time"
)

// sender sends the messages of one hook. Several goroutines may use it at once.
type sender interface {
	// send returns nil when the message is delivered. An error is for people: it holds no secret. It may be, or wrap,
	// errGone, errRefused or a *later; after any of them but errGone it may be tried again.
	send(ctx context.Context, m *message) error
	// close gives up the connections that no request uses.
	close()
}

// errGone is returned when the receiver wants nothing more (HTTP 410): the hook is to be disabled.
var errGone = errors.New("the receiver wants no more messages (410): the hook is disabled")

// errRefused is returned when the receiver refuses the message itself. Trying again helps only if somebody changes
// the receiver or the hook meanwhile.
var errRefused = errors.New("refused: it is tried again on schedule, should the receiver or the hook be changed")

// later is returned when the receiver asks to be left alone for a while.
type later struct {
	After time.Duration // 0 to maxLater
	err   error
}

func (l *later) Error() string { return l.err.Error() }
func (l *later) Unwrap() error { return l.err }

// maxLater is the longest that a receiver may ask for.
const maxLater = time.Hour

// newSender makes the sender of a hook; version is faultd's own.
func newSender(h *Hook, version string) sender {
	c := newClient(h, version)
	switch h.Kind {
	case Alertmanager:
		return newAlertSender(h, c)
	case Slack:
		return &slackSender{hook: h, client: c}
	case PagerDuty:
		return &pagerDutySender{hook: h, client: c}
	default:
		return &webhookSender{hook: h, client: c, now: time.Now}
	}
}
