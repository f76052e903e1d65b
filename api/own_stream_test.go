package api

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	sm "faultd/statemachine"
)

// serve listens with the limits of NewServer, made short where that is told.
func serve(tb testing.TB, h *Handler, change func(*http.Server)) string {
	tb.Helper()
	server := NewServer("", h)
	if change != nil {
		change(server)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	tb.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}

// stream opens a stream that ends with the test.
func stream(tb testing.TB, target string) *http.Response {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	tb.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		tb.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

func quiet() *fake {
	return &fake{changed: make(chan struct{}), changes: func(uint64) ([]sm.Change, bool) { return nil, true }}
}

func TestStream_QuietOneOutlivesTheServersLimits(t *testing.T) {
	h := New(Config{Store: quiet()})
	h.heartbeat = 20 * time.Millisecond
	url := serve(t, h, func(s *http.Server) {
		s.ReadTimeout, s.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	})
	lines := bufio.NewReader(stream(t, url+"/v1/stream").Body)
	for beats := 0; beats < 20; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("after %d beats: %v", beats, err)
		}
		if strings.HasPrefix(line, ":") {
			beats++
		}
	}
}

func TestStream_EndsAtShutdown(t *testing.T) {
	done := make(chan struct{})
	h := New(Config{Store: quiet(), Done: done})
	url := serve(t, h, nil)
	lines := bufio.NewReader(stream(t, url+"/v1/stream").Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	close(done)
	for {
		if _, err := lines.ReadString('\n'); err != nil {
			break
		}
	}
	if answer := stream(t, url+"/v1/stream"); answer.StatusCode != 503 {
		t.Errorf("a stream opened after that: %s", answer.Status)
	}
}

func TestStream_NumberIsBounded(t *testing.T) {
	url := serve(t, New(Config{Store: quiet(), MaxStreams: 2}), nil)
	for range 2 {
		if answer := stream(t, url+"/v1/stream"); answer.StatusCode != 200 {
			t.Fatal(answer.Status)
		}
	}
	answer := stream(t, url+"/v1/stream")
	if answer.StatusCode != 429 || answer.Header.Get("Retry-After") == "" {
		t.Errorf("the third: %s %v", answer.Status, answer.Header)
	}
}

// TestStream_SlowClientIsLeft has a client that reads nothing of more than any buffer holds.
func TestStream_SlowClientIsLeft(t *testing.T) {
	store := quiet()
	row := sm.Change{Key: sm.Key{Tenant: "t", Kind: sm.Server, ID: "a"}}
	row.Fault = &sm.Fault{Code: 400, Message: "m", Details: strings.Repeat("x", 64<<10)}
	store.changes = func(after uint64) ([]sm.Change, bool) {
		row.Sequence = after + 1
		return []sm.Change{row}, true
	}
	h := New(Config{Store: store, MaxStreams: 1})
	h.writeLimit = 20 * time.Millisecond
	url := serve(t, h, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /v1/stream HTTP/1.1\r\nHost: h\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	for opened := false; !opened; time.Sleep(time.Millisecond) {
		opened = len(h.streams) == 1
	}
	for left := false; !left; time.Sleep(time.Millisecond) { // the test's own deadline ends this if it never is
		left = len(h.streams) == 0
	}
}

func TestStream_Head(t *testing.T) {
	h := New(Config{Store: quiet()})
	w := get(t, h, "HEAD /v1/stream")
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream" || len(h.streams) != 0 {
		t.Errorf("%d %v, %d streams", w.Code, w.Header(), len(h.streams))
	}
}

func TestStream_BadLastEventID(t *testing.T) {
	h := New(Config{Store: quiet()})
	for _, target := range []string{"/v1/stream?last_event_id=x", "/v1/stream?last_event_id=-1", "/v1/stream?kind=x", "/v1/stream?tenant=%2F"} {
		if w := get(t, h, target); w.Code != 400 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
}

func TestReadyz(t *testing.T) {
	health := Health{State: "GAP", Reasons: []string{"messages 101 to 120 of JOBS were gone"}, Lag: 30}
	h := New(Config{Store: quiet(), Health: func() Health { return health }})
	w := get(t, h, "/readyz")
	if want := `{"state":"GAP","reasons":["messages 101 to 120 of JOBS were gone"],"lag":30}`; w.Code != 503 || w.Body.String() != want {
		t.Errorf("%d %s, want %s", w.Code, w.Body, want)
	}
	health = Health{State: "READY"}
	w = get(t, h, "/readyz")
	if want := `{"state":"READY","reasons":[],"lag":0}`; w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d %s, want %s", w.Code, w.Body, want)
	}
}

func TestMetrics(t *testing.T) {
	h := New(Config{Store: quiet()})
	get(t, h, "/compute/v2.1/servers")
	get(t, h, "/compute/v2.1/nothing/else")
	get(t, h, "/nothing")
	body := get(t, h, "/metrics").Body.String()
	for _, line := range []string{
		`faultd_resources{kind="server",status="ERROR"} 3`,
		`faultd_http_requests_total{code="200",mount="compute"} 1`,
		`faultd_http_requests_total{code="404",mount="compute"} 1`,
		`faultd_http_requests_total{code="404",mount="none"} 1`,
		`faultd_http_request_seconds_count{mount="compute"} 2`,
	} {
		if !contains(body, line+"\n") {
			t.Errorf("%s is not in\n%s", line, body)
		}
	}
}

func TestPage_EscapesWhatItShows(t *testing.T) {
	h := New(Config{Store: quiet(), Health: func() Health { return Health{State: "GAP", Reasons: []string{"<script>"}} }})
	w := get(t, h, "/")
	if body := w.Body.String(); w.Code != 200 || !contains(body, "/compute/v2.1") || contains(body, "<script>") {
		t.Errorf("%d %s", w.Code, body)
	}
}

var _ http.Handler = (*Handler)(nil)

func TestServer_OptionsStar(t *testing.T) {
	url := serve(t, New(Config{Store: quiet()}), nil)
	answer := raw(t, strings.TrimPrefix(url, "http://"), "OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if answer.Header.Get("X-Openstack-Request-Id") == "" {
		t.Errorf("%s %v", answer.Status, answer.Header)
	}
}
