package api

import (
	"cmp"

	sm "faultd/statemachine"
)

// The states of the Cloud Backup API, and one of our own for what was deleted.
const (
	stateQueued     = "queued"
	stateInProgress = "in_progress"
	stateCompleted  = "completed"
	stateWithErrors = "completed_with_errors"
	stateFailed     = "failed"
	stateStopped    = "stopped"
	stateDeleted    = "deleted"
)

// cloudStatuses are the statuses among which is all that is in a state.
var cloudStatuses = map[string]sm.Status{
	stateQueued: sm.Queued, stateInProgress: sm.InProgress, stateCompleted: sm.Completed, stateWithErrors: sm.Error,
	stateFailed: sm.Error, stateStopped: sm.Cancelled, stateDeleted: sm.Deleted,
}

// cloudState is the Cloud Backup API's word for a status. What failed is completed with errors if a provider did
// its part all the same.
func cloudState(r *sm.Resource) string {
	switch r.Status {
	case sm.Queued:
		return stateQueued
	case sm.InProgress:
		return stateInProgress
	case sm.Completed:
		return stateCompleted
	case sm.Cancelled:
		return stateStopped
	case sm.Deleted:
		return stateDeleted
	}
	if j := r.Job(); j != nil {
		for i := range j.Providers {
			if j.Providers[i].Phase == sm.PhaseSucceeded {
				return stateWithErrors
			}
		}
	}
	return stateFailed
}

// restorable tells whether a backup can be restored: by its producer, else by its state.
func restorable(r *sm.Resource) bool {
	for name, value := range members(r.Attributes) {
		if string(name) == "restorable" && isBool(value) {
			return string(value) == "true"
		}
	}
	state := cloudState(r)
	return state == stateCompleted || state == stateWithErrors
}

// cloudFields are the members that come from attributes, of which each kind has its own.
var cloudFields = map[sm.Kind]fields{
	sm.Backup: newFields(
		field{name: "snapshot_id", shape: isSnapshot, missing: "null"},
		field{name: "files_searched", shape: isInteger},
		field{name: "files_backed_up", shape: isInteger},
		field{name: "bytes_searched", shape: isInteger},
		field{name: "bytes_backed_up", shape: isInteger},
		field{name: "bytes_in_db", shape: isInteger},
		field{name: "bandwidth_avg_bps", shape: isInteger},
	),
	sm.Restore: newFields(
		field{name: "snapshot_id", shape: isSnapshot, missing: "null"},
		field{name: "destination_path", shape: isString},
		field{name: "overwrite_files", shape: isBool},
		field{name: "inclusions", shape: listOf(isSelected)},
		field{name: "exclusions", shape: listOf(isSelected)},
		field{name: "files_restored", shape: isInteger},
		field{name: "bytes_restored", shape: isInteger},
		field{name: "files_searched", shape: isInteger},
		field{name: "bytes_searched", shape: isInteger},
	),
}

// isSnapshot is the id of a snapshot: upstream's table calls it a string, and its examples have numbers.
func isSnapshot(v []byte) bool { return isInteger(v) || isString(v) }

// isSelected is what a restore takes or leaves out.
func isSelected(v []byte) bool { return having("type", isString)(v) && having("path", isString)(v) }

// micros is how the Cloud Backup API shows times.
const micros = "2006-01-02T15:04:05.000000Z"

