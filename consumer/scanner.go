package consumer

import (
	"bytes"
	"fmt"
	"slices"

	"faultd/statemachine"
)

// maxDepth is how deep objects and arrays may nest, the outermost included.
const maxDepth = 32

// refusal is why a message is no event.
type refusal struct {
	reason statemachine.Reason
	detail string // of a rejection: which field broke which rule
}

// scanner reads one JSON text from its begin to its end, and is stricter than encoding/json: it refuses duplicate
// names, invalid UTF-8, lone surrogates, deep nesting and whatever follows the value.
//
// broken stops the reading: the text is not JSON as we take it. wrong does not, since a text that turns out broken
// later on is malformed first of all; it holds the first rule that a field broke.
type scanner struct {
	data    []byte
	at      int
	depth   int
	spaces  int        // insignificant bytes that were passed
	unknown int        // members that nobody asked for
	names   [16][]byte // of the objects that are open, see nameSet
	kept    int        // how many of them
	broken  *refusal
	wrong   *refusal
}

// refusal is what the reading came to, nil if all is well.
func (s *scanner) refusal() *refusal {
	if s.broken != nil {
		return s.broken
	}
	return s.wrong
}

// stop ends the reading: nothing that follows is looked at.
func (s *scanner) stop(reason statemachine.Reason, detail string) {
	if s.broken == nil {
		s.broken = &refusal{reason, detail}
	}
}

// expected is the fault of a text in which something else stands than must.
func (s *scanner) expected(what string) {
	if s.at >= len(s.data) {
		s.malformed("the text ends too early")
		return
	}
	s.malformed("expected " + what)
}

func (s *scanner) malformed(what string) {
	s.stop(statemachine.Malformed, fmt.Sprintf("at byte %d: %s", s.at, what))
}

// refuse notes that a field breaks a rule; the first one counts.
func (s *scanner) refuse(reason statemachine.Reason, format string, args ...any) {
	if s.wrong == nil {
		s.wrong = &refusal{reason, fmt.Sprintf(format, args...)}
	}
}

// end makes sure that nothing follows the value.
func (s *scanner) end() {
	if c := s.peek(); c != 0 || s.at < len(s.data) {
		s.malformed("nothing may follow the value")
	}
}

// peek passes white space and returns the first byte of what follows, 0 at the end or where reading has stopped.
func (s *scanner) peek() byte {
	if s.broken != nil {
		return 0
	}
	for i := s.at; i < len(s.data); i++ {
		switch c := s.data[i]; c {
		case ' ', '\t', '\r', '\n':
			s.spaces++
		default:
			s.at = i
			return c
		}
	}
	s.at = len(s.data)
	return 0
}

// take passes the byte c, which must come next.
func (s *scanner) take(c byte) bool {
	if s.peek() == c {
		s.at++
		return true
	}
	s.expected(fmt.Sprintf("%q", c))
	return false
}

// nameSet is the names that an object has had so far, and the last of them.
type nameSet struct {
	name  []byte
	count int
	first int                 // of those that the scanner keeps, while many is nil
	many  map[string]struct{} // takes over beyond those, so that long objects are not quadratic
}

// isNew adds a name to those of its object, and tells whether it was not there.
func (s *scanner) isNew(n *nameSet, name []byte) bool {
	if n.count == 0 {
		n.first = s.kept
	}
	n.name = name
	n.count++
	if n.many == nil {
		for _, was := range s.names[n.first:s.kept] {
			if bytes.Equal(was, name) {
				return false
			}
		}
		if s.kept < len(s.names) {
			s.names[s.kept] = name
			s.kept++
			return true
		}
		n.many = make(map[string]struct{}, 2*len(s.names))
		for _, was := range s.names[n.first:s.kept] {
			n.many[string(was)] = struct{}{}
		}
		s.kept = n.first
	}
	_, again := n.many[string(name)]
	n.many[string(name)] = struct{}{}
	return !again
}

