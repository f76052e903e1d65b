package api_test

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"faultd/api"
)

// listen serves the world over a real socket, with the limits of a daemon's server but for what is changed.
func (w *world) listen(change func(*http.Server)) string {
	w.tb.Helper()
	server := api.NewServer("", w.handler)
	if change != nil {
		change(server)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.tb.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	w.tb.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

// exchange writes what a client should not and returns the answers to so many requests, fewer if the connection was
// closed before.
func exchange(tb testing.TB, addr, text string, requests int, method string) (answers []answer) {
	tb.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, text) }() // the server may have closed it by then
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		tb.Fatal(err)
	}
	from := bufio.NewReader(conn)
	for range requests {
		r, err := http.ReadResponse(from, &http.Request{Method: method})
		var late net.Error
		switch {
		case errors.As(err, &late) && late.Timeout():
			tb.Fatalf("%.200q: no answer, and the connection stays open", text)
		case err != nil:
			return answers
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			tb.Errorf("%.200q: the answer breaks off: %v", text, err)
		}
		if r.Close {
			r.Header.Set("Connection", "close")
		}
		answers = append(answers, answer{r.StatusCode, r.Header, string(body)})
	}
	return answers
}

// sound tells what is wrong with an answer, whatever it is the answer to.
func (a answer) sound(mount string) error {
	switch {
	case a.status == http.StatusInternalServerError || a.status < 200 || a.status > 599:
		return fmt.Errorf("status %d", a.status)
	case strings.Contains(fmt.Sprint(a.head, a.body), alien):
		return errors.New("it shows what is another tenant's")
	case a.head.Get("X-Openstack-Request-Id") == "":
		// Nobody has understood the request, so there is no mount in whose dialect to answer it.
		if a.status < 400 || a.head.Get("Connection") != "close" {
			return fmt.Errorf("not the handler's: %d %v", a.status, a.head)
		}
		return nil
	case a.status < 400 || a.body == "":
		return nil
	case strings.Contains(a.head.Get("Content-Type"), "xml"):
		return soundXML(a)
	default:
		return soundJSON(a, mount)
	}
}

func soundXML(a answer) error {
	var f struct {
		XMLName xml.Name
		Code    int    `xml:"code,attr"`
		Message string `xml:"message"`
	}
	if err := xml.Unmarshal([]byte(a.body), &f); err != nil || f.Code != a.status || f.Message == "" || f.XMLName.Space == "" {
		return fmt.Errorf("no fault (%s): %s", fmt.Sprint(err), a.body)
	}
	return nil
}

// soundJSON tells whether a body is a fault as that mount says it.
func soundJSON(a answer, mount string) error {
	var members map[string]any
	if err := json.Unmarshal([]byte(a.body), &members); err != nil {
		return fmt.Errorf("%w: %s", err, a.body)
	}
	var has bool
	switch mount {
	case "compute", "volume":
		for _, v := range members {
			inner, _ := v.(map[string]any)
			has = len(members) == 1 && inner["code"] == float64(a.status) && inner["message"] != ""
		}
	case "cloud-backup":
		_, list := members["errors"].([]any)
		has = list && members["message"] != ""
	case "backup-management":
		_, text := members["errorCode"].(string)
		has = text && members["errorMessage"] != ""
	default:
		has = members["status"] == float64(a.status) && members["detail"] != "" && a.head.Get("Content-Type") == "application/problem+json"
	}
	if !has {
		return fmt.Errorf("no fault of %s: %d %s", mount, a.status, a.body)
	}
	return nil
}

// oddMounts are those that the odd requests are sent to, with a list and a resource of each.
var oddMounts = []struct{ name, base, list, one string }{
	{"compute", "/compute/v2.1", "/servers/detail", "/servers/mine-server"},
	{"compute", "/compute/v2/mine", "/images/detail", "/images/mine-image"},
	{"volume", "/volume/v3/mine", "/backups/detail", "/backups/mine-backup"},
	{"volume", "/volume/v3", "/messages", "/messages/x"},
	{"cloud-backup", "/cloud-backup/v2/mine", "/backups", "/backups/mine-backup"},
	{"backup-management", "/backup-management/v1/orgs/mine/clouds/cloud", "/exports", "/exports/mine-export"},
	{"v1", "/v1", "/resources", "/resources/server/mine-server"},
	{"v1", "/v1", "/faults", "/resources/server/mine-server/history"},
}

