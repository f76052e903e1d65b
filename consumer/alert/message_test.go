package alert

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMessage_Single(t *testing.T) {
	for _, h := range []*Hook{{}, {GroupBy: []string{"kind"}}} {
		e := anEvent(t, raisedBody)
		m := newMessage(h, []Event{e})
		if m.ID != e.ID || m.Count != 1 || !m.First.Equal(e.Time) || !m.Last.Equal(e.Time) || string(m.cloudEvent()) != raisedBody {
			t.Errorf("%+v, %s", m, m.cloudEvent())
		}
	}
}

// opened is a CloudEvent that a receiver gets.
type opened struct {
	SpecVersion, Type, Source, ID, Subject string
	Time                                   time.Time
	Flapping, Reminder, Test               bool
	Data                                   map[string]json.RawMessage
}

func open(t testing.TB, m *message) opened {
	t.Helper()
	var o opened
	body := m.cloudEvent()
	if err := json.Unmarshal(body, &o); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return o
}

func TestMessage_Marks(t *testing.T) {
	e := anEvent(t, raisedBody)
	var whole struct{ Data map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(raisedBody), &whole); err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(*message){
		"flapping": func(m *message) { m.Flapping = true }, "reminder": func(m *message) { m.Reminder = true; m.ID = "again" }, "test": func(m *message) { m.Test = true },
	} {
		m := newMessage(&Hook{}, []Event{e})
		set(m)
		o := open(t, m)
		if o.Flapping != (name == "flapping") || o.Reminder != (name == "reminder") || o.Test != (name == "test") {
			t.Errorf("%s: %+v", name, o)
		}
		if o.SpecVersion != "1.0" || o.Type != typeRaised || o.Source != "faultd" || o.ID != m.ID || o.Subject != "1234/server/s-1" || !o.Time.Equal(e.Time) {
			t.Errorf("%s: %+v", name, o)
		}
		for member, value := range whole.Data {
			if string(o.Data[member]) != string(value) {
				t.Errorf("%s: %s is %s, want %s", name, member, o.Data[member], value)
			}
		}
	}
}

func TestMessage_OfResource(t *testing.T) {
	var whole struct{ Data map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(raisedBody), &whole); err != nil {
		t.Fatal(err)
	}
	e, err := parseResource(whole.Data["resource"])
	if err != nil {
		t.Fatal(err)
	}
	m := newMessage(&Hook{}, []Event{e})
	m.ID = "again"
	o := open(t, m)
	if o.Type != typeRaised || o.ID != "again" || string(o.Data["resource"]) != string(whole.Data["resource"]) || !strings.Contains(string(o.Data["fault"]), `"code":500`) {
		t.Errorf("%+v", o)
	}
	again, err := ParseEvent(m.cloudEvent())
	if err != nil || again.Cause != e.Cause || again.Key() != e.Key() {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestMessage_Group(t *testing.T) {
	h := &Hook{GroupBy: []string{"fingerprint", "attribute:hostId"}}
	var events []Event
	for i := range 25 {
		events = append(events, anEvent(t, raisedBody, "5f1c", fmt.Sprintf("%04d", i), "s-1", fmt.Sprint("s-", i), "12:00:00.25Z", fmt.Sprintf("12:00:%02dZ", 59-i),
			`"ram":512`, fmt.Sprintf(`"ram":%d`, i)))
	}
	events = append(events, anEvent(t, clearedBody))
	m := newMessage(h, events)
	if m.ID == events[0].ID || !isName(m.ID) || m.ID != newMessage(h, events).ID || m.ID == newMessage(h, events[1:]).ID {
		t.Errorf("id %s", m.ID)
	}
	o := open(t, m)
	var d groupData
	if err := json.Unmarshal(encode(o.Data), &d); err != nil {
		t.Fatal(err)
	}
	if o.Type != "io.faultd.v1.faults.grouped" || o.Subject != "" || d.Count != 26 || d.Raised != 25 || d.Cleared != 1 || len(d.Samples) != 10 || o.ID != m.ID {
		t.Errorf("%+v, %+v", o, d)
	}
	if d.First.Format("15:04:05") != "12:00:35" || d.Last.Format("15:04:05") != "12:05:00" || !o.Time.Equal(d.Last) {
		t.Errorf("from %s to %s", d.First, d.Last)
	}
	if fmt.Sprint(d.Group) != "map[fingerprint:1:0011223344556677 hostId:e4d9]" || fmt.Sprint(d.Shared) != "map[code:500 hostId:e4d9 kind:server tenant:1234]" {
		t.Errorf("%v, %v", d.Group, d.Shared)
	}
	for i, sample := range d.Samples {
		if string(sample) != string(events[i].Body) {
			t.Errorf("sample %d is %s", i, sample)
		}
	}
}

func TestMessage_LargeSamples(t *testing.T) {
	large := anEvent(t, raisedBody, `"details":"Traceback"`, `"details":"`+strings.Repeat("x", maxSamplesSize/3)+`"`)
	if n := len(newMessage(&Hook{}, []Event{large, large, large, large}).Samples); n != 1 {
		t.Errorf("%d samples", n)
	}
	huge := anEvent(t, raisedBody, `"details":"Traceback"`, `"details":"`+strings.Repeat("x", maxSamplesSize)+`"`)
	if n := len(newMessage(&Hook{}, []Event{huge, huge}).Samples); n != 1 {
		t.Errorf("%d samples", n)
	}
}

// An attribute may have the name of what an event tells: then it is not shown in its place.
func TestMessage_SharedNames(t *testing.T) {
	e := anEvent(t, raisedBody, `"hostId":"e4d9"`, `"tenant":"other","cause":"other"`)
	m := newMessage(&Hook{}, []Event{e, e})
	if m.Shared["tenant"] != "1234" || m.Shared["cause"] != "capacity" {
		t.Errorf("%v", m.Shared)
	}
	unknown := anEvent(t, clearedBody, `"hostId":"e4d9"`, `"cause":"other"`)
	if m = newMessage(&Hook{}, []Event{unknown}); m.Shared["cause"] != "" {
		t.Errorf("%v", m.Shared)
	}
}

func TestSampleEvent_IsAnEvent(t *testing.T) {
	for _, raised := range []bool{true, false} {
		m := newMessage(&Hook{}, []Event{sampleEvent(time.Now(), raised)})
		m.Test = true
		e, err := ParseEvent(m.cloudEvent())
		if err != nil || e.Raised != raised || raised && (e.Cause != "unknown" || e.Code != 500) || e.attribute("hostId") != "sample-host" {
			t.Errorf("%+v, %v", e, err)
		}
	}
}
