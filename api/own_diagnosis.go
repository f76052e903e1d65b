package api

import (
	"strconv"

	sm "faultd/statemachine"
)

// diagnose says what a resource's fault came from; nil where it has none.
func diagnose(r *sm.Resource, sharedVault bool) *sm.Diagnosis {
	if r.Fault == nil {
		return nil
	}
	d := sm.Diagnose(r, failedAction(r), r.Fault, sharedVault)
	return &d
}

// failedAction is what the job did that brought the resource's fault: the one that decides the status, but for a
// server that was deleted in ERROR. Where that one is forgotten, it is the job that decides.
func failedAction(r *sm.Resource) sm.Action {
	for i := len(r.Jobs) - 1; i >= 0; i-- {
		if f := r.Jobs[i].Fault; f != nil && *f == *r.Fault {
			return r.Jobs[i].Action
		}
	}
	if j := r.Job(); j != nil {
		return j.Action
	}
	return 0
}

// sharedVaults tells of resources in ERROR whether another agent writes to their vault.
func (c *call) sharedVaults() func(*sm.Resource) bool {
	shared := c.vaults()
	return func(r *sm.Resource) bool {
		return r.Fault != nil && (r.Kind == sm.Backup || r.Kind == sm.Restore) && shared(r)
	}
}

// vaults tells of resources whether another agent writes to their vault. It asks the store for no vault twice: what
// fails together is often of one.
func (c *call) vaults() func(*sm.Resource) bool {
	type writer struct{ tenant, vault, agent, host, hostID string }
	known := map[writer]bool{}
	return func(r *sm.Resource) bool {
		text := func(name string) string { return textAttribute(r.Attributes, name) }
		w := writer{r.Tenant, text("vault"), text("agent_id"), text("host"), text("hostId")}
		if w.vault == "" {
			return false
		}
		shared, asked := known[w]
		if !asked {
			shared = c.h.store.SharedVault(r)
			known[w] = shared
		}
		return shared
	}
}

// appendDiagnosis appends a diagnosis as a member, if there is one.
func appendDiagnosis(dst []byte, d *sm.Diagnosis) []byte {
	if d == nil {
		return dst
	}
	dst = append(appendName(dst, "diagnosis"), '{')
	dst = appendText(dst, "cause", d.Cause.String())
	dst = strconv.AppendBool(appendName(dst, "retry"), d.Retry)
	dst = appendText(dst, "advice", d.Advice)
	if d.Remark != "" {
		dst = appendText(dst, "remark", d.Remark)
	}
	return append(appendText(dst, "fingerprint", d.Fingerprint), '}')
}
