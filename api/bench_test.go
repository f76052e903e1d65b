package api_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"faultd/api"
	sm "faultd/statemachine"
)

// BenchmarkGet_Server reads one server of 1,000 over loopback, and asks in turn a handler that returns the same bytes from
// memory, header fields and all. What counts is the ratio of their speeds, in one run.
func BenchmarkGet_Server(b *testing.B) {
	w := newWorld(b)
	w.fill(1000)
	store, memory := newGetter(b, w.handler), newGetter(b, same(w.get(serverOf(999))))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		memory.get(b, serverOf(999))
		store.get(b, serverOf(i%1000))
	}
	b.ReportMetric(memory.median()/store.median(), "of-constant")
	b.ReportMetric(store.median(), "ns/GET")
}

// serverOf is the path of a server that [world.fill] made.
func serverOf(i int) string {
	return "/compute/v2.1/t-" + strconv.Itoa(i%3) + "/servers/s-" + strconv.Itoa(i)
}

// same is a handler that gives one answer again and again.
func same(answer *httptest.ResponseRecorder) http.Handler {
	body := answer.Body.Bytes()
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		head := w.Header()
		for name, values := range answer.Header() {
			head[name] = values
		}
		_, _ = w.Write(body)
	})
}

// getter asks a real server over one connection that is kept, and notes how long each answer took.
type getter struct {
	client http.Client
	url    string
	took   []time.Duration
}

// median is in nanoseconds. What else the machine does now and then does not change it, as it would a mean.
func (g *getter) median() float64 {
	slices.Sort(g.took)
	return float64(g.took[len(g.took)/2])
}

func newGetter(tb testing.TB, handler http.Handler) *getter {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := api.NewServer("", handler)
	go func() { _ = server.Serve(listener) }()
	g := &getter{client: http.Client{Transport: &http.Transport{}}, url: "http://" + listener.Addr().String()}
	tb.Cleanup(func() {
		g.client.CloseIdleConnections()
		_ = server.Close()
	})
	return g
}

func (g *getter) get(tb testing.TB, path string) {
	tb.Helper()
	began := time.Now()
	answer, err := g.client.Get(g.url + path)
	if err != nil {
		tb.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	g.took = append(g.took, time.Since(began))
	if err != nil || answer.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), `{"server":{`) {
		tb.Fatalf("%s %s %v", answer.Status, body, err)
	}
}

// BenchmarkGet_WithoutNetwork is the handler alone, for each dialect.
func BenchmarkGet_WithoutNetwork(b *testing.B) {
	w := newWorld(b)
	w.fill(1000)
	w.apply(event("t/backup/b", sm.ActBackup, sm.PhaseSucceeded, named("backup-7"),
		attributes(`{"flavor":{"id":"m1.small"},"hostId":"e4d909c290d0fb1ca068ffafff22cbd0","cloud_id":"cloud-1"}`)))
	for _, c := range []struct{ name, path string }{
		{"v1", "/v1/resources/server/s-999?tenant=t-0"},
		{"compute", serverOf(999)},
		{"compute-xml", serverOf(999) + ".xml"},
		{"volume", "/volume/v3/t/backups/b"},
		{"cloud-backup", "/cloud-backup/v2/t/backups/b"},
		{"management", "/backup-management/v1/orgs/t/clouds/cloud-1/backups/b"},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, c.path, nil)
			b.ReportAllocs()
			for b.Loop() {
				answer := discard{head: http.Header{}}
				w.handler.ServeHTTP(&answer, r)
				if answer.status != http.StatusOK {
					b.Fatal(answer.status)
				}
			}
		})
	}
}

// discard takes an answer and keeps its status alone.
type discard struct {
	head   http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.head }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

func BenchmarkList_Page100(b *testing.B) {
	w := newWorld(b)
	w.fill(1000)
	b.ReportAllocs()
	for b.Loop() {
		if answer := w.get("/compute/v2.1/servers/detail?limit=100"); answer.Code != http.StatusOK {
			b.Fatal(answer.Code)
		}
	}
}
