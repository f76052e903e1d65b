package api

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	sm "faultd/statemachine"
)

// actionNames are Nova's names for what a job does, where they differ.
var actionNames = map[sm.Action]string{
	sm.ActBuild:         "create",
	sm.ActConfirmResize: "confirmResize",
	sm.ActRevertResize:  "revertResize",
	sm.ActHardReboot:    "reboot",
	sm.ActPassword:      "changePassword",
	sm.ActSoftDelete:    "delete",
	sm.ActSnapshot:      "createImage",
}

func actionName(a sm.Action) string {
	if name := actionNames[a]; name != "" {
		return name
	}
	return a.String()
}

// The results of an event. One of a job that goes on has none yet.
const (
	resultSuccess   = "Success"
	resultError     = "Error"
	resultCancelled = "Cancelled"
)

// instanceAction is a job of a server, as Nova's os-instance-actions shows it.
type instanceAction struct {
	job     string // its id
	request string // the request's id, or the job's where that is not known
	action  sm.Action
	start   sm.Time
	updated sm.Time
	result  string
	events  []actionEvent
}

// actionEvent is a step of an action: an attempt that failed, or how it ended.
type actionEvent struct {
	start, finish sm.Time // 0: not known, or not finished
	result        string
	fault         *sm.Fault
}

// instanceActions are a server's jobs, newest first: those that it remembers, and those of which only its history
// (newest first) still tells.
func instanceActions(r *sm.Resource, history []sm.Transition) []instanceAction {
	var all []instanceAction
	for i := range r.Jobs {
		all = append(all, rememberedAction(&r.Jobs[i]))
	}
	remembered := len(all)
	for i := range history {
		row := &history[i]
		known := slices.IndexFunc(all, func(a instanceAction) bool { return a.job == row.Job && a.action == row.Action })
		switch {
		case known >= remembered: // an earlier row of an action that was added just now
			all[known].start = min(all[known].start, row.Time)
			all[known].events[0].start = all[known].start
		case known < 0:
			all = append(all, pastAction(row))
		}
	}
	slices.SortStableFunc(all, func(a, b instanceAction) int { return cmp.Compare(b.start, a.start) })
	return all
}

func rememberedAction(j *sm.Job) instanceAction {
	a := instanceAction{job: j.ID, request: cmp.Or(j.RequestID, j.ID), action: j.Action, start: j.Began,
		updated: cmp.Or(j.Ended, max(j.Latest, j.Began))}
	for _, attempt := range j.Attempts {
		a.events = append(a.events, actionEvent{finish: attempt.Fault.Created, result: resultError, fault: attempt.Fault})
	}
	switch {
	case j.Phase == sm.PhaseSucceeded:
		a.result = resultSuccess
	case j.Phase == sm.PhaseFailed, j.Phase == sm.PhaseCancelled && j.Fault != nil:
		a.result = resultError
	case j.Phase == sm.PhaseCancelled:
		a.result = resultCancelled
	}
	a.events = append(a.events, actionEvent{start: cmp.Or(j.Started, j.Began), finish: j.Ended, result: a.result, fault: j.Fault})
	return a
}

// pastAction is what the newest row of a forgotten job tells of it.
func pastAction(row *sm.Transition) instanceAction {
	result := resultSuccess
	if row.Fault != nil {
		result = resultError
	}
	return instanceAction{job: row.Job, request: cmp.Or(row.RequestID, row.Job), action: row.Action, start: row.Time, updated: row.Time,
		result: result, events: []actionEvent{{start: row.Time, finish: row.Time, result: result, fault: row.Fault}}}
}

// actions finds the server that the path names, and what was done with it.
func (c *call) actions() (r sm.Resource, all []instanceAction, err error) {
	tenant, err := c.scope(c.param("tenant"))
	if err != nil {
		return r, nil, err
	}
	if r, err = c.resource(tenant, sm.Server, c.args[0]); err != nil {
		return r, nil, err
	}
	history, _, err := c.h.store.History(r.Key)
	if err != nil && !errors.Is(err, sm.ErrNotFound) {
		return r, nil, err
	}
	return r, instanceActions(&r, history), nil
}

