package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"

	sm "faultd/statemachine"
)

// record says for people which record a key is of. It believes no key: it may be damaged.
func (t table) record(key []byte) string { return (&owners{}).record(t, bytes.Clone(key)) } // so that no key of a read escapes

// owners name what records belong to, for people.
type owners struct {
	v         view // without tables: nothing is looked up, and resources are told by their numbers
	resources map[uint64]string
}

// record says which record a key is of, and whose.
func (o *owners) record(t table, key []byte) string {
	name := fmt.Sprintf("record %x of %s", key[:min(len(key), 64)], t.name())
	if whose := o.whose(t, key); whose != "" {
		name += " (" + whose + ")"
	}
	return name
}

func (o *owners) whose(t table, key []byte) string {
	if t.holdsSets() {
		return chunked(key)
	}
	switch t.id {
	case idMeta:
		return fmt.Sprintf("what is kept of the log: %.64s", key)
	case idTenants:
		return fmt.Sprintf("tenant %.64q", key)
	case idIDs:
		return ofID(key)
	case idHot, idCold, idJobs, idHistory, idFaults:
		return o.numbered(key, 0)
	case idRelations, idMembers:
		return o.numbered(key, len(key)-8)
	case idErrors, idMessages:
		return numbered("the fault of message", key, len(key)-8)
	case idRejected:
		return numbered("rejected message", key, 0)
	case idOutbox:
		return numbered("what is to be told of message", key, 0)
	case idGroups, idShared, idGroupTenants:
		return fmt.Sprintf("the faults with fingerprint %.18q", key)
	case idEpochs, idGaps:
		return numbered("epoch", key, 0)
	}
	return ""
}

func numbered(what string, key []byte, at int) string {
	if at < 0 || at+8 > len(key) {
		return ""
	}
	return fmt.Sprintf("%s %d", what, binary.BigEndian.Uint64(key[at:]))
}

// chunked is the owner of a chunk of a set.
func chunked(key []byte) string {
	if len(key) < 8 {
		return ""
	}
	return fmt.Sprintf("resources number %d to %d", firstOf(key), firstOf(key)+chunkSpan-1)
}

// ofID is the owner of a record of the ids.
func ofID(key []byte) string {
	if len(key) < 6 {
		return ""
	}
	return fmt.Sprintf("%s %s of tenant number %d", sm.Kind(key[0]), key[1:len(key)-5], binary.BigEndian.Uint32(key[len(key)-4:]))
}

// numbered names the resource whose number stands somewhere in a key.
func (o *owners) numbered(key []byte, at int) string {
	if at < 0 || at+8 > len(key) {
		return ""
	}
	if o.resources == nil && o.v.tables != nil {
		o.resources = map[uint64]string{}
		each(o.v.ids, func(k, number []byte) { o.resources[binary.BigEndian.Uint64(number)] = ofID(k) })
	}
	if name := o.resources[binary.BigEndian.Uint64(key[at:])]; name != "" {
		return name
	}
	return numbered("resource number", key, at)
}
