package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	sm "faultd/statemachine"
)

// volumeSample reads a document of Cinder's own.
func volumeSample(tb testing.TB, name string) (doc map[string]any) {
	tb.Helper()
	text, err := os.ReadFile("../testdata/samples-volume/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		tb.Fatal(err)
	}
	return doc
}

// sameMembers tells where two objects have not the same members.
func sameMembers(tb testing.TB, at string, got, want map[string]any) {
	tb.Helper()
	has, needs := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))
	if !slices.Equal(has, needs) {
		tb.Errorf("%s has the members\n %v, want\n %v", at, has, needs)
	}
}

// sampleBackup is the event that makes a backup of Cinder's samples.
func sampleBackup(sample map[string]any) sm.Entry {
	created, _ := time.Parse("2006-01-02T15:04:05.999999", sample["created_at"].(string))
	return event(sample["os-backup-project-attr:project_id"].(string)+"/backup/"+sample["id"].(string), sm.ActBackup, sm.PhaseAccepted,
		named(sample["name"].(string)),
		attributes(`{"description":"Test backup","size":10,"volume_id":"`+sample["volume_id"].(string)+`"}`),
		func(e *sm.Entry) {
			e.Created = sm.At(created)
			e.User, _ = sample["user_id"].(string)
		})
}

// sampleLinks are what the samples have at another address.
func sampleLinks(backup map[string]any) []any {
	path := backup["os-backup-project-attr:project_id"].(string) + "/backups/" + backup["id"].(string)
	return links("http://example.com/volume/v3/"+path, "http://example.com/volume/"+path)
}

func TestVolumeBackup_IsTheSamplesDocument(t *testing.T) {
	want := volumeSample(t, "backup-show-response.json")["backup"].(map[string]any)
	want["links"] = sampleLinks(want)
	w := newWorld(t)
	w.apply(sampleBackup(want))
	want["updated_at"] = "2026-11-21T02:00:01.000000" // the stream's time
	var got map[string]map[string]any
	w.read("/volume/v3/"+want["os-backup-project-attr:project_id"].(string)+"/backups/"+want["id"].(string), &got)
	within(t, "backup", got["backup"], want)
	sameMembers(t, "backup", got["backup"], want)
}

func TestVolumeBackups_AreTheSamplesDocument(t *testing.T) {
	want := volumeSample(t, "backups-list-detailed-response.json")
	backup := want["backups"].([]any)[0].(map[string]any)
	backup["links"] = sampleLinks(backup)
	w := newWorld(t)
	w.apply(sampleBackup(backup))
	backup["updated_at"] = "2026-11-21T02:00:01.000000"
	backup["user_id"] = nil // of a later version than the sample
	var got map[string]any
	w.read("/volume/v3/"+backup["os-backup-project-attr:project_id"].(string)+"/backups/detail?with_count=true", &got)
	within(t, "list", got["count"], want["count"])
	sameMembers(t, "list", got, want)
	all := got["backups"].([]any)
	if len(all) != 1 {
		t.Fatalf("%d backups", len(all))
	}
	within(t, "backup", all[0], backup)
	sameMembers(t, "backup", all[0].(map[string]any), backup)

	w.read("/volume/v3/"+backup["os-backup-project-attr:project_id"].(string)+"/backups", &got)
	brief := map[string]any{"id": backup["id"], "name": backup["name"], "links": backup["links"]}
	within(t, "brief", got["backups"].([]any)[0], brief)
	sameMembers(t, "brief", got["backups"].([]any)[0].(map[string]any), brief)
}

// oneBackup is what the tests of words look at.
type oneBackup struct {
	Status     string
	FailReason *string `json:"fail_reason"`
	Fault      *struct {
		Code                      int
		Created, Message, Details string
	}
}

func (w *world) backup(target string) (b oneBackup) {
	w.tb.Helper()
	var doc struct{ Backup oneBackup }
	w.read(target, &doc)
	return doc.Backup
}

