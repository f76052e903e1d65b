package consumer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

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
	spaces  int // insignificant bytes that were passed
	unknown int // members that nobody asked for
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
	few   [12][]byte
	count int
	many  map[string]struct{} // takes over beyond few, so that long objects are not quadratic
}

// add tells whether the name is new.
func (n *nameSet) add(name []byte) bool {
	n.name = name
	if n.many != nil {
		if _, ok := n.many[string(name)]; ok {
			return false
		}
		n.many[string(name)] = struct{}{}
		return true
	}
	for i := range n.count {
		if bytes.Equal(n.few[i], name) {
			return false
		}
	}
	if n.count < len(n.few) {
		n.few[n.count] = name
		n.count++
		return true
	}
	n.many = make(map[string]struct{}, 4*len(n.few))
	for _, few := range n.few {
		n.many[string(few)] = struct{}{}
	}
	n.many[string(name)] = struct{}{}
	return true
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
	if !n.add(name) {
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

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// digits reads a number by JSON's grammar.
func (s *scanner) digits() {
	i := s.at
	if i < len(s.data) && s.data[i] == '-' {
		i++
	}
	whole := i
	i = s.run(i)
	ok := i > whole && (i == whole+1 || s.data[whole] != '0')
	if ok && i < len(s.data) && s.data[i] == '.' {
		from := i + 1
		i = s.run(from)
		ok = i > from
	}
	if ok && i < len(s.data) && s.data[i]|0x20 == 'e' {
		if i++; i < len(s.data) && (s.data[i] == '+' || s.data[i] == '-') {
			i++
		}
		from := i
		i = s.run(from)
		ok = i > from
	}
	if !ok {
		s.expected("a value")
		return
	}
	s.at = i
}

// run is where the digits that begin at i end.
func (s *scanner) run(i int) int {
	for i < len(s.data) && isDigit(s.data[i]) {
		i++
	}
	return i
}

// quoted reads a string. It shares its bytes with the text unless there are escapes in it.
func (s *scanner) quoted() []byte {
	from := s.at + 1
	i := from
	for i+8 <= len(s.data) && isPlain(binary.LittleEndian.Uint64(s.data[i:])) {
		i += 8
	}
	for ; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			s.at = i + 1
			return s.data[from:i]
		case c == '\\' || c < ' ' || c >= utf8.RuneSelf:
			return s.unquote(from, i)
		}
	}
	s.malformed("a string does not end")
	return nil
}

// isPlain tells of eight bytes at once that none of them ends a string or needs a closer look.
func isPlain(w uint64) bool {
	const each, high = 0x0101010101010101, 0x8080808080808080
	control := w - each*' '
	quote := (w ^ each*'"') - each
	backslash := (w ^ each*'\\') - each
	return (w|control|quote|backslash)&high == 0
}

// unquote reads the string that begins at from, of which all before i is plain ASCII.
func (s *scanner) unquote(from, i int) []byte {
	var out []byte
	kept := from // what begins here is not in out yet
	for i < len(s.data) {
		switch c := s.data[i]; {
		case c == '"':
			s.at = i + 1
			if out == nil {
				return s.data[from:i]
			}
			return append(out, s.data[kept:i]...)
		case c == '\\':
			r, size := unescape(s.data[i:])
			if size == 0 {
				s.at = i
				s.malformed("an escape that means nothing")
				return nil
			}
			out = utf8.AppendRune(append(out, s.data[kept:i]...), r)
			i += size
			kept = i
		case c < ' ':
			s.at = i
			s.malformed("a control character within a string")
			return nil
		default:
			_, size := utf8.DecodeRune(s.data[i:])
			if c >= utf8.RuneSelf && size == 1 {
				s.at = i
				s.malformed("invalid UTF-8")
				return nil
			}
			i += size
		}
	}
	s.malformed("a string does not end")
	return nil
}

// unescape decodes the escape at the begin of b; size is 0 for what is none, a lone surrogate included.
func unescape(b []byte) (r rune, size int) {
	if len(b) < 2 {
		return 0, 0
	}
	if b[1] != 'u' {
		if i := bytes.IndexByte([]byte(`"\/bfnrt`), b[1]); i >= 0 {
			return rune("\"\\/\b\f\n\r\t"[i]), 2
		}
		return 0, 0
	}
	r = unicodeEscape(b)
	switch {
	case r < 0 || 0xDC00 <= r && r < 0xE000:
		return 0, 0
	case r < 0xD800 || r >= 0xE000:
		return r, 6
	}
	low := unicodeEscape(b[6:])
	if low < 0xDC00 || low >= 0xE000 {
		return 0, 0
	}
	return (r-0xD800)<<10 | (low - 0xDC00) + 0x10000, 12
}

// unicodeEscape is the unit that a \uXXXX stands for, -1 if b begins with none.
func unicodeEscape(b []byte) (r rune) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	for _, c := range b[2:6] {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// compact is a valid JSON text without insignificant white space, as a copy.
func compact(valid []byte, spaces int) []byte {
	if spaces == 0 {
		return bytes.Clone(valid)
	}
	var out bytes.Buffer
	out.Grow(len(valid) - spaces)
	_ = json.Compact(&out, valid) // what the scanner took is valid
	return out.Bytes()
}
