package statemachine_test

import (
	"testing"

	"faultd/statemachine"
	"faultd/testdata/scenarios"
)

func TestApply_Scenarios(t *testing.T) {
	for _, story := range scenarios.Load() {
		t.Run(story.Name, func(t *testing.T) {
			resources := map[statemachine.Key]statemachine.Resource{}
			history := map[statemachine.Key]int{}
			for _, step := range story.Steps {
				key := step.Event.Key
				is, outcome := statemachine.Apply(resources[key], step.Event)
				resources[key] = is
				if outcome.Transition != nil {
					history[key]++
				}
				if got := outcome.Reason.String(); got != step.Reason {
					t.Errorf("line %d: reason is %q (%s), not %q", step.Line, got, outcome.Detail, step.Reason)
				}
				for _, wrong := range step.Check(&is, history[key]) {
					t.Errorf("line %d: %s", step.Line, wrong)
				}
			}
		})
	}
}
