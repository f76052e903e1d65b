package api_test

import (
	"strings"
	"testing"

	sm "faultd/statemachine"
)

// diagnosis is what a program reads of it.
type diagnosis struct {
	Cause, Advice, Remark, Fingerprint string
	Retry                              bool
}

func (w *world) diagnosis(kind, id string) *diagnosis {
	w.tb.Helper()
	var doc struct{ Diagnosis *diagnosis }
	w.read("/v1/resources/"+kind+"/"+id, &doc)
	return doc.Diagnosis
}

func TestDiagnosis_StandsBesideAFaultAlone(t *testing.T) {
	w := newWorld(t)
	w.apply(
		event("t/server/fine", sm.ActBuild, sm.PhaseSucceeded),
		event("t/server/warned", sm.ActBuild, sm.PhaseSucceeded),
		event("t/server/warned", sm.ActResize, sm.PhaseCancelled, fault(400, "no space", "")),
		event("t/server/full", sm.ActBuild, sm.PhaseFailed, fault(500, "No valid host was found", "")),
	)
	for _, id := range []string{"fine", "warned"} {
		if d := w.diagnosis("server", id); d != nil {
			t.Errorf("%s: %+v", id, d)
		}
	}
	if d := w.diagnosis("server", "full"); d == nil || d.Cause != "capacity" || !d.Retry || d.Advice == "" || d.Remark != "" {
		t.Errorf("%+v", d)
	}
	for _, target := range []string{"/compute/v2.1/servers/full", "/compute/v2.1/servers/detail"} {
		if got := w.get(target).Body.String(); strings.Contains(got, "capacity") || strings.Contains(got, "fingerprint") {
			t.Errorf("%s: %s", target, got)
		}
	}
}

// The fault of a server that was deleted in ERROR is still that of the job that failed, and so is its fingerprint.
func TestDiagnosis_OutlivesTheServer(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/server/s", sm.ActRebuild, sm.PhaseFailed, fault(500, "m", "")))
	before := w.diagnosis("server", "s")
	w.apply(event("t/server/s", sm.ActDelete, sm.PhaseSucceeded))
	after := w.diagnosis("server", "s")
	if before == nil || after == nil || *before != *after {
		t.Errorf("before the end %+v, behind it %+v", before, after)
	}
	for range sm.MaxJobs { // the job is forgotten, what it left is not
		w.apply(event("t/server/s", sm.ActDelete, sm.PhaseSucceeded, job("again-"+string(rune('A'+w.sequence)), "")))
	}
	if d := w.diagnosis("server", "s"); d == nil || d.Cause != before.Cause {
		t.Errorf("without the job %+v", d)
	}
}

// Two agents on two hosts with one vault: the cause where nothing explains the fault, a remark beside another one.
func TestDiagnosis_SharedVault(t *testing.T) {
	w := newWorld(t)
	agent := func(id, host string) func(*sm.Entry) {
		return attributes(`{"agent_id":"` + id + `","host":"` + host + `","vault":"v","encrypted":true}`)
	}
	w.apply(
		event("t/backup/torn", sm.ActBackup, sm.PhaseFailed, agent("a-1", "h-1"), fault(500, "it failed", "")),
		event("t/backup/slow", sm.ActBackup, sm.PhaseFailed, agent("a-1", "h-1"), fault(504, "it timed out", "")),
		event("u/backup/other", sm.ActBackup, sm.PhaseSucceeded, agent("a-2", "h-2")), // another tenant's vault
	)
	if d := w.diagnosis("backup", "torn"); d == nil || d.Cause != "internal" {
		t.Errorf("alone with its vault: %+v", d)
	}
	w.apply(event("t/backup/twin", sm.ActBackup, sm.PhaseSucceeded, agent("a-2", "h-2")))
	if d := w.diagnosis("backup", "torn"); d == nil || d.Cause != "cloned-agent" || !strings.Contains(d.Advice, "register") {
		t.Errorf("with a twin: %+v", d)
	}
	if d := w.diagnosis("backup", "slow"); d == nil || d.Cause != "timeout" || !strings.Contains(d.Remark, "same vault") || !strings.Contains(d.Remark, "encrypted") {
		t.Errorf("slow: %+v", d)
	}
	if got := w.get("/v1/faults").Body.String(); strings.Count(got, `"cause":"cloned-agent"`) != 1 || strings.Count(got, "same vault") != 2 {
		t.Errorf("faults: %s", got)
	}
}