// TestOdd_Paths and the tests below send what no client should over a real socket: the answer is a fault in the mount's
// dialect, or the connection is closed; it is never a 500, and never shows what is another tenant's.
func TestOdd_Paths(t *testing.T) {
	w := newMatrixWorld(t, true)
	addr := w.listen(nil)
	long := strings.Repeat("x", 10_000)
	for _, m := range oddMounts {
		for _, path := range []string{m.base, m.base + m.list, m.base + m.one} {
			for _, odd := range []string{"/..", "/../../theirs/servers/theirs-server", "/%2e%2e/%2e%2e", "/%2e%2e%2ftheirs", "/a%2fb", "%2ftheirs-server", "/%00", "%00", "/a%00b",
				"/%ff%fe", "/%c0%ae%c0%ae/", "/%ed%a0%80", "/" + long, "/" + strings.Repeat("%41", 4000), strings.Repeat("/x", 4000), "//", "//theirs", "/./", ";theirs", "/%25%32%66",
				"/<script>", "/{}", "/**", "/a\\b", "/%0d%0aX-Injected:%20y", "/%zz", "/%", "/*", "/'or'1'='1", "/.json", "/.xml", ".xml", ".json.xml", "/~", "/%e2%80%ae"} {
				got := exchange(t, addr, request("GET", path+odd), 1, "GET")
				if len(got) == 0 {
					continue
				}
				if err := got[0].sound(m.name); err != nil {
					t.Errorf("%s%.60s: %v", path, odd, err)
				}
				if got[0].head.Get("X-Injected") != "" {
					t.Errorf("%s%.60s: a header got in: %v", path, odd, got[0].head)
				}
			}
		}
	}
}

// request is one of a reader of the tenant mine.
func request(method, target string, headers ...string) string {
	text := method + " " + target + " HTTP/1.1\r\nHost: h\r\nX-Auth-Token: reader\r\nConnection: close\r\n"
	for _, h := range headers {
		text += h + "\r\n"
	}
	return text + "\r\n"
}

func TestOdd_Parameters(t *testing.T) {
	w := newMatrixWorld(t, true)
	addr := w.listen(nil)
	huge := strings.Repeat("9", 400)
	for _, m := range oddMounts {
		for query, status := range map[string]int{ // 0: any that is sound; what a path does not know it leaves alone
			"limit=-1": 400, "limit=-" + huge: 400, "limit=": 400, "limit=x": 400, "limit=1e3": 400, "limit=0x10": 400, "limit=+1": 0, "limit=1.5": 400, "limit=%00": 400,
			"limit=" + huge: 0, "limit=1001": 200, "limit=0": 200, "limit=18446744073709551616": 0, "limit=9223372036854775807": 200, "limit=1&limit=2": 200,
			"limit=1&limit=x": 200, "unknown=1": 200, "unknown": 200, "=": 200, "&&&": 200, "?": 200, "a=b=c": 200,
			"marker=theirs-server": 400, "marker=theirs%2Fserver%2Ftheirs-server": 400, "marker=": 400, "marker=%00": 400, "marker=..": 400, "marker=%ff": 400,
			"marker=" + strings.Repeat("x", 10_000): 400, "marker=a%2Fb%2Fc%2Fd": 400, "marker=nothing": 400,
			"status=%ff": 0, "status=" + strings.Repeat("x", 5000): 0, "status=": 0, "changes-since=x": 0, "changes-since=0000-00-00": 0, "changes-since=" + huge: 0,
			"all_tenants=maybe": 0, "tenant=..": 0, "tenant=theirs": 0, "name=(": 0, "name=" + strings.Repeat("(a*)*", 50): 0, "code=9999": 0, "kind=theirs": 0,
			"%zz=1": 400, "a=%": 400, "a;b": 400, "limit=1;limit=2": 400,
		} {
			got := exchange(t, addr, request("GET", m.base+m.list+"?"+query), 1, "GET")
			if len(got) != 1 {
				t.Errorf("%s?%.60s: no answer", m.base+m.list, query)
				continue
			}
			if err := got[0].sound(m.name); err != nil || got[0].status >= 500 && got[0].status != 501 {
				t.Errorf("%s?%.60s: %d, %v", m.base+m.list, query, got[0].status, err)
			}
			if status != 0 && got[0].status != status && got[0].status != 501 {
				t.Errorf("%s?%.60s: %d %.300s, want %d", m.base+m.list, query, got[0].status, got[0].body, status)
			}
		}
	}
}

