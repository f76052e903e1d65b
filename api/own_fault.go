package api

import (
	"net/http"
	"time"
)

// ownFault says a problem in the form of RFC 9457, which is that of /v1 and of all that has no dialect.
func ownFault(p *problem, requestID string, _ time.Time) fault {
	body := appendText([]byte{'{'}, "type", "about:blank")
	body = appendText(body, "title", http.StatusText(p.status))
	body = appendNumber(body, "status", p.status)
	body = appendText(body, "detail", p.message)
	body = appendText(body, "request_id", requestID)
	return fault{status: p.status, contentType: "application/problem+json", body: append(body, '}')}
}
