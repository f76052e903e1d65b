package api

import (
	"fmt"
	"net/http"
	"time"
)

// volumeElements are the names of a fault's root element by status. All others are instanceFault, which catches all.
var volumeElements = map[int]string{
	http.StatusBadRequest:            "badRequest",
	http.StatusUnauthorized:          "unauthorized",
	http.StatusForbidden:             "forbidden",
	http.StatusNotFound:              "itemNotFound",
	http.StatusMethodNotAllowed:      "badMethod",
	http.StatusRequestEntityTooLarge: "overLimit",
	http.StatusUnsupportedMediaType:  "badMediaType",
	http.StatusUnprocessableEntity:   "unprocessableEntity",
	http.StatusNotImplemented:        "notImplemented",
	http.StatusServiceUnavailable:    "serviceUnavailable",
}

// volumeNamespace is that of all documents in XML.
const volumeNamespace = "http://docs.openstack.org/api/openstack-block-storage/2.0/content"

// volumeProblem is a problem in the words of the Block Storage API. Several messages stand in one, a line each.
func volumeProblem(p *problem, now time.Time) xmlFault {
	f := xmlFault{namespace: volumeNamespace, code: p.status, message: p.message}
	if f.code == http.StatusTooManyRequests {
		f.code = http.StatusRequestEntityTooLarge
	}
	if f.element = volumeElements[f.code]; f.element == "" {
		f.element = "instanceFault"
	}
	if f.element == "overLimit" && p.retry > 0 {
		f.retryAt = p.retryAt(now)
		f.details = fmt.Sprintf("Ask again in %d s.", p.retrySeconds())
	}
	return f
}

// volumeFault says a problem as the Block Storage API does.
func volumeFault(p *problem, _ string, now time.Time) fault {
	f := volumeProblem(p, now)
	body := append(appendName([]byte{'{'}, f.element), '{')
	body = appendNumber(body, "code", f.code)
	body = appendText(body, "message", f.message)
	if f.details != "" {
		body = appendText(body, "details", f.details)
	}
	if f.retryAt != "" {
		body = appendText(body, "retryAt", f.retryAt)
	}
	return fault{status: f.code, contentType: "application/json", body: append(body, '}', '}')}
}

// volumeFaultXML says the same in XML.
func volumeFaultXML(p *problem, _ string, now time.Time) fault {
	f := volumeProblem(p, now)
	return fault{status: f.code, contentType: "application/xml", body: f.append([]byte(xmlDeclaration))}
}
