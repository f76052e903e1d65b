package api

import (
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	sm "faultd/statemachine"
)

var update = flag.Bool("update", false, "write the documents that are compared with anew")

// noon is when the problems of these tests happen.
var noon = time.Date(2010, 8, 1, 0, 0, 0, 0, time.UTC)

func TestComputeFault_Elements(t *testing.T) {
	for _, c := range []struct {
		problem problem
		status  int
		element string
		more    string // members beside code and message
		moreXML string // attributes beside code
	}{
		{problem: problem{status: 400}, status: 400, element: "badRequest"},
		{problem: problem{status: 401}, status: 401, element: "unauthorized"},
		{problem: problem{status: 403}, status: 403, element: "forbidden"},
		{problem: problem{status: 404}, status: 404, element: "itemNotFound"},
		{problem: problem{status: 405}, status: 405, element: "badMethod"},
		{problem: problem{status: 406}, status: 406, element: "computeFault"},
		{problem: problem{status: 409}, status: 409, element: "computeFault"},
		{problem: problem{status: 413}, status: 413, element: "overLimit"},
		{problem: problem{status: 413, retry: time.Second}, status: 413, element: "overLimit",
			more: `,"retryAt":"2010-08-01T00:00:01Z"`, moreXML: ` retryAt="2010-08-01T00:00:01Z"`},
		{problem: problem{status: 415}, status: 415, element: "badMediaType"},
		{problem: problem{status: 429, retry: 1500 * time.Millisecond}, status: 413, element: "overLimit",
			more: `,"retryAt":"2010-08-01T00:00:02Z"`, moreXML: ` retryAt="2010-08-01T00:00:02Z"`},
		{problem: problem{status: 500}, status: 500, element: "computeFault"},
		{problem: problem{status: 501}, status: 501, element: "notImplemented"},
		{problem: problem{status: 503, retry: time.Minute}, status: 503, element: "serviceUnavailable"},
	} {
		c.problem.message = "a < b"
		code := strconv.Itoa(c.status)
		want := `{"` + c.element + `":{"code":` + code + `,"message":"a < b"` + c.more + `}}`
		if got := computeFault(&c.problem, "req-1", noon); got.status != c.status || string(got.body) != want || got.contentType != "application/json" {
			t.Errorf("%d: got %d %s %s, want %d %s", c.problem.status, got.status, got.contentType, got.body, c.status, want)
		}
		want = xmlDeclaration + `<` + c.element + ` xmlns="http://docs.openstack.org/compute/api/v1.1" code="` + code + `"` + c.moreXML +
			`><message>a &lt; b</message></` + c.element + `>`
		if got := computeFaultXML(&c.problem, "req-1", noon); got.status != c.status || string(got.body) != want || got.contentType != "application/xml" {
			t.Errorf("%d: got %d %s %s, want %d %s", c.problem.status, got.status, got.contentType, got.body, c.status, want)
		}
	}
}

func TestAsyncElement(t *testing.T) {
	building, resizing, saving := []sm.Action{sm.ActStop, sm.ActBuild}, []sm.Action{sm.ActResize}, []sm.Action{sm.ActSnapshot}
	for _, c := range []struct {
		code      int
		action    sm.Action
		cause     sm.Cause
		meanwhile []sm.Action
		want      string
	}{
		{403, sm.ActResize, sm.CausePermission, nil, "resizeNotAllowed"},
		{403, sm.ActConfirmResize, sm.CausePermission, nil, "resizeNotAllowed"},
		{403, sm.ActRevertResize, sm.CausePermission, nil, "resizeNotAllowed"},
		{403, sm.ActReboot, sm.CausePermission, resizing, "forbidden"},
		{409, sm.ActReboot, sm.CauseUnknown, building, "buildInProgress"},
		{409, sm.ActReboot, sm.CauseUnknown, []sm.Action{sm.ActRebuild}, "buildInProgress"},
		{409, sm.ActResize, sm.CauseUnknown, append(saving, building...), "buildInProgress"},
		{409, sm.ActReboot, sm.CauseUnknown, resizing, "backupOrResizeInProgress"},
		{409, sm.ActResize, sm.CauseUnknown, saving, "backupOrResizeInProgress"},
		{409, sm.ActReboot, sm.CauseUnknown, []sm.Action{sm.ActRevertResize}, "backupOrResizeInProgress"},
		{409, sm.ActReboot, sm.CauseUnknown, []sm.Action{sm.ActStop}, "computeFault"},
		{409, sm.ActResize, sm.CauseUnknown, nil, "computeFault"},
		{503, sm.ActBuild, sm.CauseCapacity, nil, "serverCapacityUnavailable"},
		{503, sm.ActBuild, sm.CauseNetwork, building, "serviceUnavailable"},
		{500, sm.ActBuild, sm.CauseCapacity, nil, "computeFault"},
		{404, sm.ActBuild, sm.CauseNotFound, nil, "itemNotFound"},
		{413, sm.ActBuild, sm.CauseQuota, nil, "overLimit"},
	} {
		if got := asyncElement(c.code, c.action, c.cause, c.meanwhile); got != c.want {
			t.Errorf("%d %s %s, meanwhile %s: %s, want %s", c.code, c.action, c.cause, c.meanwhile, got, c.want)
		}
	}
}

