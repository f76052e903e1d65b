package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"faultd/api"
	sm "faultd/statemachine"
)

const taggedServer = "/v1/resources/server/s"

// tag asks for a path that is answered with an entity tag.
func (w *world) tag(target string, headers ...string) string {
	w.tb.Helper()
	answer := w.get(target, headers...)
	tag := answer.Header().Get("ETag")
	if answer.Code != http.StatusOK || len(tag) < 10 || len(tag) > 18 || !strings.HasPrefix(tag, `"`) || !strings.HasSuffix(tag, `"`) {
		w.tb.Fatalf("%s: %d with the tag %s", target, answer.Code, tag)
	}
	return tag
}

func TestETag_ChangesWithTheAnswer(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseStarted, progress(10)))
	targets := []string{taggedServer, taggedServer + "/history"}
	seen := map[string]map[string]string{} // the tag of each body of each target
	look := func() {
		for _, target := range targets {
			body, tag := w.get(target).Body.String(), w.tag(target)
			for other, otherTag := range seen[target] {
				if (other == body) != (otherTag == tag) {
					t.Errorf("%s: the tags %s and %s of\n%s\n%s", target, tag, otherTag, body, other)
				}
			}
			if seen[target] == nil {
				seen[target] = map[string]string{}
			}
			seen[target][body] = tag
		}
	}
	look()
	for _, change := range []sm.Entry{
		event("t/server/s", sm.ActBuild, sm.PhaseProgressed, progress(20)), // which does not move updated
		event("t/server/other", sm.ActBuild, sm.PhaseStarted),              // which changes nothing here
		event("t/server/s", sm.ActBuild, sm.PhaseFailed, fault(500, "no", "inside")),
		event("t/server/s", sm.ActRebuild, sm.PhaseSucceeded),
	} {
		w.apply(change)
		look()
	}
	for target, want := range map[string]int{targets[0]: 4, targets[1]: 3} {
		if len(seen[target]) != want {
			t.Errorf("%s was answered in %d ways, want %d", target, len(seen[target]), want)
		}
	}
}

func TestETag_IsTheReaders(t *testing.T) {
	w := newWorld(t)
	w.apply(event("mine/server/s", sm.ActBuild, sm.PhaseFailed, fault(500, "no", "inside")))
	w.handler = api.New(api.Config{Store: w.db, Tokens: visitorTokens()})
	if a, b := w.tag(taggedServer, "X-Auth-Token", "reader"), w.tag(taggedServer, "X-Auth-Token", "admin"); a == b {
		t.Errorf("%s is the tag of what an administrator sees and of what a reader does", a)
	}
	answer := w.get(taggedServer, "X-Auth-Token", "reader")
	if vary, kept := answer.Header().Get("Vary"), answer.Header().Get("Cache-Control"); vary != "X-Auth-Token, Authorization" || kept != "private, no-cache" {
		t.Errorf("Vary %s, Cache-Control %s", vary, kept)
	}
	if answer := w.get(taggedServer, "If-None-Match", "*"); answer.Code != http.StatusUnauthorized || answer.Header().Get("ETag") != "" {
		t.Errorf("without a token: %d %v", answer.Code, answer.Header())
	}
}

func TestETag_IfNoneMatch(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseStarted))
	tag := w.tag(taggedServer)
	for _, c := range []struct {
		sent   []string
		status int
	}{
		{[]string{tag}, 304},
		{[]string{"W/" + tag}, 304},
		{[]string{"*"}, 304},
		{[]string{`"a", ` + tag}, 304},
		{[]string{`W/"a,b" ,,` + "\t" + tag + `, "c"`}, 304},
		{[]string{`"a"`, tag}, 304},
		{[]string{`"a"`}, 200},
		{[]string{`""`}, 200},
		{[]string{""}, 200},
		{[]string{strings.Trim(tag, `"`)}, 200},
		{[]string{`"` + strings.Trim(tag, `"`)}, 200},
		{[]string{`"a` + tag}, 200},
		{[]string{strings.ToUpper(tag)}, 200},
		{[]string{`"*"`}, 200},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			var headers []string
			for _, value := range c.sent {
				headers = append(headers, "If-None-Match", value)
			}
			answer := w.get(method+" "+taggedServer, headers...)
			if answer.Code != c.status || answer.Header().Get("ETag") != tag {
				t.Errorf("%s, If-None-Match %q: %d with %s, want %d", method, c.sent, answer.Code, answer.Header().Get("ETag"), c.status)
			}
			if c.status == 304 && (answer.Body.Len() > 0 || answer.Header().Get("Content-Type") != "") {
				t.Errorf("%s, If-None-Match %q: 304 with %v %s", method, c.sent, answer.Header(), answer.Body)
			}
		}
	}
	if answer := w.get("/v1/resources/server/none", "If-None-Match", "*"); answer.Code != http.StatusNotFound {
		t.Errorf("what does not exist: %d", answer.Code)
	}
}

// TestETag_OverHTTP asks a real server, which has rules of its own for an answer without a body.
func TestETag_OverHTTP(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseStarted))
	server := httptest.NewServer(w.handler)
	defer server.Close()
	for range 2 { // over one connection: what follows a 304 is an answer of its own
		r, err := http.NewRequest(http.MethodGet, server.URL+taggedServer, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("If-None-Match", w.tag(taggedServer))
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusNotModified || answer.ContentLength > 0 || answer.Header.Get("X-Faultd-Position") == "" {
			t.Errorf("%d %v", answer.StatusCode, answer.Header)
		}
	}
}
