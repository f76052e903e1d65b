package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serving answers with a handler, in the place of a daemon whose answers cannot be had otherwise.
func serving(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

func TestClient_Refusals(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		says   string
	}{
		"problem":         {404, `{"type":"about:blank","title":"Not Found","detail":"there is no server x"}`, "there is no server x"},
		"title alone":     {403, `{"title":"Forbidden"}`, "403: Forbidden"},
		"not ready":       {503, `{"state":"GAP","reasons":["messages 1 to 2 were gone"],"lag":3}`, "GAP; messages 1 to 2 were gone"},
		"not from faultd": {502, `<html>`, "502: Bad Gateway"},
		"no JSON":         {200, `<html>`, "not what was expected"},
	} {
		t.Run(name, func(t *testing.T) {
			url := serving(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			})
			r := faultd(t, "show", "server", "x", "--server", url)
			if r.code != exitFailed || !strings.Contains(r.stderr, test.says) {
				t.Errorf("exit code %d, want %d; it must say %q:\n%s", r.code, exitFailed, test.says, r.stderr)
			}
		})
	}
}

func TestClient_NobodyThere(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	r := faultd(t, "list", "--server", strings.Replace(s.URL, "http://", "http://me:secret@", 1))
	if r.code != exitFailed || !strings.Contains(r.stderr, "no daemon answers at") || strings.Contains(r.stderr, "secret") {
		t.Errorf("exit code %d:\n%s", r.code, r.stderr)
	}
}

func TestClient_Token(t *testing.T) {
	var shown string
	url := serving(t, func(w http.ResponseWriter, r *http.Request) {
		shown = r.Header.Get("Authorization")
		io.WriteString(w, `{"resources":[]}`)
	})
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "list", "--server", url, "--token-file", file)
	if shown != "Bearer s3cret" {
		t.Errorf("it shows %q", shown)
	}
	if r := faultd(t, "list", "--server", url, "--token-file", file+".gone"); r.code != exitFailed {
		t.Errorf("exit code %d without the file, want %d", r.code, exitFailed)
	}
}
