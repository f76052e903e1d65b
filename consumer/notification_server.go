package consumer

import (
	"cmp"
	"strings"

	"faultd/statemachine"
)

// step is what the notifications of one of Nova's actions mean for a job, by the phase that ends their type.
// The zero phase means nothing.
type step struct {
	action             statemachine.Action
	start, end, atOnce statemachine.Phase
}

// wholeJob is a step that is all of its job.
func wholeJob(a statemachine.Action) step {
	return step{action: a, start: statemachine.PhaseStarted, end: statemachine.PhaseSucceeded}
}

// firstStep is the step that a job of several begins with.
func firstStep(a statemachine.Action) step {
	return step{action: a, start: statemachine.PhaseStarted, end: statemachine.PhaseProgressed}
}

// lastStep is the step that a job of several ends with.
func lastStep(a statemachine.Action) step {
	return step{action: a, start: statemachine.PhaseProgressed, end: statemachine.PhaseSucceeded}
}

// requested is a step that is over when it is told: somebody asked for the action.
func requested(a statemachine.Action) step {
	return step{action: a, atOnce: statemachine.PhaseAccepted}
}

// serverSteps are Nova's actions under the names of both its formats: after "instance." in versioned
// notifications, and, where that differs, after "compute.instance." in legacy ones.
//
// Whatever is not here says nothing of a job, or nothing that another type does not say better: shutdown is a
// part of a delete, live_migration_abort and _force_complete are requests about a job and not the job, exists is
// accounting, and attaching volumes, interfaces and shares is no action of ours.
var serverSteps = map[string]step{
	"create":      wholeJob(statemachine.ActBuild),
	"delete":      wholeJob(statemachine.ActDelete),
	"soft_delete": wholeJob(statemachine.ActSoftDelete),
	"restore":     wholeJob(statemachine.ActRestore),
	"power_off":   wholeJob(statemachine.ActStop),
	"power_on":    wholeJob(statemachine.ActStart),
	"pause":       wholeJob(statemachine.ActPause),
	"unpause":     wholeJob(statemachine.ActUnpause),
	"suspend":     wholeJob(statemachine.ActSuspend),
	"resume":      wholeJob(statemachine.ActResume),
	"rescue":      wholeJob(statemachine.ActRescue),
	"unrescue":    wholeJob(statemachine.ActUnrescue),
	"shelve":      wholeJob(statemachine.ActShelve),
	"unshelve":    wholeJob(statemachine.ActUnshelve),

	// The same request often offloads what it shelved, and then this says nothing new; offloading later on is a
	// request of its own, after which the status is right at last.
	"shelve_offload": wholeJob(statemachine.ActShelve),

	// Only .start and .error can tell a hard reboot (by the task's state), and .end has to be of the same job.
	"reboot": wholeJob(statemachine.ActReboot),

	// An evacuation is a rebuild on another host: Nova goes on with rebuild.start.
	"rebuild":           wholeJob(statemachine.ActRebuild),
	"rebuild_scheduled": requested(statemachine.ActRebuild),
	"rebuild.scheduled": requested(statemachine.ActRebuild),
	"evacuate":          requested(statemachine.ActRebuild),

	// A cold migration is a resize to the same flavor.
	"resize_prep":    firstStep(statemachine.ActResize),
	"resize.prep":    firstStep(statemachine.ActResize),
	"resize":         firstStep(statemachine.ActResize),
	"resize_finish":  lastStep(statemachine.ActResize),
	"finish_resize":  lastStep(statemachine.ActResize),
	"resize_confirm": wholeJob(statemachine.ActConfirmResize),
	"resize.confirm": wholeJob(statemachine.ActConfirmResize),
	"resize_revert":  wholeJob(statemachine.ActRevertResize),
	"resize.revert":  wholeJob(statemachine.ActRevertResize),

	// The destination's post and the source's post both come at the end, in an order that nobody promises.
	"live_migration_pre":       firstStep(statemachine.ActMigrate),
	"live_migration.pre":       firstStep(statemachine.ActMigrate),
	"live_migration_post_dest": lastStep(statemachine.ActMigrate),
	"live_migration.post.dest": lastStep(statemachine.ActMigrate),
	"live_migration_post":      lastStep(statemachine.ActMigrate),
	"live_migration._post":     lastStep(statemachine.ActMigrate),
	"live_migration_rollback":  undoing(statemachine.ActMigrate),
	"live_migration._rollback": undoing(statemachine.ActMigrate),
}

