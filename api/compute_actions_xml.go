package api

import sm "faultd/statemachine"

// The forms that Nova had for what was done with a server, as long as it spoke XML: all attributes, in no namespace.
// What JSON says is null is left out.

func actionsXML(r *sm.Resource, all []instanceAction) []byte {
	dst := []byte(xmlDeclaration + "<instanceActions>")
	for i := range all {
		dst = append(appendActionXML(append(dst, "<instanceAction"...), r, &all[i]), '/', '>')
	}
	return appendEnd(dst, "instanceActions")
}

func actionXML(r *sm.Resource, a *instanceAction, admin bool) []byte {
	dst := append(appendActionXML([]byte(xmlDeclaration+"<instanceAction"), r, a), '>')
	for i := range a.events {
		dst = appendActionEventXML(dst, r, a, &a.events[i], admin)
	}
	return appendEnd(dst, "instanceAction")
}

// appendActionXML appends the attributes of an action.
func appendActionXML(dst []byte, r *sm.Resource, a *instanceAction) []byte {
	dst = appendAttribute(dst, "action", actionName(a.action))
	dst = appendAttribute(dst, "instance_uuid", r.ID)
	if a.result == resultError {
		dst = appendAttribute(dst, "message", "Error")
	}
	dst = appendAttribute(dst, "project_id", r.Tenant)
	dst = appendAttribute(dst, "request_id", a.request)
	dst = appendTimeAttribute(dst, "start_time", a.start, zoneless)
	dst = appendTimeAttribute(dst, "updated_at", a.updated, zoneless)
	return appendAttribute(dst, "user_id", r.User)
}

// appendActionEventXML appends a step, with what went wrong as an element of the schema of faults.
func appendActionEventXML(dst []byte, r *sm.Resource, a *instanceAction, e *actionEvent, admin bool) []byte {
	dst = appendAttribute(append(dst, "<events"...), "event", a.eventName())
	dst = appendTimeAttribute(dst, "start_time", e.start, zoneless)
	dst = appendTimeAttribute(dst, "finish_time", e.finish, zoneless)
	if e.result != "" {
		dst = appendAttribute(dst, "result", e.result)
	}
	if e.fault == nil {
		return append(dst, '/', '>')
	}
	dst = appendAttribute(dst, "details", e.fault.Message)
	if traceback := details(e.fault, admin); traceback != "" {
		dst = appendAttribute(dst, "traceback", traceback)
	}
	f := a.fault(r, e.fault, admin)
	return appendEnd(f.append(append(dst, '>')), "events")
}
