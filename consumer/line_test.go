package consumer

import (
	"strings"
	"testing"
)

func TestLine_Subjects(t *testing.T) {
	event := func(typ, resource string) string {
		return `{"specversion":"1.0","id":"e-1","source":"builder","type":"` + typ + `","data":{"resource":` + resource + `}}`
	}
	const server = `{"kind":"server","id":"s-1","tenant_id":"t"}`
	for _, c := range []struct{ name, line, subject, id string }{
		{"event", event("io.faultd.v1.job.failed", server), "jobs.t.server.s-1.failed", "builder/e-1"},
		{"event of a later version", event("io.faultd.v2.job.failed", server), "jobs.t.server.s-1.failed", "builder/e-1"},
		{"event without an id", `{"specversion":"1.0","type":"io.faultd.v1.job.failed","data":{"resource":` + server + `}}`, "jobs.t.server.s-1.failed", ""},
		{"event whose id no header can hold", strings.Replace(event("io.faultd.v1.job.failed", server), "e-1", `e\n1`, 1), "jobs.t.server.s-1.failed", ""},
		{"notification with an id that is too long", `{"event_type":"image.create","message_id":"` + strings.Repeat("m", 1025) + `"}`, "openstack.image.create", ""},
		{"notification", `{"event_type":"instance.create.end","message_id":"m-1"}`, "openstack.instance.create.end", "m-1/e5541fd96abc9170"},
		{"notification without an id", `{"event_type":"image.create"}`, "openstack.image.create", ""},
		{"notification in an envelope", `{"oslo.version":"2.0","oslo.message":"{\"event_type\":\"image.create\",\"message_id\":\"m-2\"}"}`, "openstack.image.create", "m-2/ccee846ebac393c4"},
	} {
		m, err := Line([]byte(c.line))
		if err != nil || m.Subject != c.subject || string(m.Data) != c.line {
			t.Errorf("%s: got %q, %v", c.name, m.Subject, err)
		}
		if got := strings.Join(m.Header["Nats-Msg-Id"], "|"); got != c.id {
			t.Errorf("%s: id %q, want %q", c.name, got, c.id)
		}
	}
}

func TestLine_Errors(t *testing.T) {
	event := func(typ, resource string) string {
		return `{"specversion":"1.0","type":"` + typ + `","data":{"resource":` + resource + `}}`
	}
	for _, c := range []struct{ name, line, names string }{
		{"empty", "", "too early"},
		{"broken", `{"specversion":`, "too early"},
		{"no object", `7`, "line"},
		{"neither", `{"hello":"world"}`, "event_type"},
		{"type", event("io.faultd.v1.job.exploded", `{}`), "type"},
		{"type of others", event("com.example", `{}`), "type"},
		{"kind", event("io.faultd.v1.job.failed", `{"kind":"volume","id":"i","tenant_id":"t"}`), "data.resource.kind"},
		{"tenant", event("io.faultd.v1.job.failed", `{"kind":"server","id":"i","tenant_id":"a.b"}`), "data.resource.tenant_id"},
		{"id", event("io.faultd.v1.job.failed", `{"kind":"server","id":"*","tenant_id":"t"}`), "data.resource.id"},
		{"no resource", `{"specversion":"1.0","type":"io.faultd.v1.job.failed"}`, "data.resource.kind"},
		{"wildcard", `{"event_type":"image.*"}`, "event_type"},
		{"space", `{"event_type":"image create"}`, "event_type"},
		{"empty token", `{"event_type":"image..create"}`, "event_type"},
		{"envelope of another version", `{"oslo.version":"3.0","oslo.message":"{}"}`, "oslo.version"},
	} {
		if m, err := Line([]byte(c.line)); err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: got %q, %v; want an error that names %s", c.name, m.Subject, err, c.names)
		}
	}
}

func TestLine_EverySampleNotification(t *testing.T) {
	for _, c := range sampleMeanings {
		m, err := Line(readSample(t, c.file))
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if e := Decode(m); meaning(&e) != c.means {
			t.Errorf("%s: published it is %s", c.file, meaning(&e))
		}
	}
}
