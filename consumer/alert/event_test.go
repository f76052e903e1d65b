package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// raisedBody is a message of the stream of faults as faultd publishes it.
const raisedBody = `{"specversion":"1.0","type":"io.faultd.v1.fault.raised","source":"faultd","id":"5f1c2d3e4a5b6c7d8e9f0a1b2c3d4e5f",` +
	`"time":"2026-11-21T12:00:00.25Z","subject":"1234/server/s-1","datacontenttype":"application/json","data":{"resource":{"kind":"server","id":"s-1",` +
	`"tenant_id":"1234","user_id":"u","name":"web","status":"ERROR","progress":66,"created":"2026-11-21T11:00:00Z","updated":"2026-11-21T12:00:00.25Z",` +
	`"attributes":{"hostId":"e4d9","ram":512,"hot":true,"image":{"id":"i"},"empty":"","none":null,"list":[1]},` +
	`"job":{"id":"b-41","action":"build","request_id":"req-7","phase":"failed"},` +
	`"fault":{"code":500,"created":"2026-11-21T12:00:00Z","message":"No valid host was found","details":"Traceback"},` +
	`"diagnosis":{"cause":"capacity","retry":true,"advice":"Try again later.","fingerprint":"1:0011223344556677"},"sequence":7},` +
	`"fault":{"code":500,"created":"2026-11-21T12:00:00.25Z","message":"No valid host was found","details":"Traceback","reason":"NoValidHost","error_code":"131"},` +
	`"previous_status":"BUILD"}}`

// clearedBody is the recovery from it: another job made it, and the resource tells of that one.
const clearedBody = `{"specversion":"1.0","type":"io.faultd.v1.fault.cleared","source":"faultd","id":"aa1c2d3e4a5b6c7d8e9f0a1b2c3d4e5f",` +
	`"time":"2026-11-21T12:05:00Z","subject":"1234/server/s-1","datacontenttype":"application/json","data":{"resource":{"kind":"server","id":"s-1",` +
	`"tenant_id":"1234","name":"web","status":"ACTIVE","progress":100,"created":"2026-11-21T11:00:00Z","updated":"2026-11-21T12:05:00Z",` +
	`"attributes":{"hostId":"e4d9"},"job":{"id":"r-1","action":"rebuild","request_id":"req-8","phase":"succeeded"},"sequence":9},` +
	`"fault":{"code":500,"created":"2026-11-21T12:00:00.25Z","message":"No valid host was found","reason":"NoValidHost"},"previous_status":"ERROR"}}`