// enter passes the bracket that opens an object or array.
func (s *scanner) enter() {
	s.at++
	if s.depth++; s.depth > maxDepth {
		s.stop(statemachine.TooLarge, fmt.Sprintf("at byte %d: nested deeper than %d", s.at-1, maxDepth))
	}
}

// closes passes the bracket c if it comes next.
func (s *scanner) closes(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	s.depth--
	return true
}

// member goes to the value of the next member of an object, and tells whether there is one; its name is in n.
// Each value must be read before the next call.
func (s *scanner) member(n *nameSet) bool {
	if s.closes('}') {
		if n.count > 0 && n.many == nil {
			s.kept = n.first
		}
		return false
	}
	if n.count > 0 && !s.take(',') {
		return false
	}
	if s.peek() != '"' {
		s.expected("a name in quotes")
		return false
	}
	name := s.quoted()
	if s.broken != nil || !s.take(':') {
		return false
	}
	if !s.isNew(n, name) {
		s.malformed(fmt.Sprintf("the name %.64q stands twice in one object", name))
		return false
	}
	return true
}

// element goes to the next element of an array, of which n came before, and tells whether there is one.
func (s *scanner) element(n int) bool {
	if s.closes(']') {
		return false
	}
	if n > 0 && !s.take(',') {
		return false
	}
	return s.broken == nil
}

// skip reads a value of any kind for its validity alone.
func (s *scanner) skip() {
	switch s.peek() {
	case '{':
		s.enter()
		for n := (nameSet{}); s.member(&n); {
			s.skip()
		}
	case '[':
		s.enter()
		for n := 0; s.element(n); n++ {
			s.skip()
		}
	case '"':
		s.quoted()
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.digits()
	}
}

func (s *scanner) literal(word string) {
	if !bytes.HasPrefix(s.data[s.at:], []byte(word)) {
		s.expected("a value")
		return
	}
	s.at += len(word)
}

// other passes a member that the object is not known to have, and counts it; a known name in another case is
// refused, since the next reader may take it for the real one.
func (s *scanner) other(where string, name []byte, known []string) {
	if i := slices.IndexFunc(known, func(k string) bool { return bytes.EqualFold(name, []byte(k)) }); i >= 0 {
		s.malformed(fmt.Sprintf("%s: the name %q must be written %q", where, name, known[i]))
		return
	}
	s.unknown++
	s.skip()
}

// value goes to a value that may be left out and returns its first byte; 0 where there is none. Null is the same
// as absent.
func (s *scanner) value() byte {
	c := s.peek()
	switch {
	case c == 'n':
		s.literal("null")
		return 0
	case c == 0:
		s.expected("a value")
	}
	return c
}

// isA tells whether a value begins with c and so is of the kind that the field must have; any other kind is
// refused.
func (s *scanner) isA(c byte, field, kind string) bool {
	v := s.value()
	if v == 0 || v == c {
		return v == c
	}
	s.refuse(statemachine.Schema, "%s: must be %s", field, kind)
	s.skip()
	return false
}

// object enters an object and tells whether there is one to read.
func (s *scanner) object(field string) bool {
	if !s.isA('{', field, "an object") {
		return false
	}
	s.enter()
	return true
}

// bytes reads a string; it is nil where there is none. It shares its bytes with the text.
func (s *scanner) bytes(field string) []byte {
	if !s.isA('"', field, "a string") {
		return nil
	}
	return s.quoted()
}

// text reads a string of at most limit bytes; null is an empty one.
func (s *scanner) text(field string, limit int) string {
	b := s.bytes(field)
	if len(b) > limit {
		s.refuse(statemachine.TooLarge, "%s: must have at most %d bytes, has %d", field, limit, len(b))
		return ""
	}
	return string(b)
}

// number reads a number as it is written; it is nil where there is none.
func (s *scanner) number(field string) []byte {
	c := s.value()
	if c == 0 {
		return nil
	}
	if c != '-' && !isDigit(c) {
		s.refuse(statemachine.Schema, "%s: must be a number", field)
		s.skip()
		return nil
	}
	from := s.at
	s.digits()
	return s.data[from:s.at]
}
