package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	sm "faultd/statemachine"
)

// cloudErrors is what /errors answers.
type cloudErrors struct {
	Count               int
	Reason, Diagnostics string
	List                []struct {
		Index                             int
		Type, Description, Provider, Time string
		Attempt                           int
		Exception                         struct {
			Code                 int
			Description, Details string
		}
	}
	Links []struct{ Rel, Href string }
}

func TestCloudBackup_ErrorsAreThoseOfAttemptsProvidersAndJob(t *testing.T) {
	w := newWorld(t)
	w.apply(
		event("t/backup/b", sm.ActBackup, sm.PhaseProgressed, fault(503, "first try", "")),
		event("t/backup/b", sm.ActBackup, sm.PhaseSucceeded, ofProvider("dfw", "ord", "iad")),
		event("t/backup/b", sm.ActBackup, sm.PhaseFailed, ofProvider("ord"), fault(507, "disk full", "errno 28")),
		event("t/backup/b", sm.ActBackup, sm.PhaseFailed, ofProvider("iad"), fault(409, "busy", ""), reason("VAULT_LOCKED")),
	)
	var got cloudErrors
	w.read("/cloud-backup/v2/t/backups/b/errors", &got)
	var lines []string
	for i, e := range got.List {
		if e.Index != i || e.Time == "" {
			t.Errorf("entry %d: %+v", i, e)
		}
		lines = append(lines, fmt.Sprintf("%s|%s|%d|%s|%d %s|%s", e.Type, e.Description, e.Attempt, e.Provider,
			e.Exception.Code, e.Exception.Description, e.Exception.Details))
	}
	want := []string{
		"internal|first try|1||503 Service Unavailable|",
		"VAULT_LOCKED|busy|0|iad|409 Conflict|",
		"storage_full|disk full|0|ord|507 Insufficient Storage|errno 28",
	}
	if !slices.Equal(lines, want) || got.Count != 3 || got.Reason != "storage_full" { // the resource's fault, not the first try's
		t.Errorf("count %d, reason %s, list\n%s\nwant\n%s", got.Count, got.Reason, strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if len(got.Links) != 1 || got.Links[0].Rel != "self" || got.Links[0].Href != "http://example.com/cloud-backup/v2/t/backups/b/errors" {
		t.Errorf("links: %v", got.Links)
	}
	w.apply(event("t/backup/b", sm.ActBackup, sm.PhaseStarted, job("again", "")))
	got = cloudErrors{}
	w.read("/cloud-backup/v2/t/backups/b/errors", &got)
	if got.Count != 0 || got.Reason != "" || got.List == nil {
		t.Errorf("errors of a job that is over are shown for a new one: %+v", got)
	}
}

func TestCloudBackup_ErrorsOfEachKindOfEnd(t *testing.T) {
	for name, c := range map[string]struct {
		events []sm.Entry
		want   []string
	}{
		"one fault":             {[]sm.Entry{event("t/restore/r", sm.ActRestore, sm.PhaseFailed, fault(404, "gone", ""))}, []string{"gone"}},
		"completed after a try": {[]sm.Entry{event("t/restore/r", sm.ActRestore, sm.PhaseProgressed, fault(503, "try", "")), event("t/restore/r", sm.ActRestore, sm.PhaseSucceeded)}, nil},
		"while it is retried":   {[]sm.Entry{event("t/restore/r", sm.ActRestore, sm.PhaseProgressed, fault(503, "try", ""))}, []string{"try"}},
		"stopped with a fault":  {[]sm.Entry{event("t/restore/r", sm.ActRestore, sm.PhaseStarted), event("t/restore/r", sm.ActRestore, sm.PhaseCancelled, fault(400, "no space", ""))}, []string{"no space"}},
		"stopped without":       {[]sm.Entry{event("t/restore/r", sm.ActRestore, sm.PhaseCancelled)}, nil},
		"a provider and the job": {[]sm.Entry{event("t/restore/r", sm.ActRestore, sm.PhaseFailed, ofProvider("dfw", "ord"), fault(500, "part", "")),
			event("t/restore/r", sm.ActRestore, sm.PhaseFailed, fault(500, "whole", ""))}, []string{"part", "whole"}},
		"the job before a provider": {[]sm.Entry{event("t/restore/r", sm.ActRestore, sm.PhaseFailed, fault(500, "whole", "")),
			event("t/restore/r", sm.ActRestore, sm.PhaseFailed, ofProvider("dfw"), fault(500, "part", ""))}, []string{"part", "whole"}},
		"silence that providers broke": {[]sm.Entry{event("t/restore/r", sm.ActRestore, sm.PhaseStarted, func(e *sm.Entry) { e.Providers = []string{"dfw", "ord"} }),
			event("t/restore/r", sm.ActRestore, sm.PhaseFailed, fault(504, "silent", "")),
			event("t/restore/r", sm.ActRestore, sm.PhaseFailed, ofProvider("dfw"), fault(500, "part", "")),
			event("t/restore/r", sm.ActRestore, sm.PhaseSucceeded, ofProvider("ord"))}, []string{"part"}},
		"a delete that failed": {[]sm.Entry{event("t/restore/r", sm.ActRestore, sm.PhaseSucceeded), event("t/restore/r", sm.ActDelete, sm.PhaseFailed, fault(500, "locked", ""))}, []string{"locked"}},
		"silence":              {[]sm.Entry{event("t/restore/r", sm.ActRestore, sm.PhaseStarted), event("t/restore/r", sm.ActRestore, sm.PhaseFailed, fault(504, "silent", ""))}, []string{"silent"}},
	} {
		w := newWorld(t)
		for i, e := range c.events {
			if e.Fault != nil && e.Fault.Message == "silent" {
				e.After = uint64(i) // the event before it: this is faultd's own deadline
			}
			w.apply(e)
		}
		var got cloudErrors
		w.read("/cloud-backup/v2/t/restores/r/errors", &got)
		var messages []string
		for _, e := range got.List {
			messages = append(messages, e.Description)
		}
		if !slices.Equal(messages, c.want) || got.Count != len(c.want) || (got.Diagnostics != "") != (len(c.want) > 0) {
			t.Errorf("%s: %+v, want %v", name, got, c.want)
		}
		var r struct{ Errors cloudErrors }
		w.read("/cloud-backup/v2/t/restores/r", &r)
		if r.Errors.Count != got.Count || r.Errors.Reason != got.Reason || r.Errors.Diagnostics != got.Diagnostics {
			t.Errorf("%s: the resource says %+v, its errors say %+v", name, r.Errors, got)
		}
	}
}

func TestCloudBackup_ErrorsOfAForgottenJob(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/backup/b", sm.ActBackup, sm.PhaseFailed, fault(404, "first of all", "")))
	for i := range sm.MaxJobs + 1 {
		w.apply(event("t/backup/b", sm.ActDelete, sm.PhaseCancelled, job(fmt.Sprint(i), ""), fault(409, "not now", "")))
	}
	var got cloudErrors
	w.read("/cloud-backup/v2/t/backups/b/errors", &got)
	if got.Count != 1 || got.List[0].Description != "first of all" {
		t.Errorf("got %+v", got)
	}
}

// TestCloudBackup_DiagnosticsOfItsDocument has the symptoms that the API's page of response codes tells about.
func TestCloudBackup_DiagnosticsOfItsDocument(t *testing.T) {
	w := newWorld(t)
	for i, c := range []struct {
		attributes, message string
		want                []string
	}{
		{`{}`, "Backup is corrupted", []string{"cloned-agent", "register the agent on the cloned server anew"}},
		{`{}`, "Network error", []string{"network", "both the service net and the public net"}},
		{`{}`, "Failed to communicate with Cloud Files", []string{"network", "run the job again"}},
		{`{}`, "No space left on device", []string{"storage-full", "Free space"}},
		{`{}`, "Permission denied: /etc/shadow", []string{"permission", "may not read"}},
		{`{}`, "The file is in use", []string{"permission", "Close what uses it"}},
		{`{"encrypted":true}`, "The backup is slow", []string{"timeout", "latest agent release", "It is encrypted"}},
		{`{"storage_medium":"Cloud Block Storage"}`, "Timed out", []string{"timeout", "It is stored on Cloud Block Storage"}},
	} {
		id := fmt.Sprint("b-", i)
		w.apply(event("t/backup/"+id, sm.ActBackup, sm.PhaseFailed, attributes(c.attributes), fault(500, c.message, "")))
		var got cloudErrors
		w.read("/cloud-backup/v2/t/backups/"+id+"/errors", &got)
		if !strings.HasPrefix(got.Diagnostics, c.want[0]+": ") || got.Reason != strings.ReplaceAll(c.want[0], "-", "_") {
			t.Errorf("%s: reason %q, diagnostics %q", c.message, got.Reason, got.Diagnostics)
		}
		for _, want := range c.want[1:] {
			if !strings.Contains(got.Diagnostics, want) {
				t.Errorf("%s: %q does not say %q", c.message, got.Diagnostics, want)
			}
		}
	}
}

func TestCloudBackup_DiagnosticsKnowSharedVaults(t *testing.T) {
	w := newWorld(t)
	failed := func(id, agent, host, vault, message string) {
		w.apply(event("t/backup/"+id, sm.ActBackup, sm.PhaseFailed, fault(500, message, ""),
			attributes(fmt.Sprintf(`{"agent_id":%q,"host":%q,"vault":%q}`, agent, host, vault))))
	}
	failed("one", "a-1", "h-1", "v-1", "It failed")
	failed("two", "a-2", "h-2", "v-1", "Disk full")
	failed("alone", "a-3", "h-3", "v-2", "It failed")
	failed("nameless", "", "", "v-1", "It failed")
	var list struct {
		Backups []struct {
			ID     string
			Errors cloudErrors
		}
	}
	w.read("/cloud-backup/v2/t/backups", &list)
	got := map[string]string{}
	for _, b := range list.Backups {
		got[b.ID] = b.Errors.Diagnostics
		var one cloudErrors
		if w.read("/cloud-backup/v2/t/backups/"+b.ID+"/errors", &one); one.Diagnostics != b.Errors.Diagnostics {
			t.Errorf("%s: the list says %q, its errors say %q", b.ID, b.Errors.Diagnostics, one.Diagnostics)
		}
	}
	if !strings.HasPrefix(got["one"], "cloned-agent: ") || !strings.HasPrefix(got["two"], "storage-full: ") ||
		!strings.Contains(got["two"], "writes to the same vault") || strings.Contains(got["alone"], "vault") ||
		strings.Contains(got["nameless"], "vault") {
		t.Errorf("got %q", got)
	}
}
