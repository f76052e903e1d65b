package api

import (
	"strconv"
	"unicode/utf8"

	sm "faultd/statemachine"
)

// The functions here append XML to a buffer, as those in json.go do JSON. Names of elements and attributes are the
// dialects' own, never a producer's: nothing here makes a name fit for XML.

// xmlDeclaration stands before every document.
const xmlDeclaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// appendEscaped appends a text as the content of an element or of an attribute. What XML 1.0 has no way to say is left
// out; what is not UTF-8 becomes U+FFFD. White space is escaped, so that it comes back as it was from an attribute.
func appendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		if plainXML[s[i]] {
			i++
			continue
		}
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		escape, special := xmlEscape(r, size)
		if special {
			dst = append(append(dst, s[start:i]...), escape...)
			start = i + size
		}
		i += size
	}
	return append(dst, s[start:]...)
}

// plainXML are the bytes of nearly all texts, which stand for themselves.
var plainXML = func() (plain [256]bool) {
	for _, c := range []byte(" -_.:/+=,;@0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		plain[c] = true
	}
	return plain
}()

// xmlEscape is what stands for a character that cannot stand for itself.
func xmlEscape(r rune, size int) (escape string, special bool) {
	switch {
	case r == '&':
		return "&amp;", true
	case r == '<':
		return "&lt;", true
	case r == '>':
		return "&gt;", true
	case r == '"':
		return "&quot;", true
	case r == '\t':
		return "&#9;", true
	case r == '\n':
		return "&#10;", true
	case r == '\r':
		return "&#13;", true
	case r == utf8.RuneError && size == 1:
		return "\ufffd", true
	default:
		return "", r < ' ' || r == 0xfffe || r == 0xffff
	}
}

// appendAttribute appends an attribute to a start tag that is open.
func appendAttribute(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, ' '), name...), '=', '"')
	return append(appendEscaped(dst, value), '"')
}

// appendTimeAttribute appends a time as an attribute, nothing where it is not known.
func appendTimeAttribute(dst []byte, name string, t sm.Time, form string) []byte {
	if t == 0 {
		return dst
	}
	dst = append(append(append(dst, ' '), name...), '=', '"')
	return append(t.Std().AppendFormat(dst, form), '"')
}

// appendElement appends an element that holds a text.
func appendElement(dst []byte, name, text string) []byte {
	dst = append(append(append(dst, '<'), name...), '>')
	dst = appendEscaped(dst, text)
	return append(append(append(dst, '<', '/'), name...), '>')
}

// xmlFault is a fault as the Compute and the Block Storage API have it, where its name says what sort of fault it is.
// What is empty is left out, but for the message.
type xmlFault struct {
	element, namespace string // in XML; namespace "" is that of the element around it
	code               int
	created, retryAt   string // of a resource's fault, and of a limit exceeded
	message, details   string
}

// appendJSON appends the fault as a member of an object.
func (f *xmlFault) appendJSON(dst []byte) []byte {
	dst = append(appendName(dst, f.element), '{')
	dst = appendNumber(dst, "code", f.code)
	if f.created != "" {
		dst = appendText(dst, "created", f.created)
	}
	dst = appendText(dst, "message", f.message)
	if f.details != "" {
		dst = appendText(dst, "details", f.details)
	}
	if f.retryAt != "" {
		dst = appendText(dst, "retryAt", f.retryAt)
	}
	return append(dst, '}')
}

// append appends the fault as an element. Its code and times are attributes, what it says are elements.
func (f *xmlFault) append(dst []byte) []byte {
	dst = append(append(dst, '<'), f.element...)
	if f.namespace != "" {
		dst = appendAttribute(dst, "xmlns", f.namespace)
	}
	dst = appendAttribute(dst, "code", strconv.Itoa(f.code))
	if f.created != "" {
		dst = appendAttribute(dst, "created", f.created)
	}
	if f.retryAt != "" {
		dst = appendAttribute(dst, "retryAt", f.retryAt)
	}
	dst = appendElement(append(dst, '>'), "message", f.message)
	if f.details != "" {
		dst = appendElement(dst, "details", f.details)
	}
	return append(append(append(dst, '<', '/'), f.element...), '>')
}

// scalarText is the text of a JSON string, number or boolean: what an attribute can hold.
func scalarText(value []byte) (text string, ok bool) {
	switch {
	case isString(value):
		return sm.Text(value)
	case len(value) == 0, string(value) == "null", isObject(value), isArray(value):
		return "", false
	default:
		return string(value), true
	}
}
