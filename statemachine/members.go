package statemachine

import (
	"bytes"
	"encoding/json"
	"iter"
)

// Members are the members of the object in the order in which they stand: each name as it is written between its quotes,
// and its value. Both share their bytes with the attributes, which must be valid.
func (a Attributes) Members() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for m := firstMember(a); m.name != nil && yield(m.name, m.value); {
			m.next()
		}
	}
}

// Text is the text of a JSON string without white space around it, which must be valid; false for any other value.
func Text(value []byte) (text string, ok bool) {
	n := len(value)
	switch {
	case n < 2 || value[0] != '"':
		return "", false
	case bytes.IndexByte(value, '\\') < 0:
		return string(value[1 : n-1]), true
	default:
		return unescape(value)
	}
}

// unescape is apart from [Text] since what it lends to the parser would cost that one an allocation for every value.
func unescape(value []byte) (text string, ok bool) {
	ok = json.Unmarshal(value, &text) == nil
	return text, ok
}

// member is one member of an object, on the way through them.
type member struct {
	name, value []byte // name is nil behind the last one
	rest        []byte // what follows, from a comma or the last bracket on
}

func firstMember(object []byte) member {
	m := member{rest: object}
	m.next()
	return m
}

func (m *member) next() {
	b := pass(m.rest, '{', ',')
	if len(b) == 0 || b[0] != '"' {
		m.name = nil
		return
	}
	end := textEnd(b)
	value := pass(b[end:], ':', ':')
	n := valueEnd(value)
	m.name, m.value, m.rest = b[1:max(1, end-1)], bytes.TrimSpace(value[:n]), value[n:]
}

// pass is what follows the white space, and either byte, at the begin of b.
func pass(b []byte, either, or byte) []byte {
	for len(b) > 0 && (b[0] <= ' ' || b[0] == either || b[0] == or) {
		b = b[1:]
	}
	return b
}

// textEnd is where the text ends at whose quote b begins.
func textEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// valueEnd is where the member's value ends with which b begins: at a comma or bracket that is not its own.
func valueEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += textEnd(b[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(b)
}
