package api

import (
	"net/http"
	"strings"
	"time"
)

// response is a code that the Cloud Backup API answers with.
type response struct {
	status int
	name   string // its type
	by     origin
}

// origin is how a code can come from here.
type origin uint8

const (
	byReading origin = iota + 1 // a request to this API can end in it
	byEvent                     // only a job can have met it: it stands in the errors of what failed
	byWriting                   // it is the success of a write, and there are none
)

// responses are the codes of the Cloud Backup API, all of them.
var responses = []response{
	{http.StatusOK, "OK", byReading},
	{http.StatusCreated, "Created", byWriting},
	{http.StatusAccepted, "Accepted", byWriting},
	{http.StatusNoContent, "No content", byWriting},
	{http.StatusBadRequest, "Bad Request", byReading},
	{http.StatusUnauthorized, "Unauthorized", byReading},
	{http.StatusForbidden, "Forbidden", byReading},
	{http.StatusNotFound, "Not Found", byReading},
	{http.StatusMethodNotAllowed, "Method Not Allowed", byReading},
	{http.StatusConflict, "Conflict", byEvent},
	{http.StatusInternalServerError, "Internal Server Error", byReading},
	{http.StatusNotImplemented, "Not Implemented", byReading},
	{http.StatusServiceUnavailable, "Service Unavailable", byReading},
}

// responseType is what the Cloud Backup API calls a code, or HTTP where it has none of its own.
func responseType(status int) string {
	for _, r := range responses {
		if r.status == status {
			return r.name
		}
	}
	return http.StatusText(status)
}

// cloudBackupFault says a problem as the Cloud Backup API does. A limit exceeded is 503 there. There is always an
// entry in errors, so that both kinds of clients see why: those that show them, and those that show the message.
func cloudBackupFault(p *problem, _ string, _ time.Time) fault {
	status, message := p.status, p.message
	errors := []string{message}
	switch status {
	case http.StatusTooManyRequests:
		status = http.StatusServiceUnavailable
	case http.StatusBadRequest:
		message, errors = "Validation failed.", strings.Split(message, "\n")
	}
	body := appendText([]byte{'{'}, "message", message)
	body = append(appendName(body, "errors"), '[')
	for i, text := range errors {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendString(body, text)
	}
	return fault{status: status, contentType: "application/json", body: append(body, ']', '}')}
}
