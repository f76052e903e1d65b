package statemachine

// row says what an action makes of a status; [same] leaves it as it is.
type row struct {
	queued  Status // while the job is accepted and not started
	running Status // while it runs
	done    Status // when it succeeded
	failed  Status // when it failed
	creates bool   // it brings a resource into the world, and a deleted id back
}

// same stands for the status that the resource has without the job.
const same Status = 0

// moves is a row of an action that shows a status while it runs.
func moves(running, done Status) row { return row{running, running, done, Error, false} }

// quiet is a row of an action that shows nothing until it has succeeded or failed.
func quiet(done Status) row { return row{same, same, done, Error, false} }

// creates is a row of an action that brings a resource into the world.
func creates(queued, running, done Status) row { return row{queued, running, done, Error, true} }

// The table: one row for each action of each family of kinds. A cancelled job counts for nothing and
// needs no column; nothing but a row that creates leads out of DELETED.
var (
	serverTable = map[Action]row{
		ActBuild:         creates(Build, Build, Active),
		ActRebuild:       moves(Rebuild, Active),
		ActResize:        moves(Resize, VerifyResize),
		ActConfirmResize: moves(VerifyResize, Active),
		ActRevertResize:  moves(RevertResize, Active),
		ActReboot:        moves(Reboot, Active),
		ActHardReboot:    moves(HardReboot, Active),
		ActMigrate:       moves(Migrating, Active),
		ActPassword:      moves(Password, Active),
		ActPause:         quiet(Paused),
		ActUnpause:       quiet(Active),
		ActSuspend:       quiet(Suspended),
		ActResume:        quiet(Active),
		ActStop:          quiet(Shutoff),
		ActStart:         quiet(Active),
		ActRescue:        quiet(Rescue),
		ActUnrescue:      quiet(Active),
		ActShelve:        quiet(ShelvedOffloaded),
		ActUnshelve:      quiet(Active),
		ActSoftDelete:    quiet(SoftDeleted),
		ActRestore:       quiet(Active),
		ActDelete:        quiet(Deleted),
		// The image fails, not the server that it was taken from.
		ActSnapshot: {same, same, same, same, false},
	}
	imageTable = map[Action]row{
		ActBuild:    creates(Queued, Saving, Active),
		ActSnapshot: creates(Queued, Saving, Active),
		ActDelete:   quiet(Deleted),
	}
	jobTables = map[Kind]map[Action]row{
		Backup:    jobTable(ActBackup),
		Export:    jobTable(ActExport),
		Import:    jobTable(ActImport),
		Restore:   jobTable(ActRestore),
		Migration: jobTable(ActMigrate),
	}
)

func jobTable(own Action) map[Action]row {
	return map[Action]row{own: creates(Queued, InProgress, Completed), ActDelete: quiet(Deleted)}
}

// rows is the table by kind and action: an array, since every event asks it several times.
var rows = func() (all [Migration + 1][ActImport + 1]*row) {
	for _, k := range Kinds {
		table := jobTables[k]
		switch k {
		case Server:
			table = serverTable
		case Image:
			table = imageTable
		}
		for a, r := range table {
			all[k][a] = &r
		}
	}
	return all
}()

// Allowed tells whether a resource of that kind can have a job of that action.
func Allowed(k Kind, a Action) bool { return lookup(k, a) != nil }

func lookup(k Kind, a Action) *row {
	if k > Migration || a > ActImport {
		return nil
	}
	return rows[k][a]
}

// Next is what a job makes of the status that its resource has without it.
// An action that the kind does not have changes nothing.
func Next(k Kind, from Status, a Action, p Phase) Status {
	if to := effect(k, from, a, p); to != same {
		return to
	}
	return from
}

// effect is [Next], with [same] for a job that leaves the status alone.
func effect(k Kind, from Status, a Action, p Phase) Status {
	r := lookup(k, a)
	if r == nil || from == Deleted && !r.creates {
		return same
	}
	switch p {
	case PhaseAccepted:
		return r.queued
	case PhaseStarted, PhaseProgressed:
		return r.running
	case PhaseSucceeded:
		return r.done
	case PhaseFailed:
		return r.failed
	default:
		return same
	}
}
