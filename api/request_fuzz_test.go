package api_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"faultd/api"
)

// canned is a connection whose client has sent something and reads what it is answered.
type canned struct {
	net.Conn
	from io.Reader
	once sync.Once
	done chan struct{} // closed when the server has closed it

	mu sync.Mutex // guards to
	to bytes.Buffer
}

func (c *canned) Read(p []byte) (int, error) { return c.from.Read(p) }

func (c *canned) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.to.Write(p)
}

func (c *canned) Close() error {
	c.once.Do(func() { close(c.done) })
	return nil
}

func (c *canned) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }
func (c *canned) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 80} }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// clients is a listener that hands out connections as they are given to it.
type clients chan net.Conn

func (c clients) Accept() (net.Conn, error) {
	conn, ok := <-c
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (c clients) Close() error   { return nil }
func (c clients) Addr() net.Addr { return &net.TCPAddr{} }

var statusLine = regexp.MustCompile(`(?m)^HTTP/1\.[01] (\d{3}) `)

// FuzzRequest sends whatever bytes to a server over a store of two tenants, as a reader of one if the bytes say so.
func FuzzRequest(f *testing.F) {
	for _, m := range oddMounts {
		for _, path := range []string{m.base, m.base + m.list + "?limit=1&marker=theirs-server", m.base + m.one, m.base + "/theirs" + m.list} {
			f.Add([]byte(request("GET", path)))
			f.Add([]byte(request("HEAD", path, "Accept: application/xml")))
		}
	}
	f.Add([]byte(request("GET", "/v1/stream?tenant=theirs", "Last-Event-ID: 0")))
	f.Add([]byte(request("GET", "/v1/resources/server/theirs-server/history?tenant=mine")))
	f.Add([]byte("POST /volume/v3/mine/backups HTTP/1.1\r\nHost: h\r\nX-Auth-Token: reader\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + request("GET", "/metrics")))
	w := newMatrixWorld(f, true)
	server := api.NewServer("", w.handler)
	listener := make(clients)
	go func() { _ = server.Serve(listener) }()
	f.Cleanup(func() { close(listener) })
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("admin")) || bytes.Contains(text, []byte("all-reader")) || bytes.Contains(text, []byte("their-reader")) || bytes.Contains(text, []byte(alien)) {
			return // who may see it, or has said it
		}
		c := &canned{from: bytes.NewReader(text), done: make(chan struct{})}
		listener <- c
		<-c.done
		c.mu.Lock()
		defer c.mu.Unlock()
		got := c.to.String()
		if strings.Contains(got, alien) || strings.Contains(got, internal) {
			t.Errorf("it is shown what it may not see: %s", got)
		}
		for _, status := range statusLine.FindAllStringSubmatch(got, -1) {
			if status[1] == "500" || status[1] > "599" || http.StatusText(atoi(status[1])) == "" {
				t.Errorf("status %s: %s", status[1], got)
			}
		}
	})
}

func atoi(s string) (n int) {
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}
