package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"faultd/api"
	sm "faultd/statemachine"
)

// volumeMessage is a message as clients read it.
type volumeMessage struct {
	ID              string
	EventID         string `json:"event_id"`
	Level           string `json:"message_level"`
	Text            string `json:"user_message"`
	RequestID       string `json:"request_id"`
	ResourceType    string `json:"resource_type"`
	ResourceUUID    string `json:"resource_uuid"`
	CreatedAt       string `json:"created_at"`
	GuaranteedUntil string `json:"guaranteed_until"`
}

func (w *world) messages(target string) []volumeMessage {
	w.tb.Helper()
	var doc struct{ Messages []volumeMessage }
	w.read(target, &doc)
	return doc.Messages
}

// whose are the resources of messages, in their order.
func whose(all []volumeMessage) string {
	var ids []string
	for _, m := range all {
		ids = append(ids, m.ResourceUUID)
	}
	return strings.Join(ids, " ")
}

func TestVolumeMessage_IsLikeTheSamples(t *testing.T) {
	w := newWorld(t)
	w.handler = api.New(api.Config{Store: w.db, Retention: 720 * time.Hour})
	w.apply(event("t/backup/b", sm.ActBackup, sm.PhaseFailed, job("j", "req-c1216709-afba-4703-a1a3-22eda88f2f5a"), fault(500, "No room", "a trace")))
	var page map[string][]map[string]any
	w.read("/volume/v3/t/messages", &page)
	if len(page["messages"]) != 1 {
		t.Fatalf("%d messages", len(page["messages"]))
	}
	got := page["messages"][0]
	sample := volumeSample(t, "messages-list-response.json")["messages"].([]any)[0].(map[string]any)
	sameMembers(t, "message", got, sample)
	id := got["id"].(string)
	within(t, "message", got, map[string]any{
		"request_id": "req-c1216709-afba-4703-a1a3-22eda88f2f5a", "message_level": "ERROR", "event_id": "VOLUME_VOLUME_BACKUP_013_020",
		"created_at": "2026-11-21T02:00:01.000000", "guaranteed_until": "2026-12-21T02:00:01.000000", "resource_type": "VOLUME_BACKUP",
		"resource_uuid": "b", "user_message": "No room",
		"links": links("http://example.com/volume/v3/t/messages/"+id, "http://example.com/volume/t/messages/"+id),
	})

	var one map[string]map[string]any
	w.read("/volume/v3/t/messages/"+id, &one)
	within(t, "message", one["message"], got)
	sameMembers(t, "message", one["message"], volumeSample(t, "messages-show-response.json")["message"].(map[string]any))
}

