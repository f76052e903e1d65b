package api

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	sm "faultd/statemachine"
)

// problem is why a request is not answered as it was meant to be. What it means is decided here, how it looks by
// the dialects.
type problem struct {
	status  int           // of HTTP; 429 is a limit exceeded, which some dialects call otherwise
	message string        // for the client
	allow   string        // the methods that the path has, with 405
	retry   time.Duration // when it makes sense to ask again; 0: not said
	code    string        // of backup management; "": it has none for this
}

func (p *problem) Error() string { return p.message }

// retrySeconds is never 0, since "now" would be no advice.
func (p *problem) retrySeconds() int { return max(1, int(math.Ceil(p.retry.Seconds()))) }

// retryAt is when it makes sense to ask again, "" where that is not said.
func (p *problem) retryAt(now time.Time) string {
	if p.retry <= 0 {
		return ""
	}
	return now.Add(time.Duration(p.retrySeconds()) * time.Second).UTC().Format(seconds)
}

// dialect renders a problem: pure, given the request's id and the time.
type dialect func(p *problem, requestID string, now time.Time) fault

// fault is a problem as a dialect says it.
type fault struct {
	status      int
	contentType string
	body        []byte
}

var (
	notFound         = &problem{status: http.StatusNotFound, message: "The resource could not be found."}
	notImplemented   = &problem{status: http.StatusNotImplemented, message: "This is not implemented: faultd follows resources and their faults, and is read only."}
	methodNotAllowed = &problem{status: http.StatusMethodNotAllowed, message: "The method is not allowed: faultd is read only.", allow: "GET, HEAD"}
	commandByPost    = &problem{status: http.StatusMethodNotAllowed, message: "The method is not allowed: this is a command, which is given with POST.", allow: "POST"}
	wrongType        = &problem{status: http.StatusUnsupportedMediaType, message: "The media type asked for is not served."}
	foreignTenant    = &problem{status: http.StatusForbidden, message: "The tenant is not the caller's."}
	noToken          = &problem{status: http.StatusUnauthorized, message: "A token is needed, as X-Auth-Token or as Authorization: Bearer."}
	twoTokens        = &problem{status: http.StatusUnauthorized, message: "There are two different tokens: send one."}
	badToken         = &problem{status: http.StatusUnauthorized, message: "The token is not valid."}
	notForYou        = &problem{status: http.StatusForbidden, message: "The token does not allow this."}
	longURL          = &problem{status: http.StatusRequestURITooLong, message: "The address is too long."}
	longHeader       = &problem{status: http.StatusRequestHeaderFieldsTooLarge, message: "The header fields are too large."}
	busy             = &problem{status: http.StatusServiceUnavailable, message: "Too many requests are being answered.", retry: time.Second}
	unavailable      = &problem{status: http.StatusServiceUnavailable, message: "The store cannot be read at the moment."}
	stopping         = &problem{status: http.StatusServiceUnavailable, message: "The service is stopping.", retry: 5 * time.Second}
	tooManyStreams   = &problem{status: http.StatusTooManyRequests, message: "Too many streams are open.", retry: 15 * time.Second}
	broken           = &problem{status: http.StatusInternalServerError, message: "The server has either erred or is incapable of performing the requested operation."}
)

func badRequest(format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...)}
}

// problem is what an error comes to for a client, who sees nothing of what is inside.
func (c *call) problem(err error) *problem {
	var p *problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, sm.ErrNotFound):
		return notFound
	case errors.Is(err, sm.ErrUnknownMarker):
		return badRequest("marker is not known")
	case c.w.status != 0:
		c.h.log.Debug().Err(err).Str("request_id", c.id).Msg("an answer was cut short")
		return broken
	}
	c.h.log.Error().Err(err).Str("request_id", c.id).Str("mount", c.mount.name).Msg("the store could not be read")
	return unavailable
}
