package consumer

import (
	"bytes"
	"mime"
	"strings"

	"faultd/statemachine"
)

// jobTypePrefix begins the type of every event of ours; the version and the phase follow.
const jobTypePrefix = "io.faultd.v"

// ceContext holds the attributes of a CloudEvent that say what the event is. Where one is nil it was not given.
type ceContext struct {
	specversion, id, source, typ, time, contentType []byte
}

// contextNames are the attributes that CloudEvents itself defines, and its two members for data.
var contextNames = []string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema",
	"data", "data_base64"}

// jobDecoder reads one job event.
type jobDecoder struct {
	scanner
	ceContext
	e     statemachine.Event // by value, so that it need not live on the heap; key and phase are the subject's
	has   presence
	known *known // of its resource; nil: nothing is kept
}

// decodeJobEvent decodes a CloudEvent, in structured mode unless its headers say binary.
func decodeJobEvent(e *statemachine.Entry, m *Message, with *decoder) *refusal {
	var d jobDecoder
	if !d.subject(m.Subject, with) {
		return &refusal{statemachine.SubjectMismatch, "subject: must be jobs.<tenant>.<kind>.<resource id>.<phase>"}
	}
	d.e.Progress = -1
	d.scanner.data = m.Data
	if isBinary(m.Header) {
		d.headers(m.Header)
		d.payload()
	} else {
		d.envelope()
	}
	d.end()
	if bad := d.verdict(); bad != nil {
		return bad
	}
	e.Event, e.Unknown = d.e, d.unknown
	e.ID = idDigest(d.source, d.id)
	if e.Fault != nil {
		placeFault(e.Fault, m, e.Time)
	}
	return nil
}

// subject reads what the subject says, and finds what is known of its resource.
func (d *jobDecoder) subject(subject string, with *decoder) (ok bool) {
	if with == nil {
		d.e.Key, d.e.Phase, ok = parseSubject(subject)
		return ok
	}
	if d.known, d.e.Phase, ok = with.of(subject); ok {
		d.e.Key = d.known.key
	}
	return ok
}

// envelope reads an event in structured mode.
func (d *jobDecoder) envelope() {
	if !d.object("event") {
		d.refuse(statemachine.Schema, "event: must be an object")
		return
	}
	for n := (nameSet{}); d.member(&n); {
		switch string(n.name) {
		case "specversion":
			d.specversion = d.bytes("specversion")
		case "id":
			d.id = d.bytes("id")
		case "source":
			d.source = d.bytes("source")
		case "type":
			d.typ = d.bytes("type")
		case "time":
			d.time = d.bytes("time")
		case "datacontenttype":
			d.contentType = d.bytes("datacontenttype")
		case "subject", "dataschema":
			d.bytes(string(n.name))
		case "data":
			d.payload()
		case "data_base64":
			d.refuse(statemachine.Schema, "data_base64: must not stand, data is JSON")
			d.skip()
		default:
			d.other("event", n.name, contextNames)
		}
	}
}

// verdict is why the event that was read is none. What is not JSON is malformed before all else, and of another
// version before it is judged by the rules of this one.
func (d *jobDecoder) verdict() *refusal {
	if d.broken != nil {
		return d.broken
	}
	version, phase := d.parseType()
	switch {
	case d.specversion != nil && string(d.specversion) != "1.0":
		return &refusal{statemachine.UnsupportedVersion, "specversion: must be 1.0"}
	case version != "" && version != "1":
		return &refusal{statemachine.UnsupportedVersion, "type: must be of version 1"}
	}
	d.checkContext(phase)
	d.checkData()
	return d.wrong
}

// parseType splits io.faultd.v<version>.job.<phase>; all is empty for another type.
func (d *jobDecoder) parseType() (version, phase string) {
	const ours = jobTypePrefix + "1.job."
	rest, ok := bytes.CutPrefix(d.typ, []byte(ours))
	if ok && string(rest) == d.e.Phase.String() {
		return "1", d.e.Phase.String() // the way of nearly all, without making strings
	}
	return parseJobType(string(d.typ))
}

func parseJobType(t string) (version, phase string) {
	rest, ok := strings.CutPrefix(t, jobTypePrefix)
	version, phase, cut := strings.Cut(rest, ".job.")
	if !ok || !cut || version == "" || strings.Trim(version, "0123456789") != "" {
		return "", ""
	}
	return version, phase
}

func (d *jobDecoder) checkContext(phase string) {
	d.require(len(d.specversion) > 0, "specversion")
	d.require(len(d.id) > 0, "id")
	d.require(len(d.source) > 0, "source")
	d.require(len(d.typ) > 0, "type")
	if p, ok := statemachine.ParsePhase(phase); !ok {
		d.refuse(statemachine.Schema, "type: must be io.faultd.v1.job.<phase>")
	} else if p != d.e.Phase {
		d.refuse(statemachine.SubjectMismatch, "type: names the phase %s, the subject %s", p, d.e.Phase)
	}
	if d.time != nil {
		d.e.Time = d.timestamp("time", d.time)
	}
	if d.contentType != nil && !isJSON(d.contentType) {
		d.refuse(statemachine.Schema, "datacontenttype: must be application/json or end in +json")
	}
}

// require refuses an event that lacks a field.
func (d *jobDecoder) require(has bool, field string) {
	if !has {
		d.refuse(statemachine.Schema, "%s: is required", field)
	}
}

// timestamp parses a time by RFC 3339.
func (d *jobDecoder) timestamp(field string, text []byte) statemachine.Time {
	t, ok := parseRFC3339(text)
	if !ok {
		d.refuse(statemachine.Schema, "%s: must be a time by RFC 3339", field)
		return 0
	}
	at, ok := instant(t)
	if !ok {
		d.refuse(statemachine.Schema, "%s: must lie in the years 1970 to 2261", field)
	}
	return at
}

// isJSON tells whether data of a media type is JSON.
func isJSON(mediaType []byte) bool {
	if string(mediaType) == "application/json" {
		return true
	}
	t, _, err := mime.ParseMediaType(string(mediaType))
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}
