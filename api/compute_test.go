package api_test

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	sm "faultd/statemachine"
)

const (
	seedServer = "52415800-8b69-11e0-9b19-734f0000ffff"
	seedImage  = "52415800-8b69-11e0-9b19-734f5736d2a2"
)

// seed applies the events that lead to the documents of testdata/seed.
func seed(w *world) {
	created := func(e *sm.Entry) { e.Created = sm.At(time.Date(2010, 8, 10, 12, 0, 0, 0, time.UTC)) }
	at := func(e *sm.Entry) { e.Time = sm.At(time.Date(2010, 8, 10, 11, 59, 59, 500, time.UTC)) }
	user := func(e *sm.Entry) { e.User = "5678" }
	server := "1234/server/" + seedServer
	image := "1234/image/" + seedImage
	w.apply(
		event(server, sm.ActBuild, sm.PhaseStarted, at, created, user, named("sample-server"), job("b-41", "req-41"),
			attributes(`{"flavor":{"id":"52415800-8b69-11e0-9b19-734f216543fd"},"hostId":"e4d909c290d0fb1ca068ffafff22cbd0","image":{"id":"52415800-8b69-11e0-9b19-734f6f007777"}}`)),
		event(server, sm.ActBuild, sm.PhaseProgressed, at, job("b-41", "req-41"), progress(66)),
		event(server, sm.ActBuild, sm.PhaseFailed, at, job("b-41", "req-41"),
			fault(404, "Could not find image 52415800-8b69-11e0-9b19-734f6f007777", "Fault details")),
		event(image, sm.ActSnapshot, sm.PhaseStarted, created, named("My Server Backup"), progress(89),
			attributes(`{"server":{"id":"52415800-8b69-11e0-9b19-734f335aa7b3"}}`)),
		event(image, sm.ActSnapshot, sm.PhaseFailed, fault(500, "An internal error occured", "Error details")),
	)
}

// document reads a document of testdata/seed.
func document(tb testing.TB, name string) map[string]map[string]any {
	tb.Helper()
	text, err := os.ReadFile("../testdata/seed/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	var doc map[string]map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		tb.Fatal(err)
	}
	return doc
}

// within tells where got lacks what want has.
func within(tb testing.TB, at string, got, want any) {
	tb.Helper()
	members, ok := want.(map[string]any)
	if !ok {
		if !reflect.DeepEqual(got, want) {
			tb.Errorf("%s is %v, want %v", at, got, want)
		}
		return
	}
	has, ok := got.(map[string]any)
	if !ok {
		tb.Errorf("%s is %v, want an object", at, got)
		return
	}
	for name, v := range members {
		within(tb, at+"."+name, has[name], v)
	}
}

func links(self, bookmark string) []any {
	return []any{map[string]any{"rel": "self", "href": self}, map[string]any{"rel": "bookmark", "href": bookmark}}
}

func TestServer_IsTheSeedsDocument(t *testing.T) {
	w := newWorld(t)
	seed(w)
	want := document(t, "server.json")["server"]
	for _, c := range []struct{ target, self, bookmark string }{
		{"/compute/v2.1/1234/servers/", "http://example.com/compute/v2.1/1234/servers/", "http://example.com/compute/1234/servers/"},
		{"/compute/v2/1234/servers/", "http://example.com/compute/v2/1234/servers/", "http://example.com/compute/1234/servers/"},
		{"/compute/v2.1/servers/", "http://example.com/compute/v2.1/servers/", "http://example.com/compute/servers/"},
	} {
		want["links"] = links(c.self+seedServer, c.bookmark+seedServer)
		var got map[string]map[string]any
		w.read(c.target+seedServer, &got)
		within(t, "server", got["server"], want)
		for _, name := range []string{"metadata", "addresses", "updated"} {
			if _, ok := got["server"][name]; !ok {
				t.Errorf("%s: there is no %s", c.target, name)
			}
		}
	}
	body := w.get("/compute/v2.1/1234/servers/" + seedServer).Body.String()
	const fault = `"fault":{"code":404,"created":"2010-08-10T11:59:59Z","message":"Could not find image 52415800-8b69-11e0-9b19-734f6f007777","details":"Fault details"}`
	if !strings.Contains(body, fault) {
		t.Errorf("the fault is not %s in %s", fault, body)
	}
}

