package consumer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"faultd/statemachine"
)

// notification decodes a notification of a server's build with these members in place of the usual.
func decodeText(text string) statemachine.Entry {
	return Decode(Message{Subject: "openstack.any", Data: []byte(text), Sequence: 3, StreamTime: 1 << 60})
}

func TestDecode_NotificationRules(t *testing.T) {
	const id = "178b0921-8f85-4257-88b6-2e743b5a975c"
	payload := func(members string) string {
		return `{"event_type":"instance.create.end","payload":{"uuid":"` + id + `","tenant_id":"t"` + members + `}}`
	}
	for _, c := range []struct{ name, text, want, detail string }{
		{"bare", payload(""), "server build succeeded " + id + " tenant=t job=", ""},
		{"empty", "", "malformed", "too early"},
		{"no object", `["instance.create.end"]`, "schema", "must be an object"},
		{"no type", `{"payload":{}}`, "schema", "event_type"},
		{"type of another kind", `{"event_type":7}`, "schema", "event_type"},
		{"duplicate", payload(`,"uuid":"x"`), "malformed", "twice"},
		{"trailing", payload("") + "x", "malformed", "follow"},
		{"invalid UTF-8", payload(",\"a\":\"\xff\""), "malformed", "UTF-8"},
		{"lone surrogate", payload(`,"a":"\ud800"`), "malformed", "escape"},
		{"too deep", payload(`,"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31)), "too_large", "deeper"},
		{"too large", payload(`,"a":"` + strings.Repeat("x", 256<<10) + `"`), "too_large", "bytes"},
		{"unknown type", `{"event_type":"weather.rain.start","payload":"x"}`, "not_a_job", ""},
		{"string for an unknown action", `{"event_type":"instance.wash.end","payload":"x"}`, "not_a_job", ""},
		{"string for a job", `{"event_type":"instance.create.end","payload":"x"}`, "schema", "payload"},
		{"number for an update", `{"event_type":"instance.update","payload":3}`, "schema", "payload"},
		{"array for an image", `{"event_type":"image.create","payload":[]}`, "schema", "payload"},
		{"string for an image", `{"event_type":"image.upload","priority":"INFO","payload":"x"}`, "schema", "payload"},
		{"number for a failed upload", `{"event_type":"image.upload","priority":"ERROR","payload":3}`, "schema", "payload"},
		{"string for a backup", `{"event_type":"backup.create.end","payload":"x"}`, "schema", "payload"},
		{"no id", `{"event_type":"instance.create.end","payload":{"tenant_id":"t"}}`, "schema", "payload.uuid"},
		{"bad id", `{"event_type":"compute.instance.create.end","payload":{"instance_id":"a b"}}`, "schema", "payload.instance_id"},
		{"bad tenant", `{"event_type":"image.create","payload":{"id":"i","owner":"a.b"}}`, "schema", "payload.owner"},
		{"bad tenant of the request", `{"event_type":"image.create","_context_project_id":"a b","payload":{"id":"i"}}`, "schema", "_context_project_id"},
		{"tenant of the request", `{"event_type":"image.create","_context_project_id":"c","payload":{"id":"i","owner":null}}`, "image build accepted i tenant=c job=", ""},
		{"no tenant", `{"event_type":"image.create","payload":{"id":"i"}}`, "image build accepted i tenant= job=", ""},
		{"request of the payload first", payload(`,"request_id":"req-1"},"_context_request_id":"req-2","x":{`), "server build succeeded " + id + " tenant=t job=req-1:build", ""},
		{"request of the context", payload(`},"_context_request_id":"req-2","x":{`), "server build succeeded " + id + " tenant=t job=req-2:build", ""},
		{"request that is too long", payload(`,"request_id":"` + strings.Repeat("r", 300) + `"`), "server build succeeded " + id + " tenant=t job=", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := decodeText(c.text)
			if got := meaning(&e); got != c.want || !strings.Contains(e.Detail, c.detail) {
				t.Errorf("got %q (%q), want %q (%q)", got, e.Detail, c.want, c.detail)
			}
		})
	}
}

func TestDecode_Envelope(t *testing.T) {
	inner := `{\"event_type\":\"image.delete\",\"payload\":{\"id\":\"i\",\"owner\":\"t\"}}`
	for _, c := range []struct{ name, text, want, detail string }{
		{"version 2.0", `{"oslo.version":"2.0","oslo.message":"` + inner + `"}`, "image delete succeeded i tenant=t job=", ""},
		{"version 2.1", `{"oslo.version":"2.1","oslo.message":"` + inner + `"}`, "image delete succeeded i tenant=t job=", ""},
		{"version 3.0", `{"oslo.version":"3.0","oslo.message":"` + inner + `"}`, "unsupported_version", "oslo.version"},
		{"version 20", `{"oslo.version":"20","oslo.message":"` + inner + `"}`, "unsupported_version", "oslo.version"},
		{"number", `{"oslo.version":2.0,"oslo.message":"` + inner + `"}`, "schema", "oslo.version"},
		{"no version", `{"oslo.message":"` + inner + `"}`, "schema", "oslo.version"},
		{"no message", `{"oslo.version":"2.0"}`, "schema", "oslo.message"},
		{"object", `{"oslo.version":"2.0","oslo.message":{}}`, "schema", "oslo.message"},
		{"broken inside", `{"oslo.version":"2.0","oslo.message":"{"}`, "malformed", "within oslo.message"},
		{"duplicate inside", `{"oslo.version":"2.0","oslo.message":"{\"a\":1,\"\\u0061\":2}"}`, "malformed", "twice"},
		{"no object inside", `{"oslo.version":"2.0","oslo.message":"7"}`, "schema", "oslo.message"},
		{"envelope inside", `{"oslo.version":"2.0","oslo.message":"{\"oslo.version\":\"2.0\"}"}`, "schema", "event_type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := decodeText(c.text)
			if got := meaning(&e); got != c.want || !strings.Contains(e.Detail, c.detail) {
				t.Errorf("got %q (%q), want %q (%q)", got, e.Detail, c.want, c.detail)
			}
		})
	}
}

func TestDecode_NotificationTimes(t *testing.T) {
	want := time.Date(2026, 11, 21, 2, 0, 1, 500_000_000, time.UTC)
	for text, at := range map[string]time.Time{
		"2026-11-21 02:00:01.500000":       want,
		"2026-11-21T02:00:01.500000":       want,
		"2026-11-21T02:00:01.5Z":           want,
		"2026-11-21T03:00:01.500+01:00":    want,
		"2026-11-21 02:00:01.500000+00:00": want,
		"2026-11-21 02:00:01":              want.Truncate(time.Second),
		"yesterday":                        {},
		"":                                 {},
		"1601-01-01 00:00:00":              {},
		"9999-01-01 00:00:00":              {},
	} {
		e := decodeText(`{"event_type":"image.delete","timestamp":"` + text + `","payload":{"id":"i","created_at":"` + text + `"}}`)
		if e.Reason != 0 || !e.Time.Std().Equal(at) || !e.Created.Std().Equal(at) {
			t.Errorf("%q: got %v and %v (%v)", text, e.Time.Std(), e.Created.Std(), e.Reason)
		}
	}
}

func TestDecode_NotificationIdentity(t *testing.T) {
	text := `{"event_type":"image.delete"%s,"payload":{"id":"i"}}`
	with := func(members string) statemachine.Entry { return decodeText(fmt.Sprintf(text, members)) }
	a, b := with(`,"message_id":"m-1"`), with(`,"message_id":"m-1","priority":"INFO"`)
	if a.ID != b.ID || a.Fallback != "m-1" {
		t.Errorf("one message_id is two events, or falls back on %q", a.Fallback)
	}
	c, d, e := with(``), with(`,"priority":"INFO"`), with(``)
	if c.ID == d.ID || c.ID != e.ID || len(c.Fallback) != 16 || c.Fallback == d.Fallback {
		t.Errorf("without a message_id the bytes do not tell events apart: %q %q", c.Fallback, d.Fallback)
	}
	if f := with(`,"message_id":"` + strings.Repeat("m", 300) + `"`); len(f.Fallback) != 16 {
		t.Errorf("a message_id that is too long for a job's id became one: %q", f.Fallback)
	}
}

func TestDecode_NovaFaultKeepsTextForOperators(t *testing.T) {
	e := decodeText(string(readSample(t, "nova-versioned/instance-create-error.json")))
	f := *e.Fault
	if strings.Contains(f.Message, "would be too small") || !strings.HasPrefix(f.Details, "The created instance's disk would be too small.\nTraceback") {
		t.Errorf("message %q, details %q", f.Message, f.Details)
	}
	if f.Reason != "FlavorDiskTooSmall" || f.Sequence != 3 || f.Created != 1<<60 {
		t.Errorf("reason %q, sequence %d, created %d", f.Reason, f.Sequence, f.Created)
	}
}

func TestDecode_LegacyFaultWithCodeHidesTheException(t *testing.T) {
	legacy := `{"event_type":"compute.instance.resize.error","payload":{"instance_id":"i","state":"active","message":"Quota exceeded",%s}}`
	for _, c := range []struct {
		members, details, reason string
		code                     int
	}{
		{`"code":413,"exception":"OverQuota('secret',)"`, "Quota exceeded", "OverQuota", 413},
		{`"code":"413"`, "Quota exceeded", "", 413},
		{`"exception":{"kwargs":{"code":404}}`, "Quota exceeded", "", 404},
		{`"code":200`, "Quota exceeded", "", 500},
		{`"code":404.5`, "Quota exceeded", "", 500},
		{`"code":"many"`, "Quota exceeded", "", 500},
		{`"code":"NaN"`, "Quota exceeded", "", 500},
		{`"exception":"OverQuota('why',)"`, "Quota exceeded\nOverQuota('why',)", "OverQuota", 500},
	} {
		e := decodeText(fmt.Sprintf(legacy, c.members))
		if e.Fault == nil || e.Fault.Code != c.code || e.Fault.Details != c.details || e.Fault.Reason != c.reason {
			t.Errorf("%s: got %+v %v", c.members, e.Fault, e.Reason)
		}
	}
}

func TestInWords_Classes(t *testing.T) {
	for class, want := range map[string]string{
		"NoValidHost":         "No valid host",
		"FlavorDiskTooSmall":  "Flavor disk too small",
		"TypeError":           "Type error",
		"libvirtError":        "Libvirt error",
		"HTTPConnectionError": "HTTP connection error",
		"OSError":             "OS error",
		"snake_case":          "Snake case",
		"":                    "",
	} {
		if got := inWords(class); got != want {
			t.Errorf("%q: got %q, want %q", class, got, want)
		}
	}
}

func TestClassName_OnlyOfClasses(t *testing.T) {
	for text, want := range map[string]string{
		"NoValidHost":                "NoValidHost",
		"nova.exception.NoValidHost": "NoValidHost",
		"NoValidHost_Remote":         "NoValidHost",
		"No valid host was found":    "",
		"9Lives":                     "",
		"Größe":                      "",
		strings.Repeat("A", 200):     "",
	} {
		if got := className(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestDecode_NotificationAttributes(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"server", `{"event_type":"instance.create.end","payload":{"nova_object.data":{"uuid":"i","host":"h", "node":null,"availability_zone":3,
			"image_uuid":"im","flavor":{"nova_object.data":{"flavorid":"f","name":"big"}},"metadata":{"b": "1", "a":"2"},"key_name":""}}}`,
			`{"OS-EXT-SRV-ATTR:host":"h","flavor":{"id":"f","original_name":"big"},"image":{"id":"im"},"metadata":{"b":"1","a":"2"}}`},
		{"metadata of numbers", `{"event_type":"instance.create.end","payload":{"uuid":"i","metadata":{"a":1}}}`, ``},
		{"metadata as a list", `{"event_type":"compute.instance.create.end","payload":{"instance_id":"i","metadata":[]}}`, ``},
		{"far too much metadata", `{"event_type":"instance.create.end","payload":{"uuid":"i","metadata":{"a":"` + strings.Repeat("x", 17<<10) + `"}}}`, ``},
		{"image", `{"event_type":"image.create","payload":{"id":"i","size":19,"min_disk":"1","min_ram":512,"visibility":"private"}}`,
			`{"OS-EXT-IMG-SIZE:size":19,"minRam":512,"visibility":"private"}`},
		{"backup", `{"event_type":"backup.create.start","payload":{"backup_id":"i","volume_id":"v","size":1,"container":"c","fail_reason":"no"}}`,
			`{"container":"c","size":1,"volume_id":"v"}`},
		{"snapshot", `{"event_type":"instance.snapshot.start","payload":{"uuid":"s","snapshot_image_id":"i"}}`, `{"server":{"id":"s"}}`},
	} {
		if e := decodeText(c.text); e.Reason != 0 || string(e.Attributes) != c.want {
			t.Errorf("%s: got %s (%v %s)\nwant %s", c.name, e.Attributes, e.Reason, e.Detail, c.want)
		}
	}
}
