package api

import (
	"cmp"
	"maps"
	"slices"

	sm "faultd/statemachine"
)

// managedStatuses are the words of the backup management API, and one of our own for what was deleted.
var managedStatuses = map[sm.Status]string{
	sm.Queued: "CREATED", sm.InProgress: "IN_PROGRESS", sm.Completed: "COMPLETED", sm.Error: "FAILED", sm.Cancelled: "CANCELLED",
	sm.Deleted: "DELETED",
}

var managedStatusOrder = slices.Sorted(maps.Keys(managedStatuses))

// managedMembers are the members that come from attributes.
var managedMembers = []struct {
	attribute, member string
	shape             shape
}{
	{"backup_id", "backupId", isString},
	{"export_id", "exportId", isString},
	{"import_id", "importId", isString},
	{"cloud_id", "cloudId", isString},
	{"product", "product", isString},
	{"storage_id", "storageId", isString},
	{"account_id", "accountId", isString},
	{"encryption_type", "encryptionType", isString},
	{"expiry_time", "expiryTime", isString},
	{"selections", "selections", listOf(isString)},
	{"backup_size", "backupSize", mapOf(isJSONNumber)},
}

// managedFields has each of them twice: by the attribute's name and, since producers may take it from the API that
// this one is like, by the member's.
var managedFields = func() fields {
	var list []field
	for _, m := range managedMembers {
		list = append(list, field{name: m.attribute, shape: m.shape}, field{name: m.member, shape: m.shape})
	}
	return newFields(list...)
}()

// isJSONNumber is any JSON number.
func isJSONNumber(v []byte) bool { return len(v) > 0 && (v[0] == '-' || '0' <= v[0] && v[0] <= '9') }

// millis is how the backup management API shows times.
const millis = "2006-01-02T15:04:05.000Z"

// appendManaged appends a resource.
func appendManaged(dst []byte, r *sm.Resource, n *managedName) []byte {
	dst = appendManagedHead(append(dst, '{'), r, n)
	dst = appendTime(dst, "createdAt", r.Created, millis)
	dst = appendTime(dst, "lastUpdatedAt", r.Updated, millis)
	if r.Fault != nil {
		dst = appendManagedFault(dst, r.Fault)
	}
	return append(dst, '}')
}

// appendManagedHead appends what a resource is and how far.
func appendManagedHead(dst []byte, r *sm.Resource, n *managedName) []byte {
	dst = appendText(dst, n.id, r.ID)
	dst = appendText(dst, "name", r.Name)
	dst = appendText(dst, "status", managedStatuses[r.Status])
	dst = appendTextOrNull(dst, "statusMessage", statusMessage(r))
	dst = appendNumber(dst, "progress", r.Progress())
	v := managedFields.pick(r.Attributes, true)
	for i, m := range managedMembers {
		value := v[2*i]
		if value == nil {
			value = v[2*i+1]
		}
		switch {
		case m.member == n.id:
		case value != nil:
			dst = append(appendName(dst, m.member), value...)
		case m.member == "accountId" && r.User != "":
			dst = appendText(dst, m.member, r.User)
		}
	}
	return dst
}

// statusMessage is why the status is what it is: the fault, what went along with a cancellation, why an attempt
// failed while the next is awaited, or what the producer says.
func statusMessage(r *sm.Resource) string {
	j := r.Job()
	switch {
	case r.Fault != nil:
		return r.Fault.Message
	case j != nil && j.Phase == sm.PhaseCancelled && j.Fault != nil:
		return j.Fault.Message
	case j != nil && j.Waiting() && len(j.Attempts) > 0:
		return j.Attempts[len(j.Attempts)-1].Fault.Message
	}
	return cmp.Or(textAttribute(r.Attributes, "status_message"), textAttribute(r.Attributes, "statusMessage"))
}

// appendManagedFault appends a fault as this API would have answered with it.
func appendManagedFault(dst []byte, f *sm.Fault) []byte {
	code, status := managedCode(f)
	dst = appendText(dst, "errorCode", code)
	dst = appendText(dst, "errorMessage", f.Message)
	return appendNumber(dst, "httpStatus", status)
}

// appendManagedPage appends a list.
func appendManagedPage(dst []byte, page []sm.Resource, total int, next string, n *managedName) []byte {
	dst = append(appendName(append(dst, '{'), n.many), '[')
	for i := range page {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendManaged(dst, &page[i], n)
	}
	dst = appendNumber(append(dst, ']'), "totalItems", total)
	if next != "" {
		dst = append(appendName(dst, n.many+"_links"), '[')
		dst = append(appendLink(dst, "next", next), ']')
	}
	return append(dst, '}')
}