func TestImage_IsTheSeedsDocumentInError(t *testing.T) {
	w := newWorld(t)
	seed(w)
	want := document(t, "image.json")["image"]
	want["status"] = "ERROR" // as the text around the document says, and its XML twin
	want["links"] = links("http://example.com/compute/v2.1/1234/images/"+seedImage, "http://example.com/compute/1234/images/"+seedImage)
	var got map[string]map[string]any
	w.read("/compute/v2.1/1234/images/"+seedImage, &got)
	within(t, "image", got["image"], want)
}

func TestLists_HaveWhatTheResourceShows(t *testing.T) {
	w := newWorld(t)
	seed(w)
	for _, name := range []string{"server", "image"} {
		id := map[string]string{"server": seedServer, "image": seedImage}[name]
		var one, all, brief map[string]json.RawMessage
		w.read("/compute/v2.1/1234/"+name+"s/"+id, &one)
		w.read("/compute/v2.1/1234/"+name+"s/detail", &all)
		w.read("/compute/v2.1/1234/"+name+"s", &brief)
		if got, want := string(all[name+"s"]), "["+string(one[name])+"]"; got != want {
			t.Errorf("detail\n%s\none\n%s", got, want)
		}
		var items []map[string]any
		if err := json.Unmarshal(brief[name+"s"], &items); err != nil {
			t.Fatal(err)
		}
		if len(items) != 1 || len(items[0]) != 3 || items[0]["id"] != id || items[0]["name"] == nil || items[0]["links"] == nil {
			t.Errorf("brief: %s", brief[name+"s"])
		}
	}
}

func TestList_Pages(t *testing.T) {
	w := newWorld(t)
	w.fill(10)
	for _, c := range []struct {
		target string
		want   int
	}{
		{"/compute/v2.1/servers?limit=3", 10},
		{"/compute/v2.1/servers/detail?limit=5&name=web", 10},
		{"/compute/v2.1/t-1/servers?limit=1", 3},
		{"/compute/v2/t-0/servers/detail?limit=2&status=active&status=error", 4},
	} {
		whole, _ := w.ids(strings.Replace(c.target, "limit=", "x=", 1), "servers")
		var paged []string
		target := c.target
		for pages := 0; target != ""; pages++ {
			if pages > 20 {
				t.Fatalf("%s does not end", c.target)
			}
			page, next := w.ids(target, "servers")
			paged = append(paged, page...)
			target = strings.TrimPrefix(next, "http://example.com")
		}
		if len(whole) != c.want || !slices.Equal(paged, whole) {
			t.Errorf("%s: page by page %v, at once %v, want %d", c.target, paged, whole, c.want)
		}
	}
	if ids, next := w.ids("/compute/v2.1/servers?limit=10", "servers"); len(ids) != 10 || next != "http://example.com/compute/v2.1/servers?limit=10&marker=s-0" {
		t.Errorf("a full last page: %v, next %s", ids, next)
	}
	if ids, next := w.ids("/compute/v2.1/servers?limit=11", "servers"); len(ids) != 10 || next != "" || ids[0] != "s-9" {
		t.Errorf("a page that is not full: %v, next %s", ids, next)
	}
	for _, same := range []string{"0", "1000", "5000", "99999999999999999999"} {
		if ids, _ := w.ids("/compute/v2.1/servers?limit="+same, "servers"); len(ids) != 10 {
			t.Errorf("limit=%s: %v", same, ids)
		}
	}
}

