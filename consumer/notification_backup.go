package consumer

import (
	"strings"

	"faultd/statemachine"
)

// backup reads a notification of Cinder about one of its backups. Cinder has no type for errors: the status in
// what it sends at the end says how it went, and often nothing is sent at all.
func (n *notice) backup(t string) *refusal {
	action, at := splitType(t)
	a, restores := statemachine.ActBackup, false
	switch action {
	case "create", "createprogress", "reset_status":
	case "delete":
		a = statemachine.ActDelete
	case "restore":
		a, restores = statemachine.ActRestore, true
	default:
		return notAJob
	}
	phase := n.backupPhase(action, at)
	switch {
	case phase == 0:
		return notAJob
	case n.body == nil:
		return &refusal{statemachine.Schema, "payload: must be an object"}
	case restores:
		return n.restore(phase)
	}
	if bad := n.name(statemachine.Backup, "payload.backup_id", n.body.string("backup_id")); bad != nil {
		return bad
	}
	n.describe("display_name")
	n.e.Attributes = n.backupAttributes()
	n.backupJob(a, phase, "The "+a.String()+" failed")
	if action == "delete" && n.e.Fault != nil {
		n.e.Fault.Message = "The delete of the backup failed"
	}
	if action == "reset_status" { // a request of an operator's, about whatever job is open
		n.e.Job = ""
	}
	if percent, ok := n.body.number("backup_percent"); ok && percent >= 0 && percent <= 100 {
		n.e.Progress = int8(percent)
	}
	return nil
}

// backupPhase is the phase that a notification tells; 0 is none.
func (n *notice) backupPhase(action string, at int) statemachine.Phase {
	failed := strings.HasPrefix(n.body.string("status"), "error") // error, error_deleting
	switch {
	case action == "createprogress" && at == atOnce:
		return statemachine.PhaseProgressed
	case action == "reset_status" && at == atEnd && !failed && n.body.string("status") != "available":
		return 0
	case at == atEnd && failed:
		return statemachine.PhaseFailed
	case at == atEnd:
		return statemachine.PhaseSucceeded
	case at == atStart && action != "reset_status" && action != "createprogress":
		return statemachine.PhaseStarted
	default:
		return 0
	}
}

// backupJob fills in the job and, where it failed, why.
func (n *notice) backupJob(a statemachine.Action, p statemachine.Phase, message string) {
	n.job(a, p)
	if p == statemachine.PhaseFailed {
		n.e.Fault = &statemachine.Fault{Code: 500, Message: message,
			Details: statemachine.Clip(n.body.string("fail_reason"), statemachine.MaxDetails)}
	}
}

// restore fills in an event of a restore, which is a resource of its own by the name of its request. Without a
// request its begin and its end only have the backup in common.
func (n *notice) restore(p statemachine.Phase) *refusal {
	field, id := "payload.backup_id", n.body.string("backup_id")
	if request := n.request(); isName(request) {
		field, id = "request_id", request
	}
	if bad := n.name(statemachine.Restore, field, id); bad != nil {
		return bad
	}
	n.e.User = clipText(n.body.string("user_id"))
	n.e.Attributes = newAttributes().text("backup_id", n.body.get("backup_id")).text("volume_id", n.body.get("volume_id")).encode()
	n.backupJob(statemachine.ActRestore, p, "The restore failed")
	return nil
}
