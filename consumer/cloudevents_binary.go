package consumer

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"faultd/statemachine"
)

// cePrefix begins the headers that carry a CloudEvent's attributes in binary mode.
const cePrefix = "ce-"

// isBinary tells whether a message is a CloudEvent in binary mode.
func isBinary(header map[string][]string) bool {
	if onlyID(header) {
		return false
	}
	for name := range header {
		if strings.EqualFold(name, cePrefix+"specversion") {
			return true
		}
	}
	return false
}

// headers reads the attributes of an event in binary mode. The order of a map is chance, so the headers are read
// by name.
func (d *jobDecoder) headers(header map[string][]string) {
	given := make(map[string][]string, len(header))
	order := make([]string, 0, len(header))
	for name, values := range header {
		name = strings.ToLower(name)
		if given[name] == nil {
			order = append(order, name)
		}
		given[name] = append(given[name], values...)
	}
	slices.Sort(order)
	for _, name := range order {
		if attribute, ok := strings.CutPrefix(name, cePrefix); ok {
			d.header(attribute, d.headerValue(name, given[name]))
		} else if name == "content-type" && d.contentType == nil {
			d.contentType = d.headerValue(name, given[name])
		}
	}
}

func (d *jobDecoder) header(attribute string, value []byte) {
	switch attribute {
	case "specversion":
		d.specversion = value
	case "id":
		d.id = value
	case "source":
		d.source = value
	case "type":
		d.typ = value
	case "time":
		d.time = value
	case "datacontenttype":
		d.contentType = value
	case "subject", "dataschema":
	default:
		d.unknown++
	}
}

// headerValue undoes what the binding does to an attribute's value: quotes around it, and percent-encoding.
func (d *jobDecoder) headerValue(name string, values []string) []byte {
	if len(values) != 1 {
		d.stop(statemachine.Malformed, fmt.Sprintf("%.64s: must stand once, stands %d times", name, len(values)))
		return nil
	}
	value := values[0]
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = unquoteHeader(value[1 : n-1])
	}
	plain, err := url.PathUnescape(value)
	if err != nil || !utf8.ValidString(plain) {
		d.stop(statemachine.Malformed, fmt.Sprintf("%.64s: must be percent-encoded UTF-8", name))
		return nil
	}
	return []byte(plain)
}

// unquoteHeader takes the backslashes out of a quoted header value.
func unquoteHeader(value string) string {
	if !strings.Contains(value, `\`) {
		return value
	}
	var out bytes.Buffer
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) {
			i++
		}
		out.WriteByte(value[i])
	}
	return out.String()
}
