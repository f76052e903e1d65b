package statemachine

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
)

// Attributes is a JSON object, compact, or empty for none.
type Attributes []byte

// MaxAttributes is the size in bytes that the merged attributes of a resource may have.
const MaxAttributes = 16 << 10

// ErrAttributesTooLarge is returned when merged attributes would pass [MaxAttributes].
var ErrAttributesTooLarge = errors.New("attributes, merged with those known before, are over 16 KiB")

// merge puts the members of more in place of those of a, sorted by name. It returns a itself where that
// changes nothing, so that equal attributes are written once.
func (a Attributes) merge(more Attributes) (Attributes, error) {
	if len(more) == 0 || bytes.Equal(a, more) {
		return a, nil
	}
	all, err := a.members()
	if err != nil {
		return nil, err
	}
	newer, err := more.members()
	if err != nil {
		return nil, err
	}
	if len(newer) == 0 {
		return a, nil
	}
	if all == nil {
		all = newer
	} else {
		maps.Copy(all, newer)
	}
	merged := encodeMembers(all)
	switch {
	case bytes.Equal(merged, a):
		return a, nil
	case len(merged) > MaxAttributes:
		return nil, ErrAttributesTooLarge
	}
	return merged, nil
}

func (a Attributes) members() (map[string]json.RawMessage, error) {
	if len(a) == 0 {
		return nil, nil
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(a, &m); err != nil {
		return nil, err
	}
	return m, nil
}

func encodeMembers(m map[string]json.RawMessage) Attributes {
	out := []byte{'{'}
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			out = append(out, ',')
		}
		name, _ := json.Marshal(k) // a string always encodes
		out = append(append(append(out, name...), ':'), m[k]...)
	}
	return append(out, '}')
}