// TestVolumeMessages_EveryKindHasThem lets a job of each kind, and of each action of a backup's family, fail.
func TestVolumeMessages_EveryKindHasThem(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		resource    string
		action      sm.Action
		code        int
		text        string
		kind, event string
	}{
		{"server/s", sm.ActBuild, 500, "No valid host was found", "SERVER", "VOLUME_SERVER_BUILD_CAPACITY"},
		{"server/s", sm.ActConfirmResize, 404, "Image x could not be found", "SERVER", "VOLUME_SERVER_CONFIRM_RESIZE_NOT_FOUND"},
		{"image/i", sm.ActSnapshot, 500, "An internal error occurred", "IMAGE", "VOLUME_IMAGE_SNAPSHOT_INTERNAL"},
		{"backup/b", sm.ActBackup, 500, "An internal error occurred", "VOLUME_BACKUP", "VOLUME_VOLUME_BACKUP_013_020"},
		{"backup/c", sm.ActBackup, 413, "Quota exceeded for backups", "VOLUME_BACKUP", "VOLUME_VOLUME_BACKUP_013_006"},
		{"backup/d", sm.ActBackup, 409, "The volume is in use", "VOLUME_BACKUP", "VOLUME_VOLUME_BACKUP_013_017"},
		{"backup/e", sm.ActBackup, 504, "The agent did not answer in time", "VOLUME_BACKUP", "VOLUME_VOLUME_BACKUP_013_018"},
		{"backup/b", sm.ActDelete, 500, "An internal error occurred", "VOLUME_BACKUP", "VOLUME_VOLUME_BACKUP_014_025"},
		{"restore/r", sm.ActRestore, 500, "An internal error occurred", "RESTORE", "VOLUME_VOLUME_BACKUP_015_026"},
		{"export/x", sm.ActExport, 500, "An internal error occurred", "EXPORT", "VOLUME_EXPORT_EXPORT_INTERNAL"},
		{"import/m", sm.ActImport, 500, "An internal error occurred", "IMPORT", "VOLUME_IMPORT_IMPORT_INTERNAL"},
		{"migration/g", sm.ActMigrate, 500, "An internal error occurred", "MIGRATION", "VOLUME_MIGRATION_MIGRATE_INTERNAL"},
	} {
		w.apply(event("t/"+c.resource, c.action, sm.PhaseFailed, fault(c.code, c.text, "")))
		all := w.messages("/volume/v3/t/messages?limit=1")
		if len(all) != 1 {
			t.Fatalf("%s %s: %d messages", c.resource, c.action, len(all))
		}
		m := all[0]
		_, id, _ := strings.Cut(c.resource, "/")
		if m.EventID != c.event || m.ResourceType != c.kind || m.ResourceUUID != id || m.Text != c.text || m.Level != "ERROR" {
			t.Errorf("%s %s: %+v, want %s of a %s", c.resource, c.action, m, c.event, c.kind)
		}
		var one struct{ Message volumeMessage }
		if w.read("/volume/v3/messages/"+m.ID, &one); one.Message != m {
			t.Errorf("%s %s: one message is %+v, listed as %+v", c.resource, c.action, one.Message, m)
		}
	}
	if got := len(w.messages("/volume/v3/messages")); got != 12 {
		t.Errorf("%d messages, want one for each failure", got)
	}
}

func TestVolumeMessages_WhatIsNoErrorIsAWarning(t *testing.T) {
	const s = "t/server/s"
	w := newWorld(t)
	for _, c := range []struct {
		entry sm.Entry
		level string // "": no message
	}{
		{event(s, sm.ActBuild, sm.PhaseStarted), ""},
		{event(s, sm.ActBuild, sm.PhaseProgressed, fault(500, "an attempt", "")), "WARNING"},
		{event(s, sm.ActBuild, sm.PhaseSucceeded), ""},
		{event(s, sm.ActSnapshot, sm.PhaseFailed, fault(500, "a snapshot", "")), "WARNING"},
		{event(s, sm.ActResize, sm.PhaseCancelled, fault(409, "not now", "")), "WARNING"},
		{event(s, sm.ActRebuild, sm.PhaseFailed, fault(500, "a rebuild", "")), "ERROR"},
		{event(s, sm.ActRebuild, sm.PhaseFailed, fault(500, "a rebuild", "")), ""}, // a second end is none
		{event(s, sm.ActReboot, sm.PhaseStarted), ""},
		{event(s, sm.ActStop, sm.PhaseFailed, fault(500, "a stop", ""), func(e *sm.Entry) { e.Time = sm.At(epoch) }), "WARNING"}, // older than what followed
	} {
		before := len(w.messages("/volume/v3/t/messages"))
		w.apply(c.entry)
		all := w.messages("/volume/v3/t/messages")
		level := ""
		if len(all) > before {
			level = all[0].Level
		}
		if level != c.level || len(all) > before && all[0].Text != c.entry.Fault.Message {
			t.Errorf("%s %s: level %q, want %q", c.entry.Action, c.entry.Phase, level, c.level)
		}
	}
}

