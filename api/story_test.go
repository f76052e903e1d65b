package api_test

import (
	"fmt"
	"slices"
	"testing"

	sm "faultd/statemachine"
)

// story is what a server's actions, or its history, tell: a line each, the newest first.
type story []string

// actionsStory reads the actions and each one's steps.
func (w *world) actionsStory(server string) (lines story) {
	w.tb.Helper()
	at := "/compute/v2.1/t/servers/" + server + "/os-instance-actions"
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
	build, rebuild, resize := job("b-1", "req-build"), job("r-1", "req-rebuild"), job("z-1", "req-resize")
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
		event("t/server/s", sm.ActResize, sm.PhaseStarted, resize),
		event("t/server/s", sm.ActResize, sm.PhaseFailed, resize, fault(403, "The flavor is not yours", "trace 2")),
	)
	if w.read("/compute/v2.1/t/servers/s", &server); server.Server.Status != "ERROR" || server.Server.Fault == nil || server.Server.Fault.Code != 403 {
		t.Errorf("in the end: %+v", server)
	}
	w.actionsStory("s").is(t,
		"req-resize resize: Error",
		"  compute_resize_instance: Error The flavor is not yours",
		"req-rebuild rebuild: -",
		"  compute_rebuild_instance: Success ",
		"req-build create: Error",
		"  compute_build_instance: Error No valid host was found",
	)
	w.historyStory("s").is(t,
		"resize z-1: RESIZE to ERROR, 403 The flavor is not yours",
		"resize z-1: ACTIVE to RESIZE",
		"rebuild r-1: REBUILD to ACTIVE",
		"rebuild r-1: ERROR to REBUILD",
		"build b-1: BUILD to ERROR, 500 No valid host was found",
		"build b-1: UNKNOWN to BUILD",
	)
}

// An attempt failed on one host, another began on the next: a step of the action and a line of the history, and no
// ERROR until the job ends. One server came up in the end, the other did not.
func TestStory_Attempts(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"up", "down"} {
		build := job("b-"+id, "req-"+id)
		w.apply(
			event("t/server/"+id, sm.ActBuild, sm.PhaseStarted, build, attributes(`{"hostId":"h-1"}`)),
			event("t/server/"+id, sm.ActBuild, sm.PhaseProgressed, build, fault(500, "the disk of h-1 is broken", "")),
			event("t/server/"+id, sm.ActBuild, sm.PhaseStarted, build, attributes(`{"hostId":"h-2"}`)),
		)
		if got := w.status(id); got != "BUILD" {
			t.Errorf("%s while it is tried again: %s", id, got)
		}
	}
	w.apply(
		event("t/server/up", sm.ActBuild, sm.PhaseSucceeded, job("b-up", "req-up")),
		event("t/server/down", sm.ActBuild, sm.PhaseFailed, job("b-down", "req-down"), fault(503, "no host is left", "")),
	)
	if up, down := w.status("up"), w.status("down"); up != "ACTIVE" || down != "ERROR" {
		t.Errorf("in the end: %s and %s", up, down)
	}
	w.actionsStory("up").is(t,
		"req-up create: -",
		"  compute_build_instance: Error the disk of h-1 is broken",
		"  compute_build_instance: Success ",
	)
	w.historyStory("up").is(t,
		"build b-up: BUILD to ACTIVE",
		"build b-up: BUILD to BUILD, 500 the disk of h-1 is broken",
		"build b-up: UNKNOWN to BUILD",
	)
	w.actionsStory("down").is(t,
		"req-down create: Error",
		"  compute_build_instance: Error the disk of h-1 is broken",
		"  compute_build_instance: Error no host is left",
	)
	w.historyStory("down").is(t,
		"build b-down: BUILD to ERROR, 503 no host is left",
		"build b-down: BUILD to BUILD, 500 the disk of h-1 is broken",
		"build b-down: UNKNOWN to BUILD",
	)
}

func (w *world) status(server string) string {
	w.tb.Helper()
	var doc struct{ Status string }
	w.read("/v1/resources/server/"+server, &doc)
	return doc.Status
}
