package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	sm "faultd/statemachine"
)

// large is a store with a copy that no buffer of a connection holds.
type large struct{ fake }

func (l *large) Snapshot(_ context.Context, path string) (sm.Position, error) {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return sm.Position{}, err
	}
	return l.Position(), os.Truncate(path, 256<<20)
}

// A client that takes nothing of a snapshot is let go, so that the next can have one; nobody waits for it meanwhile.
func TestSnapshot_ClientThatReadsNothing(t *testing.T) {
	spool := t.TempDir()
	h := New(Config{Store: &large{}, Spool: spool})
	h.writeLimit = 100 * time.Millisecond
	server := httptest.NewServer(h)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "GET /v1/snapshot HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for len(h.copying) == 0 {
		time.Sleep(time.Millisecond)
	}
	if got := get(t, h, "/livez"); got.Code != http.StatusOK {
		t.Errorf("meanwhile: %d", got.Code)
	}
	h.copying <- struct{}{} // which waits until the first has gone
	if left, err := os.ReadDir(spool); err != nil || len(left) != 0 {
		t.Errorf("%v, %v are left", err, left)
	}
}

// endless is a store of which a copy takes for ever.
type endless struct {
	fake
	began chan struct{}
}

func (e *endless) Snapshot(ctx context.Context, _ string) (sm.Position, error) {
	close(e.began)
	<-ctx.Done()
	return sm.Position{}, ctx.Err()
}

// A snapshot that is being made is given up when the service stops, and none is begun.
func TestSnapshot_Stopping(t *testing.T) {
	store, done := &endless{began: make(chan struct{})}, make(chan struct{})
	h := New(Config{Store: store, Spool: t.TempDir(), Done: done})
	go func() {
		<-store.began
		close(done)
	}()
	for range 2 {
		if got := get(t, h, "/v1/snapshot"); got.Code != http.StatusServiceUnavailable || !strings.Contains(got.Body.String(), "stopping") {
			t.Errorf("%d %s", got.Code, got.Body)
		}
	}
}