func listActions(c *call) error {
	r, all, err := c.actions()
	if err != nil {
		return err
	}
	if c.xml {
		return c.document(actionsXML(&r, all))
	}
	body := append(appendName([]byte{'{'}, "instanceActions"), '[')
	for i := range all {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(appendAction(append(body, '{'), &r, &all[i]), '}')
	}
	return c.document(append(body, ']', '}'))
}

// showAction answers with the newest action of that request.
func showAction(c *call) error {
	r, all, err := c.actions()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(a instanceAction) bool { return a.request == c.args[1] })
	if i < 0 {
		return &problem{status: http.StatusNotFound,
			message: "Action for request_id " + sm.Clip(c.args[1], maxName) + " on instance " + r.ID + " not found"}
	}
	if c.xml {
		return c.document(actionXML(&r, &all[i], c.admin()))
	}
	body := append(appendName([]byte{'{'}, "instanceAction"), '{')
	body = appendAction(body, &r, &all[i])
	body = append(appendName(body, "events"), '[')
	for n := range all[i].events {
		if n > 0 {
			body = append(body, ',')
		}
		body = appendActionEvent(body, &r, &all[i], n, c.admin())
	}
	return c.document(append(body, ']', '}', '}'))
}

func appendAction(dst []byte, r *sm.Resource, a *instanceAction) []byte {
	dst = appendText(dst, "action", actionName(a.action))
	dst = appendText(dst, "instance_uuid", r.ID)
	dst = appendName(dst, "message")
	if a.result == resultError {
		dst = append(dst, `"Error"`...)
	} else {
		dst = append(dst, "null"...)
	}
	dst = appendText(dst, "project_id", r.Tenant)
	dst = appendText(dst, "request_id", a.request)
	dst = appendTime(dst, "start_time", a.start, zoneless)
	dst = appendTime(dst, "updated_at", a.updated, zoneless)
	return appendText(dst, "user_id", r.User)
}

// eventName is Nova's name for each step of the action.
func (a *instanceAction) eventName() string {
	return "compute_" + strings.ReplaceAll(a.action.String(), "-", "_") + "_instance"
}

// fault is what went wrong in a step, in the form in which a request would have ended in it.
func (a *instanceAction) fault(r *sm.Resource, f *sm.Fault, admin bool) xmlFault {
	var meanwhile []sm.Action
	for i := range r.Jobs {
		j := &r.Jobs[i]
		itself := j.ID == a.job && j.Action == a.action
		if !itself && j.Began <= f.Created && (j.Ended == 0 || j.Ended >= f.Created) {
			meanwhile = append(meanwhile, j.Action)
		}
	}
	element := asyncElement(f.Code, a.action, sm.Diagnose(r, a.action, f, false).Cause, meanwhile)
	return xmlFault{element: element, namespace: computeNamespace, code: f.Code, message: f.Message, details: details(f, admin)}
}

// appendActionEvent appends a step. What went wrong is shown as far as the reader may know: the message, and for
// administrators what lies behind an internal error. Nova has no member fault.
func appendActionEvent(dst []byte, r *sm.Resource, a *instanceAction, n int, admin bool) []byte {
	e := &a.events[n]
	dst = appendText(append(dst, '{'), "event", a.eventName())
	dst = appendTime(dst, "start_time", e.start, zoneless)
	dst = appendTime(dst, "finish_time", e.finish, zoneless)
	dst = appendTextOrNull(dst, "result", e.result)
	var message, traceback string
	if e.fault != nil {
		message, traceback = e.fault.Message, details(e.fault, admin)
	}
	dst = appendTextOrNull(dst, "details", message)
	dst = appendTextOrNull(dst, "traceback", traceback)
	if e.fault != nil {
		f := a.fault(r, e.fault, admin)
		dst = append(f.appendJSON(append(appendName(dst, "fault"), '{')), '}')
	}
	return append(dst, '}')
}
