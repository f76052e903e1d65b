package statemachine_test

import (
	"strings"

	sm "faultd/statemachine"
)

// What the contract says of actions, kept as text and read by nothing but tests, so that a slip in the table of the
// machine is not a slip in what it is held against: action, status while the job is accepted, while it runs, when it
// succeeded and when it failed. "=" is unchanged. A row with "+" creates: it brings a deleted id back.
const (
	serverContract = `
		build + BUILD BUILD ACTIVE ERROR
		rebuild . REBUILD REBUILD ACTIVE ERROR
		resize . RESIZE RESIZE VERIFY_RESIZE ERROR
		confirm-resize . VERIFY_RESIZE VERIFY_RESIZE ACTIVE ERROR
		revert-resize . REVERT_RESIZE REVERT_RESIZE ACTIVE ERROR
		reboot . REBOOT REBOOT ACTIVE ERROR
		hard-reboot . HARD_REBOOT HARD_REBOOT ACTIVE ERROR
		migrate . MIGRATING MIGRATING ACTIVE ERROR
		password . PASSWORD PASSWORD ACTIVE ERROR
		pause . = = PAUSED ERROR
		suspend . = = SUSPENDED ERROR
		stop . = = SHUTOFF ERROR
		rescue . = = RESCUE ERROR
		shelve . = = SHELVED_OFFLOADED ERROR
		soft-delete . = = SOFT_DELETED ERROR
		unpause . = = ACTIVE ERROR
		resume . = = ACTIVE ERROR
		start . = = ACTIVE ERROR
		unrescue . = = ACTIVE ERROR
		unshelve . = = ACTIVE ERROR
		restore . = = ACTIVE ERROR
		snapshot . = = = =
		delete . = = DELETED ERROR`
	imageContract = `
		build + QUEUED SAVING ACTIVE ERROR
		snapshot + QUEUED SAVING ACTIVE ERROR
		delete . = = DELETED ERROR`
	jobLikeContract = `
		OWN + QUEUED IN_PROGRESS COMPLETED ERROR
		delete . = = DELETED ERROR`
)

// promise is a row of the contract.
type promise struct {
	creates                                bool
	accepted, running, succeeded, failedTo string
}

var contract = func() map[string]map[string]promise {
	own := map[string]string{"backup": "backup", "export": "export", "import": "import", "restore": "restore", "migration": "migrate"}
	all := map[string]map[string]promise{"server": readContract(serverContract), "image": readContract(imageContract)}
	for kind, action := range own {
		all[kind] = readContract(strings.ReplaceAll(jobLikeContract, "OWN", action))
	}
	return all
}()

func readContract(text string) map[string]promise {
	rows := map[string]promise{}
	for line := range strings.Lines(strings.TrimSpace(text)) {
		w := strings.Fields(line)
		rows[w[0]] = promise{w[1] == "+", w[2], w[3], w[4], w[5]}
	}
	return rows
}

// shows is the status that a job of that phase gives its resource, "=" for the one that it has without the job.
func (p promise) shows(phase sm.Phase) string {
	switch phase {
	case sm.PhaseAccepted:
		return p.accepted
	case sm.PhaseStarted, sm.PhaseProgressed:
		return p.running
	case sm.PhaseSucceeded:
		return p.succeeded
	case sm.PhaseFailed:
		return p.failedTo
	default:
		return "="
	}
}

// unborn is the status of a resource of which no job says anything.
func unborn(k sm.Kind) string {
	if k == sm.Server || k == sm.Image {
		return "UNKNOWN"
	}
	return "CANCELLED"
}
