package api

import (
	"cmp"
	"strings"

	sm "faultd/statemachine"
)

// cloudError is one thing that went wrong with a backup or restore.
type cloudError struct {
	*sm.Fault
	provider string // whose part failed, or ""
	attempt  int    // that failed, or 0
}

// cloudErrorsOf are the errors of a resource in the order in which they count: those of attempts, of providers, of
// the whole job. What has completed has none: an attempt that failed before one succeeded is in its history.
func cloudErrorsOf(r *sm.Resource) (all []cloudError) {
	j := r.Job()
	switch {
	case r.Fault != nil && (j == nil || j.Fault == nil || *j.Fault != *r.Fault):
		return []cloudError{{Fault: r.Fault}} // its job is forgotten
	case j == nil || j.Phase == sm.PhaseSucceeded:
		return nil
	}
	for _, a := range j.Attempts {
		all = append(all, cloudError{Fault: a.Fault, attempt: a.Number})
	}
	attempts, open := len(all), false
	for i := range j.Providers {
		p := &j.Providers[i]
		if open = open || !p.Phase.End(); p.Fault != nil {
			all = append(all, cloudError{Fault: p.Fault, provider: p.Name})
		}
	}
	switch {
	case len(all) == attempts && j.Fault != nil:
		all = append(all, cloudError{Fault: j.Fault})
	case len(all) > attempts && j.SaidFault != nil && (open || !j.ByTime): // else the providers' ends replaced it
		all = append(all, cloudError{Fault: j.SaidFault})
	}
	return all
}

// diagnose says what a fault of a resource's job came from.
func (v *cloudView) diagnose(r *sm.Resource, f *sm.Fault, shared bool) sm.Diagnosis {
	var action sm.Action
	if j := r.Job(); j != nil {
		action = j.Action
	}
	return sm.Diagnose(r, action, f, shared)
}

// errorType is a fault's reason by its producer, else by its diagnosis.
func errorType(f *sm.Fault, d *sm.Diagnosis) string {
	return cmp.Or(f.Reason, strings.ReplaceAll(d.Cause.String(), "-", "_"))
}

// diagnostics is a diagnosis as a text.
func diagnostics(d *sm.Diagnosis) string {
	text := d.Cause.String() + ": " + d.Advice
	if d.Remark != "" {
		text += " " + d.Remark
	}
	return text
}

// appendErrorsHead appends what stands on top of errors: the fault that made it what it is, else the last of them.
func appendErrorsHead(dst []byte, all []cloudError, r *sm.Resource, v *cloudView) []byte {
	dst = appendNumber(dst, "count", len(all))
	if len(all) == 0 {
		return append(dst, `,"reason":null,"diagnostics":null`...)
	}
	f := r.Fault
	if f == nil {
		f = all[len(all)-1].Fault
	}
	d := v.diagnose(r, f, v.shared(r))
	dst = appendText(dst, "reason", errorType(f, &d))
	return appendText(dst, "diagnostics", diagnostics(&d))
}

// appendCloudErrors appends the errors of a backup or restore, all of them.
func appendCloudErrors(dst []byte, r *sm.Resource, v *cloudView) []byte {
	all := cloudErrorsOf(r)
	dst = appendErrorsHead(append(dst, '{'), all, r, v)
	dst = append(appendName(dst, "list"), '[')
	for i := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = v.appendError(appendNumber(append(dst, '{'), "index", i), r, &all[i])
	}
	return append(v.appendSelf(append(dst, ']'), "self", r, "/errors"), ']', '}')
}

func (v *cloudView) appendError(dst []byte, r *sm.Resource, e *cloudError) []byte {
	d := v.diagnose(r, e.Fault, false)
	dst = appendText(dst, "type", errorType(e.Fault, &d))
	dst = appendText(dst, "description", e.Message)
	dst = append(appendName(dst, "exception"), '{')
	dst = appendNumber(dst, "code", e.Code)
	dst = appendText(dst, "description", responseType(e.Code))
	if details := details(e.Fault, v.admin); details != "" {
		dst = appendText(dst, "details", details)
	}
	dst = appendTime(append(dst, '}'), "time", e.Created, micros)
	if e.provider != "" {
		dst = appendText(dst, "provider", e.provider)
	}
	if e.attempt != 0 {
		dst = appendNumber(dst, "attempt", e.attempt)
	}
	return append(dst, '}')
}
