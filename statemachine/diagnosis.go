package statemachine

import (
	"encoding/json"
	"slices"
	"strings"
)

// Cause is what a fault came from, in one word. The zero Cause is none.
type Cause uint8

// The causes. The numbers are stored: append, never reorder.
const (
	CauseNetwork     Cause = iota + 1 // an address, a service or a port could not be reached
	CauseStorageFull                  // there was no room for the data
	CausePermission                   // something may not be read, written or done
	CauseQuota                        // a limit of the tenant's, or of the flavor that it chose, is too small for what it asked for
	CauseCapacity                     // the cloud has no room for it now
	CauseNotFound                     // what the job needs does not exist
	CauseTimeout                      // it took too long, or nothing was heard
	CauseClonedAgent                  // two backup agents with the same credentials write to one vault
	CauseCancelled                    // somebody ended it
	CauseInternal                     // a service failed and does not say why
	CauseUnknown                      // none of these: a mistake in the request, a conflict, or nothing that is known
)

var causeNames = names("", "network", "storage-full", "permission", "quota", "capacity", "not-found", "timeout", "cloned-agent",
	"cancelled", "internal", "unknown")

func (c Cause) String() string { return causeNames.name(uint8(c)) }

// ParseCause is the cause of that name, or false.
func ParseCause(s string) (Cause, bool) { n, ok := causeNames.number[s]; return Cause(n), ok }

// Diagnosis is what is thought of a fault. Its texts show no internals: tenants may read them.
type Diagnosis struct {
	Cause       Cause
	Retry       bool   // trying the same again, now or later, can help
	Advice      string // what to do next, in a sentence or two
	Remark      string // what else is known of the resource and bears on it; may be empty
	Fingerprint string // see [Fingerprint]
}

// Diagnose says what a fault of an action on a resource came from. Every fault gets a cause. Of the resource only
// its kind and attributes count: "encrypted" and "storage_medium" of a backup or restore may say why it took so
// long. sharedVault tells that an agent on another host writes to the same vault. That is the cause of a backup's
// or restore's fault which nothing else explains, and a remark on any other.
func Diagnose(r *Resource, a Action, f *Fault, sharedVault bool) Diagnosis {
	agent := byAgent(r.Kind)
	sharedVault = sharedVault && agent
	s := &symptoms[findSymptom(f, agent, sharedVault)]
	d := Diagnosis{Cause: s.cause, Retry: s.retry, Advice: s.advice, Fingerprint: Fingerprint(r.Kind, a, f)}
	if agent && s.agent != "" {
		d.Advice = s.agent
	}
	var remarks []string
	if sharedVault && s.cause != CauseClonedAgent {
		remarks = append(remarks, symptoms[sharedSymptom].agent)
	}
	if agent && s.cause == CauseTimeout {
		remarks = append(remarks, slowness(r.Attributes)...)
	}
	d.Remark = strings.Join(remarks, " ")
	return d
}

// byAgent tells whether a backup agent does the work.
func byAgent(k Kind) bool { return k == Backup || k == Restore }

// slowness is what in a backup's or restore's attributes makes it slow (Cloud Backup, Response codes).
func slowness(a Attributes) (why []string) {
	if len(a) == 0 {
		return nil
	}
	var said struct {
		Encrypted any `json:"encrypted"`
		Medium    any `json:"storage_medium"`
	}
	if json.Unmarshal(a, &said) != nil {
		return nil // not the JSON that attributes are: then they say nothing
	}
	if said.Encrypted == true || said.Encrypted == "true" {
		why = append(why, "It is encrypted, which makes backups and restores slower.")
	}
	if medium, ok := said.Medium.(string); ok && blockStorage.find(medium, inDetails, true) == 0 {
		why = append(why, "It is stored on Cloud Block Storage, which makes backups and restores slower.")
	}
	return why
}

var blockStorage = compile([]symptom{{says: []string{"block storage"}}})

// symptom is a row of the table by which faults are told apart. The first row counts that the surest clue leads to,
// see [findSymptom].
type symptom struct {
	cause      Cause
	errorCodes []string // codes of backup management
	says       []string // phrases that tell it wherever they stand
	states     []string // phrases that tell it in a reason or message; in the details they could mean anything
	names      []string // words that tell it in a reason which says no more
	codes      []int    // HTTP codes that tell it whatever the details say
	vaguely    []int    // HTTP codes that tell it if nothing else does
	retry      bool
	advice     string
	agent      string // the advice where a backup agent does the work; a row with this one alone is for these jobs alone
	source     string
}

