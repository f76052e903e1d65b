package api

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	sm "faultd/statemachine"
)

func TestSplitPath_DecodesOnce(t *testing.T) {
	for path, want := range map[string][]string{
		"/":                 {""},
		"/a/b":              {"a", "b"},
		"/a/b/":             {"a", "b", ""},
		"/a//b":             {"a", "", "b"},
		"/a%2Fb/c":          {"a/b", "c"},
		"/a%252Fb":          {"a%2Fb"},
		"/a/../b":           {"a", "..", "b"},
		"/a/%2e%2E/b":       {"a", "..", "b"},
		"/a%00b/c%2F%ff":    {"a\x00b", "c/\xff"},
		"/caf%C3%A9/b%20c":  {"café", "b c"},
		"/compute/v2.1/x+y": {"compute", "v2.1", "x+y"},
	} {
		u, err := url.Parse("http://host" + path)
		if err != nil {
			t.Fatal(err)
		}
		if got := splitPath(u); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "A-z_09": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a.b": false, "..": false, "a/b": false, "a\x00": false, "é": false, "a b": false,
	} {
		if got := validName(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

// raw sends a request as it is written and returns the answer, its body closed.
func raw(tb testing.TB, addr, request string) *http.Response {
	tb.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(request)); err != nil {
		tb.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		tb.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer
}

// TestRoutes_OddPathsAreFaults sends what no client should, over the wire and by itself.
func TestRoutes_OddPathsAreFaults(t *testing.T) {
	h := New(Config{Store: &fake{all: []sm.Resource{failed("t", "a")}}})
	server := httptest.NewServer(h)
	defer server.Close()
	long := strings.Repeat("x", 10_000)
	for _, base := range []string{"/compute", "/compute/v2.1", "/compute/v2.1/t", "/compute/v2.1/servers", "/compute/v2/t/images",
		"/compute/v2.1/servers/a", "/compute/v2.1/servers/a/os-instance-actions", "/v1", "/v1/resources", "/v1/resources/server",
		"/v1/resources/server/a", "/volume/v3", "/nothing", ""} {
		for _, odd := range []string{"/a%2Fb", "/..", "/%2e%2e", "/%2e%2e%2f%2e%2e%2fetc", "/a%00b", "/%ff%fe", "/" + long, "//", "//a", "/a//",
			"/.", "/%20", "/a;b=c", "/%25", "/<script>", "/" + strings.Repeat("/", 500)} {
			answer := raw(t, server.Listener.Addr().String(), "GET "+base+odd+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			if answer.StatusCode != 404 && answer.StatusCode != 400 && answer.StatusCode != 501 {
				t.Errorf("%s%.40s: %s", base, odd, answer.Status)
			}
			if answer.Header.Get("X-Openstack-Request-Id") == "" {
				t.Errorf("%s%.40s: not answered by the handler: %v", base, odd, answer.Header)
			}
		}
	}
}

func TestRoutes_TenantIsWhatIsNoCollection(t *testing.T) {
	h := New(Config{Store: &fake{all: []sm.Resource{failed("servers-of-t", "a"), failed("t", "b")}}})
	for target, status := range map[string]int{
		"/compute/v2.1/t/servers/b":            200,
		"/compute/v2.1/t/servers/a":            404,
		"/compute/v2.1/servers-of-t/servers/a": 200,
		"/compute/v2.1/flavors":                501,
		"/compute/v2.1/flavors/servers/a":      501,
		"/compute/v2.1/t/flavors/detail":       501,
		"/compute/v2.1/t/limits":               501,
		"/compute/v2.1/os-keypairs":            501,
		"/compute/v2.1/t/os-keypairs/x":        501,
		"/compute/v2.1/servers/b/action":       501,
		"/compute/v2.1/servers/b/metadata/key": 501,
		"/compute/v2.1/images/b/metadata":      501,
		"/compute/v2.1/servers/b/nothing":      404,
		"/compute/v2.1/t/nothing":              404,
		"/compute/v2.1/t/u/servers":            404,
		"/compute/v2.1/servers/":               404,
		"/compute/v2.1/t":                      200,
		"/compute/v2.1/t/":                     200,
		"/compute/v3":                          404,
		"/compute/v2.10/servers":               404,
	} {
		if w := get(t, h, target); w.Code != status {
			t.Errorf("%s: %d %s, want %d", target, w.Code, w.Body, status)
		}
	}
}

func TestRoutes_Methods(t *testing.T) {
	h := New(Config{Store: &fake{all: []sm.Resource{failed("t", "a")}}})
	for _, target := range []string{"/compute", "/compute/v2.1/", "/compute/v2.1/servers", "/compute/v2.1/t/servers/a", "/compute/v2/images/detail",
		"/compute/v2.1/servers/a/os-instance-actions", "/v1/resources", "/v1/stream", "/v1/position", "/v1/hooks", "/v1/hooks/pager/dead", "/", "/livez", "/readyz", "/metrics"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"} {
			w := get(t, h, method+" "+target)
			if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d %s", method, target, w.Code, w.Header())
			}
		}
	}
	if name, code := element(t, get(t, h, "POST /compute/v2.1/servers").Body.Bytes()); name != "badMethod" || code != 405 {
		t.Errorf("405 is %s %d", name, code)
	}
	if w := get(t, h, "POST /compute/v2.1/t/servers/a/action"); w.Code != 501 {
		t.Errorf("an action: %d", w.Code)
	}
	if w := get(t, h, "POST /v1/nothing"); w.Code != 404 {
		t.Errorf("POST to nowhere: %d", w.Code)
	}
}

func TestRoutes_HeadIsGetWithoutBody(t *testing.T) {
	h := New(Config{Store: &fake{all: []sm.Resource{failed("t", "a")}}})
	for _, target := range []string{"/compute", "/compute/v2.1", "/compute/v2.1/servers/detail", "/compute/v2.1/servers/a", "/compute/v2.1/servers/b",
		"/v1/resources", "/v1/summary", "/v1/position", "/v1/hooks", "/v1/nothing", "/volume", "/", "/livez", "/readyz"} {
		want, got := get(t, h, target), get(t, h, "HEAD "+target)
		if got.Code != want.Code || got.Body.Len() != 0 || got.Header().Get("Content-Length") != want.Header().Get("Content-Length") ||
			got.Header().Get("Content-Type") != want.Header().Get("Content-Type") {
			t.Errorf("%s: HEAD %d %v, GET %d %v", target, got.Code, got.Header(), want.Code, want.Header())
		}
	}
}

func TestRoutes_OtherTypesAreRefused(t *testing.T) {
	h := New(Config{Store: &fake{}})
	if name, code := element(t, get(t, h, "/compute/v2.1/servers", "Accept", "image/png").Body.Bytes()); name != "badMediaType" || code != 415 {
		t.Errorf("got %s %d", name, code)
	}
	if w := get(t, h, "/v1/resources", "Accept", "text/html"); w.Code != 415 {
		t.Errorf("v1: %d", w.Code)
	}
}

func TestHeaders_EveryAnswerHasThem(t *testing.T) {
	h := New(Config{Store: &fake{all: []sm.Resource{failed("t", "a")}}})
	seen := map[string]bool{}
	for _, target := range []string{"/", "/livez", "/readyz", "/metrics", "/openapi.json", "/nothing", "/v1/resources", "/v1/x", "/volume",
		"/compute", "/compute/v2.1/servers/a", "/compute/v2.1/servers/b", "POST /compute/v2.1/servers"} {
		head := get(t, h, target).Header()
		id := head.Get("X-Openstack-Request-Id")
		if len(id) != len("req-52415800-8b69-41e0-9b19-734f0000ffff") || !strings.HasPrefix(id, "req-") || id[18] != '4' ||
			!strings.ContainsRune("89ab", rune(id[23])) || seen[id] {
			t.Errorf("%s: request id %q", target, id)
		}
		seen[id] = true
		if got, want := head.Get("X-Faultd-Position"), "JOBS/1970-01-01T00:00:01.000000001Z/42"; got != want {
			t.Errorf("%s: position %q, want %q", target, got, want)
		}
		if compute := contains(target, "/compute"); compute != (head.Get("X-Compute-Request-Id") == id) {
			t.Errorf("%s: X-Compute-Request-Id %q", target, head.Get("X-Compute-Request-Id"))
		}
	}
}

func TestParseTime(t *testing.T) {
	const at = 1281441600 * 1_000_000_000 // 2010-08-10T12:00:00Z
	for value, want := range map[string]sm.Time{
		"2010-08-10T12:00:00Z":        at,
		"2010-08-10T12:00:00":         at,
		"2010-08-10 12:00:00":         at,
		"2010-08-10T12:00:00.5":       at + 500_000_000,
		"2010-08-10T14:00:00+02:00":   at,
		"2010-08-10T14:00:00 02:00":   at,
		"2010-08-10T12:00":            at,
		"2010-08-10":                  at - 12*3600*1_000_000_000,
		"1970-01-01T00:00:00Z":        1,
		"1500-01-01T00:00:00Z":        1,
		"0001-01-01T00:00:00Z":        1,
		"9999-01-01T00:00:00Z":        1<<63 - 1,
		"2010-08-10T12:00:00.0000001": at + 100,
	} {
		if got, ok := parseTime(value); !ok || got != want {
			t.Errorf("%s: %d %v, want %d", value, got, ok, want)
		}
	}
	for _, value := range []string{"", "x", "2010", "2010-13-01", "12:00", "1281441600", "2010-08-10T25:00:00Z"} {
		if got, ok := parseTime(value); ok {
			t.Errorf("%q is read as %d", value, got)
		}
	}
}

func TestMicroversions(t *testing.T) {
	h := New(Config{Store: &fake{}})
	for _, c := range []struct {
		header, value string
		status        int
		want          string
	}{
		{"Accept", "*/*", 200, "2.1"},
		{"OpenStack-API-Version", "compute 2.51", 200, "2.51"},
		{"OpenStack-API-Version", "identity 3.0, compute 2.51", 200, "2.51"},
		{"OpenStack-API-Version", "volume 3.99", 200, "2.1"},
		{"OpenStack-API-Version", "compute latest", 200, "2.104"},
		{"X-OpenStack-Nova-API-Version", "2.53", 200, "2.53"},
		{"X-OpenStack-Nova-API-Version", "2.999", 406, "2.1"},
		{"X-OpenStack-Nova-API-Version", "2.0", 406, "2.1"},
		{"X-OpenStack-Nova-API-Version", "3.1", 406, "2.1"},
		{"X-OpenStack-Nova-API-Version", "2.01", 400, "2.1"},
		{"X-OpenStack-Nova-API-Version", "two", 400, "2.1"},
		{"X-OpenStack-Nova-API-Version", "2.99999999999999999999", 400, "2.1"},
	} {
		w := get(t, h, "/compute/v2.1/servers", c.header, c.value)
		head := w.Header()
		if w.Code != c.status || head.Get("OpenStack-API-Version") != "compute "+c.want || head.Get("X-OpenStack-Nova-API-Version") != c.want ||
			!contains(head.Get("Vary"), "OpenStack-API-Version") {
			t.Errorf("%s %s: %d %v", c.header, c.value, w.Code, head)
		}
	}
	w := get(t, h, "/compute/v2.1/servers", "X-OpenStack-Nova-API-Version", "2.999")
	want := `{"computeFault":{"code":406,"message":"Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.104."}}`
	if w.Body.String() != want {
		t.Errorf("got %s", w.Body)
	}
	if w := get(t, h, "/compute/v2/servers", "X-OpenStack-Nova-API-Version", "2.999"); w.Code != 200 || w.Header().Get("Vary") != "Accept" {
		t.Errorf("v2 has no microversions, but answers %d %v", w.Code, w.Header())
	}
}
