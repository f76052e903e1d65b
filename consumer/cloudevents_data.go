package consumer

import (
	"bytes"
	"slices"
	"strconv"

	"faultd/statemachine"
)

// What the texts of an event may have in bytes; a fault's message and details are cut instead.
const (
	maxJobID     = 256
	maxText      = 1 << 10
	maxProviders = 64
)

// The names that the contract has for an event's data.
var (
	dataNames     = []string{"job", "resource", "progress", "provider", "providers", "fault", "deadline"}
	jobNames      = []string{"id", "action", "request_id"}
	resourceNames = []string{"kind", "id", "tenant_id", "user_id", "name", "created", "attributes"}
	faultNames    = []string{"code", "message", "details", "reason", "error_code"}
	deadlineNames = []string{"after"}
)

// presence says which of the fields that are required were there.
type presence struct {
	data, job, action, kind, id, tenant, code, message, deadline bool
}

// payload reads an event's data.
func (d *jobDecoder) payload() {
	if !d.object("data") {
		return
	}
	d.has.data = true
	for n := (nameSet{}); d.member(&n); {
		switch string(n.name) {
		case "job":
			d.job()
		case "resource":
			d.resource()
		case "progress":
			d.progress()
		case "provider":
			if b := d.bytes("data.provider"); b != nil {
				d.e.Provider = d.provider("data.provider", b)
			}
		case "providers":
			d.providers()
		case "fault":
			d.fault()
		case "deadline":
			d.deadline()
		default:
			d.other("data", n.name, dataNames)
		}
	}
}

func (d *jobDecoder) readJob() {
	if !d.object("data.job") {
		return
	}
	for n := (nameSet{}); d.member(&n); {
		switch string(n.name) {
		case "id":
			d.e.Job = d.text("data.job.id", maxJobID)
			d.has.job = d.e.Job != ""
		case "action":
			d.action()
		case "request_id":
			d.e.RequestID = d.text("data.job.request_id", maxText)
		default:
			d.other("data.job", n.name, jobNames)
		}
	}
}

func (d *jobDecoder) action() {
	b := d.bytes("data.job.action")
	if b == nil {
		return
	}
	d.has.action = true
	a, ok := statemachine.ParseAction(string(b))
	if !ok || !statemachine.Allowed(d.e.Kind, a) {
		d.refuse(statemachine.Schema, "data.job.action: a %s has no action %.64q", d.e.Kind, b)
	}
	d.e.Action = a
}

func (d *jobDecoder) readResource() {
	if !d.object("data.resource") {
		return
	}
	for n := (nameSet{}); d.member(&n); {
		switch string(n.name) {
		case "kind":
			d.has.kind = d.kind()
		case "id":
			d.has.id = d.same("data.resource.id", d.e.Key.ID)
		case "tenant_id":
			d.has.tenant = d.same("data.resource.tenant_id", d.e.Tenant)
		case "user_id":
			d.e.User = d.text("data.resource.user_id", maxText)
		case "name":
			d.e.Name = d.text("data.resource.name", maxText)
		case "created":
			if b := d.bytes("data.resource.created"); b != nil {
				d.e.Created = d.timestamp("data.resource.created", b)
			}
		case "attributes":
			d.attributes()
		default:
			d.other("data.resource", n.name, resourceNames)
		}
	}
}

// same reads a name that the subject has too, and tells whether there is one.
func (d *jobDecoder) same(field, inSubject string) bool {
	b := d.bytes(field)
	switch {
	case b == nil || string(b) == inSubject:
	case !isName(b):
		d.refuse(statemachine.Schema, "%s: %s", field, nameRule)
	default:
		d.refuse(statemachine.SubjectMismatch, "%s: is %s, in the subject %s", field, b, inSubject)
	}
	return b != nil
}

func (d *jobDecoder) kind() bool {
	const field = "data.resource.kind"
	b := d.bytes(field)
	if b == nil || string(b) == d.e.Kind.String() {
		return b != nil
	}
	if _, ok := statemachine.ParseKind(string(b)); !ok {
		d.refuse(statemachine.Schema, "%s: there is no kind %.64q", field, b)
	} else {
		d.refuse(statemachine.SubjectMismatch, "%s: is %s, in the subject %s", field, b, d.e.Kind)
	}
	return true
}

// attributes reads an object and keeps it compact, its members sorted by name: what says the same twice is then
// the same bytes, for which the machine need not merge anything.
func (d *jobDecoder) attributes() {
	const field = "data.resource.attributes"
	if !d.object(field) {
		return
	}
	from, spaces := d.at-1, d.spaces
	sorted, last := true, []byte(nil)
	n := nameSet{}
	for d.member(&n) {
		sorted = sorted && bytes.Compare(last, n.name) <= 0
		last = n.name
		d.skip()
	}
	if d.broken != nil || last == nil {
		return
	}
	d.e.Attributes = compact(d.scanner.data[from:d.at], d.spaces-spaces)
	if !sorted {
		d.e.Attributes = sortMembers(d.e.Attributes)
	}
	if size := len(d.e.Attributes); size > statemachine.MaxAttributes {
		d.refuse(statemachine.TooLarge, "%s: must have at most %d bytes, has %d", field, statemachine.MaxAttributes, size)
	}
}