// fewMessages makes seven, of two tenants.
func fewMessages(t *testing.T) *world {
	w := newWorld(t)
	w.apply(
		event("t/server/same", sm.ActBuild, sm.PhaseFailed, job("b-1", "req-1"), fault(500, "m", "")),
		event("t/image/same", sm.ActSnapshot, sm.PhaseFailed, job("b-2", "req-1"), fault(404, "m", "")),
		event("u/server/same", sm.ActBuild, sm.PhaseFailed, job("b-3", ""), fault(500, "m", "")),
		event("t/backup/b", sm.ActBackup, sm.PhaseProgressed, job("b-4", "req-4"), fault(500, "m", "")),
		event("t/backup/b", sm.ActBackup, sm.PhaseFailed, job("b-4", "req-4"), fault(500, "m", "")),
		event("t/server/fine", sm.ActBuild, sm.PhaseSucceeded),
		event("t/server/same", sm.ActRebuild, sm.PhaseStarted),
	)
	w.apply(
		event("t/server/same", sm.ActRebuild, sm.PhaseFailed, job("b-5", "req-5"), fault(500, "m", "")),
		event("u/backup/c", sm.ActBackup, sm.PhaseFailed, job("b-6", "req-6"), fault(413, "quota exceeded", "")),
	)
	return w
}

