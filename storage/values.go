package storage

import (
	"encoding/binary"
	"encoding/json"

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

// valuesOf are the values that a resource's attributes have, in the order of the attributes.
func valuesOf(attributes sm.Attributes) (all []value) {
	if len(attributes) == 0 {
		return nil
	}
	var has struct {
		HostID    text `json:"hostId"`
		Image     ref  `json:"image"`
		Flavor    ref  `json:"flavor"`
		StorageID text `json:"storage_id"`
		AgentID   text `json:"agent_id"`
		Product   text `json:"product"`
		Provider  text `json:"provider"`
	}
	if json.Unmarshal(attributes, &has) != nil {
		return nil
	}
	for attr, t := range []text{has.HostID, has.Image.id, has.Flavor.id, has.StorageID, has.AgentID, has.Product, has.Provider} {
		if t != "" && len(t) <= maxValue {
			all = append(all, value{byte(attr), string(t)})
		}
	}
	return all
}

// text is a text, empty where there is something else: a producer's slip must not hide the other values.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

// ref is the id of an object, empty where there is something else.
type ref struct{ id text }

func (r *ref) UnmarshalJSON(b []byte) error {
	var o struct {
		ID text `json:"id"`
	}
	if json.Unmarshal(b, &o) == nil {
		r.id = o.ID
	}
	return nil
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