func TestOdd_Headers(t *testing.T) {
	w := newMatrixWorld(t, true)
	addr := w.listen(nil)
	for _, m := range oddMounts {
		for _, header := range []string{"Accept: nonsense", "Accept: ;;;,,,", "Accept: */*;q=nan", "Accept: application/json;q=-1", "Accept: application/xml;q=1e309", "Accept: /", "Accept: " + strings.Repeat("a/b,", 3000),
			"Accept: \xff\xfe", "Accept: application/json\x00", "X: " + strings.Repeat("x", 20_000), "X: " + strings.Repeat("x", 200_000), strings.Repeat("X: y\r\n", 3000) + "Z: z", "X-Auth-Token: reader",
			"X-Auth-Token: their-admin", "Authorization: Bearer their-admin", "Authorization: Bearer reader", "Authorization: Bearer", "Authorization: Basic \xff", "Host: other", "Transfer-Encoding: gzip",
			"Transfer-Encoding: chunked\r\nContent-Length: 5", "Content-Length: 5\r\nContent-Length: 6", "Content-Length: -1", "Content-Length: 99999999999999999999", "Expect: 100-continue", "Expect: nonsense", "Upgrade: h2c\r\nConnection: Upgrade",
			"Range: bytes=0-1", "If-None-Match: *", "If-None-Match: \"", "Last-Event-ID: -1", "OpenStack-API-Version: compute 2.x, volume ", "X-OpenStack-Nova-API-Version: \xff", "X-HTTP-Method-Override: DELETE",
			" folded: y", "no-colon", ": empty", "a b: c", "X\x00: y", "X: a\rb"} {
			for _, path := range []string{m.list, m.one} {
				got := exchange(t, addr, request("GET", m.base+path, header), 1, "GET")
				if len(got) == 0 {
					continue
				}
				if err := got[0].sound(m.name); err != nil {
					t.Errorf("%s, %.60q: %v", m.base+path, header, err)
				}
				if got[0].status == http.StatusOK && strings.Contains(header, "their-admin") {
					t.Errorf("%s, %.60q: served with two tokens", m.base+path, header)
				}
			}
		}
	}
}

func TestOdd_RequestLines(t *testing.T) {
	w := newMatrixWorld(t, true)
	addr := w.listen(nil)
	const head = "Host: h\r\nX-Auth-Token: reader\r\nConnection: close\r\n\r\n"
	for _, line := range []string{"GET http://elsewhere/compute/v2.1/theirs/servers/theirs-server HTTP/1.1", "GET //elsewhere/compute/v2.1/servers HTTP/1.1", "GET * HTTP/1.1", "OPTIONS * HTTP/1.1", "CONNECT h:80 HTTP/1.1",
		"CONNECT /compute HTTP/1.1", "TRACE /compute/v2.1/servers HTTP/1.1", "PRI * HTTP/2.0", "GET /compute/v2.1/servers HTTP/0.9", "GET /compute/v2.1/servers HTTP/1.0", "GET /compute/v2.1/servers HTTP/9.9", "GET /compute/v2.1/servers", "GET",
		"", "get /compute/v2.1/servers HTTP/1.1", "G\xffT / HTTP/1.1", "GET /compute/v2.1/se rvers HTTP/1.1", "GET  /compute HTTP/1.1", "GET compute HTTP/1.1", "GET ../compute HTTP/1.1", "GET /\x00 HTTP/1.1", "GET /\xff HTTP/1.1",
		"GET ?x HTTP/1.1", "GET # HTTP/1.1", "GET /compute#/v2.1 HTTP/1.1", strings.Repeat("A", 1000) + " / HTTP/1.1", "GET /" + strings.Repeat("a", 100_000) + " HTTP/1.1", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"} {
		method, _, _ := strings.Cut(line, " ")
		for _, got := range exchange(t, addr, line+"\r\n"+head, 1, method) {
			mount := "compute"
			if got.head.Get("Content-Type") == "application/problem+json" { // many of these lead nowhere
				mount = "none"
			}
			if err := got.sound(mount); err != nil {
				t.Errorf("%.80q: %v", line, err)
			}
		}
	}
}

