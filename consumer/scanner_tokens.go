package consumer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"unicode/utf8"
)

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
