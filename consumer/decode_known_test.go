package consumer

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"faultd/statemachine"
)

// A decoder that has read other messages before gives what one gives that has read none.
func TestDecoder_GivesWhatDecodeGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDecoder()
		for range rapid.IntRange(2, 12).Draw(t, "messages") {
			m := drawMessage(t)
			want := Decode(m)
			if got := d.decode(&m); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s %s: %+v, not %+v", m.Subject, m.Data, got, want)
			}
		}
	})
}

// drawMessage draws one of few events, of which many are alike, with something put into it that may break a rule.
func drawMessage(t *rapid.T) Message {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	id := pick("id", "s-1", "s-1", "s-2")
	attributes := pick("attributes", `{"b":1,"a":{"x":[2]}}`, `{"b":1,"a":{"x":[2]}}`, `{"a":1}`, `{ "a" : 1 }`, `{"a":1,"a":2}`, `[]`, `null`,
		`{"a":`+strings.Repeat("[", maxDepth-3)+strings.Repeat("]", maxDepth-3)+`}`, `{"a":"`+strings.Repeat("x", maxKnownText)+`"}`, `{`)
	resource := fmt.Sprintf(`{"kind":"%s","id":"%s","tenant_id":"t","name":"%s"%s,"attributes":%s}`,
		pick("kind", "server", "server", "server", "image"), pick("said", id, id, id, "other"), pick("name", "n", "n", "m"),
		pick("more", "", "", "", `,"created":"2026-01-02T03:04:05Z"`, `,"colour":"red"`, `,"Name":"n"`), attributes)
	job := pick("job", `{"id":"j","action":"build"}`, `{"id":"j","action":"build"}`, `{"id":"k","action":"build"}`, `{"id":"j","action":"build","nice":1}`,
		`{"id":"j"}`, `{"id":"j","action":"fly"}`, `{}`, `null`, `7`)
	phase := pick("phase", "started", "succeeded", "failed")
	data := fmt.Sprintf(`{"job":%s,"resource":%s%s}`, job, resource, pick("tail", "", "", `,"resource":`+resource, `,"progress":5`, `}`))
	m := Message{Subject: "jobs.t.server." + id + "." + pick("subject", phase, phase, phase, "flies"), Sequence: 7, StreamTime: 1 << 60}
	if rapid.IntRange(0, 4).Draw(t, "binary") == 0 {
		m.Header = map[string][]string{"ce-specversion": {"1.0"}, "ce-id": {"e"}, "ce-source": {"test"}, "ce-type": {"io.faultd.v1.job." + phase}}
		m.Data = []byte(data)
		return m
	}
	m.Data = fmt.Appendf(nil, `{"specversion":"1.0","type":"io.faultd.v1.job.%s","source":"test","id":"e","data":%s}`, phase, data)
	return m
}

// What a decoder keeps has a limit, whatever comes.
func TestDecoder_Forgets(t *testing.T) {
	d := newDecoder()
	decode := func(n int) {
		id := fmt.Sprint("s-", n)
		d.decode(&Message{Subject: "jobs.t.server." + id + ".started", Data: fmt.Appendf(nil, `{"specversion":"1.0","type":"io.faultd.v1.job.started","source":"test",`+
			`"id":"e","data":{"job":{"id":"j","action":"build"},"resource":{"kind":"server","id":"%s","tenant_id":"t","name":"%s"}}}`, id, strings.Repeat("x", n%(2*maxKnownText)))})
	}
	for n := range 5 * maxKnown {
		decode(n)
	}
	bytes := 0
	for _, k := range []map[string]*known{d.young, d.old} {
		for _, k := range k {
			bytes += len(k.resource.text) + len(k.job.text)
		}
	}
	if n := len(d.young) + len(d.old); n > 2*maxKnown || n <= maxKnown || bytes > 4*maxKnown*maxKnownText {
		t.Errorf("%d resources with %d bytes are kept", n, bytes)
	}
	if d.old["jobs.t.server.s-0"] != nil || d.young[fmt.Sprint("jobs.t.server.s-", 5*maxKnown-1)] == nil {
		t.Error("it keeps the oldest, or forgets the newest")
	}
}

// What may stand in a binary event, where it lies less deep, may be too deep in a structured one.
func TestDecoder_Depth(t *testing.T) {
	deep := strings.Repeat("[", maxDepth-3) + strings.Repeat("]", maxDepth-3)
	data := fmt.Sprintf(`{"job":{"id":"j","action":"build"},"resource":{"kind":"server","id":"s","tenant_id":"t","attributes":{"a":%s}}}`, deep)
	const subject = "jobs.t.server.s.started"
	binary := Message{Subject: subject, Data: []byte(data), Sequence: 1, StreamTime: 1 << 60, Header: map[string][]string{"ce-specversion": {"1.0"}, "ce-id": {"e"},
		"ce-source": {"test"}, "ce-type": {"io.faultd.v1.job.started"}}}
	structured := Message{Subject: subject, Sequence: 2, StreamTime: 1 << 60,
		Data: fmt.Appendf(nil, `{"specversion":"1.0","type":"io.faultd.v1.job.started","source":"test","id":"f","data":%s}`, data)}
	d := newDecoder()
	if e := d.decode(&binary); e.Reason != 0 {
		t.Fatalf("binary: %v %s", e.Reason, e.Detail)
	}
	if e := d.decode(&structured); e.Reason != statemachine.TooLarge {
		t.Errorf("structured: %v %s", e.Reason, e.Detail)
	}
}
