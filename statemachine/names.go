package statemachine

// Kind is the sort of a resource. The zero Kind is none.
type Kind uint8

// The seven kinds.
const (
	Server Kind = iota + 1
	Image
	Backup
	Export
	Import
	Restore
	Migration
)

var kindNames = names("", "server", "image", "backup", "export", "import", "restore", "migration")

// Kinds are all kinds, in the order of their numbers.
var Kinds = []Kind{Server, Image, Backup, Export, Import, Restore, Migration}

func (k Kind) String() string { return kindNames.name(uint8(k)) }

// ParseKind is the kind of that name, or false.
func ParseKind(s string) (Kind, bool) { n, ok := kindNames.number[s]; return Kind(n), ok }

// JobLike tells whether the resource is itself a job: everything but servers and images.
func (k Kind) JobLike() bool { return k >= Backup }

// Statuses are the statuses that a resource of this kind can have.
func (k Kind) Statuses() []Status {
	switch {
	case k == Server:
		return serverStatuses
	case k == Image:
		return imageStatuses
	default:
		return jobStatuses
	}
}

// blank is the status of a resource of which no job tells anything: one that is first heard of by an
// action that shows no status while it runs, or whose birth was cancelled.
func (k Kind) blank() Status {
	if k.JobLike() {
		return Cancelled
	}
	return Unknown
}

// Phase is how far a job is. The zero Phase is before all others.
type Phase uint8

// The phases, in the order in which a job passes through them; the last three are its ends.
const (
	PhaseAccepted Phase = iota + 1
	PhaseStarted
	PhaseProgressed
	PhaseSucceeded
	PhaseFailed
	PhaseCancelled
)

var phaseNames = names("", "accepted", "started", "progressed", "succeeded", "failed", "cancelled")

// Phases are all phases, in their order.
var Phases = []Phase{PhaseAccepted, PhaseStarted, PhaseProgressed, PhaseSucceeded, PhaseFailed, PhaseCancelled}

func (p Phase) String() string { return phaseNames.name(uint8(p)) }

// ParsePhase is the phase of that name, or false.
func ParsePhase(s string) (Phase, bool) { n, ok := phaseNames.number[s]; return Phase(n), ok }

// End tells whether a job in this phase is over.
func (p Phase) End() bool { return p >= PhaseSucceeded }

// Status is what a resource shows, in the words of the Compute API.
type Status uint8

// The statuses of all kinds. The numbers are stored: append, never reorder.
const (
	Unknown Status = iota + 1
	Build
	Active
	Rebuild
	Resize
	VerifyResize
	RevertResize
	Reboot
	HardReboot
	Migrating
	Password
	Paused
	Suspended
	Rescue
	Shutoff
	Shelved
	ShelvedOffloaded
	SoftDeleted
	Deleted
	Error
	Queued
	Saving
	InProgress
	Completed
	Cancelled
)

var statusNames = names("", "UNKNOWN", "BUILD", "ACTIVE", "REBUILD", "RESIZE", "VERIFY_RESIZE", "REVERT_RESIZE", "REBOOT",
	"HARD_REBOOT", "MIGRATING", "PASSWORD", "PAUSED", "SUSPENDED", "RESCUE", "SHUTOFF", "SHELVED", "SHELVED_OFFLOADED",
	"SOFT_DELETED", "DELETED", "ERROR", "QUEUED", "SAVING", "IN_PROGRESS", "COMPLETED", "CANCELLED")

var (
	serverStatuses = []Status{Build, Active, Rebuild, Resize, VerifyResize, RevertResize, Reboot, HardReboot, Migrating, Password,
		Paused, Suspended, Rescue, Shutoff, Shelved, ShelvedOffloaded, SoftDeleted, Deleted, Error, Unknown}
	imageStatuses = []Status{Queued, Saving, Active, Deleted, Error, Unknown}
	jobStatuses   = []Status{Queued, InProgress, Completed, Cancelled, Deleted, Error}
)

func (s Status) String() string { return statusNames.name(uint8(s)) }

// ParseStatus is the status of that name, or false.
func ParseStatus(s string) (Status, bool) { n, ok := statusNames.number[s]; return Status(n), ok }

// Action is what a job does.
type Action uint8

// The actions of all kinds. The numbers are stored: append, never reorder.
const (
	ActBuild Action = iota + 1
	ActRebuild
	ActResize
	ActConfirmResize
	ActRevertResize
	ActReboot
	ActHardReboot
	ActMigrate
	ActPassword
	ActPause
	ActUnpause
	ActSuspend
	ActResume
	ActStop
	ActStart
	ActRescue
	ActUnrescue
	ActShelve
	ActUnshelve
	ActSoftDelete
	ActRestore
	ActSnapshot
	ActDelete
	ActBackup
	ActExport
	ActImport
)

var actionNames = names("", "build", "rebuild", "resize", "confirm-resize", "revert-resize", "reboot", "hard-reboot", "migrate",
	"password", "pause", "unpause", "suspend", "resume", "stop", "start", "rescue", "unrescue", "shelve", "unshelve",
	"soft-delete", "restore", "snapshot", "delete", "backup", "export", "import")

// Actions are all actions, in the order of their numbers; which of them a kind has, the table says.
var Actions = func() []Action {
	all := make([]Action, 0, len(actionNames.names)-1)
	for n := 1; n < len(actionNames.names); n++ {
		all = append(all, Action(n))
	}
	return all
}()

func (a Action) String() string { return actionNames.name(uint8(a)) }

// ParseAction is the action of that name, or false. Which kinds have it, [Allowed] says.
func ParseAction(s string) (Action, bool) { n, ok := actionNames.number[s]; return Action(n), ok }

// nameTable turns small numbers into names and back.
type nameTable struct {
	names  []string
	number map[string]uint8
}

func names(list ...string) nameTable {
	t := nameTable{names: list, number: make(map[string]uint8, len(list))}
	for i, s := range list {
		if i > 0 {
			t.number[s] = uint8(i)
		}
	}
	return t
}

func (t nameTable) name(n uint8) string {
	if int(n) < len(t.names) {
		return t.names[n]
	}
	return ""
}
