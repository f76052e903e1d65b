package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	sm "faultd/statemachine"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func TestOwnFault_IsAProblemDocument(t *testing.T) {
	got := ownFault(&problem{status: 404, message: "no \"x\""}, "req-1", time.Time{})
	want := `{"type":"about:blank","title":"Not Found","status":404,"detail":"no \"x\"","request_id":"req-1"}`
	if got.status != 404 || got.contentType != "application/problem+json" || string(got.body) != want {
		t.Errorf("got %d %s %s, want %s", got.status, got.contentType, got.body, want)
	}
}

// element is the root element of a compute fault, and the code inside.
func element(tb testing.TB, body []byte) (string, int) {
	tb.Helper()
	var doc map[string]struct {
		Code    int
		Message string
	}
	if err := json.Unmarshal(body, &doc); err != nil || len(doc) != 1 {
		tb.Fatalf("no fault: %s: %v", body, err)
	}
	for name, f := range doc {
		if f.Message == "" {
			tb.Errorf("a fault without a message: %s", body)
		}
		return name, f.Code
	}
	return "", 0
}

func TestStoreErrors_BecomeProblems(t *testing.T) {
	secret := errors.New("canary: page 7 is broken")
	for _, target := range []string{
		"/compute/v2.1/servers", "/compute/v2.1/servers/detail", "/compute/v2.1/servers/a", "/compute/v2.1/t/servers/a",
		"/compute/v2.1/servers/a/os-instance-actions", "/compute/v2.1/servers?marker=a", "/compute/v2/images",
	} {
		w := get(t, New(Config{Store: &fake{all: []sm.Resource{failed("t", "a")}, err: secret}}), target)
		name, code := element(t, w.Body.Bytes())
		if w.Code != 503 || code != 503 || name != "serviceUnavailable" || contains(w.Body.String(), "canary") {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	for _, target := range []string{"/v1/resources", "/v1/resources/server/a", "/v1/faults", "/v1/rejected", "/v1/resources/server/a/history"} {
		w := get(t, New(Config{Store: &fake{all: []sm.Resource{failed("t", "a")}, err: secret}}), target)
		if w.Code != 503 || w.Header().Get("Content-Type") != "application/problem+json" || contains(w.Body.String(), "canary") {
			t.Errorf("%s: %d %s %s", target, w.Code, w.Header(), w.Body)
		}
	}
}

func TestPanic_BecomesAFault(t *testing.T) {
	h := New(Config{Store: &fake{panics: true}})
	w := get(t, h, "/compute/v2.1/servers")
	name, code := element(t, w.Body.Bytes())
	if w.Code != 500 || code != 500 || name != "computeFault" || contains(w.Body.String(), "secret") {
		t.Errorf("compute: %d %s", w.Code, w.Body)
	}
	w = get(t, h, "/v1/faults")
	if w.Code != 500 || w.Header().Get("Content-Type") != "application/problem+json" || contains(w.Body.String(), "secret") {
		t.Errorf("v1: %d %s", w.Code, w.Body)
	}
	if body := get(t, h, "/metrics").Body.String(); !contains(body, `faultd_http_requests_total{code="500",mount="compute"} 1`) {
		t.Errorf("the panic is not counted:\n%s", body)
	}
}

// only makes every caller one of a tenant.
func only(h *Handler, tenant string, admin bool) *Handler {
	h.identify = func(*http.Request) (caller, error) { return caller{tenant: tenant, admin: admin}, nil }
	return h
}

func TestCaller_SeesItsTenantOnly(t *testing.T) {
	h := only(New(Config{Store: &fake{all: []sm.Resource{failed("mine", "a"), failed("other", "b")}}}), "mine", false)
	for _, c := range []struct {
		target string
		status int
	}{
		{"/compute/v2.1/servers/a", 200},
		{"/compute/v2.1/mine/servers/a", 200},
		{"/compute/v2.1/servers/b", 404},
		{"/compute/v2.1/servers/b/os-instance-actions", 404},
		{"/compute/v2.1/other/servers/b", 403},
		{"/compute/v2.1/other/servers/detail", 403},
		{"/compute/v2.1/servers/detail?tenant=other", 403},
		{"/v1/resources?tenant=other", 403},
		{"/v1/resources/server/b", 404},
		{"/v1/resources/server/b?tenant=other", 403},
		{"/v1/resources/server/b/history", 404},
		{"/v1/summary?tenant=other", 403},
		{"/v1/stream?tenant=other", 403},
	} {
		if w := get(t, h, c.target); w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", c.target, w.Code, w.Body, c.status)
		}
	}
	for _, target := range []string{
		"/compute/v2.1/servers/detail", "/compute/v2.1/servers/detail?all_tenants=1", "/compute/v2.1/servers/a", "/v1/resources",
		"/v1/faults", "/v1/resources/server/a",
	} {
		w := get(t, h, target)
		if body := w.Body.String(); w.Code != 200 || contains(body, "other") || contains(body, "canary") || !contains(body, "mine") {
			t.Errorf("%s: %d %s", target, w.Code, body)
		}
	}
	if a, b := get(t, h, "/compute/v2.1/servers/b"), get(t, h, "/compute/v2.1/servers/c"); strings.ReplaceAll(b.Body.String(), " c ", " b ") != a.Body.String() {
		t.Errorf("a foreign server answers %s, a missing one %s", a.Body, b.Body)
	}
}

func TestIdentify_RefusalIsInTheDialect(t *testing.T) {
	h := New(Config{Store: &fake{}})
	h.identify = func(*http.Request) (caller, error) { return caller{}, &problem{status: 401, message: "no token"} }
	if name, code := element(t, get(t, h, "/compute/v2.1/servers").Body.Bytes()); name != "unauthorized" || code != 401 {
		t.Errorf("got %s %d", name, code)
	}
}