// is tells whether the row is for a job that an agent does, or does not do.
func (s *symptom) is(agent bool) bool { return agent || s.advice != "" }

// noSymptom is behind all rows.
const noSymptom = 1<<8 - 1

// findSymptom is the row for a fault. The clues, surest first: the error code; what reason and message say; what
// the reason hints at; a telling HTTP code; what the details say (of a trace, which names many things, less is
// believed); the shared vault; any HTTP code.
func findSymptom(f *Fault, agent, sharedVault bool) int {
	row := firstSymptom(agent, func(s *symptom) bool { return slices.Contains(s.errorCodes, f.ErrorCode) })
	if row == noSymptom {
		row = min(symptomPhrases.find(f.Reason, inMessage, agent), symptomPhrases.find(f.Message, inMessage, agent))
	}
	if row == noSymptom {
		row = symptomPhrases.find(f.Reason, inReason, agent)
	}
	if row == noSymptom {
		row = firstSymptom(agent, func(s *symptom) bool { return slices.Contains(s.codes, f.Code) })
	}
	if row == noSymptom {
		row = symptomPhrases.find(f.Details[:min(len(f.Details), MaxDetails)], inDetails, agent)
	}
	if sharedVault && (row == noSymptom || symptoms[row].cause == CauseClonedAgent) {
		row = sharedSymptom
	}
	if row == noSymptom {
		row = firstSymptom(agent, func(s *symptom) bool { return slices.Contains(s.vaguely, f.Code) })
	}
	return min(row, len(symptoms)-1)
}

func firstSymptom(agent bool, is func(*symptom) bool) int {
	for i := range symptoms {
		if s := &symptoms[i]; s.is(agent) && is(s) {
			return i
		}
	}
	return noSymptom
}

// Where the rows of the table come from.
const (
	cloudBackup      = "Cloud Backup, Response codes"
	backupManagement = "backup management, status and error codes"
	computeFaults    = "Compute API v2, Faults"
	blockFaults      = "Block Storage API, Faults"
)

const (
	adviseReport   = " If it fails again, report it with the request's id."
	adviseAgent    = "Make sure that the server runs the latest agent release, and run the job again if the error comes and goes."
	adviseReregist = "register the agent on the cloned server anew before the next backup runs."
)

