package main

import (
	"net"
	"strings"
	"testing"
)

// Clients that ask for much and read nothing hold up neither others nor the end.
func TestServe_ClientsThatReadNothing(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	d.publish(t, sample)
	ask := strings.Repeat("GET /v1/resources?limit=1000 HTTP/1.1\r\nHost: h\r\n\r\n", 2000)
	for range 16 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(d.http, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(ask)); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		var all struct{ Resources []struct{ ID string } }
		if d.get(t, "/v1/resources?limit=1000", &all); len(all.Resources) < 10 {
			t.Fatalf("%d resources", len(all.Resources))
		}
	}
	d.publish(t, sample) // it applies, too
	if code := d.stop(); code != exitDone {
		t.Errorf("it ended with exit code %d:\n%s", code, d.log)
	}
}
