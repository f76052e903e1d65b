package api

import sm "faultd/statemachine"

// The words of the Block Storage API for what becomes of a backup.
const (
	wordCreating  = "creating"
	wordAvailable = "available"
	wordRestoring = "restoring"
	wordDeleting  = "deleting"
	wordDeleted   = "deleted"
	wordError     = "error"
)

// volumeFields are the members of a backup that come from attributes.
var volumeFields = newFields(
	field{name: "volume_id", shape: orNull(isString), missing: "null"},
	field{name: "snapshot_id", shape: orNull(isString), missing: "null"},
	field{name: "size", shape: isInteger, missing: "0"},
	field{name: "object_count", shape: isInteger, missing: "0"},
	field{name: "container", shape: orNull(isString), missing: "null"},
	field{name: "availability_zone", shape: orNull(isString), missing: "null"},
	field{name: "description", shape: orNull(isString), missing: "null"},
	field{name: "is_incremental", shape: isBool, missing: "false"},
	field{name: "has_dependent_backups", shape: isBool, missing: "false"},
	field{name: "metadata", shape: mapOf(isString), missing: "{}"},
	field{name: "data_timestamp", shape: isZoneless},
)

// volumeBackup is a resource of that kind as the Block Storage API sees it.
type volumeBackup struct {
	*sm.Resource
	word       string // its status
	failReason string // for its tenant; "": none
}

// newVolumeBackup finds the words for a backup; restoring are those that a restore reads.
func newVolumeBackup(r *sm.Resource, restoring map[sm.Key]bool) volumeBackup {
	b := volumeBackup{Resource: r, word: volumeWord(r, restoring)}
	switch {
	case r.Fault != nil:
		b.failReason = r.Fault.Message
	case r.Status == sm.Cancelled && r.Warning() != nil:
		b.failReason = r.Warning().Message
	case r.Status == sm.Cancelled && b.word == wordError:
		b.failReason = "The backup was cancelled"
	}
	return b
}

// volumeWord is the Block Storage API's word for a backup's status. It knows none for a cancelled one: as nothing can
// be restored from it, it is an error.
func volumeWord(r *sm.Resource, restoring map[sm.Key]bool) string {
	switch {
	case r.Status == sm.Deleted:
		return wordDeleted
	case beingDeleted(r):
		return wordDeleting
	case r.Status == sm.Queued, r.Status == sm.InProgress:
		return wordCreating
	case r.Status == sm.Completed && restoring[r.Key]:
		return wordRestoring
	case r.Status == sm.Completed:
		return wordAvailable
	default:
		return wordError
	}
}

// beingDeleted tells whether a job that still counts is about to delete the resource.
func beingDeleted(r *sm.Resource) bool {
	for _, p := range r.Pending() {
		if p.Action == sm.ActDelete {
			return true
		}
	}
	return false
}

// volumeStatusesOf are those that a backup can have where the API's word for it is that one; nil: no such word. The
// words that Cinder has beyond the contract stand for no backup here.
func volumeStatusesOf(word string) []sm.Status {
	switch word {
	case wordCreating:
		return []sm.Status{sm.Queued, sm.InProgress}
	case wordAvailable, wordRestoring:
		return []sm.Status{sm.Completed}
	case wordDeleting:
		return []sm.Status{sm.Queued, sm.InProgress, sm.Completed, sm.Cancelled, sm.Error}
	case wordDeleted:
		return []sm.Status{sm.Deleted}
	case wordError, "error_deleting", "error_restoring":
		return []sm.Status{sm.Error, sm.Cancelled}
	default:
		return nil
	}
}

// restoring are the backups of a tenant, or of all for "", that a restore reads or is about to.
func (c *call) restoring(tenant string) (map[sm.Key]bool, error) {
	all := map[sm.Key]bool{}
	_, err := c.h.store.List(sm.Query{Tenant: tenant, Kind: sm.Restore, Statuses: []sm.Status{sm.Queued, sm.InProgress}, Limit: 1,
		Match: func(r *sm.Resource) bool { // which takes none, so that it is shown all
			if id := textAttribute(r.Attributes, "backup_id"); id != "" {
				all[sm.Key{Tenant: r.Tenant, Kind: sm.Backup, ID: id}] = true
			}
			return false
		}})
	return all, err
}

// textAttribute is the text of an attribute, "" for none and for one of another type.
func textAttribute(a sm.Attributes, name string) string {
	text, _ := sm.Text(valueOf(a, name))
	return text
}

// appendVolumeBackup appends a backup as /backups/{id} and /backups/detail show it.
func appendVolumeBackup(dst []byte, b *volumeBackup, l *look) []byte {
	dst = appendText(append(dst, '{'), "id", b.ID)
	dst = appendTextOrNull(dst, "name", b.Name)
	dst = appendText(dst, "status", b.word)
	dst = appendTextOrNull(dst, "fail_reason", b.failReason)
	dst = appendFault(dst, b.Fault, l.admin)
	dst = appendTime(dst, "created_at", b.Created, zoneless)
	dst = appendTime(dst, "updated_at", b.Updated, zoneless)
	dst = appendText(dst, "os-backup-project-attr:project_id", b.Tenant)
	dst = appendTextOrNull(dst, "user_id", b.User)
	v := volumeFields.pick(b.Attributes, l.admin)
	dst = volumeFields.appendValues(dst, &v)
	if v[volumeFields.at["data_timestamp"]] == nil {
		dst = appendTime(dst, "data_timestamp", b.Created, zoneless)
	}
	return append(appendLinks(dst, volumeBackupsPath, b.ID, l), '}')
}

// appendVolumeBackupBrief appends a backup as the plain list shows it.
func appendVolumeBackupBrief(dst []byte, b *volumeBackup, l *look) []byte {
	dst = appendText(append(dst, '{'), "id", b.ID)
	dst = appendTextOrNull(dst, "name", b.Name)
	return append(appendLinks(dst, volumeBackupsPath, b.ID, l), '}')
}

// volumeBackupsPath is that of the collection.
const volumeBackupsPath = "backups/"