// symptoms is the table. Its last row is for every fault that no other row is for.
var symptoms = []symptom{
	{
		cause: CauseNotFound, errorCodes: []string{"103"}, source: backupManagement,
		advice: "The product does not exist in this cloud. Check the product and the cloud in the request.",
	}, {
		cause: CauseNotFound, errorCodes: []string{"108", "110", "112", "113", "120"}, source: backupManagement,
		advice: "An id in the request names nothing that exists for this operation. Check the ids of the backup, the job and the cloud.",
	}, {
		cause: CauseNotFound, errorCodes: []string{"129"}, source: backupManagement,
		advice: "The storage is not known. Check its id, or register the storage first.",
	}, {
		cause: CauseNotFound, errorCodes: []string{"131"}, says: []string{"no completed export found"}, source: backupManagement,
		advice: "Export the backup, wait until the export is completed, then try again.",
	}, {
		cause: CauseNotFound, errorCodes: []string{"143"}, retry: true, source: backupManagement,
		advice: "The report is there once the migration has ended. Ask for it again then.",
	}, {
		cause: CauseUnknown, errorCodes: []string{"127"}, source: backupManagement,
		advice: "This product has a backup policy already. Change that one instead of making another.",
	}, {
		cause: CauseUnknown, errorCodes: []string{"128"}, source: backupManagement,
		advice: "Another storage has this name. Choose a different one.",
	}, {
		cause: CausePermission, errorCodes: []string{"130"}, source: backupManagement,
		advice: "The storage does not admit the service. Correct the principal's tag and the role's identifier, then try again.",
	}, {
		cause: CausePermission, errorCodes: []string{"133"}, source: backupManagement,
		advice: "Storage in this region may not be used here. Choose a region that is open to the organization and the cloud.",
	}, {
		cause: CauseUnknown, errorCodes: []string{"142"}, source: backupManagement,
		advice: "The storage was refused. Check the bucket's name, the base path and the region, and that they belong together.",
	}, {
		cause: CauseUnknown, errorCodes: []string{"137"}, says: []string{"restore request for this product already exists"}, retry: true,
		source: backupManagement,
		advice: "A restore of this product is under way. Wait until it has ended, then try again.",
	}, {
		cause: CauseUnknown, errorCodes: []string{"140"}, says: []string{"export already in progress"}, retry: true, source: backupManagement,
		advice: "An export is under way. Wait until it has ended, then try again.",
	}, {
		cause:  CauseClonedAgent,
		says:   []string{"backup corrupted", "backup is corrupted", "vault corrupted", "vault is corrupted"},
		states: []string{"corrupt", "corrupted", "corruption", "checksum mismatch"},
		names:  []string{"cloned"},
		source: cloudBackup,
		agent:  "If the server was cloned together with its agent, " + adviseReregist,
	}, {
		cause: CauseClonedAgent, source: cloudBackup, // its clue is no text, see sharedSymptom
		agent: "An agent on another host writes to the same vault with the same credentials, which corrupts backups: " + adviseReregist,
	}, {
		cause:  CauseStorageFull,
		says:   []string{"no space left on device", "enospc", "errno 28", "not enough disk space", "insufficient disk space", "out of disk space", "insufficient free space", "insufficient storage", "storage media is full"},
		states: []string{"disk full", "disk is full", "storage full", "storage is full", "no space left", "not enough space", "ran out of space", "volume is full"},
		names:  []string{"full"},
		codes:  []int{507},
		source: "errno ENOSPC; HTTP 507; Glance, glance/common/exception.py StorageFull; " + cloudBackup,
		advice: "There was no room for the data. Free space or choose another place for it, then try again.",
		agent:  "The disk is full. Free space on the server that is backed up or restored, then run the job again.",
	}, {
		cause: CauseQuota, says: []string{"rate limit exceeded"}, states: []string{"rate limit", "rate limited", "too many requests", "throttled"},
		codes: []int{429}, retry: true,
		source: backupManagement + "; " + computeFaults + ", overLimit",
		advice: "Too many requests came in a short time. Wait a while, then try again.",
	}, {
		cause: CauseQuota,
		says: []string{"over quota", "quota exceeded", "exceeded quota", "exceeds quota", "exceeds available quota", "exceeded for quota", "limit exceeded",
			"maximum number of ports exceeded", "storage quota full", "edquot", "errno 122"},
		states: []string{"over limit", "exceeds allowed gigabytes quota", "will exceed the limit", "quota full"},
		names:  []string{"quota"},
		codes:  []int{413},
		source: "Nova, nova/exception.py QuotaError; Cinder, cinder/exception.py QuotaError; Glance StorageQuotaFull; errno EDQUOT; " + blockFaults + ", overLimit",
		advice: "A quota does not allow it. Delete what is no longer needed or ask for a higher quota, then try again.",
	}, {
		// A mistake in the request: the flavor's limits are the tenant's own choice, and no cloud has too little for it.
		cause: CauseQuota,
		says: []string{"flavor disk too small", "flavor memory too small", "flavor disk smaller than", "disk would be too small", "flavor's disk is too small",
			"flavor's memory is too small", "flavor's disk is smaller than", "volume is smaller than the minimum size"},
		source: "Nova, nova/exception.py FlavorDiskTooSmall, FlavorMemoryTooSmall",
		advice: "The image needs more disk or memory than the flavor or volume has. Choose a larger one or another image.",
	}, {
		cause: CausePermission, retry: true,
		says:   []string{"used by another process", "sharing violation", "text file busy", "etxtbsy"},
		states: []string{"file in use", "file is in use", "file is locked"},
		source: cloudBackup + "; errno ETXTBSY",
		agent:  "A file was in use and could not be read. Close what uses it or leave the file out, then run the job again.",
	}, {
		cause: CauseNetwork, retry: true,
		says: []string{"binding failed", "virtual interface create", "virtual interface creation failed", "failed to allocate the network",
			"virtual interface plug", "network not created"},
		source: "Nova, nova/exception.py PortBindingFailed, VirtualInterfaceCreateException",
		advice: "The server could not be connected to its network. Check its networks and ports and try again." + adviseReport,
	}, {
		cause: CauseNetwork, retry: true,
		says: []string{"connection refused", "econnrefused", "errno 111", "no route to host", "ehostunreach", "errno 113", "network is unreachable",
			"enetunreach", "errno 101", "connection reset", "econnreset", "errno 104", "broken pipe", "epipe", "errno 32", "connection timed out", "etimedout",
			"errno 110", "connection aborted", "remote end closed connection", "name or service not known", "temporary failure in name resolution",
			"failed to establish a new connection", "max retries exceeded with url", "cinder connection failed", "glance connection failed"},
		states: []string{"connection failed", "connection failure", "connection lost", "connection closed", "unable to connect", "could not connect",
			"cannot connect", "failed to connect", "unable to establish connection", "failed to communicate", "failure to communicate", "unable to communicate",
			"cannot communicate", "could not communicate", "network error", "network failure", "network is down", "host unreachable", "unreachable"},
		names:  []string{"network", "connection", "dns"},
		source: "errno ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ECONNRESET, EPIPE, ETIMEDOUT; Nova, nova/exception.py CinderConnectionFailed; " + cloudBackup,
		advice: "A service could not be reached. Check the network if it is yours, and try again." + adviseReport,
		agent: "The agent could not reach Cloud Backup or Cloud Files. Make sure that the server is connected to both the service net and " +
			"the public net, and run the job again.",
	}, {
		cause: CauseCapacity, retry: true,
		says: []string{"no valid host", "not enough hosts", "no valid backend", "no weighed backends", "compute resources unavailable",
			"insufficient compute resources", "no more fixed ips", "no fixed ip addresses available", "no more ip addresses", "cannot allocate memory", "enomem",
			"errno 12", "cannot set up guest memory"},
		states: []string{"out of memory", "insufficient capacity", "insufficient resources", "capacity unavailable", "not enough capacity", "no capacity"},
		names:  []string{"capacity"},
		source: "Nova, nova/exception.py NoValidHost, ComputeResourcesUnavailable; Cinder, cinder/exception.py NoValidBackend; errno ENOMEM; " +
			computeFaults + ", serverCapacityUnavailable",
		advice: "There is no room for it at present. Try again later, or ask for less or for another zone.",
	}, {
		cause: CausePermission,
		says: []string{"permission denied", "eacces", "errno 13", "eperm", "errno 1", "operation not permitted", "access is denied", "policy doesn't allow",
			"image not authorized"},
		states: []string{"access denied", "access was denied", "forbidden", "unauthorized", "not authorized", "not permitted",
			"authentication failed", "authentication required", "invalid credentials", "could not be read", "http 401", "http 403"},
		names:  []string{"permission", "permissions", "denied", "credentials"},
		codes:  []int{401, 403},
		source: "errno EACCES, EPERM; HTTP 401 and 403 in " + blockFaults + "; Nova, nova/exception.py Forbidden; " + cloudBackup,
		advice: "It was not allowed. Check the credentials and the rights that the job needs, then try again.",
		agent:  "Something was not permitted: a file that the agent may not read, or credentials that have expired. Check both, then run the job again.",
	}, {
		cause:  CauseNotFound,
		says:   []string{"image not found", "could not find image", "no such image", "image unavailable"},
		source: "Nova, nova/exception.py ImageNotFound; " + computeFaults + ", a server in ERROR",
		advice: "The image does not exist or is not ready. Choose an image that is active, then try again.",
	}, {
		cause: CauseNotFound,
		says: []string{"volume not found", "flavor not found", "network not found", "port not found", "snapshot not found", "instance not found",
			"backup not found", "no such file or directory", "enoent", "errno 2", "folder missing"},
		states: []string{"not found", "could not find", "could not be found", "cannot be found", "cannot find", "does not exist", "no longer exists",
			"doesn't exist", "no such", "http 404"},
		names:  []string{"missing"},
		codes:  []int{404, 410},
		source: "HTTP 404 and 410; Nova, nova/exception.py NotFound; errno ENOENT",
		advice: "Something that it needs does not exist. Check the names and ids in the request, then try again with ones that exist.",
		agent:  "Something that it needs does not exist: a file, the backup or its vault. Check what the job selects, then run it again.",
	}, {
		cause: CauseTimeout, retry: true,
		says: []string{"timed out", "messaging timeout", "gateway timeout", "request timeout", "read timeout", "connect timeout", "deadline exceeded"},
		states: []string{"timeout", "did not answer", "does not answer", "not responding", "did not respond", "no response", "time limit",
			"took too long", "http 504"},
		codes:  []int{408, 504},
		source: "HTTP 408 and 504 in " + backupManagement + "; oslo.messaging, MessagingTimeout",
		advice: "It took too long or went silent. Look whether it has ended meanwhile, else try again." + adviseReport,
		agent:  "It took too long or went silent. " + adviseAgent,
	}, {
		cause:  CauseTimeout,
		states: []string{"slow", "slowly", "too slow"},
		names:  []string{"slow"},
		retry:  true, source: cloudBackup,
		agent: "It is slow. Make sure that the server runs the latest agent release, look for what slows it down, and run the job again if that passes.",
	}, {
		cause:  CauseCancelled,
		says:   []string{"migration aborted", "task cancelled", "job cancelled"},
		states: []string{"cancelled", "canceled", "aborted by", "stopped by"},
		names:  []string{"aborted", "stopped"},
		retry:  true,
		source: "Cloud Backup API v2, the state stopped; Nova, a live migration that was aborted",
		advice: "It was ended before it was done. Start it again if it is still wanted.",
	}, {
		cause: CauseInternal, says: []string{"incomplete backup reset on manager restart", "service restarted"}, retry: true,
		source: "Cinder, cinder/backup/manager.py, a restart while a backup runs",
		advice: "The service was restarted while the job ran. Start the job again.",
	}, {
		cause: CauseInternal, says: []string{"exceeded maximum number of retries", "exceeded max scheduling attempts", "exhausted all hosts"}, retry: true,
		source: "Nova, nova/scheduler/utils.py and conductor/manager.py, MaxRetriesExceeded",
		advice: "It was tried on several hosts and failed on each. Try again later." + adviseReport,
	}, {
		cause:  CauseUnknown,
		says:   []string{"name exists"},
		states: []string{"already exists", "duplicate", "conflicting"},
		source: backupManagement + ", 409; Nova, nova/exception.py, classes in Exists",
		advice: "There is one already. Use that one, or choose another name.",
	}, {
		cause:   CauseUnknown,
		says:    []string{"instance invalid state", "build in progress"},
		states:  []string{"in progress", "invalid state", "conflict", "while it is in", "is busy", "http 409"},
		vaguely: []int{409},
		retry:   true,
		source:  computeFaults + ", buildInProgress and backupOrResizeInProgress; HTTP 409 in " + cloudBackup,
		advice:  "The resource was in a state that does not allow it. Wait until what is under way has ended, then try again.",
	}, {
		cause: CauseUnknown,
		states: []string{"validation failed", "invalid input", "bad request", "invalid parameter", "is not supported", "unsupported", "unacceptable",
			"http 400"},
		vaguely: []int{400, 405, 406, 411, 414, 415, 416, 417, 422},
		source:  computeFaults + ", badRequest and badMediaType; HTTP 400 and 422 in " + backupManagement,
		advice:  "The request asks for something that is not valid here. Read the fault's message, correct the request, then try again.",
	}, {
		cause:   CauseInternal,
		states:  []string{"service unavailable", "temporarily unavailable", "overloaded", "maintenance", "http 503"},
		vaguely: []int{503},
		retry:   true,
		source:  "HTTP 503 in " + cloudBackup + " and " + backupManagement,
		advice:  "A service is overloaded or under maintenance. Try again in some minutes." + adviseReport,
	}, {
		cause: CauseInternal, states: []string{"not implemented"}, vaguely: []int{501},
		source: "HTTP 501 in " + cloudBackup,
		advice: "The service cannot do this for this resource. Do it in another way.",
	}, {
		cause: CauseInternal, vaguely: []int{500, 502}, retry: true,
		source: "HTTP 500 in " + blockFaults + ", instanceFault; " + cloudBackup,
		advice: "A service failed and does not say why. Try again." + adviseReport,
		agent:  "It failed and does not say why. " + adviseAgent,
	}, {
		cause:  CauseUnknown,
		source: "for what no other row is for",
		advice: "The fault's message is all that is known. If it does not help, report the fault with the request's id.",
	},
}

// sharedSymptom is the row whose clue is what the store knows and no text says: a vault with two agents.
var sharedSymptom = slices.IndexFunc(symptoms, func(s symptom) bool {
	return s.cause == CauseClonedAgent && len(s.says) == 0
})
