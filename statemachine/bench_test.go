package statemachine_test

import (
	"testing"

	sm "faultd/statemachine"
)

// BenchmarkApply decides the ten events of a build; an operation is one event.
func BenchmarkApply(b *testing.B) {
	key := sm.Key{Tenant: "tenant-1", Kind: sm.Server, ID: "52415800-8b69-11e0-9b19-734f0000ffff"}
	attributes := []byte(`{"flavor":{"id":"m1.small"},"hostId":"e4d909c290d0fb1ca068ffafff22cbd0"}`)
	events := make([]sm.Event, 10)
	for i := range events {
		events[i] = sm.Event{ID: uint64(i) + 1, Sequence: uint64(i) + 1, StreamTime: sm.Time(i) + 1, Time: 1, Key: key, Name: "server-1", Job: "b-1", Action: sm.ActBuild,
			Phase: sm.PhaseProgressed, Progress: int8(i * 10), Attributes: attributes}
	}
	events[0].Phase, events[1].Phase, events[9].Phase = sm.PhaseAccepted, sm.PhaseStarted, sm.PhaseSucceeded
	var r sm.Resource
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(events) == 0 {
			r = sm.Resource{}
		}
		var outcome sm.Outcome
		if r, outcome = sm.Apply(r, events[i%len(events)]); outcome.Reason != 0 {
			b.Fatalf("%+v", outcome)
		}
	}
	if r.Key != key {
		b.Fatal(r.Key)
	}
}