// TestOdd_Bodies sends bodies where none belongs, and then another request on the same connection: the body is not
// taken for it.
func TestOdd_Bodies(t *testing.T) {
	w := newMatrixWorld(t, true)
	addr := w.listen(nil)
	smuggled := "GET /v1/resources HTTP/1.1\r\nHost: h\r\nX-Auth-Token: their-admin\r\n\r\n"
	for _, m := range oddMounts {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h\r\nX-Auth-Token: reader\r\nContent-Length: %d\r\n\r\n%s", method, m.base+m.one, len(smuggled), smuggled) +
				request("GET", m.base+m.list)
			got := exchange(t, addr, text, 3, method)
			if len(got) != 2 {
				t.Errorf("%s %s: %d answers", method, m.base+m.one, len(got))
			}
			for _, a := range got {
				if err := a.sound(m.name); err != nil {
					t.Errorf("%s %s: %v", method, m.base+m.one, err)
				}
			}
			chunked := method + " " + m.base + m.one + " HTTP/1.1\r\nHost: h\r\nX-Auth-Token: reader\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
			for _, a := range exchange(t, addr, chunked, 1, method) {
				if err := a.sound(m.name); err != nil {
					t.Errorf("%s %s, chunked: %v", method, m.base+m.one, err)
				}
			}
		}
	}
	for _, a := range exchange(t, addr, request("POST", "/compute/v2.1/servers", "Content-Length: 1000000")+strings.Repeat("x", 1_000_000), 1, "POST") {
		if err := a.sound("compute"); err != nil || a.status != http.StatusMethodNotAllowed {
			t.Errorf("a large body: %d, %v", a.status, err)
		}
	}
}

// TestOdd_Pipelining sends many requests before it reads an answer. They come in order, each to its own token.
func TestOdd_Pipelining(t *testing.T) {
	w := newMatrixWorld(t, true)
	addr := w.listen(nil)
	var text strings.Builder
	const requests = 60
	for i := range requests {
		token := [...]string{"reader", "their-reader", "bad"}[i%3]
		closing := map[bool]string{true: "Connection: close\r\n"}[i == requests-1]
		fmt.Fprintf(&text, "GET /compute/v2.1/servers/mine-server-%d HTTP/1.1\r\nHost: h\r\nX-Auth-Token: %s\r\n%s\r\n", i%5, token, closing)
	}
	got := exchange(t, addr, text.String(), requests, "GET")
	if len(got) != requests {
		t.Fatalf("%d answers to %d requests", len(got), requests)
	}
	for i, a := range got {
		want := [...]int{http.StatusNotFound, http.StatusNotFound, http.StatusUnauthorized}[i%3]
		if i%3 == 0 && slices.Contains([]int{2, 3, 4}, i%5) {
			want = http.StatusOK
		}
		if a.status != want {
			t.Errorf("answer %d: %d %s, want %d", i, a.status, a.body, want)
		}
		if id := "mine-server-" + strconv.Itoa(i%5); want == http.StatusOK && !strings.Contains(a.body, id) {
			t.Errorf("answer %d is not about %s: %s", i, id, a.body)
		}
	}
}

// TestOdd_SlowClients sends a part and then nothing: each is left when its time is over, and others are served
// meanwhile.
func TestOdd_SlowClients(t *testing.T) {
	w := newMatrixWorld(t, true)
	addr := w.listen(func(s *http.Server) {
		s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout = 100*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond
	})
	for _, part := range []string{"", "G", "GET /compute/v2.1/servers HTTP/1.1\r\n", "GET /compute/v2.1/servers HTTP/1.1\r\nHost: h\r\nX-Auth-Token: rea",
		"POST /compute/v2.1/servers HTTP/1.1\r\nHost: h\r\nX-Auth-Token: reader\r\nContent-Length: 100\r\n\r\nx",
		"GET /compute/v2.1/servers/detail HTTP/1.1\r\nHost: h\r\nX-Auth-Token: reader\r\nContent-Length: 100\r\n\r\n",
		"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"} {
		for _, a := range exchange(t, addr, part, 2, "GET") { // it returns when the connection is closed
			if err := a.sound("compute"); err != nil {
				t.Errorf("%q: %v", part, err)
			}
		}
		if got := exchange(t, addr, request("GET", "/livez"), 1, "GET"); len(got) != 1 || got[0].status != http.StatusOK {
			t.Errorf("another client meanwhile: %v", got)
		}
	}
}
