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
	merged, ok := a.splice(more)
	if !ok {
		var err error
		if merged, err = a.mergeAny(more); err != nil {
			return nil, err
		}
	}
	switch {
	case len(merged) == len("{}") || bytes.Equal(merged, a):
		return a, nil
	case len(merged) > MaxAttributes:
		return nil, ErrAttributesTooLarge
	}
	return merged, nil
}

// splice merges two objects whose members are sorted by plain names, as decoders leave nearly all of them; it is false
// for others.
func (a Attributes) splice(more Attributes) (merged Attributes, ok bool) {
	older, newer := firstMember(a), firstMember(more)
	merged = append(make([]byte, 0, len(a)+len(more)), '{')
	for last := []byte(nil); older.name != nil || newer.name != nil; {
		next := &newer
		switch {
		case newer.name == nil || older.name != nil && bytes.Compare(older.name, newer.name) < 0:
			next = &older
		case bytes.Equal(older.name, newer.name):
			older.next() // it is replaced
		}
		if !plain(next.name) || last != nil && bytes.Compare(last, next.name) >= 0 {
			return nil, false
		}
		if last = next.name; len(merged) > 1 {
			merged = append(merged, ',')
		}
		merged = append(append(append(append(merged, '"'), last...), '"', ':'), next.value...)
		next.next()
	}
	return append(merged, '}'), true
}

// plain tells whether a name is the same with quotes around it as encoding/json writes it.
func plain(name []byte) bool {
	for _, c := range name {
		switch {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// mergeAny merges what is not sorted, or has names that can be written in several ways.
func (a Attributes) mergeAny(more Attributes) (Attributes, error) {
	all, err := a.members()
	if err != nil {
		return nil, err
	}
	newer, err := more.members()
	if err != nil {
		return nil, err
	}
	if all == nil {
		all = newer
	} else {
		maps.Copy(all, newer)
	}
	return encodeMembers(all), nil
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