// undoing is the step that takes a job back; the server is then as if there had been none.
func undoing(a statemachine.Action) step {
	return step{action: a, start: statemachine.PhaseProgressed, end: statemachine.PhaseCancelled}
}

// server reads a notification about a server.
func (n *notice) server(t string) *refusal {
	name, at := splitType(t)
	switch {
	case name == "update" && at == atOnce:
		return n.serverUpdate()
	case name == "snapshot":
		return n.snapshot(at)
	}
	s, ok := serverSteps[name]
	if !ok {
		return notAJob
	}
	phase := [...]statemachine.Phase{atOnce: s.atOnce, atStart: s.start, atEnd: s.end, atError: n.failure(s.action)}[at]
	if phase == 0 {
		return notAJob
	}
	return n.serverJob(s.action, phase, at == atError)
}

// failure is the phase that a job is in after an error. A build is tried on another host, and its end is told by
// compute_task.build_instances; any other job is over, and has done harm if the server is in state error.
func (n *notice) failure(a statemachine.Action) statemachine.Phase {
	switch {
	case a == statemachine.ActBuild:
		return statemachine.PhaseProgressed
	case n.body.string("state") == "error":
		return statemachine.PhaseFailed
	default:
		return statemachine.PhaseCancelled
	}
}

// serverJob fills in an event of a server.
func (n *notice) serverJob(a statemachine.Action, p statemachine.Phase, failed bool) *refusal {
	if n.body == nil {
		return &refusal{statemachine.Schema, "payload: must be an object"}
	}
	field, id := n.serverID()
	if bad := n.name(statemachine.Server, field, id); bad != nil {
		return bad
	}
	n.job(a, p)
	n.describe("display_name")
	spec := n.body.object("request_spec") // the scheduler's word for most of it
	properties := spec.object("instance_properties")
	n.e.User = clipText(cmp.Or(n.e.User, spec.string("user_id"), properties.string("user_id")))
	n.e.Name = clipText(cmp.Or(n.e.Name, properties.string("display_name")))
	n.e.Attributes = n.serverAttributes(spec)
	if failed {
		n.e.Fault = n.novaFault("The " + a.String() + " of the server failed")
	}
	return nil
}

// serverID is the server's id and the field that names it: each of Nova's payloads has a name of its own for it.
func (n *notice) serverID() (field, id string) {
	for _, name := range []string{"uuid", "instance_uuid", "instance_id"} {
		if id := n.body.string(name); id != "" {
			return "payload." + name, id
		}
	}
	return "payload.uuid", ""
}

// computeTask reads the conductor's or scheduler's word that it gave an action up. Versioned notifications end
// in .error; legacy ones have the priority alone, and are otherwise the daily round of the scheduler.
func (n *notice) computeTask(t string) *refusal {
	task, at := splitType(t)
	if at != atError && !(at == atOnce && n.urgent) {
		return notAJob
	}
	var a statemachine.Action
	switch task {
	case "build_instances", "run_instance":
		return n.serverJob(statemachine.ActBuild, statemachine.PhaseFailed, true)
	case "rebuild_server":
		a = statemachine.ActRebuild
	case "migrate_server":
		a = n.migration()
	default:
		return notAJob
	}
	return n.serverJob(a, n.failure(a), true)
}

// migration is what the conductor did when it gave up on moving a server. It has one name for live migrations and
// for resizes, to which cold migrations belong; only the way through its code tells them apart.
func (n *notice) migration() statemachine.Action {
	if strings.Contains(n.body.object("reason").string("traceback"), "live_migrat") {
		return statemachine.ActMigrate
	}
	return statemachine.ActResize
}

// snapshot reads the birth of an image from a server: the event is the image's. Legacy notifications do not say
// which image.
func (n *notice) snapshot(at int) *refusal {
	phase := [...]statemachine.Phase{atStart: statemachine.PhaseStarted, atEnd: statemachine.PhaseSucceeded, atError: 0}[at]
	id := n.body.string("snapshot_image_id")
	if phase == 0 || id == "" {
		return notAJob
	}
	if bad := n.name(statemachine.Image, "payload.snapshot_image_id", id); bad != nil {
		return bad
	}
	n.job(statemachine.ActSnapshot, phase)
	n.e.User = clipText(n.body.string("user_id"))
	n.e.Attributes = newAttributes().object("server", newAttributes().text("id", n.body.get("uuid"))).encode()
	return nil
}
