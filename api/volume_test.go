package api

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	sm "faultd/statemachine"
)

// TestVolumeFault_Elements has the whole table of the Block Storage API.
func TestVolumeFault_Elements(t *testing.T) {
	now := time.Date(2011, 11, 29, 0, 33, 48, 0, time.UTC)
	for _, c := range []struct {
		problem problem
		status  int
		element string
	}{
		{problem{status: 400}, 400, "badRequest"},
		{problem{status: 401}, 401, "unauthorized"},
		{problem{status: 403}, 403, "forbidden"},
		{problem{status: 404}, 404, "itemNotFound"},
		{problem{status: 405}, 405, "badMethod"},
		{problem{status: 413}, 413, "overLimit"},
		{problem{status: 429}, 413, "overLimit"},
		{problem{status: 415}, 415, "badMediaType"},
		{problem{status: 422}, 422, "unprocessableEntity"},
		{problem{status: 500}, 500, "instanceFault"},
		{problem{status: 501}, 501, "notImplemented"},
		{problem{status: 503}, 503, "serviceUnavailable"},
		{problem{status: 406}, 406, "instanceFault"}, // it catches all
		{problem{status: 409}, 409, "instanceFault"},
	} {
		c.problem.message = "a < b"
		inJSON, inXML := volumeFault(&c.problem, "req-1", now), volumeFaultXML(&c.problem, "req-1", now)
		if name, code := element(t, inJSON.body); inJSON.status != c.status || name != c.element || code != c.status {
			t.Errorf("%d: got %d %s, want %d %s", c.problem.status, inJSON.status, inJSON.body, c.status, c.element)
		}
		want := xmlDeclaration + `<` + c.element + ` xmlns="http://docs.openstack.org/api/openstack-block-storage/2.0/content" code="` +
			inXMLCode(c.status) + `"><message>a &lt; b</message></` + c.element + `>`
		if inXML.status != c.status || string(inXML.body) != want {
			t.Errorf("%d: got %d %s, want %s", c.problem.status, inXML.status, inXML.body, want)
		}
	}
}

func inXMLCode(status int) string {
	text, _ := json.Marshal(status)
	return string(text)
}

func TestVolumeFault_OverLimitSaysWhenToAskAgain(t *testing.T) {
	p := &problem{status: 429, message: "m", retry: 1500 * time.Millisecond}
	now := time.Date(2010, 8, 1, 0, 0, 0, 0, time.UTC)
	want := `{"overLimit":{"code":413,"message":"m","details":"Ask again in 2 s.","retryAt":"2010-08-01T00:00:02Z"}}`
	if got := string(volumeFault(p, "", now).body); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	want = `<overLimit xmlns="` + volumeNamespace + `" code="413" retryAt="2010-08-01T00:00:02Z"><message>m</message><details>Ask again in 2 s.</details></overLimit>`
	if got := string(volumeFaultXML(p, "", now).body); got != xmlDeclaration+want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := string(volumeFault(&problem{status: 503, message: "m", retry: time.Second}, "", now).body); contains(got, "retryAt") {
		t.Errorf("retryAt is overLimit's alone: %s", got)
	}
}

