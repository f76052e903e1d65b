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
}

func (p *problem) Error() string { return p.message }

// retrySeconds is never 0, since "now" would be no advice.
func (p *problem) retrySeconds() int { return max(1, int(math.Ceil(p.retry.Seconds()))) }

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
	wrongType        = &problem{status: http.StatusUnsupportedMediaType, message: "The media type asked for is not served."}
	foreignTenant    = &problem{status: http.StatusForbidden, message: "The tenant is not the caller's."}
	unavailable      = &problem{status: http.StatusServiceUnavailable, message: "The store cannot be read at the moment."}
	stopping         = &problem{status: http.StatusServiceUnavailable, message: "The service is stopping.", retry: 5 * time.Second}
	tooManyStreams   = &problem{status: http.StatusTooManyRequests, message: "Too many streams are open.", retry: 15 * time.Second}
	broken           = &problem{status: http.StatusInternalServerError, message: "The service failed to answer the request."}
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
