package consumer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"faultd/statemachine"
)

func FuzzDecode_Job(f *testing.F) {
	for _, data := range []string{typicalEvent, failedEvent, strings.Replace(failedEvent, `"data":`, `"extra":null,"data":`, 1)} {
		for _, phase := range []string{"started", "failed", "cancelled"} {
			f.Add(eventSubject+phase, "", []byte(data))
		}
	}
	f.Add(eventSubject+"started", "e-%31", []byte(`{"job":{"id":"b-1","action":"build"},"resource":{"kind":"server","id":"52415800-8b69-11e0-9b19-734f0000ffff","tenant_id":"1234"}}`))
	f.Fuzz(func(t *testing.T, subject, id string, data []byte) {
		m := Message{Subject: subject, Data: data, Sequence: 9, StreamTime: 1 << 60}
		if id != "" {
			phase := subject[strings.LastIndexByte(subject, '.')+1:]
			m.Header = map[string][]string{"ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {"s"}, "ce-type": {"io.faultd.v1.job." + phase}}
		}
		checkEntry(t, m)
	})
}

func FuzzDecode_Notification(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(notificationDir, "*", "*.json"))
	if err != nil || len(files) == 0 {
		f.Fatal("no samples", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkEntry(t, Message{Subject: "openstack.any", Data: data, Sequence: 9, StreamTime: 1 << 60})
	})
}

// checkEntry decodes a message and holds the entry against what everybody behind the decoder relies on.
func checkEntry(t *testing.T, m Message) {
	e := Decode(m)
	if e.Sequence != m.Sequence || e.StreamTime != m.StreamTime || e.Subject != m.Subject || len(e.Raw) != len(m.Data) {
		t.Fatal("the entry lacks its place or its bytes")
	}
	if e.Reason != 0 {
		if !reflect.DeepEqual(e.Event, statemachine.Event{Sequence: m.Sequence, StreamTime: m.StreamTime}) || e.Unknown != 0 {
			t.Fatalf("what was refused left something behind: %+v", e)
		}
		if e.Reason.Verdict() == statemachine.Rejected && e.Detail == "" || !utf8.ValidString(e.Detail) {
			t.Fatalf("%v: %q", e.Reason, e.Detail)
		}
		return
	}
	checkEvent(t, &e)

	before := e.Event
	before.Attributes = append(statemachine.Attributes(nil), e.Attributes...)
	if again := Decode(m).Event; !reflect.DeepEqual(again, e.Event) {
		t.Fatalf("decoded twice: %+v and %+v", e.Event, again)
	}
	clear(m.Data)
	if string(before.Attributes) != string(e.Attributes) || before.Job != e.Job || before.Name != e.Name {
		t.Fatal("the event shares bytes with the message")
	}
	e.Tenant = "t"
	if _, outcome := statemachine.Apply(statemachine.Resource{}, e.Event); outcome.Verdict() == statemachine.Rejected {
		t.Fatalf("the machine rejects it: %+v", outcome)
	}
}

func checkEvent(t *testing.T, e *statemachine.Entry) {
	notification := strings.HasPrefix(e.Subject, "openstack.")
	if !isName(e.Key.ID) || !isName(e.Tenant) && !(notification && e.Tenant == "") {
		t.Fatalf("key %+v", e.Key)
	}
	if e.Job == "" && !(notification && e.Fallback != "") || len(e.Job) > maxJobID || len(e.Fallback) > maxJobID {
		t.Fatalf("job %q, else %q", e.Job, e.Fallback)
	}
	if !statemachine.Allowed(e.Kind, e.Action) || e.Phase.String() == "" || e.Progress < -1 || e.Progress > 100 {
		t.Fatalf("%v %v %v %d", e.Kind, e.Action, e.Phase, e.Progress)
	}
	if len(e.Attributes) > statemachine.MaxAttributes || len(e.Attributes) > 0 && (e.Attributes[0] != '{' || !json.Valid(e.Attributes)) {
		t.Fatalf("attributes %s", e.Attributes)
	}
	if f := e.Fault; f != nil {
		if !isCode(f.Code) || f.Message == "" || len(f.Message) > statemachine.MaxMessage || len(f.Details) > statemachine.MaxDetails ||
			f.Sequence != e.Sequence || f.Created > e.StreamTime || !utf8.ValidString(f.Message+f.Details) {
			t.Fatalf("fault %+v", f)
		}
	} else if e.Phase == statemachine.PhaseFailed {
		t.Fatal("failed without a fault")
	}
	if e.After != 0 && e.Phase != statemachine.PhaseFailed {
		t.Fatalf("a deadline with %v", e.Phase)
	}
}