func TestVolumeMessages_Filters(t *testing.T) {
	w := fewMessages(t)
	for query, want := range map[string]string{
		"":                                      "c same b b same same same",
		"project_id=t":                          "same b b same same",
		"project_id=nobody":                     "",
		"resource_uuid=same":                    "same same same same",
		"resource_uuid=same&project_id=u":       "same",
		"resource_uuid=same&limit=3":            "same same same",
		"resource_uuid=b":                       "b b",
		"resource_uuid=b&message_level=ERROR":   "b",
		"resource_uuid=fine":                    "",
		"resource_uuid=nothing":                 "",
		"resource_uuid=a%2Fb":                   "",
		"resource_type=IMAGE":                   "same",
		"resource_type=VOLUME_BACKUP":           "c b b",
		"resource_type=VOLUME_BACKUP&limit=2":   "c b",
		"resource_type=VOLUME":                  "",
		"event_id=VOLUME_VOLUME_BACKUP_013_006": "c",
		"request_id=req-1":                      "same same",
		"request_id=b-3":                        "same",
		"message_level=WARNING":                 "b",
		"sort=created_at:desc":                  "c same b b same same same",
		"unheard=of":                            "c same b b same same same",
	} {
		if got := whose(w.messages("/volume/v3/messages?" + query)); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

func TestVolumeMessages_Paging(t *testing.T) {
	w := fewMessages(t)
	for _, query := range []string{"", "&resource_uuid=same", "&resource_type=VOLUME_BACKUP", "&project_id=t"} {
		want := w.messages("/volume/v3/messages?" + query)
		var got []volumeMessage
		target := "/volume/v3/messages?limit=2" + query
		for range 6 {
			got = append(got, w.messages(target)...)
			if _, target = w.ids(target, "messages"); target == "" {
				break
			}
			target = strings.TrimPrefix(target, "http://example.com")
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: page by page %s, at once %s", query, whose(got), whose(want))
		}
	}
}

func TestVolumeMessages_IDsAreForTheirTenant(t *testing.T) {
	w := fewMessages(t)
	foreign := w.messages("/volume/v3/u/messages")[0].ID
	own := w.messages("/volume/v3/t/messages")[0].ID
	for _, id := range []string{foreign, "nothing", own[:len(own)-1], strings.ToUpper(own) + "0", strings.Replace(own, "-8", "-4", 1),
		own[:35] + string(own[35]^1), "00000000-0000-8000-8000-000000000000", "ffffffff-ffff-8fff-bfff-ffffffffffff"} {
		if said := w.refused("/volume/v3/t/messages/"+id, 404, "itemNotFound"); said != "Message "+id+" could not be found." {
			t.Errorf("%s: %s", id, said)
		}
		if said := w.refused("/volume/v3/t/messages?marker="+id, 400, "badRequest"); said != "marker ["+id+"] not found" {
			t.Errorf("marker %s: %s", id, said)
		}
	}
	w.refused("/volume/v3/t/messages?sort=created_at:asc", 400, "badRequest")
	w.refused("/volume/v3/t/messages?offset=2&limit=x", 400, "badRequest")
	if answer := w.get("/volume/v3/t/messages/" + own); answer.Code != http.StatusOK {
		t.Errorf("own: %d %s", answer.Code, answer.Body)
	}
}

func TestVolumeMessages_ComeWithMicroversion3(t *testing.T) {
	w := fewMessages(t)
	id := w.messages("/volume/v3/t/messages")[0].ID
	for _, c := range []struct {
		asked  string
		status int
		said   string
	}{
		{"", 200, "volume 3.0"},
		{"volume 3.3", 200, "volume 3.3"},
		{"volume 3.5", 200, "volume 3.5"},
		{"block-storage 3.70", 200, "volume 3.70"},
		{"compute 2.1, volume latest", 200, "volume 3.71"},
		{"compute 2.1", 200, "volume 3.0"},
		{"volume 3.2", 404, "volume 3.2"},
		{"volume 3.0", 404, "volume 3.0"},
		{"volume 3.72", 406, "volume 3.0"},
		{"volume 2.0", 406, "volume 3.0"},
		{"volume 3", 400, "volume 3.0"},
		{"volume x.y", 400, "volume 3.0"},
	} {
		for _, path := range []string{"", "/" + id} {
			answer := w.get("/volume/v3/t/messages"+path, "OpenStack-API-Version", c.asked)
			if answer.Code != c.status || answer.Header().Get("OpenStack-API-Version") != c.said ||
				answer.Header().Get("Vary") != "Accept, OpenStack-API-Version" {
				t.Errorf("%q: %d %v, want %d %s", c.asked, answer.Code, answer.Header(), c.status, c.said)
			}
		}
		if c.status == 404 {
			answer := w.get("/volume/v3/t/backups", "OpenStack-API-Version", c.asked)
			if answer.Code != http.StatusOK {
				t.Errorf("%q: backups %d", c.asked, answer.Code)
			}
		}
	}
	w.refused("/volume/v2/t/messages", 404, "itemNotFound")
	answer := w.get("/volume/v2/t/backups", "OpenStack-API-Version", "volume 3.99")
	if answer.Code != http.StatusOK || answer.Header().Get("OpenStack-API-Version") != "" {
		t.Errorf("v2 has no microversions, but answers %d %v", answer.Code, answer.Header())
	}
}

// TestVolumeMessages_FiltersLookBeyondAPage hides a few messages among more than are read at a time.
func TestVolumeMessages_FiltersLookBeyondAPage(t *testing.T) {
	w := newWorld(t)
	var batch []sm.Entry
	for i := range 2500 {
		kind := "server"
		if i%1000 == 5 {
			kind = "image"
		}
		batch = append(batch, event(fmt.Sprintf("t/%s/r-%d", kind, i), sm.ActBuild, sm.PhaseFailed, fault(500, "m", "")))
	}
	w.apply(batch...)
	if got := whose(w.messages("/volume/v3/messages?resource_type=IMAGE")); got != "r-2005 r-1005 r-5" {
		t.Errorf("all: %s", got)
	}
	if got := whose(w.messages("/volume/v3/messages?resource_type=IMAGE&limit=2")); got != "r-2005 r-1005" {
		t.Errorf("two: %s", got)
	}
	if got := len(w.messages("/volume/v3/messages")); got != 1000 {
		t.Errorf("a page of %d", got)
	}
}

func TestVolumeMessages_AreKeptForEverWithoutRetention(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/backup/b", sm.ActBackup, sm.PhaseFailed, fault(500, "m", "")))
	var doc map[string][]map[string]json.RawMessage
	w.read("/volume/v3/messages", &doc)
	if got := string(doc["messages"][0]["guaranteed_until"]); got != "null" {
		t.Errorf("guaranteed until %s", got)
	}
}