func TestList_PagesAcrossTenantsWithTheSameIDs(t *testing.T) {
	w := newWorld(t)
	for _, tenant := range []string{"a", "b", "c"} {
		w.apply(event(tenant+"/server/x", sm.ActBuild, sm.PhaseSucceeded), event(tenant+"/server/y-"+tenant, sm.ActBuild, sm.PhaseSucceeded))
	}
	var paged []string
	target := "/compute/v2.1/servers?limit=1"
	for target != "" && len(paged) < 20 {
		page, next := w.ids(target, "servers")
		paged = append(paged, page...)
		target = strings.TrimPrefix(next, "http://example.com")
	}
	if want := []string{"y-c", "x", "y-b", "x", "y-a", "x"}; !slices.Equal(paged, want) {
		t.Errorf("got %v, want %v", paged, want)
	}
	if message := w.refused("/compute/v2.1/servers/x", 400, "badRequest"); !strings.Contains(message, "a, b, c") {
		t.Errorf("an id of three tenants: %s", message)
	}
	w.refused("/compute/v2.1/servers?marker=x", 400, "badRequest")
	if ids, _ := w.ids("/compute/v2.1/b/servers?marker=x", "servers"); len(ids) != 0 {
		t.Errorf("behind x of b: %v", ids)
	}
	if w.get("/compute/v2.1/servers/x?tenant=b").Code != 200 {
		t.Error("the tenant does not help")
	}
}

