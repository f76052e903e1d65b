package consumer_test

import (
	"bytes"
	"os"
	"testing"

	"faultd/consumer"
	"faultd/statemachine"
)

// FuzzDecodeApply decodes a log of lines and applies it: nothing panics, every line is counted, and what must hold of
// a resource holds after each.
func FuzzDecodeApply(f *testing.F) {
	text, err := os.ReadFile("../testdata/sample.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for from := 0; from+4 < len(lines); from += 4 {
		f.Add(bytes.Join(lines[from:from+4], nil))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		resources := map[statemachine.Key]statemachine.Resource{}
		for i, line := range bytes.SplitN(log, []byte("\n"), 100) {
			m, err := consumer.Line(line)
			if err != nil {
				m = consumer.Message{Subject: "jobs.t.server.a.started", Data: line}
			}
			m.Sequence, m.StreamTime = uint64(i+1), statemachine.Time(1_790_000_000+i)*1e9
			entry := consumer.Decode(m)
			if entry.Reason != 0 {
				continue
			}
			applyOne(t, resources, entry.Event)
		}
	})
}

func applyOne(t *testing.T, resources map[statemachine.Key]statemachine.Resource, e statemachine.Event) {
	t.Helper()
	var known []statemachine.Resource
	for key, r := range resources {
		if key.Kind == e.Kind && key.ID == e.Key.ID && (e.Tenant == "" || e.Tenant == key.Tenant) {
			known = append(known, r)
		}
	}
	e, reason := statemachine.Resolve(e, known)
	if reason != 0 {
		return
	}
	r, outcome := statemachine.Apply(resources[e.Key], e)
	if outcome.Verdict() == statemachine.Applied && r.Status == 0 {
		t.Fatalf("an event of %v was applied and left nothing", e.Key)
	}
	if r.Status == 0 {
		return
	}
	keeps := r.Status == statemachine.Deleted && r.Kind == statemachine.Server
	if (r.Fault != nil) != (r.Status == statemachine.Error) && !keeps {
		t.Fatalf("%v is %s with fault %v", e.Key, r.Status, r.Fault)
	}
	if p := r.Progress(); p < 0 || p > 100 {
		t.Fatalf("%v has progress %d", e.Key, p)
	}
	if len(r.Jobs) == 0 || len(r.Jobs) > statemachine.MaxJobs || len(r.Attributes) > statemachine.MaxAttributes {
		t.Fatalf("%v has %d jobs and %d bytes of attributes", e.Key, len(r.Jobs), len(r.Attributes))
	}
	resources[e.Key] = r
}
