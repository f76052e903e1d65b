package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	sm "faultd/statemachine"
)

// faultGroup is a group as a program reads it.
type faultGroup struct {
	Fingerprint, Kind, Action, Reason, Message, Cause string
	Code, Active, Total, Tenants                      int
	First                                             string `json:"first_seen"`
	Last                                              string `json:"last_seen"`
	Samples                                           []struct {
		ID        string
		Tenant    string `json:"tenant_id"`
		Fault     struct{ Code int }
		Diagnosis struct{ Fingerprint string }
	}
	Shared []struct {
		Attribute, Value string
		Count, Of        int
	}
}

// crowded has 40 servers that found no room on two hosts, 37 of them on one, and an image that one job failed to save.
func crowded(w *world) {
	var batch []sm.Entry
	for i := range 40 {
		host := "e4d9"
		if i%13 == 12 {
			host = "0b71"
		}
		batch = append(batch, event(fmt.Sprintf("t-%d/server/s-%d", i%3, i), sm.ActBuild, sm.PhaseFailed, job(fmt.Sprint("b-", i), ""),
			attributes(`{"hostId":"`+host+`"}`), fault(500, fmt.Sprintf("No valid host was found for 0000%04d-8b69-11e0-9b19-734f0000ffff", i), "")))
	}
	for i := range 10 {
		batch = append(batch, event(fmt.Sprint("t-0/server/fine-", i), sm.ActBuild, sm.PhaseSucceeded, attributes(`{"hostId":"0b71"}`)))
	}
	w.apply(append(batch, event("t-9/image/i", sm.ActSnapshot, sm.PhaseFailed, fault(507, "the disk is full", "")))...)
}

func TestGroups_CountAndCompare(t *testing.T) {
	w := newWorld(t)
	crowded(w)
	w.apply(event("t-0/server/s-0", sm.ActRebuild, sm.PhaseSucceeded)) // one of them is well again
	var page struct {
		Groups []faultGroup
		Links  []any
	}
	if body := w.get("/v1/faults/groups").Body.String(); strings.Contains(body, `"reason"`) {
		t.Errorf("a reason that nobody gave: %s", body)
	}
	w.read("/v1/faults/groups", &page)
	if len(page.Groups) != 2 || len(page.Links) != 0 {
		t.Fatalf("%+v", page)
	}
	g := page.Groups[0]
	if g.Kind != "server" || g.Action != "build" || g.Code != 500 || g.Cause != "capacity" || g.Message != "No valid host was found for <id>" ||
		g.Active != 39 || g.Total != 40 || g.Tenants != 3 || g.First != "2026-11-21T02:00:01Z" || g.Last != "2026-11-21T02:00:40Z" {
		t.Errorf("%+v", g)
	}
	if len(g.Shared) != 1 || g.Shared[0].Attribute != "hostId" || g.Shared[0].Value != "e4d9" || g.Shared[0].Count != 36 || g.Shared[0].Of != 39 {
		t.Errorf("shared %+v", g.Shared)
	}
	var samples []string
	for _, s := range g.Samples {
		samples = append(samples, s.Tenant+"/"+s.ID)
		if s.Fault.Code != 500 || s.Diagnosis.Fingerprint != g.Fingerprint {
			t.Errorf("sample %+v of %s", s, g.Fingerprint)
		}
	}
	if want := []string{"t-0/s-39", "t-2/s-38", "t-1/s-37"}; !slices.Equal(samples, want) {
		t.Errorf("samples %v, want %v", samples, want)
	}
	if g := page.Groups[1]; g.Kind != "image" || g.Active != 1 || g.Cause != "storage-full" || g.Shared == nil || len(g.Shared) != 0 {
		t.Errorf("%+v", g)
	}
}

// A group's members are named as the contract names them, in its order.
func TestGroups_Shape(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/image/i", sm.ActSnapshot, sm.PhaseFailed, fault(507, "disk 3 is full", "d"), func(e *sm.Entry) { e.Fault.Reason = "DISK" }))
	print := sm.Fingerprint(sm.Image, sm.ActSnapshot, &sm.Fault{Code: 507, Message: "disk 4 is full", Reason: "DISK"})
	sample := w.get("/v1/resources/image/i").Body.String()
	want := `{"groups":[{"fingerprint":"` + print + `","kind":"image","action":"snapshot","code":507,"reason":"DISK","message":"disk <n> is full",` +
		`"cause":"storage-full","active":1,"total":1,"first_seen":"2026-11-21T02:00:01Z","last_seen":"2026-11-21T02:00:01Z","tenants":1,` +
		`"samples":[` + sample + `],"shared":[]}],"links":[]}`
	if got := w.get("/v1/faults/groups").Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	w.apply(event("t/image/i", sm.ActDelete, sm.PhaseSucceeded))
	if got := w.get("/v1/faults/groups").Body.String(); !strings.Contains(got, `"active":0,"total":1,`) || !strings.Contains(got, `"samples":[],"shared":[]}]`) {
		t.Errorf("when it is over: %s", got)
	}
}

func TestGroups_PageByPage(t *testing.T) {
	w := newWorld(t)
	if got := w.get("/v1/faults/groups").Body.String(); got != `{"groups":[],"links":[]}` {
		t.Errorf("without faults: %s", got)
	}
	for code := 501; code <= 505; code++ {
		w.apply(event(fmt.Sprint("t/server/", code), sm.ActBuild, sm.PhaseFailed, fault(code, "m", "")))
	}
	var codes []int
	target := "/v1/faults/groups?limit=2"
	for pages := 0; target != "" && pages < 10; pages++ {
		var page struct {
			Groups []faultGroup
			Links  []struct{ Href string }
		}
		w.read(target, &page)
		for _, g := range page.Groups {
			codes = append(codes, g.Code)
		}
		target = ""
		if len(page.Links) > 0 {
			target = strings.TrimPrefix(page.Links[0].Href, "http://example.com")
		}
	}
	if want := []int{505, 504, 503, 502, 501}; !slices.Equal(codes, want) {
		t.Errorf("page by page %v, want %v", codes, want)
	}
	if detail := w.problem("/v1/faults/groups?marker=1:0000", http.StatusBadRequest); !strings.Contains(detail, "1:0000") {
		t.Errorf("the marker is not named: %s", detail)
	}
}
