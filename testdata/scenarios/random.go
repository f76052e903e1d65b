package scenarios

import (
	"fmt"
	"hash/fnv"

	"pgregory.net/rapid"

	"faultd/statemachine"
)

// Log draws a log of at most n events of a few resources and jobs: repeated, reordered, contradicting each other,
// of producers whose clocks disagree.
func Log(t *rapid.T, n int) []statemachine.Event {
	size := rapid.IntRange(1, n).Draw(t, "events")
	log := make([]statemachine.Event, 0, size)
	for i := range size {
		var e statemachine.Event
		if i > 0 && rapid.IntRange(0, 9).Draw(t, "again") == 0 {
			e = log[rapid.IntRange(0, i-1).Draw(t, "which")]
		} else {
			e = event(t, i)
		}
		e.Sequence = uint64(i + 1)
		e.StreamTime = base + statemachine.Time(i)*1e9
		if e.Fault != nil {
			f := *e.Fault
			f.Sequence = e.Sequence
			e.Fault = &f
		}
		log = append(log, e)
	}
	return log
}

func event(t *rapid.T, i int) statemachine.Event {
	kind := rapid.SampledFrom(statemachine.Kinds).Draw(t, "kind")
	action := rapid.SampledFrom(actionsOf(kind)).Draw(t, "action")
	phase := rapid.SampledFrom(statemachine.Phases).Draw(t, "phase")
	e := statemachine.Event{
		Key: statemachine.Key{Tenant: fmt.Sprint("t", rapid.IntRange(1, 2).Draw(t, "tenant")), Kind: kind,
			ID: fmt.Sprint("r", rapid.IntRange(1, 3).Draw(t, "resource"))},
		Job: fmt.Sprint("j", rapid.IntRange(1, 4).Draw(t, "job")), Action: action, Phase: phase, Progress: -1,
		// Up to a minute before the stream's time, and up to ten seconds after it.
		Time: base + statemachine.Time(i+rapid.IntRange(-60, 10).Draw(t, "skew"))*1e9,
	}
	h := fnv.New64a()
	fmt.Fprint(h, "e-", i)
	e.ID = h.Sum64()
	decorate(t, &e)
	return e
}

func decorate(t *rapid.T, e *statemachine.Event) {
	if rapid.IntRange(0, 2).Draw(t, "has progress") == 0 {
		e.Progress = int8(rapid.IntRange(0, 100).Draw(t, "progress"))
	}
	if rapid.IntRange(0, 4).Draw(t, "has name") == 0 {
		e.Name = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
	}
	if rapid.IntRange(0, 4).Draw(t, "has attributes") == 0 {
		e.Attributes = []byte(fmt.Sprintf(`{"%s":%d}`, rapid.SampledFrom([]string{"x", "y"}).Draw(t, "attribute"), rapid.IntRange(0, 2).Draw(t, "value")))
	}
	if e.Kind == statemachine.Backup && rapid.Bool().Draw(t, "has provider") {
		e.Provider = rapid.SampledFrom([]string{"dfw", "ord"}).Draw(t, "provider")
		if rapid.Bool().Draw(t, "has providers") {
			e.Providers = []string{"dfw", "ord"}
		}
	}
	attempt := e.Phase == statemachine.PhaseProgressed && rapid.IntRange(0, 3).Draw(t, "attempt") == 0
	warned := e.Phase == statemachine.PhaseCancelled && rapid.Bool().Draw(t, "warned")
	if attempt || warned || e.Phase == statemachine.PhaseFailed {
		e.Fault = &statemachine.Fault{Created: e.Time, Code: rapid.SampledFrom([]int{404, 500, 503}).Draw(t, "code"), Message: fmt.Sprint("fault ", e.ID%7)}
	}
}

func actionsOf(k statemachine.Kind) (all []statemachine.Action) {
	for _, a := range statemachine.Actions {
		if statemachine.Allowed(k, a) {
			all = append(all, a)
		}
	}
	return all
}
