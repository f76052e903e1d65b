package api

import (
	"strconv"
	"time"
	"unicode/utf8"

	sm "faultd/statemachine"
)

// The functions here append JSON to a buffer. Answers are made of few and known parts, and reading one resource
// is to cost little more than sending it: going through encoding/json would be half of that.

const hexDigits = "0123456789abcdef"

// appendString appends a JSON string; what is not UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	return append(appendContent(append(dst, '"'), s), '"')
}

// appendContent appends what stands between the quotes of a string.
func appendContent(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, size := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = appendEscape(append(dst, s[start:i]...), c)
		i++
		start = i
	}
	return append(dst, s[start:]...)
}

// appendEscape appends a byte that cannot stand in a string as it is.
func appendEscape(dst []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, `\n`...)
	case c == '\t':
		return append(dst, `\t`...)
	case c >= utf8.RuneSelf:
		return append(dst, `\ufffd`...)
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
}

// appendName appends the name of a member, which must need no escapes, with a comma before it unless it is the
// first of its object.
func appendName(dst []byte, name string) []byte {
	if last := dst[len(dst)-1]; last != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), name...), '"', ':')
}

func appendText(dst []byte, name, value string) []byte {
	return appendString(appendName(dst, name), value)
}

// appendTextOrNull appends a text that is null where it is empty.
func appendTextOrNull(dst []byte, name, value string) []byte {
	if value == "" {
		return append(appendName(dst, name), "null"...)
	}
	return appendText(dst, name, value)
}

func appendNumber[N ~int | ~int64 | ~uint64](dst []byte, name string, n N) []byte {
	dst = appendName(dst, name)
	if n < 0 {
		return strconv.AppendInt(dst, int64(n), 10)
	}
	return strconv.AppendUint(dst, uint64(n), 10)
}

// The forms in which times are shown.
const (
	seconds  = time.RFC3339                 // Compute: gophercloud reads nothing without a zone
	zoneless = "2006-01-02T15:04:05.000000" // instance actions: gophercloud reads nothing with one
	precise  = time.RFC3339Nano             // our own
)

// appendTime appends a time, null where it is not known.
func appendTime(dst []byte, name string, t sm.Time, form string) []byte {
	dst = appendName(dst, name)
	if t == 0 {
		return append(dst, "null"...)
	}
	return append(t.Std().AppendFormat(append(dst, '"'), form), '"')
}

// appendLink appends {"rel": …, "href": …}; the address is given in parts.
func appendLink(dst []byte, rel string, href ...string) []byte {
	dst = appendText(append(dst, '{'), "rel", rel)
	dst = append(appendName(dst, "href"), '"')
	for _, part := range href {
		dst = appendContent(dst, part)
	}
	return append(dst, '"', '}')
}