// TestVolumeFault_WrapsSeveralMessages keeps them apart: in one message, a line each.
func TestVolumeFault_WrapsSeveralMessages(t *testing.T) {
	err := several(nil, &problem{status: 500, message: "The volume service failed."}, nil, &problem{status: 500, message: "The backup <b> is lost."})
	p := (&call{}).problem(err)
	const want = "The volume service failed.\nThe backup <b> is lost."
	var inJSON struct {
		InstanceFault struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal(volumeFault(p, "", time.Time{}).body, &inJSON); err != nil || inJSON.InstanceFault.Code != 500 || inJSON.InstanceFault.Message != want {
		t.Errorf("JSON: %v %+v", err, inJSON)
	}
	var inXML struct {
		XMLName xml.Name
		Code    int    `xml:"code,attr"`
		Message string `xml:"message"`
	}
	if err := xml.Unmarshal(volumeFaultXML(p, "", time.Time{}).body, &inXML); err != nil || inXML.XMLName.Local != "instanceFault" ||
		inXML.XMLName.Space != volumeNamespace || inXML.Code != 500 || inXML.Message != want {
		t.Errorf("XML: %v %+v", err, inXML)
	}
}

func TestSeveral(t *testing.T) {
	store := errors.New("page 7 is broken")
	if err := several(nil, nil); err != nil {
		t.Errorf("of none: %v", err)
	}
	if err := several(nil, notFound); !errors.Is(err, notFound) {
		t.Errorf("of one: %v", err)
	}
	if err := several(badRequest("a"), store); !errors.Is(err, store) {
		t.Errorf("what is no problem is said alone: %v", err)
	}
}

// TestVolume_ElementsOfRequests ends a request in each element to which one can lead.
func TestVolume_ElementsOfRequests(t *testing.T) {
	fine := func(*Handler) {}
	for _, c := range []struct {
		target string
		store  *fake
		change func(*Handler)
		status int
		name   string
	}{
		{"/volume/v3/t/backups?limit=x", &fake{}, fine, 400, "badRequest"},
		{"/volume/v3/t/backups", &fake{}, refusing(401), 401, "unauthorized"},
		{"/volume/v3/other/backups", &fake{}, func(h *Handler) { only(h, "mine", false) }, 403, "forbidden"},
		{"/volume/v3/t/backups/b", &fake{}, fine, 404, "itemNotFound"},
		{"/volume/v3/t/messages/b", &fake{}, fine, 404, "itemNotFound"},
		{"/volume/v4", &fake{}, fine, 404, "itemNotFound"},
		{"/volume/v3/t/u/backups", &fake{}, fine, 404, "itemNotFound"},
		{"POST /volume/v3/t/backups", &fake{}, fine, 405, "badMethod"},
		{"DELETE /volume/v3/t/messages/b", &fake{}, fine, 405, "badMethod"},
		{"/volume/v3/t/backups", &fake{}, refusing(429), 413, "overLimit"},
		{"/volume/v3/t/backups", &fake{panics: true}, fine, 500, "instanceFault"},
		{"/volume/v3/t/messages", &fake{panics: true}, fine, 500, "instanceFault"},
		{"/volume/v3/t/volumes/detail", &fake{}, fine, 501, "notImplemented"},
		{"/volume/v3/t/backups", &fake{err: errors.New("canary")}, fine, 503, "serviceUnavailable"},
		{"/volume/v3/t/messages", &fake{err: errors.New("canary")}, fine, 503, "serviceUnavailable"},
	} {
		for _, accept := range []string{"application/json", "application/xml"} {
			h := New(Config{Store: c.store})
			c.change(h)
			w := get(t, h, c.target, "Accept", accept)
			var code int
			var name string
			if accept == "application/json" {
				name, code = element(t, w.Body.Bytes())
			} else {
				name, code = elementXML(t, w.Body.Bytes())
			}
			if w.Code != c.status || code != c.status || name != c.name || w.Header().Get("Content-Type") != accept+"; charset=UTF-8" {
				t.Errorf("%s as %s: %d %v %s, want %d %s", c.target, accept, w.Code, w.Header(), w.Body, c.status, c.name)
			}
			if contains(w.Body.String(), "canary") || contains(w.Body.String(), "secret") {
				t.Errorf("%s: the inside is shown: %s", c.target, w.Body)
			}
			if (c.status == 405) != (w.Header().Get("Allow") == "GET, HEAD") || (c.status == 413) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("%s: %v", c.target, w.Header())
			}
		}
	}
	w := get(t, New(Config{Store: &fake{}}), "/volume/v3/t/backups", "Accept", "image/png")
	if name, code := element(t, w.Body.Bytes()); w.Code != 415 || name != "badMediaType" || code != 415 {
		t.Errorf("a type that is not served: %d %s", w.Code, w.Body)
	}
}

