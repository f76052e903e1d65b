package consumer

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"faultd/statemachine"
)

// streamNow is the stream's time in these tests.
var streamNow = statemachine.At(time.Date(2026, 11, 21, 2, 0, 5, 0, time.UTC))

// jobMessage is failedEvent or typicalEvent, by its phase, with one text in place of another.
func jobMessage(t testing.TB, phase, old, with string) Message {
	t.Helper()
	data := typicalEvent
	if phase == "failed" {
		data = failedEvent
	}
	if !strings.Contains(data, old) {
		t.Fatalf("there is no %s to replace", old)
	}
	data = strings.Replace(data, old, with, 1)
	if phase != "failed" {
		data = strings.Replace(data, "job.started", "job."+phase, 1)
	}
	return Message{Subject: eventSubject + phase, Data: []byte(data), Sequence: 41, StreamTime: streamNow}
}

func TestDecode_JobEvent(t *testing.T) {
	m := jobMessage(t, "progressed", `"progress":66`, `"progress":66.9,"provider":"dfw","providers":["dfw","ord"],"fault":
		{"code":503,"message":"full","details":"all of them","reason":"NO_SPACE","error_code":"131"}`)
	e := Decode(m)
	want := statemachine.Event{
		Sequence: 41, StreamTime: streamNow, Time: statemachine.At(time.Date(2026, 11, 21, 2, 0, 0, 123e6, time.UTC)),
		ID:  idDigest([]byte("builder-7"), []byte("e-000041")),
		Key: statemachine.Key{Tenant: "1234", Kind: statemachine.Server, ID: "52415800-8b69-11e0-9b19-734f0000ffff"},
		Job: "b-41", Action: statemachine.ActBuild, Phase: statemachine.PhaseProgressed, RequestID: "req-7d5a8f3c-52b0-4c11-9e0a-1f6f1f0c9b11",
		User: "5678", Name: "sample-server", Attributes: statemachine.Attributes(`{"flavor":{"id":"1"},"hostId":"e4d909c290d0"}`),
		Progress: 66, Provider: "dfw", Providers: []string{"dfw", "ord"},
	}
	want.Fault = &statemachine.Fault{Sequence: 41, Created: want.Time, Code: 503, Message: "full", Details: "all of them",
		Reason: "NO_SPACE", ErrorCode: "131"}
	if e.Reason != 0 || !reflect.DeepEqual(e.Event, want) {
		t.Errorf("got  %+v %+v\nwant %+v %+v\n%s", e.Event, e.Fault, want, want.Fault, e.Detail)
	}
	if e.Subject != m.Subject || string(e.Raw) != string(m.Data) || e.Unknown != 0 {
		t.Errorf("subject %q, %d bytes, %d unknown", e.Subject, len(e.Raw), e.Unknown)
	}
}

