package api

import (
	"net/http"
	"slices"
	"time"

	sm "faultd/statemachine"
)

// computeElements are the names of a fault's root element by status. All others are computeFault.
var computeElements = map[int]string{
	http.StatusBadRequest:            "badRequest",
	http.StatusUnauthorized:          "unauthorized",
	http.StatusForbidden:             "forbidden",
	http.StatusNotFound:              "itemNotFound",
	http.StatusMethodNotAllowed:      "badMethod",
	http.StatusRequestEntityTooLarge: overLimit,
	http.StatusUnsupportedMediaType:  "badMediaType",
	http.StatusNotImplemented:        "notImplemented",
	http.StatusServiceUnavailable:    "serviceUnavailable",
}

const overLimit = "overLimit"

// computeElement is the name of the fault that a request ends in with that status.
func computeElement(status int) string {
	if element := computeElements[status]; element != "" {
		return element
	}
	return "computeFault"
}

// asyncElement is the name of a job's fault in the same table. Four of its names can only be a job's, since they say
// what was in the way of a change: 403 of a resize, 409 while the server is being built, or resized or saved, and 503
// for want of room. meanwhile are the actions of its other jobs that were at work when it happened.
func asyncElement(code int, action sm.Action, cause sm.Cause, meanwhile []sm.Action) string {
	at := func(actions ...sm.Action) bool {
		return slices.ContainsFunc(meanwhile, func(a sm.Action) bool { return slices.Contains(actions, a) })
	}
	switch {
	case code == http.StatusForbidden && slices.Contains(resizes, action):
		return "resizeNotAllowed"
	case code == http.StatusConflict && at(sm.ActBuild, sm.ActRebuild):
		return "buildInProgress"
	case code == http.StatusConflict && at(append([]sm.Action{sm.ActSnapshot}, resizes...)...):
		return "backupOrResizeInProgress"
	case code == http.StatusServiceUnavailable && cause == sm.CauseCapacity:
		return "serverCapacityUnavailable"
	default:
		return computeElement(code)
	}
}

var resizes = []sm.Action{sm.ActResize, sm.ActConfirmResize, sm.ActRevertResize}

// computeStatus is a problem's status in the Compute API, where a limit exceeded is 413.
func computeStatus(p *problem) int {
	if p.status == http.StatusTooManyRequests {
		return http.StatusRequestEntityTooLarge
	}
	return p.status
}

// computeFault says a problem as the Compute API does.
func computeFault(p *problem, _ string, now time.Time) fault {
	status := computeStatus(p)
	f := computeFaultOf(p, status, now)
	return fault{status: status, contentType: "application/json", body: append(f.appendJSON([]byte{'{'}), '}')}
}

// computeFaultXML says the same in XML.
func computeFaultXML(p *problem, _ string, now time.Time) fault {
	status := computeStatus(p)
	f := computeFaultOf(p, status, now)
	return fault{status: status, contentType: "application/xml", body: f.append([]byte(xmlDeclaration))}
}

func computeFaultOf(p *problem, status int, now time.Time) xmlFault {
	f := xmlFault{element: computeElement(status), namespace: computeNamespace, code: status, message: p.message}
	if f.element == overLimit {
		f.retryAt = p.retryAt(now)
	}
	return f
}