// refusing lets nobody in, for that reason.
func refusing(status int) func(*Handler) {
	return func(h *Handler) {
		h.identify = func(*http.Request) (caller, error) {
			return caller{}, &problem{status: status, message: "no", retry: time.Duration(status/429) * time.Second}
		}
	}
}

// elementXML is the root element of a fault in XML, and the code inside.
func elementXML(tb testing.TB, body []byte) (string, int) {
	tb.Helper()
	var doc struct {
		XMLName xml.Name
		Code    int    `xml:"code,attr"`
		Message string `xml:"message"`
	}
	if err := xml.Unmarshal(body, &doc); err != nil || doc.Message == "" || doc.XMLName.Space != volumeNamespace {
		tb.Fatalf("no fault: %s: %v", body, err)
	}
	return doc.XMLName.Local, doc.Code
}

func TestVolumeRoutes(t *testing.T) {
	h := New(Config{Store: &fake{all: []sm.Resource{
		{Key: sm.Key{Tenant: "t", Kind: sm.Backup, ID: "b"}, Status: sm.Completed},
		{Key: sm.Key{Tenant: "backups-of-t", Kind: sm.Backup, ID: "a"}, Status: sm.Completed},
	}}})
	for target, status := range map[string]int{
		"/volume":                                          300,
		"/volume/":                                         300,
		"/volume.xml":                                      404, // a mount has no suffix
		"/volume/v3":                                       200,
		"/volume/v3/":                                      200,
		"/volume/v3.xml":                                   200,
		"/volume/v2/t":                                     200,
		"/volume/v3/t/":                                    200,
		"/volume/v1":                                       404,
		"/volume/v3/t/backups/b":                           200,
		"/volume/v3/t/backups/b.xml":                       200,
		"/volume/v3/backups-of-t/backups/a":                200,
		"/volume/v3/t/backups/a":                           404,
		"/volume/v3/t/backups/":                            404,
		"/volume/v3/t/nothing":                             404,
		"/volume/v3/t/u/backups":                           404,
		"/volume/v3/a%2Fb/backups":                         404,
		"/volume/v3/t/backups/a%2Fb":                       404,
		"/volume/v3/t/messages/detail":                     404,
		"/volume/v3/volumes":                               501,
		"/volume/v3/t/volumes/detail":                      501,
		"/volume/v3/t/volumes/v/action":                    501,
		"/volume/v3/volumes/backups/b":                     501, // volumes is no tenant
		"/volume/v2/t/snapshots":                           501,
		"/volume/v3/t/types/x/encryption":                  501,
		"/volume/v3/t/limits":                              501,
		"/volume/v3/t/os-quota-sets/t":                     501,
		"/volume/v3/t/scheduler-stats/get_pools":           501,
		"/volume/v3/t/backups/b/export_record":             501,
		"POST /volume/v3/t/backups/b/restore":              501,
		"POST /volume/v3/t/backups/b/action":               501,
		"POST /volume/v3/t/backups/import_record":          501,
		"GET /volume/v3/t/backups/import_record":           501,
		"PUT /volume/v3/t/backups/b":                       405,
		"PATCH /volume/v3/t/messages":                      405,
		"POST /volume/v2/t/messages":                       404,
		"/volume/v3/t/backups/" + strings.Repeat("x", 200): 404,
	} {
		if w := get(t, h, target); w.Code != status {
			t.Errorf("%s: %d %s, want %d", target, w.Code, w.Body, status)
		}
	}
}

