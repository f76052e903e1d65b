package consumer

import "faultd/statemachine"

// taskActions are the actions that Nova's task states belong to. Those of a build are missing: a build is known by
// the server's own state, since other actions pass through the same tasks. Hard and soft reboots are one action, as
// in [serverSteps]. Snapshots are missing because the image is not named.
var taskActions = map[string]statemachine.Action{
	"rebuilding":                    statemachine.ActRebuild,
	"rebuild_block_device_mapping":  statemachine.ActRebuild,
	"rebuild_spawning":              statemachine.ActRebuild,
	"resize_prep":                   statemachine.ActResize,
	"resize_migrating":              statemachine.ActResize,
	"resize_migrated":               statemachine.ActResize,
	"resize_finish":                 statemachine.ActResize,
	"resize_confirming":             statemachine.ActConfirmResize,
	"resize_reverting":              statemachine.ActRevertResize,
	"rebooting":                     statemachine.ActReboot,
	"reboot_pending":                statemachine.ActReboot,
	"reboot_started":                statemachine.ActReboot,
	"rebooting_hard":                statemachine.ActReboot,
	"reboot_pending_hard":           statemachine.ActReboot,
	"reboot_started_hard":           statemachine.ActReboot,
	"migrating":                     statemachine.ActMigrate,
	"updating_password":             statemachine.ActPassword,
	"pausing":                       statemachine.ActPause,
	"unpausing":                     statemachine.ActUnpause,
	"suspending":                    statemachine.ActSuspend,
	"resuming":                      statemachine.ActResume,
	"powering-off":                  statemachine.ActStop,
	"powering-on":                   statemachine.ActStart,
	"rescuing":                      statemachine.ActRescue,
	"unrescuing":                    statemachine.ActUnrescue,
	"shelving":                      statemachine.ActShelve,
	"shelving_image_pending_upload": statemachine.ActShelve,
	"shelving_image_uploading":      statemachine.ActShelve,
	"shelving_offloading":           statemachine.ActShelve,
	"unshelving":                    statemachine.ActUnshelve,
	"deleting":                      statemachine.ActDelete,
	"soft-deleting":                 statemachine.ActSoftDelete,
	"restoring":                     statemachine.ActRestore,
}

// serverUpdate reads a change of a server's state or task. Most updates are of names, tags and the like.
func (n *notice) serverUpdate() *refusal {
	change := n.body.object("state_update") // versioned
	if change == nil {
		change = n.body // legacy
	}
	state, was := change.string("state"), change.string("old_state")
	a := updatedAction(change, state, was)
	if n.body != nil && (a == 0 || n.isRename(change)) {
		return notAJob
	}
	phase := statemachine.PhaseProgressed
	if a == statemachine.ActPassword && change.string("new_task_state") == "" && state != "error" {
		phase = statemachine.PhaseSucceeded // nothing else tells that it is over
	}
	if bad := n.serverJob(a, phase, false); bad != nil {
		return bad
	}
	if state == "error" && was != "" && was != "error" {
		// Why it failed is usually told by the notification that follows, so this ends nothing.
		n.e.Fault = &statemachine.Fault{Code: 500, Message: "The server went into state error", Reason: "VM_STATE_ERROR"}
	}
	if percent, ok := n.body.number("progress"); ok && percent >= 1 && percent <= 100 {
		n.e.Progress = int8(percent)
	}
	return nil
}

// isRename tells whether an update is of the server's name alone. That is a request of its own, which must not be
// taken for the job that happens to run.
func (n *notice) isRename(change *node) bool {
	return n.body.get("old_display_name") != nil && change.string("state") == change.string("old_state") &&
		change.string("new_task_state") == change.string("old_task_state")
}

// updatedAction is the action that an update belongs to, by the task that runs, else by the one that just ended.
func updatedAction(change *node, state, was string) statemachine.Action {
	for _, task := range []string{change.string("new_task_state"), change.string("old_task_state")} {
		if a := taskActions[task]; a != 0 {
			return a
		}
	}
	switch {
	case state == "deleted" || state == "soft-delete":
		return 0
	case state == "building" || was == "building":
		return statemachine.ActBuild
	default:
		return 0
	}
}