// anEvent is the event of a body in which texts are replaced, old and new by turns.
func anEvent(t testing.TB, body string, change ...string) Event {
	t.Helper()
	e, err := ParseEvent([]byte(strings.NewReplacer(change...).Replace(body)))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestParseEvent_Raised(t *testing.T) {
	e := anEvent(t, raisedBody)
	at := time.Date(2026, 11, 21, 12, 0, 0, 250_000_000, time.UTC)
	if !e.Time.Equal(at) || !e.FaultTime.Equal(at) || string(e.Body) != raisedBody {
		t.Errorf("%s, %s", e.Time, e.FaultTime)
	}
	got := fmt.Sprint(e.ID, e.Raised, e.Tenant, e.Kind, e.ResourceID, e.Name, e.Status, e.Previous, e.Action, e.RequestID, e.Cause, e.Fingerprint,
		e.Advice, e.Code, e.Message, e.Reason, e.ErrorCode, e.Key(), e.attributes)
	want := fmt.Sprint("5f1c2d3e4a5b6c7d8e9f0a1b2c3d4e5f", true, "1234", "server", "s-1", "web", "ERROR", "BUILD", "build", "req-7", "capacity",
		"1:0011223344556677", "Try again later.", 500, "No valid host was found", "NoValidHost", "131", "1234/server/s-1",
		map[string]string{"hostId": "e4d9", "ram": "512", "hot": "true"})
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestParseEvent_Cleared(t *testing.T) {
	e := anEvent(t, clearedBody)
	if e.Raised || e.Action != "" || e.RequestID != "" || e.Cause != "" || e.Code != 500 || e.Status != "ACTIVE" || e.Message != "No valid host was found" {
		t.Errorf("it tells of the job that cleared it: %+v", e)
	}
	e = anEvent(t, clearedBody, `"previous_status"`, `"action":"build","diagnosis":{"cause":"capacity","fingerprint":"1:00"},"previous_status"`)
	if e.Action != "build" || e.Cause != "capacity" || e.Fingerprint != "1:00" {
		t.Errorf("what it tells of the fault is not read: %+v", e)
	}
	// A server that was deleted in ERROR keeps its fault, and what is thought of that.
	e = anEvent(t, strings.Replace(raisedBody, "fault.raised", "fault.cleared", 1), `"status":"ERROR"`, `"status":"DELETED"`)
	if e.Raised || e.Cause != "capacity" || e.Action != "build" {
		t.Errorf("%+v", e)
	}
	if e = anEvent(t, clearedBody[:strings.Index(clearedBody, `"fault":`)]+`"fault":null,"previous_status":"ERROR"}}`); e.Code != 0 || e.Message != "" {
		t.Errorf("%+v", e)
	}
}

func TestParseEvent_Refused(t *testing.T) {
	const secret = "hush-hush"
	replace := func(old, new string) string {
		if !strings.Contains(raisedBody, old) {
			t.Fatalf("there is no %s to replace", old)
		}
		return strings.Replace(raisedBody, old, new, 1)
	}
	for name, body := range map[string]string{
		"nothing":             "",
		"null":                "null",
		"a list":              "[]",
		"a text":              `"` + secret + `"`,
		"half":                raisedBody[:len(raisedBody)/2],
		"no JSON":             `{"id":` + secret + `}`,
		"a second value":      raisedBody + "{}",
		"other version":       replace(`"1.0"`, `"2.0"`),
		"other type":          replace("fault.raised", "fault."+secret),
		"type of another":     replace(`"io.faultd.v1.fault.raised"`, "7"),
		"name of other case":  replace(`"id":"5f`, `"ID":"5f`),
		"name twice":          replace(`"id":"5f`, `"id":"x","id":"5f`),
		"name twice inside":   replace(`"hostId":`, `"hostId":"x","hostId":`),
		"no id":               replace(`"5f1c2d3e4a5b6c7d8e9f0a1b2c3d4e5f"`, `""`),
		"id with a full stop": replace("5f1c", "5f.c"),
		"id with a new line":  replace("5f1c", `5f\r\nX-Injected: `+secret),
		"null id":             replace(`"5f1c2d3e4a5b6c7d8e9f0a1b2c3d4e5f"`, "null"),
		"no time":             replace("2026-11-21T12:00:00.25Z", secret),
		"time beyond JSON":    replace("2026-11-21T12:00:00.25Z", "9999-12-31T23:59:59-01:00"),
		"no data":             replace(`"data":`, `"date":`),
		"resource of a text":  replace(`"resource":{`, `"resource":"x","other":{`),
		"no such kind":        replace(`"kind":"server"`, `"kind":"`+secret+`"`),
		"tenant with a slash": replace(`"tenant_id":"1234"`, `"tenant_id":"12/34"`),
		"id of a resource":    replace(`"id":"s-1"`, `"id":"../s-1"`),
		"long id":             replace(`"id":"s-1"`, `"id":"`+strings.Repeat("s", 129)+`"`),
		"status with spaces":  replace(`"status":"ERROR"`, `"status":"NOT GOOD"`),
		"name of a number":    replace(`"name":"web"`, `"name":1`),
		"attributes of a":     replace(`"attributes":{`, `"attributes":[],"other":{`),
		"no fault":            strings.Replace(raisedBody, `"fault":{"code":500,"created":"2026-11-21T12:00:00.25Z"`, `"fault":null,"other":{"code":500,"created":"2026-11-21T12:00:00.25Z"`, 1),
		"fault of a text":     strings.Replace(raisedBody, `"fault":{"code":500,"created":"2026-11-21T12:00:00.25Z"`, `"fault":"x","other":{"code":500,"created":"2026-11-21T12:00:00.25Z"`, 1),
		"code of a text":      strings.ReplaceAll(raisedBody, `"code":500`, `"code":"500"`),
		"code 200":            strings.ReplaceAll(raisedBody, `"code":500`, `"code":200`),
		"code beyond ints":    strings.ReplaceAll(raisedBody, `"code":500`, `"code":5e300`),
		"not UTF-8":           replace("web", "w\xffb"),
		"deep":                replace(`"image":{"id":"i"}`, `"image":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)),
		"very deep":           strings.Repeat(`{"a":`, 1<<20),
		"large":               `"` + strings.Repeat("x", maxEvent) + `"`,
	} {
		_, err := ParseEvent([]byte(body))
		if !errors.Is(err, ErrNotFault) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseEvent_ControlCharacters(t *testing.T) {
	e := anEvent(t, raisedBody,
		`No valid host was found`, `no\u001b[31m\u0000 host\r\nfound\u202e\u2028in\u0085 \ud800 \u200eit\ufeff`,
		`"hostId":"e4d9"`, `"host\u0007Id":"x","hostId":"e4\u0007d9"`, `"web"`, `"w\u007feb"`)
	if e.Message != "no[31m host  found in  \uFFFD it" || e.Name != "web" || e.attribute("hostId") != "e4d9" || len(e.attributes) != 3 {
		t.Errorf("%q, %q, %q", e.Message, e.Name, e.attributes)
	}
	long := anEvent(t, raisedBody, "No valid host was found", strings.Repeat("é", 5000), `"web"`, `"`+strings.Repeat("w", 5000)+`"`,
		`"e4d9"`, `"`+strings.Repeat("e", 5000)+`"`)
	if len(long.Message) > 4<<10 || len(long.Name) > 256 || long.attribute("hostId") != "" {
		t.Errorf("%d, %d bytes, %q", len(long.Message), len(long.Name), long.attributes)
	}
}

func TestParseResource_Fault(t *testing.T) {
	var body struct {
		Data struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal([]byte(raisedBody), &body); err != nil {
		t.Fatal(err)
	}
	e, err := parseResource(body.Data.Resource)
	if err != nil || !e.Raised || e.Cause != "capacity" || e.Code != 500 || e.Body != nil || !e.Time.Equal(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)) {
		t.Fatalf("%+v, %v", e, err)
	}
	for name, resource := range map[string]string{
		"healthy": strings.Replace(string(body.Data.Resource), `"fault"`, `"fart"`, 1), "nothing": "", "null": "null", "text": `"x"`,
	} {
		if _, err := parseResource([]byte(resource)); !errors.Is(err, ErrNotFault) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParseEvent: what is accepted can be told to every kind of receiver in well-formed requests.
func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(raisedBody))
	f.Add([]byte(clearedBody))
	f.Add([]byte(`{"specversion":"1.0","type":"io.faultd.v1.fault.cleared","id":"a","time":"2026-01-01T00:00:00Z","data":{"resource":{"kind":"image","id":"i","tenant_id":"t"}}}`))
	hook := &Hook{Name: "f", GroupBy: []string{"fingerprint", "attribute:hostId"}, Secrets: [][]byte{[]byte("k")}, Match: Match{Raised: true, Cleared: true}}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := ParseEvent(body)
		if err != nil {
			if !errors.Is(err, ErrNotFault) || err.Error() != printable(err.Error()) {
				t.Errorf("%q", err)
			}
			return
		}
		if !isName(e.ID) || !isName(e.Tenant) || !isName(e.ResourceID) || !bytes.Equal(e.Body, body) || !hook.Match.Wants(&e) {
			t.Errorf("%+v", e)
		}
		for _, m := range []*message{newMessage(hook, []Event{e}), newMessage(hook, []Event{e, e})} {
			m.Reminder = true
			for _, request := range [][]byte{m.cloudEvent(), encode(alertOf(&e)), encode((&pagerDutySender{hook: hook}).payload(m)), []byte(encode(newChatMessage(m)))} {
				if !json.Valid(request) {
					t.Errorf("no JSON: %q", request)
				}
			}
			text, err := chatText(builtinTemplate, m)
			if err != nil || strings.ContainsAny(text, "<>\x00\x1b") || strings.Contains(strings.ReplaceAll(text, "@\u200b", ""), "@") {
				t.Errorf("%q, %v", text, err)
			}
		}
		if a := alertOf(&e); !a.EndsAt.IsZero() && a.EndsAt.Before(a.StartsAt) {
			t.Errorf("it ends before it starts: %+v", a)
		}
	})
}