// TestComputeFaults_AreTheKeptDocuments renders every fault there is. The documents are kept because a test with
// xmllint, which needs more than Go, validates them by the schema.
func TestComputeFaults_AreTheKeptDocuments(t *testing.T) {
	const text = "a < b & \"c\"\x00\x1b]]>\n\u00e4 \xff"
	kept := func(name string, doc []byte) {
		path := filepath.Join("../testdata/samples-compute/faultd", name+".xml")
		if *update {
			if err := os.WriteFile(path, doc, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path); err != nil || string(doc) != string(want) {
			t.Errorf("%s: %v: got\n%s\nwant\n%s", name, err, doc, want)
		}
	}
	for _, status := range []int{400, 401, 403, 404, 405, 406, 409, 413, 414, 415, 429, 431, 500, 501, 503} {
		p := problem{status: status, message: text, retry: time.Minute}
		kept(strconv.Itoa(status), computeFaultXML(&p, "", noon).body)
	}
	for element, code := range map[string]int{"resizeNotAllowed": 403, "buildInProgress": 409, "backupOrResizeInProgress": 409, "serverCapacityUnavailable": 503} {
		f := xmlFault{element: element, namespace: computeNamespace, code: code, message: text, details: text}
		kept(element, f.append([]byte(xmlDeclaration)))
	}
	r := failed("t", "a")
	r.Fault.Message, r.Fault.Details = text, text
	kept("server", oneXML(nil, computeNames[sm.Server], &r, &look{self: "http://h/", bookmark: "http://h/", admin: true}))
	r.Kind, r.Fault.Details = sm.Image, ""
	kept("image", oneXML(nil, computeNames[sm.Image], &r, &look{self: "http://h/", bookmark: "http://h/"}))
}

// said is a fault as a client reads it.
type said struct {
	element string
	code    int
	message string
	retryAt string
}

func readFault(tb testing.TB, body []byte, isXML bool) said {
	tb.Helper()
	if isXML {
		var f struct {
			XMLName xml.Name
			Code    int    `xml:"code,attr"`
			RetryAt string `xml:"retryAt,attr"`
			Message string `xml:"http://docs.openstack.org/compute/api/v1.1 message"`
		}
		if err := xml.Unmarshal(body, &f); err != nil || f.XMLName.Space != "http://docs.openstack.org/compute/api/v1.1" {
			tb.Fatalf("no fault: %v: %s", err, body)
		}
		return said{f.XMLName.Local, f.Code, f.Message, f.RetryAt}
	}
	var doc map[string]struct {
		Code             int
		Message, RetryAt string
	}
	if err := json.Unmarshal(body, &doc); err != nil || len(doc) != 1 {
		tb.Fatalf("no fault: %v: %s", err, body)
	}
	for element, f := range doc {
		return said{element, f.Code, f.Message, f.RetryAt}
	}
	return said{}
}

// TestComputeRequests_EndInEveryFault makes for each element of the table a request that ends in it. Those that only a
// job's fault can be called are read in TestInstanceActions_SayWhatSortOfFaultItWas.
func TestComputeRequests_EndInEveryFault(t *testing.T) {
	store := &fake{all: []sm.Resource{failed("t", "a")}}
	open := New(Config{Store: store})
	guarded := New(Config{Store: store, Tokens: []Token{{Name: "n", SHA256: sha256.Sum256([]byte("secret")), Tenant: "t"}}})
	limited := New(Config{Store: store, Limits: Limits{Rate: 0.001, Burst: 1}})
	get(t, limited, "/compute/v2.1/servers")
	for _, c := range []struct {
		element string
		code    int
		handler *Handler
		target  string
		headers []string
	}{
		{"computeFault", 500, New(Config{Store: &fake{panics: true}}), "/compute/v2.1/servers", nil},
		{"computeFault", 406, open, "/compute/v2.1/servers", []string{"OpenStack-API-Version", "compute 2.999"}},
		{"badRequest", 400, open, "/compute/v2.1/servers?limit=-1", nil},
		{"badRequest", 400, open, "/compute/v2.1/servers?marker=nothing%3Cb%3E", nil},
		{"unauthorized", 401, guarded, "/compute/v2.1/servers", nil},
		{"unauthorized", 401, guarded, "/compute/v2.1/t/nothing", []string{"X-Auth-Token", "wrong"}},
		{"forbidden", 403, guarded, "/compute/v2.1/other/servers", []string{"X-Auth-Token", "secret"}},
		{"itemNotFound", 404, open, "/compute/v2.1/servers/nothing", nil},
		{"itemNotFound", 404, open, "/compute/v2.1/t/nothing", nil},
		{"itemNotFound", 404, open, "/compute/v9/servers", nil},
		{"itemNotFound", 404, open, "/compute/v2.1/servers/a%00%3C%26", nil},
		{"badMethod", 405, open, "POST /compute/v2.1/servers", nil},
		{"badMethod", 405, open, "DELETE /compute/v2/t/servers/a", nil},
		{"overLimit", 413, limited, "/compute/v2.1/servers", nil},
		{"badMediaType", 415, open, "/compute/v2.1/servers", []string{"Accept", "image/png"}},
		{"notImplemented", 501, open, "/compute/v2.1/flavors", nil},
		{"notImplemented", 501, open, "POST /compute/v2.1/servers/a/action", nil},
		{"serviceUnavailable", 503, New(Config{Store: &fake{err: errors.New("canary")}}), "/compute/v2.1/servers", nil},
	} {
		if len(c.headers) > 0 && c.headers[0] == "Accept" { // no type is left to say it in but the usual one
			checkComputeFault(t, c.target, get(t, c.handler, c.target, c.headers...), c.element, c.code, false)
			continue
		}
		checkComputeFault(t, c.target, get(t, c.handler, c.target, c.headers...), c.element, c.code, false)
		checkComputeFault(t, c.target+" in XML", get(t, c.handler, c.target, append([]string{"Accept", "application/xml"}, c.headers...)...), c.element, c.code, true)
	}
}

func checkComputeFault(t *testing.T, name string, w *httptest.ResponseRecorder, element string, code int, isXML bool) {
	t.Helper()
	contentType := "application/json; charset=UTF-8"
	if isXML {
		contentType = "application/xml; charset=UTF-8"
	}
	head := w.Header()
	f := readFault(t, w.Body.Bytes(), isXML)
	if w.Code != code || f.code != code || f.element != element || f.message == "" || contains(w.Body.String(), "canary") {
		t.Errorf("%s: %d %s, want %d %s", name, w.Code, w.Body, code, element)
	}
	if head.Get("Content-Type") != contentType || !contains(head.Get("Vary"), "Accept") || head.Get("X-Compute-Request-Id") == "" {
		t.Errorf("%s: %v", name, head)
	}
	if element != "overLimit" {
		if f.retryAt != "" {
			t.Errorf("%s: retryAt %s", name, f.retryAt)
		}
		return
	}
	at, err := time.Parse("2006-01-02T15:04:05Z", f.retryAt)
	wait, err2 := strconv.Atoi(head.Get("Retry-After"))
	if err != nil || err2 != nil || wait < 1 || at.IsZero() {
		t.Errorf("%s: retryAt %q, Retry-After %q", name, f.retryAt, head.Get("Retry-After"))
	}
}