func TestVolumeVersions(t *testing.T) {
	h := New(Config{Store: &fake{}})
	type document struct {
		Versions []struct {
			ID, Status, Version string
			MinVersion          string `json:"min_version"`
			Links               []struct{ Rel, Href string }
			MediaTypes          []struct{ Base, Type string } `json:"media-types"`
		}
	}
	for target, want := range map[string]string{
		"/volume":         "v2.0 DEPRECATED  http://example.com/volume/v2/|v3.0 CURRENT 3.71 http://example.com/volume/v3/",
		"/volume/v2":      "v2.0 DEPRECATED  http://example.com/volume/v2/",
		"/volume/v3/":     "v3.0 CURRENT 3.71 http://example.com/volume/v3/",
		"/volume/v3/1234": "v3.0 CURRENT 3.71 http://example.com/volume/v3/1234/",
	} {
		var doc document
		if err := json.Unmarshal(get(t, h, target).Body.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range doc.Versions {
			got = append(got, strings.Join([]string{v.ID, v.Status, v.Version, v.Links[0].Href}, " "))
			if v.Links[0].Rel != "self" || len(v.MediaTypes) != 2 {
				t.Errorf("%s: %+v", target, v)
			}
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	body := get(t, h, "/volume/v3", "Accept", "application/xml").Body.String()
	if !contains(body, `<versions xmlns="http://docs.openstack.org/common/api/v1.0"`) || !contains(body, `<version id="v3.0" status="CURRENT"`) {
		t.Errorf("XML: %s", body)
	}
}

func TestVolume_CallerSeesItsTenantOnly(t *testing.T) {
	backup := func(tenant, id string) sm.Resource {
		r := failed(tenant, id)
		r.Kind = sm.Backup
		return r
	}
	h := New(Config{Store: &fake{all: []sm.Resource{backup("mine", "a"), backup("other", "b")}}})
	for _, target := range []string{"/volume/v3/mine/backups?all_tenants=1", "/volume/v3/mine/backups?project_id=other"} {
		if w := get(t, only(h, "", false), target); w.Code != 200 || contains(w.Body.String(), "other") || !contains(w.Body.String(), "mine") {
			t.Errorf("a reader of all tenants, %s: %d %s", target, w.Code, w.Body)
		}
	}
	if w := get(t, only(h, "mine", true), "/volume/v3/backups?project_id=other"); w.Code != 403 {
		t.Errorf("an administrator of one tenant: %d %s", w.Code, w.Body)
	}
	only(h, "mine", false)
	for target, status := range map[string]int{
		"/volume/v3/backups/a":                 200,
		"/volume/v3/mine/backups/a":            200,
		"/volume/v3/backups/b":                 404,
		"/volume/v3/other/backups/b":           403,
		"/volume/v3/other/backups":             403,
		"/volume/v3/other/messages":            403,
		"/volume/v3/backups?project_id=other":  403,
		"/volume/v3/messages?project_id=other": 403,
	} {
		if w := get(t, h, target); w.Code != status {
			t.Errorf("%s: %d %s, want %d", target, w.Code, w.Body, status)
		}
	}
	for _, target := range []string{"/volume/v3/backups/detail", "/volume/v3/backups/detail?all_tenants=1", "/volume/v2/mine/backups/a"} {
		w := get(t, h, target)
		if body := w.Body.String(); w.Code != 200 || contains(body, "other") || contains(body, "canary") || !contains(body, "mine") {
			t.Errorf("%s: %d %s", target, w.Code, body)
		}
	}
}

func TestMessageID(t *testing.T) {
	key := sm.Key{Tenant: "t", Kind: sm.Server, ID: "s"}
	if got, want := messageID(&key, 0x123456789abcdef), "12345678-9abc-8def-"; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s…", got, want)
	}
	seen := map[string]bool{}
	for _, sequence := range []uint64{1, 0xfff, 0x1000, 1 << 40, 1<<60 - 1} {
		for _, k := range []sm.Key{key, {Tenant: "t", Kind: sm.Image, ID: "s"}, {Tenant: "ts", Kind: sm.Server}, {Tenant: "u", Kind: sm.Server, ID: "s"},
			{Tenant: "t", Kind: sm.Server, ID: "servers"}, {Tenant: "tserver", Kind: sm.Server, ID: "s"}} {
			id := messageID(&k, sequence)
			if got := messageSequence(id); got != sequence {
				t.Errorf("%d is %d in %s", sequence, got, id)
			}
			if seen[id] || len(id) != 36 || id[14] != '8' || !strings.ContainsRune("89ab", rune(id[19])) {
				t.Errorf("%s is no UUID of its own", id)
			}
			seen[id] = true
		}
	}
}