func TestList_Filters(t *testing.T) {
	w := newWorld(t)
	w.apply(
		event("t/server/built", sm.ActBuild, sm.PhaseSucceeded, named("web-1")), // 1
		event("t/server/broken", sm.ActBuild, sm.PhaseFailed, named("web-10"), fault(500, "m", "")),
		event("u/server/gone", sm.ActBuild, sm.PhaseSucceeded, named("db (old)")),
		event("u/server/gone", sm.ActDelete, sm.PhaseSucceeded), // 4
		event("t/image/queued", sm.ActBuild, sm.PhaseAccepted, named("web-1")),
		event("t/image/saving", sm.ActBuild, sm.PhaseStarted, named("web-10")),
		event("t/image/ready", sm.ActBuild, sm.PhaseSucceeded), // 7
	)
	at := func(second int) string {
		return epoch.Add(time.Duration(second) * time.Second).Format("2006-01-02T15:04:05")
	}
	for target, want := range map[string]string{
		"/servers":                                           "broken built",
		"/servers?status=error":                              "broken",
		"/servers?status=ERROR&status=Active":                "broken built",
		"/servers?status=deleted":                            "gone",
		"/servers?status=BUILD":                              "",
		"/servers?changes-since=" + at(1):                    "gone broken built",
		"/servers?changes-since=" + at(2):                    "gone broken",
		"/servers?changes-since=" + at(5):                    "",
		"/servers?changes-since=" + at(1) + "Z&status=ERROR": "broken",
		"/servers?name=web":                                  "broken built",
		"/servers?name=web-1$":                               "built",
		"/servers?name=^eb":                                  "",
		"/servers?name=b-1":                                  "broken built",
		"/servers?unknown=1":                                 "broken built",
		"/servers?tenant=u":                                  "",
		"/t/servers?all_tenants=1&status=DELETED":            "gone",
		"/t/servers?all_tenants=0&status=DELETED":            "",
		"/t/servers?status=DELETED":                          "",
		"/images":                                            "ready saving queued",
		"/images?status=saving":                              "saving queued",
		"/images?status=ACTIVE":                              "ready",
		"/images?name=web-1":                                 "queued",
	} {
		member := "servers"
		if strings.Contains(target, "images") {
			member = "images"
		}
		ids, _ := w.ids("/compute/v2.1"+target, member)
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
	var doc struct{ Image struct{ Status string } }
	w.read("/compute/v2.1/images/queued", &doc)
	if doc.Image.Status != "SAVING" {
		t.Errorf("a queued image is %s", doc.Image.Status)
	}
	var server struct{ Server struct{ Status string } }
	w.read("/compute/v2.1/servers/gone", &server)
	if server.Server.Status != "DELETED" {
		t.Errorf("a deleted server is %s", server.Server.Status)
	}
}

func TestList_BadValues(t *testing.T) {
	w := newWorld(t)
	w.fill(3)
	for _, query := range []string{
		"limit=-1", "limit=x", "limit=", "limit=1.5", "limit=-99999999999999999999", "status=nonsense", "status=", "status=QUEUED", "status=COMPLETED",
		"changes-since=yesterday", "changes-since=", "marker=nothing", "marker=", "marker=a%2Fb%2Fc%2Fd", "marker=t-1%2Fs-0", "marker=%00",
		"marker=t-0%2Fimage%2Fs-0", "name=%5B", "name=%28", "name=" + strings.Repeat("x", 256), "all_tenants=perhaps", "tenant=%2e%2e",
		"limit=%zz", "a=b;c=d",
	} {
		for _, base := range []string{"/compute/v2.1/servers?", "/compute/v2/servers/detail?"} {
			w.refused(base+query, 400, "badRequest")
		}
	}
	w.refused("/compute/v2.1/images?status=BUILD", 400, "badRequest")
	w.refused("/compute/v2.1/images?status=QUEUED", 400, "badRequest")
	if message := w.refused("/compute/v2.1/servers?marker=nothing", 400, "badRequest"); message != "marker [nothing] not found" {
		t.Errorf("unknown marker: %s", message)
	}
	if message := w.refused("/compute/v2.1/t-1/servers?marker=s-0", 400, "badRequest"); message != "marker [s-0] not found" {
		t.Errorf("another tenant's marker: %s", message)
	}
}

func TestServer_NotFound(t *testing.T) {
	w := newWorld(t)
	w.fill(3)
	for _, target := range []string{"/compute/v2.1/servers/nothing", "/compute/v2.1/t-1/servers/s-0", "/compute/v2.1/images/s-0",
		"/compute/v2.1/nobody/servers/s-0", "/compute/v2.1/servers/nothing/os-instance-actions",
		"/compute/v2.1/servers/s-0/os-instance-actions/nothing", "/compute/v2.1/servers/s-0%00", "/compute/v2.1/x.y/servers"} {
		w.refused(target, 404, "itemNotFound")
	}
	w.refused("/compute/v2.1/servers/s-0/action", 501, "notImplemented")
	w.refused("POST /compute/v2.1/servers/s-0", 405, "badMethod")
}

func TestVersions(t *testing.T) {
	w := newWorld(t)
	for target, self := range map[string]string{
		"/compute/v2.1":      "http://example.com/compute/v2.1/",
		"/compute/v2.1/":     "http://example.com/compute/v2.1/",
		"/compute/v2.1/1234": "http://example.com/compute/v2.1/1234/",
		"/compute/v2/":       "http://example.com/compute/v2/",
	} {
		var doc struct {
			Version struct {
				ID, Status, Version string
				Links               []struct{ Rel, Href string }
			}
		}
		w.read(target, &doc)
		if v := doc.Version; v.ID == "" || v.Status == "" || len(v.Links) != 2 || v.Links[0].Href != self || (v.Version == "") != (v.ID == "v2.0") {
			t.Errorf("%s: %+v", target, doc)
		}
	}
	for _, target := range []string{"/compute", "/compute/"} {
		var doc struct {
			Versions []struct{ ID string }
		}
		w.read(target, &doc)
		if len(doc.Versions) != 2 || doc.Versions[1].ID != "v2.1" {
			t.Errorf("%s: %+v", target, doc)
		}
	}
}

func TestInstanceActions(t *testing.T) {
	w := newWorld(t)
	w.apply(
		event("t/server/s", sm.ActBuild, sm.PhaseStarted, job("b-1", "req-build")), // 1
		event("t/server/s", sm.ActBuild, sm.PhaseProgressed, job("b-1", "req-build"), fault(500, "no host", "trace")),
		event("t/server/s", sm.ActBuild, sm.PhaseStarted, job("b-1", "req-build")),
		event("t/server/s", sm.ActBuild, sm.PhaseSucceeded, job("b-1", "req-build")), // 4
		event("t/server/s", sm.ActStop, sm.PhaseSucceeded, job("stop-1", "")),
		event("t/server/s", sm.ActHardReboot, sm.PhaseFailed, job("r-1", "req-reboot"), fault(409, "is locked", "")), // 6
		event("t/server/s", sm.ActResize, sm.PhaseCancelled, job("z-1", "req-resize"), fault(400, "no space", "")),
		event("t/server/s", sm.ActConfirmResize, sm.PhaseStarted, job("c-1", "req-confirm")), // 8
	)
	type action struct {
		Action, Message, StartTime, UpdatedAt string
		RequestID                             string `json:"request_id"`
		Project                               string `json:"project_id"`
		Instance                              string `json:"instance_uuid"`
		Start                                 string `json:"start_time"`
		Updated                               string `json:"updated_at"`
		Events                                []struct {
			Event, Result, Traceback, Details string
			Finish                            string `json:"finish_time"`
		}
	}
	var list struct{ InstanceActions []action }
	w.read("/compute/v2.1/t/servers/s/os-instance-actions", &list)
	var got []string
	for _, a := range list.InstanceActions {
		got = append(got, a.Action+" "+a.RequestID+" "+a.Message)
		if a.Project != "t" || a.Instance != "s" {
			t.Errorf("%+v", a)
		}
	}
	want := []string{"confirmResize req-confirm ", "resize req-resize Error", "reboot req-reboot Error", "stop stop-1 ", "create req-build "}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if a := list.InstanceActions[4]; a.Start != "2026-11-21T02:00:01.000000" || a.Updated != "2026-11-21T02:00:04.000000" {
		t.Errorf("times of %+v", a)
	}
	var one struct{ InstanceAction action }
	w.read("/compute/v2.1/servers/s/os-instance-actions/req-build", &one)
	if e := one.InstanceAction.Events; len(e) != 2 || e[0].Result != "Error" || e[0].Event != "compute_build_instance" || e[0].Details != "no host" || e[0].Traceback != "trace" ||
		e[1].Result != "Success" || e[1].Finish != "2026-11-21T02:00:04.000000" {
		t.Errorf("build: %+v", one)
	}
	one.InstanceAction = action{}
	w.read("/compute/v2.1/servers/s/os-instance-actions/req-confirm", &one)
	if e := one.InstanceAction.Events; len(e) != 1 || e[0].Event != "compute_confirm_resize_instance" || e[0].Result != "" || e[0].Finish != "" {
		t.Errorf("what runs: %+v", one)
	}
	w.read("/compute/v2.1/servers/s/os-instance-actions/stop-1", &one)
	if one.InstanceAction.Action != "stop" {
		t.Errorf("by the job's id: %+v", one)
	}
}

func TestInstanceActions_OutliveTheJobsThatAreRemembered(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseStarted, job("b", "")), event("t/server/s", sm.ActBuild, sm.PhaseSucceeded, job("b", "")),
		event("t/server/s", sm.ActReboot, sm.PhaseFailed, job("first", ""), fault(500, "m", "")))
	for i := range sm.MaxJobs {
		w.apply(event("t/server/s", sm.ActStop, sm.PhaseSucceeded, job("stop-"+string(rune('A'+i)), "")))
	}
	var list struct {
		InstanceActions []struct {
			Action, Message string
			Start           string `json:"start_time"`
		}
	}
	w.read("/compute/v2.1/t/servers/s/os-instance-actions", &list)
	all := list.InstanceActions
	if n := len(all); n != sm.MaxJobs+2 || all[n-1].Action != "create" || all[n-1].Message != "" || all[n-2].Action != "reboot" || all[n-2].Message != "Error" {
		t.Fatalf("%d actions: %+v", n, all)
	}
	if got := all[len(all)-1].Start; got != "2026-11-21T02:00:01.000000" {
		t.Errorf("the build began at %s", got)
	}
}