// appendCloudBackup appends a backup or restore.
func appendCloudBackup(dst []byte, r *sm.Resource, v *cloudView) []byte {
	dst = appendText(append(dst, '{'), "project_id", r.Tenant)
	dst = appendText(dst, "id", r.ID)
	if r.Kind == sm.Restore {
		dst = v.appendRestored(dst, r)
	}
	dst = appendCloudReference(dst, "agent", cloudReference(r, "agent"))
	dst = appendCloudReference(dst, "configuration", cloudReference(r, "configuration"))
	dst = appendText(dst, "state", cloudState(r))
	var started, ended sm.Time
	if j := ownJob(r); j != nil {
		started, ended = j.Started, j.Ended
	}
	dst = appendTime(dst, "started_time", started, micros)
	dst = appendTime(dst, "ended_time", ended, micros)
	dst = append(appendName(dst, "errors"), '{')
	dst = appendErrorsHead(dst, cloudErrorsOf(r), r, v)
	dst = append(v.appendSelf(dst, "full", r, "/errors"), ']', '}')
	fields := cloudFields[r.Kind]
	values := fields.pick(r.Attributes, v.admin)
	dst = fields.appendValues(dst, &values)
	if r.Kind == sm.Backup {
		dst = appendCloudBool(dst, "restorable", restorable(r))
	}
	dst = append(v.appendSelf(dst, "self", r, ""), ',')
	return append(appendLink(dst, "events", v.root, r.Tenant, "/", v.many, "/", r.ID, "/events"), ']', '}')
}

// appendRestored appends what is restored and to where.
func (v *cloudView) appendRestored(dst []byte, r *sm.Resource) []byte {
	dst = appendName(dst, "backup")
	if id := textAttribute(r.Attributes, "backup_id"); id != "" {
		dst = appendText(append(dst, '{'), "id", id)
		dst = append(appendName(dst, "links"), '[')
		dst = append(appendLink(dst, "full", v.root, r.Tenant, "/backups/", id), ']', '}')
	} else {
		dst = append(dst, "null"...)
	}
	return appendCloudReference(dst, "destination_agent", cmp.Or(cloudReference(r, "destination_agent"), cloudReference(r, "agent")))
}

// appendSelf appends the links of a document as a member that is still open, with the first of them.
func (v *cloudView) appendSelf(dst []byte, rel string, r *sm.Resource, part string) []byte {
	return appendLink(append(appendName(dst, "links"), '['), rel, v.root, r.Tenant, "/", v.many, "/", r.ID, part)
}

// cloudReference is the id of something that is not followed here: the attribute name_id, or that of the object name.
func cloudReference(r *sm.Resource, name string) string {
	if id := textAttribute(r.Attributes, name+"_id"); id != "" {
		return id
	}
	for n, value := range members(r.Attributes) {
		if string(n) == name && isObject(value) {
			return textAttribute(sm.Attributes(value), "id")
		}
	}
	return ""
}

// appendCloudReference appends an object with that id, which has no address here.
func appendCloudReference(dst []byte, name, id string) []byte {
	dst = appendName(dst, name)
	if id == "" {
		return append(dst, "null"...)
	}
	dst = appendText(append(dst, '{'), "id", id)
	return append(appendName(dst, "links"), '[', ']', '}')
}

func appendCloudBool(dst []byte, name string, value bool) []byte {
	dst = appendName(dst, name)
	if value {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}

// ownJob is the job that made a backup, restore or migration what it is, not one that only deletes it; or nil.
func ownJob(r *sm.Resource) *sm.Job {
	if j := r.Job(); j == nil || j.Action != sm.ActDelete {
		return j
	}
	for i := len(r.Jobs) - 1; i >= 0; i-- {
		if r.Jobs[i].Action != sm.ActDelete {
			return &r.Jobs[i]
		}
	}
	return nil
}

// appendCloudPage appends a list. Its links stand in it twice: where this API has them, and where all our lists do.
func appendCloudPage(dst []byte, page []sm.Resource, next string, v *cloudView) []byte {
	dst = append(appendName(append(dst, '{'), v.many), '[')
	for i := range page {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCloudBackup(dst, &page[i], v)
	}
	dst = append(dst, ']')
	if next != "" {
		dst = append(appendName(dst, v.many+"_links"), '[')
		dst = append(appendLink(dst, "next", next), ']')
	}
	return append(appendNext(dst, next), '}')
}
