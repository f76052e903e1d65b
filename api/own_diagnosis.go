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
	d := sm.Diagnose(r, r.FailedAction(), r.Fault, sharedVault)
	return &d
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
	return appendDiagnosisMembers(append(appendName(dst, "diagnosis"), '{'), d)
}

// appendDiagnosisMembers appends what follows the brace that opens a diagnosis.
func appendDiagnosisMembers(dst []byte, d *sm.Diagnosis) []byte {
	dst = appendText(dst, "cause", d.Cause.String())
	dst = strconv.AppendBool(appendName(dst, "retry"), d.Retry)
	dst = appendText(dst, "advice", d.Advice)
	if d.Remark != "" {
		dst = appendText(dst, "remark", d.Remark)
	}
	return append(appendText(dst, "fingerprint", d.Fingerprint), '}')
}
