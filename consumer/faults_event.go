package consumer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"

	"faultd/statemachine"
)

// faultWriter makes the messages that tell of faults.
type faultWriter struct {
	stream   string // of the jobs
	resource func(*statemachine.Resource) []byte
	fault    func(*statemachine.Fault) []byte
	// diagnosis is what a fault came from that was cleared: the resource does not show it any more. It may be nil.
	diagnosis func(*statemachine.Telling) []byte
}

// faultEvent is the body of a message: a CloudEvent in structured mode.
type faultEvent struct {
	SpecVersion string    `json:"specversion"`
	Type        string    `json:"type"`
	Source      string    `json:"source"`
	ID          string    `json:"id"`
	Time        string    `json:"time"`
	Subject     string    `json:"subject"`
	ContentType string    `json:"datacontenttype"`
	Data        faultData `json:"data"`
}

type faultData struct {
	Resource  json.RawMessage `json:"resource"`
	Fault     json.RawMessage `json:"fault"`
	Previous  string          `json:"previous_status"`
	Action    string          `json:"action,omitempty"` // of what was cleared, like the diagnosis
	Diagnosis json.RawMessage `json:"diagnosis,omitempty"`
	Cut       []string        `json:"cut,omitempty"` // what was left out or shortened, since the message would be too large
}

// message is the message of a row. One that would have more than limit bytes is cut until it fits; the last cut
// brings any row below [minFaultBytes], so that none can stand in the others' way.
func (w *faultWriter) message(row *statemachine.Telling, limit int) *nats.Msg {
	m := nats.NewMsg(faultSubject(row))
	m.Header.Set("Content-Type", "application/cloudevents+json")
	writeMark(m.Header, w.stream, row)
	var cut []string
	m.Data = w.body(row, cut)
	for i := 0; m.Size() > limit && i < len(cuts); i++ {
		if i == 0 {
			row = own(row)
		}
		cut = append(cut, cuts[i].name)
		cuts[i].from(row)
		m.Data = w.body(row, cut)
	}
	return m
}

func faultSubject(row *statemachine.Telling) string {
	r := &row.Resource
	return "faults." + r.Tenant + "." + r.Kind.String() + "." + r.ID + "." + said(row)
}

func said(row *statemachine.Telling) string {
	if row.Raised {
		return "raised"
	}
	return "cleared"
}

func (w *faultWriter) body(row *statemachine.Telling, cut []string) []byte {
	r := &row.Resource
	event := faultEvent{
		SpecVersion: "1.0",
		Type:        "io.faultd.v1.fault." + said(row),
		Source:      "faultd",
		ID:          faultID(row),
		Time:        rfc3339(cmp.Or(row.Time, row.StreamTime)),
		Subject:     r.Tenant + "/" + r.Kind.String() + "/" + r.ID,
		ContentType: "application/json",
		Data:        faultData{Resource: w.resource(r), Fault: json.RawMessage("null"), Previous: row.Previous.String(), Cut: cut},
	}
	if row.Fault != nil {
		event.Data.Fault = w.fault(row.Fault)
	}
	if !row.Raised && row.Fault != nil && w.diagnosis != nil {
		event.Data.Action, event.Data.Diagnosis = row.Action.String(), w.diagnosis(row)
	}
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	_ = e.Encode(event) // it is all strings, and JSON from the renderers
	return bytes.TrimSuffix(body.Bytes(), []byte{'\n'})
}

// faultID is equal wherever and however often the event is told.
func faultID(row *statemachine.Telling) string {
	r := &row.Resource
	h := sha256.New()
	for _, part := range []string{strconv.FormatInt(int64(row.StreamTime), 10), strconv.FormatUint(row.Sequence, 10),
		r.Tenant, r.Kind.String(), r.ID, said(row)} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// cuts are what is taken from a row, one after the other, until its message fits.
var cuts = []struct {
	name string
	from func(*statemachine.Telling)
}{
	{"attributes", func(t *statemachine.Telling) { t.Resource.Attributes = nil }},
	{"attempts", func(t *statemachine.Telling) {
		for i := range t.Resource.Jobs {
			t.Resource.Jobs[i].Attempts = nil
		}
	}},
	{"providers", func(t *statemachine.Telling) {
		for i := range t.Resource.Jobs {
			t.Resource.Jobs[i].Providers = nil
		}
	}},
	{"details", func(t *statemachine.Telling) {
		eachFault(t, func(f *statemachine.Fault) { f.Details = "" })
	}},
	{"texts", func(t *statemachine.Telling) {
		const most = 128
		r := &t.Resource
		r.Name, r.User = statemachine.Clip(r.Name, most), statemachine.Clip(r.User, most)
		for i := range r.Jobs {
			r.Jobs[i].RequestID = statemachine.Clip(r.Jobs[i].RequestID, most)
		}
		eachFault(t, func(f *statemachine.Fault) {
			f.Message, f.Reason, f.ErrorCode = statemachine.Clip(f.Message, most), statemachine.Clip(f.Reason, most), statemachine.Clip(f.ErrorCode, most)
		})
	}},
}

// own is a row of which everything may be changed that [cuts] change.
func own(row *statemachine.Telling) *statemachine.Telling {
	mine := *row
	mine.Resource.Jobs = slices.Clone(row.Resource.Jobs)
	return &mine
}

// eachFault changes copies of the faults that a cut row still shows.
func eachFault(t *statemachine.Telling, change func(*statemachine.Fault)) {
	copied := func(f **statemachine.Fault) {
		if *f != nil {
			c := **f
			change(&c)
			*f = &c
		}
	}
	copied(&t.Fault)
	copied(&t.Resource.Fault)
	for i := range t.Resource.Jobs {
		copied(&t.Resource.Jobs[i].Fault)
	}
}
