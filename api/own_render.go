package api

import sm "faultd/statemachine"

// Render is a resource as /v1 shows it to an administrator: a JSON object. sharedVault is what the store tells of the
// resource's vault; its diagnosis depends on it.
func Render(r *sm.Resource, sharedVault bool) []byte {
	return appendResource(make([]byte, 0, 1024), r, diagnose(r, sharedVault), true)
}

// RenderFault is a fault as /v1 shows it to an administrator: a JSON object.
func RenderFault(f *sm.Fault) []byte {
	return append(appendOwnFaultMembers([]byte{'{'}, f, true), '}')
}

// RenderDiagnosis is what /v1 shows of where a fault of an action on a resource came from: a JSON object.
func RenderDiagnosis(r *sm.Resource, a sm.Action, f *sm.Fault, sharedVault bool) []byte {
	d := sm.Diagnose(r, a, f, sharedVault)
	return appendDiagnosisMembers([]byte{'{'}, &d)
}

// appendResource appends a resource and, beside its fault, what is thought of that; d is nil where there is none.
func appendResource(dst []byte, r *sm.Resource, d *sm.Diagnosis, admin bool) []byte {
	dst = appendKey(append(dst, '{'), &r.Key)
	if r.User != "" {
		dst = appendText(dst, "user_id", r.User)
	}
	dst = appendText(dst, "name", r.Name)
	dst = appendText(dst, "status", r.Status.String())
	dst = appendNumber(dst, "progress", r.Progress())
	dst = appendTime(dst, "created", r.Created, precise)
	dst = appendTime(dst, "updated", r.Updated, precise)
	dst = appendName(dst, "attributes")
	if len(r.Attributes) == 0 {
		dst = append(dst, '{', '}')
	} else {
		dst = append(dst, r.Attributes...)
	}
	if j := r.Job(); j != nil {
		dst = appendJob(dst, j, admin)
	}
	dst = appendDiagnosis(appendOwnFault(dst, "fault", r.Fault, admin), d)
	dst = appendOwnFault(dst, "warning", r.Warning(), admin)
	return append(appendNumber(dst, "sequence", r.Sequence), '}')
}

func appendKey(dst []byte, k *sm.Key) []byte {
	dst = appendText(dst, "kind", k.Kind.String())
	dst = appendText(dst, "id", k.ID)
	return appendText(dst, "tenant_id", k.Tenant)
}

// appendJob appends the job that a resource's status is about, and beside it what its attempts and its providers
// came to.
func appendJob(dst []byte, j *sm.Job, admin bool) []byte {
	dst = append(appendName(dst, "job"), '{')
	dst = appendJobName(dst, j.ID, j.Action, j.RequestID)
	dst = appendText(dst, "phase", j.Phase.String())
	if j.Started != 0 {
		dst = appendTime(dst, "started", j.Started, precise)
	}
	if j.Ended != 0 {
		dst = appendTime(dst, "ended", j.Ended, precise)
	}
	dst = append(dst, '}')
	if len(j.Attempts) > 0 {
		dst = append(appendName(dst, "attempts"), '[')
		for i, a := range j.Attempts {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendNumber(append(dst, '{'), "number", a.Number)
			dst = append(appendOwnFault(dst, "fault", a.Fault, admin), '}')
		}
		dst = append(dst, ']')
	}
	return appendProviders(dst, j.Providers, admin)
}

func appendProviders(dst []byte, providers []sm.Provider, admin bool) []byte {
	if len(providers) == 0 {
		return dst
	}
	dst = append(appendName(dst, "providers"), '[')
	for i := range providers {
		p := &providers[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, '{'), "name", p.Name)
		dst = appendTextOrNull(dst, "phase", p.Phase.String())
		dst = append(appendOwnFault(dst, "fault", p.Fault, admin), '}')
	}
	return append(dst, ']')
}

func appendJobName(dst []byte, id string, action sm.Action, request string) []byte {
	dst = appendText(dst, "id", id)
	dst = appendText(dst, "action", action.String())
	if request != "" {
		dst = appendText(dst, "request_id", request)
	}
	return dst
}

// appendOwnFault appends a fault as a member, if there is one.
func appendOwnFault(dst []byte, name string, f *sm.Fault, admin bool) []byte {
	if f == nil {
		return dst
	}
	return append(appendOwnFaultMembers(append(appendName(dst, name), '{'), f, admin), '}')
}

func appendOwnFaultMembers(dst []byte, f *sm.Fault, admin bool) []byte {
	dst = appendFaultMembers(dst, f, admin)
	if f.Reason != "" {
		dst = appendText(dst, "reason", f.Reason)
	}
	if f.ErrorCode != "" {
		dst = appendText(dst, "error_code", f.ErrorCode)
	}
	return dst
}

// appendTransition appends the members of a row of history.
func appendTransition(dst []byte, t *sm.Transition, admin bool) []byte {
	dst = appendNumber(dst, "sequence", t.Sequence)
	dst = appendTime(dst, "time", t.Time, precise)
	dst = append(appendName(dst, "job"), '{')
	dst = append(appendJobName(dst, t.Job, t.Action, t.RequestID), '}')
	dst = appendText(dst, "from", t.From.String())
	dst = appendText(dst, "to", t.To.String())
	return appendOwnFault(dst, "fault", t.Fault, admin)
}