func TestVolumeBackup_Words(t *testing.T) {
	const b = "t/backup/b"
	made := event(b, sm.ActBackup, sm.PhaseSucceeded)
	failed := event(b, sm.ActBackup, sm.PhaseFailed, fault(500, "no room", "a trace"))
	for name, c := range map[string]struct {
		events []sm.Entry
		word   string
		reason string
		fault  bool
	}{
		"accepted":          {[]sm.Entry{event(b, sm.ActBackup, sm.PhaseAccepted)}, "creating", "", false},
		"started":           {[]sm.Entry{event(b, sm.ActBackup, sm.PhaseStarted)}, "creating", "", false},
		"succeeded":         {[]sm.Entry{made}, "available", "", false},
		"failed":            {[]sm.Entry{failed}, "error", "no room", true},
		"cancelled":         {[]sm.Entry{event(b, sm.ActBackup, sm.PhaseCancelled)}, "error", "The backup was cancelled", false},
		"cancelled, why":    {[]sm.Entry{event(b, sm.ActBackup, sm.PhaseCancelled, fault(409, "not now", ""))}, "error", "not now", false},
		"deleting":          {[]sm.Entry{made, event(b, sm.ActDelete, sm.PhaseStarted)}, "deleting", "", false},
		"deleting in error": {[]sm.Entry{failed, event(b, sm.ActDelete, sm.PhaseAccepted)}, "deleting", "no room", true},
		"deleting unknown":  {[]sm.Entry{event(b, sm.ActDelete, sm.PhaseStarted)}, "deleting", "", false},
		"kept":              {[]sm.Entry{made, event(b, sm.ActDelete, sm.PhaseStarted), event(b, sm.ActDelete, sm.PhaseCancelled)}, "available", "", false},
		"delete failed":     {[]sm.Entry{made, event(b, sm.ActDelete, sm.PhaseFailed, fault(503, "busy", ""))}, "error", "busy", true},
		"deleted":           {[]sm.Entry{made, event(b, sm.ActDelete, sm.PhaseSucceeded)}, "deleted", "", false},
		"made again": {[]sm.Entry{made, event(b, sm.ActDelete, sm.PhaseStarted), event(b, sm.ActBackup, sm.PhaseStarted, job("again", ""))},
			"creating", "", false},
		"restoring": {[]sm.Entry{made, event("t/restore/r", sm.ActRestore, sm.PhaseAccepted, attributes(`{"backup_id":"b"}`))}, "restoring", "", false},
		"restored": {[]sm.Entry{made, event("t/restore/r", sm.ActRestore, sm.PhaseSucceeded, attributes(`{"backup_id":"b"}`))},
			"available", "", false},
		"restore failed": {[]sm.Entry{made, event("t/restore/r", sm.ActRestore, sm.PhaseFailed, attributes(`{"backup_id":"b"}`), fault(500, "m", ""))},
			"available", "", false},
		"another's restore": {[]sm.Entry{made, event("u/restore/r", sm.ActRestore, sm.PhaseStarted, attributes(`{"backup_id":"b"}`))}, "available", "", false},
		"restore of none":   {[]sm.Entry{made, event("t/restore/r", sm.ActRestore, sm.PhaseStarted, attributes(`{"backup_id":7}`))}, "available", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, e := range c.events {
				if e.Fault != nil {
					f := *e.Fault
					e.Fault = &f
				}
				w.apply(e)
			}
			got := w.backup("/volume/v3/t/backups/b")
			reason := ""
			if got.FailReason != nil {
				reason = *got.FailReason
			}
			if got.Status != c.word || reason != c.reason || (got.Fault != nil) != c.fault {
				t.Errorf("got %s, %q, fault %v; want %s, %q, %v", got.Status, reason, got.Fault, c.word, c.reason, c.fault)
			}
			for _, word := range []string{"creating", "available", "restoring", "deleting", "deleted", "error", "error_deleting", "error_restoring"} {
				ids, _ := w.ids("/volume/v3/t/backups?status="+word, "backups")
				if (len(ids) == 1) != (word == c.word) {
					t.Errorf("a list of those %s has %v", word, ids)
				}
			}
		})
	}
}

