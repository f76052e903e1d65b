package storage

import (
	"encoding/binary"
	"slices"

	sm "faultd/statemachine"
)

// sharable are the attributes of which a group of faults tells what its resources share; the numbers are stored, so
// append, never reorder.
var sharable = []string{"hostId", "image.id", "flavor.id", "storage_id", "agent_id", "product", "provider"}

const attrProvider = 6

// maxValue is the longest value in bytes that is counted.
const maxValue = 128

// value is a value of one of the sharable attributes.
type value struct {
	attr byte
	text string
}

// valuesOf are the values that a resource's attributes have, in the order of [sharable]. One that is no text, or too
// long, is none: a producer's slip must not hide the others.
func valuesOf(attributes sm.Attributes) (all []value) {
	var texts [attrProvider + 1]string
	for name, v := range attributes.Members() {
		switch string(name) {
		case "hostId", "storage_id", "agent_id", "product", "provider":
			texts[slices.Index(sharable, string(name))], _ = sm.Text(v)
		case "image", "flavor":
			texts[slices.Index(sharable, string(name)+".id")] = idOf(v)
		}
	}
	for attr, t := range texts {
		if t != "" && len(t) <= maxValue {
			all = append(all, value{byte(attr), t})
		}
	}
	return all
}

// idOf is the id of an object, empty for anything else.
func idOf(v []byte) string {
	if len(v) == 0 || v[0] != '{' {
		return ""
	}
	for name, v := range sm.Attributes(v).Members() {
		if string(name) == "id" {
			id, _ := sm.Text(v)
			return id
		}
	}
	return ""
}

func valueKey(k sm.Kind, v value) string { return string([]byte{byte(k), v.attr}) + v.text }

// countValues keeps count of how many resources that are not deleted have which values.
func (b *batch) countValues(t *touched) {
	was, is := &t.before, &t.resource
	lived, lives := was.Status != 0 && was.Status != sm.Deleted, is.Status != 0 && is.Status != sm.Deleted
	if lived == lives && (!lives || string(was.Attributes) == string(is.Attributes)) {
		return
	}
	if lived {
		for _, v := range valuesOf(was.Attributes) {
			b.values[valueKey(is.Kind, v)]--
		}
	}
	if lives {
		for _, v := range valuesOf(is.Attributes) {
			b.values[valueKey(is.Kind, v)]++
		}
	}
}

func (b *batch) writeValues() error {
	for key, d := range b.values {
		was := b.valueCounts.get([]byte(key))
		if err := b.replace(b.valueCounts, []byte(key), number(asNumber(was)+uint64(d)), was); err != nil {
			return err
		}
	}
	return nil
}

// asNumber reads what [number] writes.
func asNumber(record []byte) uint64 {
	if len(record) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(record)
}
