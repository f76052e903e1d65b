package api

import (
	"encoding/json"
	"time"

	sm "faultd/statemachine"
)

// shape tells whether a JSON value is of a field's type. A value of another type is left out: one such member would
// make a client refuse the whole page that it stands on.
type shape func(value []byte) bool

// field is a member of a dialect's document that producers give as an attribute.
type field struct {
	name    string
	shape   shape
	missing string // the JSON to show where there is none; "": the field is left out
	admin   bool   // only administrators see it
	filler  []byte // missing, nil for ""
}

// fields are those of one document.
type fields struct {
	list []field
	at   map[string]int
}

// maxFields bounds the fields of a document.
const maxFields = 40

func newFields(list ...field) fields {
	fs := fields{list: list, at: make(map[string]int, len(list))}
	for i, f := range list {
		fs.at[f.name] = i
		if f.missing != "" {
			list[i].filler = []byte(f.missing)
		}
	}
	return fs
}

// values are the values of fields, in the order of the fields; nil: left out.
type values [maxFields][]byte

// pick finds the fields among the attributes and fills in what is to be there all the same.
func (fs *fields) pick(a sm.Attributes, admin bool) (v values) {
	for name, value := range members(a) {
		i, ok := fs.at[string(name)]
		if ok && (admin || !fs.list[i].admin) && fs.list[i].shape(value) {
			v[i] = value
		}
	}
	for i := range fs.list {
		if v[i] == nil {
			v[i] = fs.list[i].filler
		}
	}
	return v
}

// appendValues appends the fields that have a value as members.
func (fs *fields) appendValues(dst []byte, v *values) []byte {
	for i := range fs.list {
		if v[i] != nil {
			dst = append(appendName(dst, fs.list[i].name), v[i]...)
		}
	}
	return dst
}

func isString(v []byte) bool { return len(v) > 1 && v[0] == '"' }

func isBool(v []byte) bool { return string(v) == "true" || string(v) == "false" }

func isArray(v []byte) bool { return len(v) > 1 && v[0] == '[' }

func isObject(v []byte) bool { return len(v) > 1 && v[0] == '{' }

// isInteger leaves out what a client's int cannot hold.
func isInteger(v []byte) bool {
	if len(v) > 0 && v[0] == '-' {
		v = v[1:]
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(v) > 0 && len(v) <= 18
}

func orNull(s shape) shape {
	return func(v []byte) bool { return string(v) == "null" || s(v) }
}

// having is an object with that member.
func having(name string, of shape) shape {
	return func(v []byte) bool { return isObject(v) && of(valueOf(v, name)) }
}

// listOf is an array of such values.
func listOf(of shape) shape {
	return func(v []byte) bool {
		if !isArray(v) {
			return false
		}
		for e := range elements(v) {
			if !of(e) {
				return false
			}
		}
		return true
	}
}

// mapOf is an object of such values.
func mapOf(of shape) shape {
	return func(v []byte) bool {
		if !isObject(v) {
			return false
		}
		for _, value := range members(v) {
			if !of(value) {
				return false
			}
		}
		return true
	}
}

// isZoneless is a time as the Compute API gives those of instance usage.
func isZoneless(v []byte) bool {
	var s string
	if json.Unmarshal(v, &s) != nil {
		return false
	}
	_, err := time.Parse("2006-01-02T15:04:05.999999", s)
	return err == nil
}

// isDrive is what the Compute API has for config_drive: a boolean, that as a string, or nothing.
func isDrive(v []byte) bool {
	switch string(v) {
	case `""`, `"True"`, `"False"`, `"true"`, `"false"`, "null":
		return true
	default:
		return isBool(v)
	}
}

// isImage is a reference to an image, or "" for a server that was started from a volume.
func isImage(v []byte) bool { return string(v) == `""` || having("id", isString)(v) }