func TestVolumeBackup_FaultStandsBesideIt(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/backup/b", sm.ActBackup, sm.PhaseFailed, fault(404, "no such volume", "volume v-1")))
	got := w.backup("/volume/v2/t/backups/b").Fault
	if got == nil || got.Code != 404 || got.Created != "2026-11-21T02:00:01Z" || got.Message != "no such volume" || got.Details != "volume v-1" {
		t.Errorf("got %+v", got)
	}
}

// TestVolumeBackup_OddAttributesAreLeftOut gives every field a value of another type.
func TestVolumeBackup_OddAttributesAreLeftOut(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/backup/b", sm.ActBackup, sm.PhaseSucceeded, attributes(`{"availability_zone":{},"container":1,"data_timestamp":"2023-06-23T11:55:59Z",`+
		`"description":[],"has_dependent_backups":"no","is_incremental":0,"metadata":{"a":1},"object_count":"7","size":1.5,"snapshot_id":true,`+
		`"volume_id":{},"status":"available","id":"x","fault":{"code":1},"links":[]}`)))
	var got map[string]map[string]any
	w.read("/volume/v3/t/backups/b", &got)
	want := map[string]any{"availability_zone": nil, "container": nil, "data_timestamp": "2026-11-21T02:00:01.000000", "description": nil,
		"has_dependent_backups": false, "is_incremental": false, "metadata": map[string]any{}, "object_count": 0.0, "size": 0.0, "snapshot_id": nil,
		"volume_id": nil, "status": "available", "id": "b", "fault": nil}
	within(t, "backup", got["backup"], want)
	if len(got["backup"]["links"].([]any)) != 2 {
		t.Errorf("links %v", got["backup"]["links"])
	}
}

// fewBackups makes some, the newest last.
func fewBackups(t *testing.T) *world {
	w := newWorld(t)
	w.apply(
		event("t/backup/one", sm.ActBackup, sm.PhaseSucceeded, named("nightly"), attributes(`{"volume_id":"v-1"}`)),
		event("t/backup/two", sm.ActBackup, sm.PhaseFailed, named("nightly"), attributes(`{"volume_id":"v-2"}`), fault(500, "m", "")),
		event("u/backup/three", sm.ActBackup, sm.PhaseStarted, named("weekly"), attributes(`{"volume_id":"v-1"}`)),
		event("t/backup/four", sm.ActBackup, sm.PhaseCancelled, named("by hand")),
		event("t/backup/five", sm.ActBackup, sm.PhaseSucceeded),
		event("t/restore/r", sm.ActRestore, sm.PhaseStarted, attributes(`{"backup_id":"one"}`)),
		event("t/server/s", sm.ActBuild, sm.PhaseSucceeded, named("nightly")),
	)
	w.apply(event("t/backup/five", sm.ActDelete, sm.PhaseSucceeded))
	return w
}

