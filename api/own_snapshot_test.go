package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"faultd/api"
	"faultd/storage"
)

// newSpoolWorld is a store with further options, and the API that makes snapshots of it in the directory.
func newSpoolWorld(t *testing.T, o storage.Options) (w *world, spool string) {
	t.Helper()
	o.Path = filepath.Join(t.TempDir(), "faultd.db")
	db, err := storage.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w, spool = &world{tb: t, db: db, done: make(chan struct{})}, t.TempDir()
	w.handler = api.New(api.Config{Store: db, Done: w.done, Spool: spool})
	return w, spool
}

func isEmpty(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v are left", err, entries)
	}
}

func TestSnapshot_IsAStoreAtItsPosition(t *testing.T) {
	w, spool := newSpoolWorld(t, storage.Options{})
	w.fill(20)
	if err := os.WriteFile(filepath.Join(spool, "snapshot.download.copy"), []byte("of a process before"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, path := w.download(t)
	_, _, hash := w.db.State()
	if r, err := storage.Check(path); err != nil || len(r.Problems) > 0 || r.Hash != hash || r.Position.Sequence != 20 {
		t.Errorf("%v, %+v", err, r)
	}
	for name, want := range map[string]string{
		"X-Faultd-Position":   "JOBS/2026-11-21T02:00:00Z/20",
		"Content-Type":        "application/octet-stream",
		"Content-Disposition": `attachment; filename="snapshot-20261121T020020.000000000Z.db"`,
		"Last-Modified":       "Sat, 21 Nov 2026 02:00:20 GMT",
		"Cache-Control":       "no-store",
	} {
		if got := got.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got.ContentLength != sizeOf(t, path) {
		t.Errorf("its length is %d, and was said to be %d", sizeOf(t, path), got.ContentLength)
	}
	isEmpty(t, spool)
	if head := w.get("HEAD /v1/snapshot"); head.Code != http.StatusOK || head.Body.Len() > 0 {
		t.Errorf("HEAD: %d", head.Code)
	}
}

// download takes a snapshot over the wire, as it is sent.
func (w *world) download(t *testing.T) (answer *http.Response, path string) {
	server := httptest.NewServer(w.handler)
	defer server.Close()
	answer, err := http.Get(server.URL + "/v1/snapshot")
	if err != nil {
		t.Error(err)
		return &http.Response{}, ""
	}
	defer answer.Body.Close()
	path = filepath.Join(t.TempDir(), "copy.db")
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%s, %v", answer.Status, err)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Error(err)
	}
	return answer, path
}

func sizeOf(t *testing.T, path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// While one is made another has to wait, and whoever asks for anything else has not.
func TestSnapshot_OneAtATime(t *testing.T) {
	making, goOn := make(chan struct{}), make(chan struct{})
	w, spool := newSpoolWorld(t, storage.Options{Step: func(name string) {
		if name == "copy" {
			close(making)
			<-goOn
		}
	}})
	w.fill(3)
	first := make(chan int)
	go func() {
		answer, _ := w.download(t)
		first <- answer.StatusCode
	}()
	<-making
	got := w.get("/v1/snapshot")
	if got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") != "10" || !strings.Contains(got.Body.String(), "Another snapshot") {
		t.Errorf("the second: %d %v %s", got.Code, got.Header(), got.Body)
	}
	if got := w.get("/v1/summary"); got.Code != http.StatusOK {
		t.Errorf("another request: %d", got.Code)
	}
	close(goOn)
	if code := <-first; code != http.StatusOK {
		t.Errorf("the first: %d", code)
	}
	isEmpty(t, spool)
}

func TestSnapshot_Impossible(t *testing.T) {
	full, spool := newSpoolWorld(t, storage.Options{MinFree: 1 << 60})
	if got := full.get("/v1/snapshot"); got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" || !strings.Contains(got.Body.String(), "no room") {
		t.Errorf("no room: %d %v %s", got.Code, got.Header(), got.Body)
	}
	isEmpty(t, spool)
	if got := newWorld(t).get("/v1/snapshot"); got.Code != http.StatusServiceUnavailable || !strings.Contains(got.Body.String(), "no place") {
		t.Errorf("no directory: %d %s", got.Code, got.Body)
	}
}
