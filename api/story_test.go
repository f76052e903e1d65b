package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"faultd/consumer"
	sm "faultd/statemachine"
)

// story is what a server's actions, or its history, tell: a line each, the newest first.
type story []string

// actionsStory reads the actions and each one's steps.
func (w *world) actionsStory(server string) (lines story) {
	w.tb.Helper()
	at := "/compute/v2.1/servers/" + server + "/os-instance-actions"
	var list struct {
		InstanceActions []struct {
			Action  string
			Message *string
			Request string `json:"request_id"`
		}
	}
	w.read(at, &list)
	for _, a := range list.InstanceActions {
		said := "-"
		if a.Message != nil {
			said = *a.Message
		}
		lines = append(lines, fmt.Sprintf("%s %s: %s", a.Request, a.Action, said))
		var one struct {
			InstanceAction struct {
				Events []struct{ Event, Result, Details string }
			}
		}
		w.read(at+"/"+a.Request, &one)
		for _, e := range one.InstanceAction.Events {
			lines = append(lines, fmt.Sprintf("  %s: %s %s", e.Event, e.Result, e.Details))
		}
	}
	return lines
}

// historyStory reads the same from our own interface.
func (w *world) historyStory(server string) (lines story) {
	w.tb.Helper()
	var doc struct {
		History []struct {
			From, To string
			Job      struct{ ID, Action string }
			Fault    *struct {
				Code    int
				Message string
			}
		}
	}
	w.read("/v1/resources/server/"+server+"/history", &doc)
	for _, h := range doc.History {
		line := fmt.Sprintf("%s %s: %s to %s", h.Job.Action, h.Job.ID, h.From, h.To)
		if h.Fault != nil {
			line += fmt.Sprintf(", %d %s", h.Fault.Code, h.Fault.Message)
		}
		lines = append(lines, line)
	}
	return lines
}

func (got story) is(tb testing.TB, want ...string) {
	tb.Helper()
	if !slices.Equal(got, want) {
		tb.Errorf("it tells\n%s\nand is to tell\n%s", join(got), join(want))
	}
}

func join(lines []string) (text string) {
	for _, l := range lines {
		text += "\t" + l + "\n"
	}
	return text
}

// A server failed, was rebuilt, and failed again: both faults are there, at both places.
func TestStory_FailedRebuiltAndFailedAgain(t *testing.T) {
	w := newWorld(t)
	build, rebuild, again := job("b-1", "req-build"), job("r-1", "req-rebuild"), job("r-2", "req-again")
	w.apply(
		event("t/server/s", sm.ActBuild, sm.PhaseStarted, build),
		event("t/server/s", sm.ActBuild, sm.PhaseFailed, build, fault(500, "No valid host was found", "trace 1")),
		event("t/server/s", sm.ActRebuild, sm.PhaseStarted, rebuild),
		event("t/server/s", sm.ActRebuild, sm.PhaseSucceeded, rebuild),
	)
	var server struct {
		Server struct {
			Status string
			Fault  *struct {
				Code    int
				Message string
			}
		}
	}
	if w.read("/compute/v2.1/t/servers/s", &server); server.Server.Status != "ACTIVE" || server.Server.Fault != nil {
		t.Errorf("once rebuilt: %+v", server)
	}
	w.apply(
		event("t/server/s", sm.ActRebuild, sm.PhaseStarted, again),
		event("t/server/s", sm.ActRebuild, sm.PhaseFailed, again, fault(404, "Could not find image", "trace 2")),
	)
	if w.read("/compute/v2.1/t/servers/s", &server); server.Server.Status != "ERROR" || server.Server.Fault == nil || server.Server.Fault.Code != 404 {
		t.Errorf("in the end: %+v", server)
	}
	w.actionsStory("s").is(t,
		"req-again rebuild: Error",
		"  compute_rebuild_instance: Error Could not find image",
		"req-rebuild rebuild: -",
		"  compute_rebuild_instance: Success ",
		"req-build create: Error",
		"  compute_build_instance: Error No valid host was found",
	)
	w.historyStory("s").is(t,
		"rebuild r-2: REBUILD to ERROR, 404 Could not find image",
		"rebuild r-2: ACTIVE to REBUILD",
		"rebuild r-1: REBUILD to ACTIVE",
		"rebuild r-1: ERROR to REBUILD",
		"build b-1: BUILD to ERROR, 500 No valid host was found",
		"build b-1: UNKNOWN to BUILD",
	)
}

// notify appends a notification of OpenStack to the log: a sample with some members of its payload changed.
func (w *world) notify(file string, change map[string]any) {
	w.tb.Helper()
	raw, err := os.ReadFile(filepath.Join("../testdata/notifications/nova-versioned", file))
	if err != nil {
		w.tb.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		w.tb.Fatal(err)
	}
	doc["timestamp"] = epoch.Add(time.Duration(w.sequence+1) * time.Second).Format(time.DateTime)
	maps.Copy(doc["payload"].(map[string]any)["nova_object.data"].(map[string]any), change)
	if raw, err = json.Marshal(doc); err != nil {
		w.tb.Fatal(err)
	}
	m, err := consumer.Line(raw)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.apply(consumer.Decode(m))
}

// Nova tried a build on one host, which failed, and then on another: the attempt is a step of the action and a line of
// the history, and no ERROR while the job goes on. One server came up in the end; for the other no host was left.
func TestStory_Attempts(t *testing.T) {
	const tooSmall = "Flavor disk too small"
	w := newWorld(t)
	for _, id := range []string{"up", "down"} {
		on := func(host string) map[string]any {
			return map[string]any{"uuid": id, "request_id": "req-" + id, "host": host}
		}
		w.notify("instance-create-start.json", on("one"))
		w.notify("instance-create-error.json", on("one"))
		w.notify("instance-create-start.json", on("two"))
		if status, host := w.statusAndHost(id); status != "BUILD" || host != "two" {
			t.Errorf("%s while it is tried again: %s on %s", id, status, host)
		}
	}
	w.notify("instance-create-end.json", map[string]any{"uuid": "up", "request_id": "req-up", "host": "two"})
	w.notify("compute_task-build_instances-error.json", map[string]any{"instance_uuid": "down"})
	if status, _ := w.statusAndHost("up"); status != "ACTIVE" {
		t.Errorf("up is %s in the end", status)
	}
	if status, _ := w.statusAndHost("down"); status != "ERROR" {
		t.Errorf("down is %s in the end", status)
	}
	w.actionsStory("up").is(t,
		"req-up create: -",
		"  compute_build_instance: Error "+tooSmall,
		"  compute_build_instance: Success ",
	)
	w.historyStory("up").is(t,
		"build req-up:build: BUILD to ACTIVE",
		"build req-up:build: BUILD to BUILD, 500 "+tooSmall,
		"build req-up:build: UNKNOWN to BUILD",
	)
	w.actionsStory("down").is(t,
		"req-down create: Error",
		"  compute_build_instance: Error "+tooSmall,
		"  compute_build_instance: Error No valid host",
	)
	w.historyStory("down").is(t,
		"build req-down:build: BUILD to ERROR, 500 No valid host",
		"build req-down:build: BUILD to BUILD, 500 "+tooSmall,
		"build req-down:build: UNKNOWN to BUILD",
	)
}

func (w *world) statusAndHost(server string) (status, host string) {
	w.tb.Helper()
	var doc struct {
		Status     string
		Attributes map[string]any
	}
	w.read("/v1/resources/server/"+server, &doc)
	host, _ = doc.Attributes["OS-EXT-SRV-ATTR:host"].(string)
	return doc.Status, host
}