// sortMembers is a valid, compact object with its members sorted by name.
func sortMembers(object []byte) []byte {
	s := scanner{data: object}
	var all []attribute
	s.object("")
	for n := (nameSet{}); s.member(&n); {
		from := s.at
		s.skip()
		all = append(all, attribute{string(n.name), object[from:s.at]})
	}
	return encodeAttributes(all)
}

// progress takes a number of percent and drops its fraction.
func (d *jobDecoder) progress() {
	b := d.number("data.progress")
	if b == nil {
		return
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || f < 0 || f > 100 {
		d.refuse(statemachine.Schema, "data.progress: must be from 0 to 100, is %.32s", b)
		return
	}
	d.e.Progress = int8(f)
}

func (d *jobDecoder) provider(field string, name []byte) string {
	if !isName(name) {
		d.refuse(statemachine.Schema, "%s: %s", field, nameRule)
		return ""
	}
	return string(name)
}

func (d *jobDecoder) providers() {
	const field = "data.providers"
	if !d.isA('[', field, "an array") {
		return
	}
	d.enter()
	n := 0
	for ; d.element(n); n++ {
		if d.peek() != '"' {
			d.refuse(statemachine.Schema, "%s: must be an array of strings", field)
			d.skip()
			continue
		}
		if name := d.provider(field, d.quoted()); n < maxProviders && !slices.Contains(d.e.Providers, name) {
			d.e.Providers = append(d.e.Providers, name)
		}
	}
	if n > maxProviders {
		d.refuse(statemachine.TooLarge, "%s: must be at most %d, are %d", field, maxProviders, n)
	}
}

func (d *jobDecoder) fault() {
	if !d.object("data.fault") {
		return
	}
	f := &statemachine.Fault{}
	d.e.Fault = f
	for n := (nameSet{}); d.member(&n); {
		switch string(n.name) {
		case "code":
			f.Code = d.code()
		case "message":
			f.Message = statemachine.Clip(string(d.bytes("data.fault.message")), statemachine.MaxMessage)
		case "details":
			f.Details = statemachine.Clip(string(d.bytes("data.fault.details")), statemachine.MaxDetails)
		case "reason":
			f.Reason = d.text("data.fault.reason", maxText)
		case "error_code":
			f.ErrorCode = d.text("data.fault.error_code", maxText)
		default:
			d.other("data.fault", n.name, faultNames)
		}
	}
	d.has.message = f.Message != ""
}

func (d *jobDecoder) code() int {
	b := d.number("data.fault.code")
	if b == nil {
		return 0
	}
	d.has.code = true
	code, err := strconv.Atoi(string(b))
	if err != nil || !isCode(code) {
		d.refuse(statemachine.Schema, "data.fault.code: must be from 400 to 599, is %.32s", b)
	}
	return code
}

// isCode tells whether a number can be a fault's code.
func isCode(code int) bool { return 400 <= code && code <= 599 }

func (d *jobDecoder) deadline() {
	if !d.object("data.deadline") {
		return
	}
	d.has.deadline = true
	for n := (nameSet{}); d.member(&n); {
		if string(n.name) != "after" {
			d.other("data.deadline", n.name, deadlineNames)
			continue
		}
		b := d.number("data.deadline.after")
		after, err := strconv.ParseUint(string(b), 10, 64)
		if b != nil && (err != nil || after == 0) {
			d.refuse(statemachine.Schema, "data.deadline.after: must be a whole number above 0, is %.32s", b)
		}
		d.e.After = after
	}
}

// checkData holds what was read against the rules that concern several fields.
func (d *jobDecoder) checkData() {
	d.require(d.has.data, "data")
	d.require(d.has.job, "data.job.id")
	d.require(d.has.action, "data.job.action")
	d.require(d.has.kind, "data.resource.kind")
	d.require(d.has.id, "data.resource.id")
	d.require(d.has.tenant, "data.resource.tenant_id")
	if d.e.Fault != nil {
		d.require(d.has.code, "data.fault.code")
		d.require(d.has.message, "data.fault.message")
	}
	switch d.e.Phase {
	case statemachine.PhaseFailed:
		d.require(d.e.Fault != nil, "data.fault")
	case statemachine.PhaseProgressed, statemachine.PhaseCancelled:
	default:
		if d.e.Fault != nil {
			d.refuse(statemachine.Schema, "data.fault: must not stand with %s", d.e.Phase)
		}
	}
	if d.has.deadline {
		d.require(d.e.After != 0, "data.deadline.after")
		if d.e.Phase != statemachine.PhaseFailed {
			d.refuse(statemachine.Schema, "data.deadline: must not stand with %s", d.e.Phase)
		}
	}
}