func TestDecode_JobEventAccepted(t *testing.T) {
	for _, c := range []struct {
		name, phase, old, with string
		is                     func(e *statemachine.Entry) bool
	}{
		{"no time", "started", `"time":"2026-11-21T02:00:00.123Z",`, ``, func(e *statemachine.Entry) bool { return e.Time == 0 }},
		{"fault without a time is of the stream's", "failed", `"time":"2026-11-21T02:00:01Z",`, ``, func(e *statemachine.Entry) bool { return e.Fault.Created == streamNow }},
		{"fault from the future is from now", "failed", `2026-11-21T02:00:01Z`, `2027-11-21T02:00:01Z`, func(e *statemachine.Entry) bool { return e.Fault.Created == streamNow && e.Time > streamNow }},
		{"zone", "started", `02:00:00.123Z`, `04:30:00.123+02:30`, func(e *statemachine.Entry) bool { return e.Time.Std().Hour() == 2 }},
		{"null for what may be absent", "started", `"progress":66`, `"progress":null,"provider":null,"providers":null,"fault":null,"deadline":null`,
			func(e *statemachine.Entry) bool { return e.Progress == -1 && e.Fault == nil && e.Unknown == 0 }},
		{"null in the resource", "started", `"name":"sample-server"`, `"name":null,"created":null`, func(e *statemachine.Entry) bool { return e.Name == "" && e.Created == 0 }},
		{"null for attributes", "started", `{"flavor":{"id":"1"},"hostId":"e4d909c290d0"}`, `null`, func(e *statemachine.Entry) bool { return e.Attributes == nil }},
		{"no attributes", "started", `{"flavor":{"id":"1"},"hostId":"e4d909c290d0"}`, ` { } `, func(e *statemachine.Entry) bool { return e.Attributes == nil }},
		{"attributes compact and sorted", "started", `{"flavor":{"id":"1"},"hostId":"e4d909c290d0"}`, `{ "b" : [1, "x y"], "a" : {"d":1, "c":2}, "<" : "<" }`,
			func(e *statemachine.Entry) bool {
				return string(e.Attributes) == `{"\u003c":"<","a":{"d":1,"c":2},"b":[1,"x y"]}`
			}},
		{"attributes of 16 KiB", "started", `{"flavor":{"id":"1"},"hostId":"e4d909c290d0"}`, `{  "a" :"` + strings.Repeat("x", 16<<10-8) + `"}`, func(e *statemachine.Entry) bool { return len(e.Attributes) == 16<<10 }},
		{"names in another case within attributes", "started", `"hostId"`, `"ID":1,"HOSTID"`, func(e *statemachine.Entry) bool { return e.Unknown == 0 }},
		{"unknown fields are counted", "started", `"progress":66`, `"progress":66,"colour":"red","size":{"a":1}`, func(e *statemachine.Entry) bool { return e.Unknown == 2 }},
		{"unknown fields in the job", "started", `"action":`, `"owner":[1,2],"action":`, func(e *statemachine.Entry) bool { return e.Unknown == 1 }},
		{"attributes of the specification", "started", `"id":`, `"subject":"s","dataschema":"http://x","id":`, func(e *statemachine.Entry) bool { return e.Unknown == 0 }},
		{"extension", "started", `"id":`, `"traceparent":"00-4bf9","id":`, func(e *statemachine.Entry) bool { return e.Unknown == 1 }},
		{"media type with a parameter", "started", `"application/json"`, `"Application/JSON; charset=utf-8"`, nil},
		{"media type of the JSON family", "started", `"application/json"`, `"application/vnd.faultd+json"`, nil},
		{"names with escapes", "started", `"job":{"id"`, `"\u006aob":{"\u0069d"`, func(e *statemachine.Entry) bool { return e.Job == "b-41" }},
		{"progress 0", "started", `:66`, `:0`, func(e *statemachine.Entry) bool { return e.Progress == 0 }},
		{"progress 100", "started", `:66`, `:1e2`, func(e *statemachine.Entry) bool { return e.Progress == 100 }},
		{"progress is floored", "started", `:66`, `:99.99`, func(e *statemachine.Entry) bool { return e.Progress == 99 }},
		{"providers once each", "started", `"progress":66`, `"providers":["a","b","a"]`, func(e *statemachine.Entry) bool { return len(e.Providers) == 2 }},
		{"no providers", "started", `"progress":66`, `"providers":[]`, func(e *statemachine.Entry) bool { return len(e.Providers) == 0 }},
		{"longest job id", "started", `"b-41"`, `"` + strings.Repeat("j", 256) + `"`, func(e *statemachine.Entry) bool { return len(e.Job) == 256 }},
		{"message cut", "failed", `Could not find image 52415800`, strings.Repeat("é", 3000), func(e *statemachine.Entry) bool {
			return len(e.Fault.Message) <= 4<<10 && strings.HasSuffix(e.Fault.Message, "é…")
		}},
		{"details cut", "failed", `looked in three stores`, strings.Repeat("d", 70_000), func(e *statemachine.Entry) bool {
			return len(e.Fault.Details) == 64<<10 && strings.HasSuffix(e.Fault.Details, "d…")
		}},
		{"code 400", "failed", `404`, `400`, nil}, {"code 599", "failed", `404`, `599`, nil},
		{"fault without a reason", "failed", `,"reason":"IMAGE_NOT_FOUND"`, ``, nil},
		{"fault with cancelled", "cancelled", `"progress":66`, `"fault":{"code":500,"message":"m"}`, nil},
		{"cancelled without a fault", "cancelled", `"progress":66`, `"progress":1`, nil},
		{"deadline", "failed", `"fault":`, `"deadline":{"after":18446744073709551615},"fault":`, func(e *statemachine.Entry) bool { return e.After == 1<<63-1 }},
		{"created", "started", `"name":`, `"created":"2010-08-10T12:00:00Z","name":`, func(e *statemachine.Entry) bool { return e.Created.Std().Year() == 2010 }},
		{"all in another order", "started", `"specversion":"1.0","type":"io.faultd.v1.job.started","source"`, `"type":"io.faultd.v1.job.started","specversion":"1.0","source"`, nil},
		{"white space", "started", `{"specversion"`, "\n\t {\r\n\"specversion\"", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := Decode(jobMessage(t, c.phase, c.old, c.with))
			if e.Reason != 0 {
				t.Fatalf("%v: %s", e.Reason, e.Detail)
			}
			if c.is != nil && !c.is(&e) {
				t.Errorf("got %+v %+v, %d unknown", e.Event, e.Fault, e.Unknown)
			}
		})
	}
}

