package api

import (
	"net/http"
	"time"
)

// computeElements are the names of a fault's root element by status. All others are computeFault.
var computeElements = map[int]string{
	http.StatusBadRequest:            "badRequest",
	http.StatusUnauthorized:          "unauthorized",
	http.StatusForbidden:             "forbidden",
	http.StatusNotFound:              "itemNotFound",
	http.StatusMethodNotAllowed:      "badMethod",
	http.StatusConflict:              "conflictingRequest",
	http.StatusRequestEntityTooLarge: "overLimit",
	http.StatusUnsupportedMediaType:  "badMediaType",
	http.StatusNotImplemented:        "notImplemented",
	http.StatusServiceUnavailable:    "serviceUnavailable",
}

// computeFault says a problem as the Compute API does. A limit exceeded is 413 there.
func computeFault(p *problem, _ string, now time.Time) fault {
	status := p.status
	if status == http.StatusTooManyRequests {
		status = http.StatusRequestEntityTooLarge
	}
	element := computeElements[status]
	if element == "" {
		element = "computeFault"
	}
	body := append(appendName([]byte{'{'}, element), '{')
	body = appendNumber(body, "code", status)
	body = appendText(body, "message", p.message)
	if p.retry > 0 && element == "overLimit" {
		at := now.Add(time.Duration(p.retrySeconds()) * time.Second)
		body = appendText(body, "retryAt", at.UTC().Format(seconds))
	}
	return fault{status: status, contentType: "application/json", body: append(body, '}', '}')}
}
