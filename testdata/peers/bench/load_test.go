package main

import (
	"testing"

	"faultd/consumer"
	sm "faultd/statemachine"
)

// Whatever is measured is measured with events that count.
func TestLoad_EveryEventCounts(t *testing.T) {
	for _, steps := range [][]step{tenSteps, threeSteps, twoSteps} {
		l := load{First: 2 * width, Resources: 2 * width, Steps: steps, Backups: true}
		resources, failed, size := map[sm.Key]sm.Resource{}, 0, 0
		for n := range l.events() {
			data := l.line(nil, n)
			size += len(data)
			e := consumer.Decode(consumer.Message{Subject: l.subject(n), Data: data, Sequence: uint64(n) + 1, StreamTime: 1 << 62})
			next, outcome := sm.Apply(resources[e.Key], e.Event)
			if e.Reason != 0 || outcome.Reason != 0 || len(steps) == 2 && outcome.Transition == nil {
				t.Fatalf("event %d: %v %s, %+v\n%s", n, e.Reason, e.Detail, outcome, data)
			}
			resources[e.Key] = next
		}
		for _, r := range resources {
			if r.Status == sm.Error {
				failed++
			}
		}
		if average := size / l.events(); len(resources) != 2*width || failed < 2*width*25/1000 || failed > 2*width*35/1000 || average < 420 || average > 480 {
			t.Errorf("%d resources, %d of them failed, of events of %d bytes", len(resources), failed, average)
		}
	}
}
