package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	sm "faultd/statemachine"
)

// maxDepth is how deep objects and lists of an event may nest.
const maxDepth = 64

// object is a JSON object; unlike a struct's fields, its members have the very names that are asked for.
type object map[string]json.RawMessage

// reader reads members of objects whose syntax is known to be right, and remembers the first that is not as it must
// be. A member that is not there is empty.
type reader struct{ wrong string }

func (r *reader) fail(what string) {
	if r.wrong == "" {
		r.wrong = what + " is missing or not as it must be"
	}
}

func (r *reader) object(what string, raw json.RawMessage) object {
	var o object
	if len(raw) == 0 || json.Unmarshal(raw, &o) != nil || o == nil {
		r.fail(what)
	}
	return o
}

// text is a text, cut to a length in bytes.
func (r *reader) text(what string, raw json.RawMessage, longest int) string {
	if raw == nil {
		return ""
	}
	var s *string
	if json.Unmarshal(raw, &s) != nil || s == nil {
		r.fail(what)
		return ""
	}
	return sm.Clip(printable(*s), longest)
}

// word is a name of one of faultd's own lists. It need not be one that this version knows: another may have written it.
func (r *reader) word(what string, raw json.RawMessage) string {
	s := r.text(what, raw, 64)
	if s != "" && !isName(s) {
		r.fail(what)
	}
	return s
}

func (r *reader) time(what string, raw json.RawMessage) time.Time {
	t, err := time.Parse(time.RFC3339, r.text(what, raw, 64))
	t = t.UTC()
	if err != nil || t.Year() < 1 || t.Year() > 9999 { // JSON has no others
		r.fail(what)
	}
	return t
}

var (
	errDeep   = fmt.Errorf("it nests deeper than %d", maxDepth)
	errTwice  = errors.New("a name stands twice in an object")
	errUTF8   = errors.New("it is not UTF-8")
	errSyntax = errors.New("it is no JSON, or ends too early, or something follows it")
)

// checkJSON refuses what encoding/json lets pass: invalid UTF-8, names that stand twice, a nesting without limit.
func checkJSON(text []byte) error {
	if !utf8.Valid(text) {
		return errUTF8
	}
	if err := checkDepth(text); err != nil { // before the library follows it
		return err
	}
	if !json.Valid(text) {
		return errSyntax
	}
	return checkNames(text)
}

// checkDepth counts what opens and closes outside of texts. It need not be JSON.
func checkDepth(text []byte) error {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = endOfText(text, i)
		case '{', '[':
			if depth++; depth > maxDepth {
				return errDeep
			}
		case '}', ']':
			depth--
		}
	}
	return nil
}

// endOfText is where the quotes are that end a text which begins at from, or the end of all.
func endOfText(text []byte, from int) int {
	for i := from + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(text)
}

// checkNames looks for names that stand twice in an object of valid JSON. Of two texts, the one that a colon follows is
// a name.
func checkNames(text []byte) error {
	var open [maxDepth][]string // names of the objects and lists that are open
	depth := -1
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			depth++
			open[depth] = open[depth][:0]
		case '}', ']':
			if twice(open[depth]) {
				return errTwice
			}
			depth--
		case '"':
			from := i
			i = endOfText(text, i)
			if !namesMember(text[i+1:]) {
				continue
			}
			open[depth] = append(open[depth], memberName(text[from:i+1]))
		}
	}
	return nil
}

// twice tells whether a name stands twice; it sorts them.
func twice(names []string) bool {
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return true
		}
	}
	return false
}

func namesMember(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && rest[0] == ':'
}

// memberName is what a name in quotes means: it can be written in several ways.
func memberName(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var name string
	_ = json.Unmarshal(quoted, &name) // it is valid JSON
	return name
}
