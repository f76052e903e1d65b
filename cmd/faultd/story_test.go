package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"faultd/statemachine"
	"faultd/testdata/scenarios"
)

// The corpus on the third floor: the whole daemon with its embedded server, restarted in the middle of each story.
func TestServe_Stories(t *testing.T) {
	for _, story := range scenarios.Load() {
		t.Run(story.Name, func(t *testing.T) {
			t.Parallel()
			dir, half := t.TempDir(), len(story.Steps)/2
			first := startDaemon(t, dir)
			first.publish(t, storyFile(t, story.Steps[:half]))
			if code := first.stop(); code != exitDone {
				t.Fatalf("it ended with exit code %d:\n%s", code, first.log)
			}
			second := startDaemon(t, dir)
			second.publish(t, storyFile(t, story.Steps[half:]))
			checkStory(t, second, story)
		})
	}
}

// storyFile writes the steps as the CloudEvents that a producer sends.
func storyFile(t *testing.T, steps []scenarios.Step) string {
	t.Helper()
	var lines strings.Builder
	for i := range steps {
		line, err := json.Marshal(cloudEvent(&steps[i]))
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(line)
		lines.WriteByte('\n')
	}
	path := filepath.Join(t.TempDir(), "story.jsonl")
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func cloudEvent(s *scenarios.Step) map[string]any {
	e := &s.Event
	resource := map[string]any{"kind": e.Kind.String(), "id": e.Key.ID, "tenant_id": e.Tenant}
	if e.Name != "" {
		resource["name"] = e.Name
	}
	if len(e.Attributes) > 0 {
		resource["attributes"] = json.RawMessage(e.Attributes)
	}
	data := map[string]any{"job": map[string]any{"id": e.Job, "action": e.Action.String()}, "resource": resource}
	if e.Progress >= 0 {
		data["progress"] = e.Progress
	}
	if e.Provider != "" {
		data["provider"] = e.Provider
	}
	if len(e.Providers) > 0 {
		data["providers"] = e.Providers
	}
	if f := e.Fault; f != nil {
		data["fault"] = map[string]any{"code": f.Code, "message": f.Message, "details": f.Details, "reason": f.Reason}
	}
	if e.After != 0 {
		data["deadline"] = map[string]any{"after": e.After}
	}
	return map[string]any{"specversion": "1.0", "type": "io.faultd.v1.job." + e.Phase.String(), "source": "story", "id": s.ID,
		"time": e.Time.Std().Format(time.RFC3339Nano), "data": data}
}

// checkStory compares what the daemon shows in the end with what the last line of each resource says, and the counts
// with those of all lines.
func checkStory(t *testing.T, d *running, story scenarios.Story) {
	t.Helper()
	last, want := map[statemachine.Key]*scenarios.Step{}, map[string]uint64{}
	for i := range story.Steps {
		s := &story.Steps[i]
		last[s.Event.Key] = s
		repeats := slices.ContainsFunc(story.Steps[:i], func(before scenarios.Step) bool { return before.ID == s.ID })
		if s.Reason != "" && !repeats { // the stream itself drops what has an id that it knows
			want[s.Reason]++
		}
	}
	for key, s := range last {
		if s.Status == "-" {
			continue
		}
		for _, wrong := range d.differences(t, key, s) {
			t.Errorf("line %d: %s", s.Line, wrong)
		}
	}
	var position struct {
		Counters struct {
			Ignored  map[string]uint64 `json:"ignored_by_reason"`
			Rejected map[string]uint64 `json:"rejected_by_reason"`
		}
	}
	d.get(t, "/v1/position", &position)
	for reason, n := range position.Counters.Rejected {
		position.Counters.Ignored[reason] = n
	}
	if fmt.Sprint(position.Counters.Ignored) != fmt.Sprint(want) {
		t.Errorf("not applied were %v, not %v", position.Counters.Ignored, want)
	}
}

func (d *running) differences(t *testing.T, key statemachine.Key, s *scenarios.Step) (wrong []string) {
	t.Helper()
	var r struct {
		Status   string
		Name     string
		Progress int
		Job      struct{ ID string }
		Fault    struct {
			Code    int
			Message string
		}
		Warning struct{ Message string }
	}
	var h struct{ History []struct{} }
	path := fmt.Sprintf("/v1/resources/%s/%s", key.Kind, key.ID)
	d.get(t, path+"?tenant="+key.Tenant, &r)
	d.get(t, path+"/history?tenant="+key.Tenant, &h)
	shown := map[string]string{"status": r.Status, "name": r.Name, "progress": strconv.Itoa(r.Progress), "job": r.Job.ID, "code": strconv.Itoa(r.Fault.Code),
		"message": r.Fault.Message, "warning": r.Warning.Message, "history": strconv.Itoa(len(h.History))}
	expected := map[string]string{"status": s.Status}
	for k, v := range s.Want {
		if _, ok := shown[k]; ok {
			expected[k] = v
		}
	}
	for k, v := range expected {
		if shown[k] != v {
			wrong = append(wrong, fmt.Sprintf("%s of %s %s is %q, not %q", k, key.Kind, key.ID, shown[k], v))
		}
	}
	return wrong
}
