package consumer

import (
	"math"
	"strconv"

	"faultd/statemachine"
)

// node is a value of a notification. Notifications come in many shapes and types, so they are read as a whole
// first and asked afterwards. All methods work on nil, which stands for what is not there; so does null.
type node struct {
	kind    byte   // the first byte of the value's text
	raw     []byte // the value's text
	text    []byte // a string's content
	spaces  int    // insignificant bytes in raw
	members []nodeMember
}

type nodeMember struct {
	name  []byte
	value node
}

// tree reads a value with all that objects within objects hold. It shares its bytes with the text.
func (s *scanner) tree() node {
	n := node{kind: s.peek()}
	from, spaces := s.at, s.spaces
	switch n.kind {
	case '{':
		s.enter()
		for seen := (nameSet{}); s.member(&seen); {
			n.members = append(n.members, nodeMember{seen.name, s.tree()})
		}
	case '"':
		n.text = s.quoted()
	default:
		s.skip()
	}
	if s.broken == nil {
		n.raw, n.spaces = s.data[from:s.at], s.spaces-spaces
	}
	return n
}

// parseTree reads a text that must be one object.
func parseTree(data []byte, field string) (node, *refusal) {
	s := scanner{data: data}
	n := s.tree()
	s.end()
	if n.kind != '{' {
		s.refuse(statemachine.Schema, "%s: must be an object", field)
	}
	return n, s.refusal()
}

// get is the value at a path of names.
func (n *node) get(path ...string) *node {
	for _, name := range path {
		if n = n.member(name); n == nil {
			return nil
		}
	}
	return n
}

func (n *node) member(name string) *node {
	if n == nil {
		return nil
	}
	for i := range n.members {
		if m := &n.members[i]; string(m.name) == name && m.value.kind != 'n' {
			return &m.value
		}
	}
	return nil
}

// object is the value at a path of names if that is an object, taken out of the wrapping in which Nova's
// versioned notifications put every object.
func (n *node) object(path ...string) *node {
	n = n.get(path...)
	if n == nil || n.kind != '{' {
		return nil
	}
	if data := n.member("nova_object.data"); data != nil && data.kind == '{' {
		return data
	}
	return n
}

// string is the string at a path of names, empty where there is none.
func (n *node) string(path ...string) string {
	if n = n.get(path...); n == nil {
		return ""
	}
	return string(n.text)
}

// number is the number at a path of names; some senders write it as a string.
func (n *node) number(path ...string) (float64, bool) {
	n = n.get(path...)
	if n == nil {
		return 0, false
	}
	text := n.raw
	if n.kind == '"' {
		text = n.text
	}
	f, err := strconv.ParseFloat(string(text), 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}
