package api_test

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"faultd/api"
)

// BenchmarkGet_Server reads one server of 1,000 over loopback; its ratio to BenchmarkGet_Constant is what counts.
func BenchmarkGet_Server(b *testing.B) {
	w := newWorld(b)
	w.fill(1000)
	benchmark(b, w.handler, func(i int) string {
		i %= 1000
		return "/compute/v2.1/t-" + strconv.Itoa(i%3) + "/servers/s-" + strconv.Itoa(i)
	})
}

// BenchmarkGet_Constant has a handler that returns the same bytes from memory.
func BenchmarkGet_Constant(b *testing.B) {
	w := newWorld(b)
	w.fill(1)
	body := w.get("/compute/v2.1/t-0/servers/s-0").Body.Bytes()
	constant := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"application/json"}
		w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
		_, _ = w.Write(body)
	})
	benchmark(b, constant, func(int) string { return "/" })
}

// BenchmarkGet_ServerWithoutNetwork is the handler alone.
func BenchmarkGet_ServerWithoutNetwork(b *testing.B) {
	w := newWorld(b)
	w.fill(1000)
	b.ReportAllocs()
	for b.Loop() {
		if answer := w.get("/compute/v2.1/t-0/servers/s-999"); answer.Code != http.StatusOK {
			b.Fatal(answer.Code)
		}
	}
}

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

// benchmark asks a real server over one connection that is kept.
func benchmark(b *testing.B, handler http.Handler, target func(i int) string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := api.NewServer("", handler)
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() { _ = server.Close() })
	url := "http://" + listener.Addr().String()
	client := &http.Client{Transport: &http.Transport{}}
	b.Cleanup(client.CloseIdleConnections)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		answer, err := client.Get(url + target(i))
		if err != nil {
			b.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), `{"server":{`) {
			b.Fatalf("%s %s %v", answer.Status, body, err)
		}
	}
}