func TestVolumeBackups_Filters(t *testing.T) {
	w := fewBackups(t)
	for target, want := range map[string]string{
		"/volume/v3/backups":                                      "four three two one",
		"/volume/v3/t/backups":                                    "four two one",
		"/volume/v2/t/backups/detail":                             "four two one",
		"/volume/v3/t/backups?all_tenants=1":                      "four three two one",
		"/volume/v3/backups?project_id=u":                         "three",
		"/volume/v3/t/backups?all_tenants=1&project_id=u":         "three",
		"/volume/v3/t/backups?project_id=u":                       "three",
		"/volume/v3/nobody/backups":                               "",
		"/volume/v3/backups?name=nightly":                         "two one",
		"/volume/v3/backups?name=night":                           "",
		"/volume/v3/backups?volume_id=v-1":                        "three one",
		"/volume/v3/backups?volume_id=v-1&status=creating":        "three",
		"/volume/v3/backups?status=Restoring":                     "one",
		"/volume/v3/backups?status=available":                     "",
		"/volume/v3/backups?status=available&status=restoring":    "one",
		"/volume/v3/backups?status=error":                         "four two",
		"/volume/v3/backups?status=deleted":                       "five",
		"/volume/v3/backups?changes-since=2026-11-21T02:00:04Z":   "five four",
		"/volume/v3/backups?limit=2":                              "four three",
		"/volume/v3/backups?limit=2&marker=three":                 "two one",
		"/volume/v3/backups?marker=one":                           "",
		"/volume/v3/backups?sort=created_at:desc&offset=0":        "four three two one",
		"/volume/v3/backups?sort_key=created_at&sort_dir=desc":    "four three two one",
		"/volume/v3/backups?unheard=of":                           "four three two one",
		"/volume/v3/backups.json?limit=1":                         "four",
		"/volume/v3/t/backups?with_count=1&limit=1&status=error":  "four",
		"/volume/v3/t/backups?with_count=0&limit=1&status=error&": "four",
	} {
		ids, _ := w.ids(target, "backups")
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}

func TestVolumeBackups_Paging(t *testing.T) {
	w := fewBackups(t)
	var all []string
	target := "/volume/v3/backups/detail?limit=2&all_tenants=1"
	for range 4 {
		ids, next := w.ids(target, "backups")
		all = append(all, ids...)
		if (next == "") != (len(ids) < 2) {
			t.Fatalf("%s: %v and next %q", target, ids, next)
		}
		if next == "" {
			break
		}
		target = strings.TrimPrefix(next, "http://example.com")
	}
	if got := strings.Join(all, " "); got != "four three two one" {
		t.Errorf("page by page: %s", got)
	}
}

func TestVolumeBackups_CountIsOfAllPages(t *testing.T) {
	w := fewBackups(t)
	for query, want := range map[string]int{
		"":                                    4,
		"&project_id=t":                       3,
		"&project_id=nobody":                  0,
		"&limit=1":                            4,
		"&limit=1&marker=three":               4,
		"&limit=1&name=nightly":               2,
		"&name=nightly&marker=two":            2,
		"&status=error":                       2,
		"&changes-since=2026-11-21T02:00:04Z": 2,
		"&volume_id=v-1&changes-since=2000-01-01": 2,
	} {
		var doc struct{ Count *int }
		w.read("/volume/v3/backups?with_count=true"+query, &doc)
		if doc.Count == nil || *doc.Count != want {
			t.Errorf("%s: %v, want %d", query, doc.Count, want)
		}
	}
	var doc map[string]any
	if w.read("/volume/v3/backups", &doc); doc["count"] != nil {
		t.Error("a count that was not asked for")
	}
}

func TestVolumeBackups_AllThatIsWrongIsSaidAtOnce(t *testing.T) {
	w := fewBackups(t)
	for query, lines := range map[string]int{
		"limit=-1":                1,
		"limit=x":                 1,
		"status=ACTIVE":           1,
		"status=":                 1,
		"marker=nothing":          1,
		"marker=u/three":          1,
		"changes-since=yesterday": 1,
		"sort=name":               1,
		"sort=created_at:asc":     1,
		"sort_key=id":             1,
		"sort_dir=asc":            1,
		"offset=1":                1,
		"with_count=perhaps":      1,
		"all_tenants=perhaps":     1,
		"project_id=%00":          1,
		"limit=x&status=ACTIVE&sort=name&with_count=perhaps": 4,
		"%zz": 1,
		"name=" + strings.Repeat("x", 300) + "&limit=x": 2,
	} {
		said := w.refused("/volume/v3/t/backups?"+query, 400, "badRequest")
		if got := strings.Count(said, "\n") + 1; got != lines {
			t.Errorf("%.60s: %d lines, want %d: %s", query, got, lines, said)
		}
	}
}

func TestVolumeBackups_MissingAndForeignAnswerTheSame(t *testing.T) {
	w := fewBackups(t)
	if said := w.refused("/volume/v3/t/backups/three", 404, "itemNotFound"); said != "The backup three could not be found." {
		t.Error(said)
	}
	foreign, missing := w.get("/volume/v3/t/backups/three"), w.get("/volume/v3/t/backups/thief")
	if strings.ReplaceAll(missing.Body.String(), "thief", "three") != foreign.Body.String() {
		t.Errorf("foreign %s, missing %s", foreign.Body, missing.Body)
	}
	if answer := w.get("HEAD /volume/v3/u/backups/three"); answer.Code != http.StatusOK || answer.Body.Len() != 0 {
		t.Errorf("HEAD: %d %s", answer.Code, answer.Body)
	}
}