func TestDecode_JobEventRefused(t *testing.T) {
	for _, c := range []struct{ name, phase, old, with, want, detail string }{
		{"empty", "started", typicalEvent, ``, "malformed", "too early"},
		{"cut off", "started", `"progress":66}}`, `"progress":66}`, "malformed", "too early"},
		{"trailing data", "started", `:66}}`, `:66}}{}`, "malformed", "follow"},
		{"trailing junk", "started", `:66}}`, `:66}},`, "malformed", "follow"},
		{"no JSON", "started", typicalEvent, `hello`, "malformed", "value"},
		{"byte order mark", "started", `{"specversion"`, "\xef\xbb\xbf{\"specversion\"", "malformed", "value"},
		{"duplicate", "started", `"id":"e`, `"id":"x","id":"e`, "malformed", `"id" stands twice`},
		{"duplicate within an unknown field", "started", `"progress":66`, `"x":[{"a":1,"a":2}]`, "malformed", `"a" stands twice`},
		{"duplicate within attributes", "started", `"hostId"`, `"flavor":1,"hostId"`, "malformed", `"flavor" stands twice`},
		{"duplicate by an escape", "started", `"id":"b-41"`, `"id":"b-41","\u0069d":"b-42"`, "malformed", `"id" stands twice`},
		{"duplicate of what is null", "started", `"progress":66`, `"progress":null,"progress":66`, "malformed", "progress"},
		{"another case in the event", "started", `"id":"e`, `"ID":"e`, "malformed", `"ID" must be written "id"`},
		{"another case beside the right one", "started", `"id":"e`, `"Id":"x","id":"e`, "malformed", `"Id" must be written "id"`},
		{"another case of a folding letter", "started", `"job":`, `"deadLine":1,"job":`, "malformed", `"deadline"`},
		{"another case in data", "started", `"job":`, `"Job":`, "malformed", `"Job" must be written "job"`},
		{"another case in the job", "started", `"request_id"`, `"Request_ID"`, "malformed", "data.job"},
		{"another case in the resource", "started", `"tenant_id"`, `"Tenant_Id"`, "malformed", "data.resource"},
		{"another case by the Kelvin sign", "started", `"kind"`, `"\u212aind"`, "malformed", "data.resource"},
		{"another case in the fault", "failed", `"message"`, `"MESSAGE"`, "malformed", "data.fault"},
		{"another case in the deadline", "failed", `"fault":`, `"deadline":{"After":1},"fault":`, "malformed", "data.deadline"},
		{"invalid UTF-8", "started", `sample-server`, "sample\xffserver", "malformed", "UTF-8"},
		{"lone surrogate", "started", `sample-server`, `\ud83d`, "malformed", "escape"},
		{"control character", "started", `sample-server`, "a\nb", "malformed", "control"},
		{"number with a zero in front", "started", `:66`, `:066`, "malformed", "expected"},
		{"malformed before schema", "started", `"job":{"id":"b-41"`, `"data":1,"job":{"id":41,,`, "malformed", "name"},

		{"array", "started", typicalEvent, `[]`, "schema", "event: must be an object"},
		{"null", "started", typicalEvent, `null`, "schema", "event: must be an object"},
		{"no data", "started", `"data":`, `"rest":`, "schema", "data: is required"},
		{"data null", "failed", failedEvent[strings.Index(failedEvent, `{"job"`) : len(failedEvent)-1], `null`, "schema", "data: is required"},
		{"data a string", "failed", failedEvent[strings.Index(failedEvent, `{"job"`) : len(failedEvent)-1], `"{}"`, "schema", "data: must be an object"},
		{"data_base64", "started", `"data":`, `"data_base64":"e30=","data":`, "schema", "data_base64"},
		{"media type", "started", `application/json`, `text/plain`, "schema", "datacontenttype"},
		{"media type that is none", "started", `"application/json"`, `""`, "schema", "datacontenttype"},
		{"no specversion", "started", `"specversion":"1.0",`, ``, "schema", "specversion: is required"},
		{"specversion a number", "started", `"specversion":"1.0"`, `"specversion":1.0`, "schema", "specversion: must be a string"},
		{"no id", "started", `"id":"e-000041",`, ``, "schema", "id: is required"},
		{"empty id", "started", `"id":"e-000041"`, `"id":""`, "schema", "id: is required"},
		{"no source", "started", `"source":"builder-7",`, ``, "schema", "source: is required"},
		{"empty source", "started", `"builder-7"`, `""`, "schema", "source: is required"},
		{"no type", "started", `"type":"io.faultd.v1.job.started",`, ``, "schema", "type: is required"},
		{"type of others", "started", `io.faultd.v1.job.started`, `com.example.started`, "schema", "type: must be"},
		{"type of no phase", "failed", `v1.job.failed`, `v1.job.exploded`, "schema", "type: must be"},
		{"type of no job", "started", `v1.job.started`, `v1.fault.raised`, "schema", "type: must be"},
		{"type without a version", "started", `.v1.`, `.v.`, "schema", "type: must be"},
		{"time", "started", `2026-11-21T02:00:00.123Z`, `2026-11-21 02:00:00`, "schema", "time: must be a time"},
		{"time empty", "started", `2026-11-21T02:00:00.123Z`, ``, "schema", "time: must be a time"},
		{"time a number", "started", `"2026-11-21T02:00:00.123Z"`, `1795226400`, "schema", "time: must be a string"},
		{"time with a comma", "started", `00.123Z`, `00,123Z`, "schema", "time: must be a time"},
		{"time before 1970", "started", `2026-11-21T02`, `1969-12-31T23`, "schema", "time: must lie"},
		{"time before 1970 by its zone", "started", `2026-11-21T02:00:00.123Z`, `1970-01-01T00:00:00+01:00`, "schema", "time: must lie"},
		{"time after 2261", "started", `2026-11-21`, `2262-01-01`, "schema", "time: must lie"},

		{"no job", "started", `"job":`, `"work":`, "schema", "data.job.id: is required"},
		{"job a string", "started", `{"id":"b-41","action":"build","request_id":"req-7d5a8f3c-52b0-4c11-9e0a-1f6f1f0c9b11"}`, `"b-41"`, "schema", "data.job: must be an object"},
		{"no job id", "started", `"id":"b-41",`, ``, "schema", "data.job.id: is required"},
		{"empty job id", "started", `"b-41"`, `""`, "schema", "data.job.id: is required"},
		{"job id a number", "started", `"b-41"`, `41`, "schema", "data.job.id: must be a string"},
		{"job id null", "started", `"b-41"`, `null`, "schema", "data.job.id: is required"},
		{"no action", "started", `"action":"build",`, ``, "schema", "data.job.action: is required"},
		{"no such action", "started", `"build"`, `"explode"`, "schema", `data.job.action: a server has no action "explode"`},
		{"action of another kind", "started", `"build"`, `"export"`, "schema", `data.job.action: a server has no action "export"`},
		{"action in another case", "started", `"build"`, `"Build"`, "schema", "data.job.action"},
		{"no kind", "started", `"kind":"server",`, ``, "schema", "data.resource.kind: is required"},
		{"no such kind", "started", `"server"`, `"volume"`, "schema", "data.resource.kind"},
		{"no resource id", "started", `"id":"52415800-8b69-11e0-9b19-734f0000ffff",`, ``, "schema", "data.resource.id: is required"},
		{"bad resource id", "started", `"id":"52415800-8b69-11e0-9b19-734f0000ffff"`, `"id":"a.b"`, "schema", "data.resource.id: must be"},
		{"no tenant", "started", `"tenant_id":"1234",`, ``, "schema", "data.resource.tenant_id: is required"},
		{"bad tenant", "started", `"tenant_id":"1234"`, `"tenant_id":"é"`, "schema", "data.resource.tenant_id: must be"},
		{"empty tenant", "started", `"tenant_id":"1234"`, `"tenant_id":""`, "schema", "data.resource.tenant_id: must be"},
		{"created", "started", `"name":`, `"created":"today","name":`, "schema", "data.resource.created"},
		{"name an object", "started", `"sample-server"`, `{}`, "schema", "data.resource.name"},
		{"attributes an array", "started", `{"flavor":{"id":"1"},"hostId":"e4d909c290d0"}`, `[]`, "schema", "data.resource.attributes"},
		{"progress a string", "started", `:66`, `:"66"`, "schema", "data.progress: must be a number"},
		{"progress below 0", "started", `:66`, `:-1`, "schema", "data.progress: must be from 0 to 100"},
		{"progress just below 0", "started", `:66`, `:-0.1`, "schema", "data.progress: must be from 0 to 100"},
		{"progress above 100", "started", `:66`, `:100.5`, "schema", "data.progress: must be from 0 to 100"},
		{"progress beyond numbers", "started", `:66`, `:1e999`, "schema", "data.progress"},
		{"provider", "started", `"progress":66`, `"provider":"a b"`, "schema", "data.provider: must be"},
		{"provider empty", "started", `"progress":66`, `"provider":""`, "schema", "data.provider: must be"},
		{"providers a string", "started", `"progress":66`, `"providers":"dfw"`, "schema", "data.providers: must be an array"},
		{"providers of numbers", "started", `"progress":66`, `"providers":[1]`, "schema", "data.providers: must be an array of strings"},
		{"providers with null", "started", `"progress":66`, `"providers":["a",null]`, "schema", "data.providers: must be an array of strings"},
		{"providers with a bad name", "started", `"progress":66`, `"providers":["a","b.c"]`, "schema", "data.providers: must be 1 to 128"},
		{"failed without a fault", "failed", `"fault":`, `"blame":`, "schema", "data.fault: is required"},
		{"fault null with failed", "failed", `{"code":404,"message":"Could not find image 52415800","details":"looked in three stores","reason":"IMAGE_NOT_FOUND"}`, `null`, "schema", "data.fault: is required"},
		{"fault with accepted", "accepted", `"progress":66`, `"fault":{"code":500,"message":"m"}`, "schema", "data.fault: must not stand with accepted"},
		{"fault with started", "started", `"progress":66`, `"fault":{"code":500,"message":"m"}`, "schema", "data.fault: must not stand with started"},
		{"fault with succeeded", "succeeded", `"progress":66`, `"fault":{"code":500,"message":"m"}`, "schema", "data.fault: must not stand with succeeded"},
		{"no code", "failed", `"code":404,`, ``, "schema", "data.fault.code: is required"},
		{"code below", "failed", `404`, `200`, "schema", "data.fault.code: must be from 400 to 599, is 200"},
		{"code 399", "failed", `404`, `399`, "schema", "data.fault.code"},
		{"code 600", "failed", `404`, `600`, "schema", "data.fault.code"},
		{"code a fraction", "failed", `404`, `404.5`, "schema", "data.fault.code"},
		{"code a string", "failed", `404`, `"404"`, "schema", "data.fault.code: must be a number"},
		{"code beyond numbers", "failed", `404`, `99999999999999999999`, "schema", "data.fault.code"},
		{"no message", "failed", `"message":"Could not find image 52415800",`, ``, "schema", "data.fault.message: is required"},
		{"empty message", "failed", `Could not find image 52415800`, ``, "schema", "data.fault.message: is required"},
		{"message a number", "failed", `"Could not find image 52415800"`, `7`, "schema", "data.fault.message: must be a string"},
		{"error code a number", "failed", `"reason":"IMAGE_NOT_FOUND"`, `"error_code":131`, "schema", "data.fault.error_code: must be a string"},
		{"deadline 0", "failed", `"fault":`, `"deadline":{"after":0},"fault":`, "schema", "data.deadline.after: must be a whole number"},
		{"deadline below 0", "failed", `"fault":`, `"deadline":{"after":-1},"fault":`, "schema", "data.deadline.after"},
		{"deadline a fraction", "failed", `"fault":`, `"deadline":{"after":1.5},"fault":`, "schema", "data.deadline.after"},
		{"deadline empty", "failed", `"fault":`, `"deadline":{},"fault":`, "schema", "data.deadline.after: is required"},
		{"deadline with started", "started", `"progress":66`, `"deadline":{"after":1}`, "schema", "data.deadline: must not stand with started"},

		{"event", "started", `sample-server`, strings.Repeat("x", 256<<10), "too_large", "event: must have at most 262144 bytes"},
		{"depth", "started", `"progress":66`, `"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31), "too_large", "nested deeper than 32"},
		{"attributes", "started", `"e4d909c290d0"`, `"` + strings.Repeat("x", 16<<10) + `"`, "too_large", "data.resource.attributes"},
		{"job id", "started", `"b-41"`, `"` + strings.Repeat("j", 257) + `"`, "too_large", "data.job.id"},
		{"request id", "started", `req-`, strings.Repeat("r", 1<<10), "too_large", "data.job.request_id"},
		{"user id", "started", `5678`, strings.Repeat("u", 1<<10+1), "too_large", "data.resource.user_id"},
		{"name", "started", `sample-server`, strings.Repeat("n", 1<<10+1), "too_large", "data.resource.name"},
		{"reason", "failed", `IMAGE_NOT_FOUND`, strings.Repeat("r", 1<<10+1), "too_large", "data.fault.reason"},
		{"error code", "failed", `"reason":"IMAGE_NOT_FOUND"`, `"error_code":"` + strings.Repeat("1", 1<<10+1) + `"`, "too_large", "data.fault.error_code"},
		{"providers", "started", `"progress":66`, `"providers":["p"` + strings.Repeat(`,"p"`, 64) + `]`, "too_large", "data.providers: must be at most 64, are 65"},

		{"phase of the type", "failed", `job.failed`, `job.succeeded`, "subject_mismatch", "type: names the phase succeeded, the subject failed"},
		{"tenant", "started", `"tenant_id":"1234"`, `"tenant_id":"4321"`, "subject_mismatch", "data.resource.tenant_id: is 4321"},
		{"kind of the resource", "started", `"server"`, `"image"`, "subject_mismatch", "data.resource.kind: is image"},
		{"id of the resource", "started", `"id":"52415800-`, `"id":"52415801-`, "subject_mismatch", "data.resource.id: is 52415801-"},

		{"specversion", "started", `"1.0"`, `"1.1"`, "unsupported_version", "specversion"},
		{"specversion before the rest", "started", `"specversion":"1.0"`, `"progress":"x","specversion":"0.3"`, "unsupported_version", "specversion"},
		{"version of the type", "started", `.v1.`, `.v2.`, "unsupported_version", "type"},
		{"version of the type with other data", "started", `v1.job.started`, `v12.job.paused`, "unsupported_version", "type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := jobMessage(t, c.phase, c.old, c.with)
			e := Decode(m)
			if e.Reason.String() != c.want || !strings.Contains(e.Detail, c.detail) {
				t.Errorf("got %v %q, want %s %q", e.Reason, e.Detail, c.want, c.detail)
			}
			if e.Sequence != 41 || e.StreamTime != streamNow || e.Subject != m.Subject || string(e.Raw) != string(m.Data) || e.Job != "" {
				t.Errorf("what was refused is kept badly: %+v", e.Event)
			}
		})
	}
}

func TestDecode_Subjects(t *testing.T) {
	long := strings.Repeat("i", 129)
	for _, subject := range []string{"", "jobs", "jobs.", "jobs.1234.server.i", "jobs.1234.server.i.started.now", "jobs.1234.volume.i.started",
		"jobs.1234.server.i.exploded", "jobs..server.i.started", "jobs.1234.server..started", "jobs.1 2.server.i.started",
		"jobs.1234.server." + long + ".started", "Jobs.1234.server.i.started", "faults.1234.server.i.raised", "openstack"} {
		if e := Decode(Message{Subject: subject, Data: []byte(typicalEvent)}); e.Reason != statemachine.SubjectMismatch || !strings.HasPrefix(e.Detail, "subject: must") {
			t.Errorf("%q: %v %q", subject, e.Reason, e.Detail)
		}
	}
}

// binaryMessage is typicalEvent in binary mode.
func binaryMessage(change map[string][]string) Message {
	data := typicalEvent[strings.Index(typicalEvent, `{"job"`) : len(typicalEvent)-1]
	header := map[string][]string{"ce-specversion": {"1.0"}, "ce-id": {"e-000041"}, "ce-source": {"builder-7"}, "Nats-Msg-Id": {"x"},
		"ce-type": {"io.faultd.v1.job.started"}, "ce-time": {"2026-11-21T02:00:00.123Z"}, "content-type": {"application/json"}}
	maps.Copy(header, change)
	maps.DeleteFunc(header, func(_ string, v []string) bool { return v == nil })
	return Message{Subject: eventSubject + "started", Header: header, Data: []byte(data), Sequence: 41, StreamTime: streamNow}
}

func TestDecode_BinaryModeIsTheSameEvent(t *testing.T) {
	want := Decode(jobMessage(t, "started", "", ""))
	for name, change := range map[string]map[string][]string{
		"as it is":        nil,
		"other case":      {"ce-specversion": nil, "Ce-Specversion": {"1.0"}, "ce-id": nil, "CE-ID": {"e-000041"}},
		"percent-encoded": {"ce-source": {"b%75ilder%2D7"}},
		"quoted":          {"ce-source": {`"builder\-7"`}},
		"content type":    {"content-type": nil, "ce-datacontenttype": {"application/json"}},
		"no content type": {"content-type": nil},
	} {
		if e := Decode(binaryMessage(change)); e.Reason != 0 || !reflect.DeepEqual(e.Event, want.Event) || e.Unknown != 0 {
			t.Errorf("%s: got %+v %d %v %s", name, e.Event, e.Unknown, e.Reason, e.Detail)
		}
	}
	if e := Decode(binaryMessage(map[string][]string{"ce-traceparent": {"00"}, "ce-subject": {"s"}})); e.Unknown != 1 {
		t.Errorf("%d unknown, want the extension alone", e.Unknown)
	}
}

func TestDecode_BinaryModeRefused(t *testing.T) {
	for _, c := range []struct {
		name         string
		change       map[string][]string
		data         string
		want, detail string
	}{
		{"no id", map[string][]string{"ce-id": nil}, "", "schema", "id: is required"},
		{"no time that is one", map[string][]string{"ce-time": {""}}, "", "schema", "time"},
		{"media type", map[string][]string{"content-type": {"text/plain"}}, "", "schema", "datacontenttype"},
		{"another phase", map[string][]string{"ce-type": {"io.faultd.v1.job.failed"}}, "", "subject_mismatch", "type"},
		{"version", map[string][]string{"ce-specversion": {"2.0"}}, "", "unsupported_version", "specversion"},
		{"twice", map[string][]string{"ce-id": {"a", "b"}}, "", "malformed", "ce-id"},
		{"twice in two cases", map[string][]string{"CE-Id": {"b"}}, "", "malformed", "ce-id"},
		{"not at all", map[string][]string{"ce-id": {}}, "", "malformed", "ce-id"},
		{"bad encoding", map[string][]string{"ce-id": {"100%"}}, "", "malformed", "ce-id"},
		{"invalid UTF-8", map[string][]string{"ce-id": {"%ff"}}, "", "malformed", "ce-id"},
		{"an event as data", nil, typicalEvent, "schema", "data.job.id: is required"},
		{"no object", nil, `"x"`, "schema", "data: must be an object"},
		{"trailing data", nil, `{} {}`, "malformed", "follow"},
	} {
		m := binaryMessage(c.change)
		if c.data != "" {
			m.Data = []byte(c.data)
		}
		if e := Decode(m); e.Reason.String() != c.want || !strings.Contains(e.Detail, c.detail) {
			t.Errorf("%s: got %v %q, want %s %q", c.name, e.Reason, e.Detail, c.want, c.detail)
		}
	}
}

func TestIdDigest_NeverChanges(t *testing.T) {
	for _, c := range []struct {
		source, id string
		want       string
	}{{"a", "b", "e5d29919042666b2"}, {"", "", "af63bd4c8601b7df"}, {"ab", "", "e72003190541fc1e"}, {"a", "bc", "ab40f6820d40b523"}} {
		if got := fmt.Sprintf("%x", idDigest([]byte(c.source), []byte(c.id))); got != c.want {
			t.Errorf("%q %q: got %s, want %s", c.source, c.id, got, c.want)
		}
	}
}

func TestParseRFC3339_Times(t *testing.T) {
	for _, text := range []string{"2026-11-21T02:00:00Z", "2026-11-21t02:00:00z", "2026-11-21T02:00:00.1Z", "2026-11-21T02:00:00.123456789Z",
		"2026-11-21T23:59:59+23:59", "2026-11-21T00:00:00-12:30", "2024-02-29T00:00:00Z", "1970-01-01T00:00:00.000000001Z", "0000-01-01T00:00:00Z"} {
		want, err := time.Parse(time.RFC3339Nano, strings.ToUpper(text))
		got, ok := parseRFC3339([]byte(text))
		if err != nil || !ok || !got.Equal(want) {
			t.Errorf("%s: got %v %v, want %v %v", text, got, ok, want, err)
		}
	}
	if got, ok := parseRFC3339([]byte("2026-11-21T02:00:00.1234567899999Z")); !ok || got.Nanosecond() != 123456789 {
		t.Errorf("finer than nanoseconds: %v %v", got, ok)
	}
	for _, text := range []string{"", "2026-11-21", "2026-11-21T02:00:00", "2026-11-21 02:00:00Z", "2026-11-21T2:00:00Z", "2026-11-21T02:00:00,5Z",
		"2026-11-21T02:00:00.Z", "2026-11-21T02:00:00.5", "2026-11-21T02:00:60Z", "2026-11-21T24:00:00Z", "2026-11-21T02:60:00Z", "2026-13-21T02:00:00Z",
		"2026-00-21T02:00:00Z", "2026-11-31T02:00:00Z", "2026-11-00T02:00:00Z", "2025-02-29T02:00:00Z", "2026-11-21T02:00:00+24:00", "2026-11-21T02:00:00+0100",
		"2026-11-21T02:00:00+01", "2026-11-21T02:00:00+01:60", "2026-11-21T02:00:00ZZ", "x026-11-21T02:00:00Z", "20x6-11-21T02:00:00Z", "+2026-11-21T02:00:00Z"} {
		if got, ok := parseRFC3339([]byte(text)); ok {
			t.Errorf("%q: got %v, want none", text, got)
		}
	}
}
