package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"faultd/api"
	sm "faultd/statemachine"
)

// hooks are hooks of which the daemon knows no more than a test says.
type hooks struct {
	all   []api.Hook
	dead  []api.DeadMessage
	err   error    // what everything ends in
	calls []string // the commands
}

func (h *hooks) All(context.Context) ([]api.Hook, error) { return h.all, h.err }

func (h *hooks) find(name string) error {
	if !slices.ContainsFunc(h.all, func(is api.Hook) bool { return is.Name == name }) {
		return fmt.Errorf("looking for %s: %w", name, api.ErrUnknownHook)
	}
	return h.err
}

func (h *hooks) Dead(_ context.Context, name, after string, limit int) ([]api.DeadMessage, error) {
	if err := h.find(name); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(h.dead, func(m api.DeadMessage) bool { return m.ID == after })
	if after != "" && at < 0 {
		return nil, sm.ErrUnknownMarker
	}
	return h.dead[at+1:][:min(limit, len(h.dead)-at-1)], nil
}

func (h *hooks) Test(ctx context.Context, name string) error {
	if _, limited := ctx.Deadline(); !limited {
		return errors.New("it may take for ever")
	}
	h.calls = append(h.calls, "test "+name)
	return h.find(name)
}

func (h *hooks) Redeliver(_ context.Context, name, id string) (int, error) {
	h.calls = append(h.calls, strings.TrimSpace("redeliver "+name+" "+id))
	if id == "unknown" {
		return 0, fmt.Errorf("looking for %s: %w", id, api.ErrUnknownMessage)
	}
	return 3, h.find(name)
}

func (h *hooks) Replay(_ context.Context, name string, since time.Time) (int, error) {
	h.calls = append(h.calls, "replay "+name+" "+since.Format(time.RFC3339))
	return 7, h.find(name)
}

// newHookWorld is the API with hooks, and a store without anything.
func newHookWorld(t *testing.T, h *hooks, tokens ...api.Token) *world {
	w := newWorld(t)
	c := api.Config{Store: w.db, Done: w.done, Hooks: h}
	if len(tokens) > 0 {
		c.Tokens = tokens
	}
	w.handler = api.New(c)
	return w
}

func TestHooks_AsTheyAre(t *testing.T) {
	w := newHookWorld(t, &hooks{all: []api.Hook{
		{Name: "am", Kind: "alertmanager", State: "waiting", Targets: []string{"http://127.0.0.1:9093", "http://127.0.0.1:9094"}},
		{Name: "pager", Kind: "webhook", State: "disabled", Reason: "the receiver wants no more", Holder: "node-1", Targets: []string{"https://example.org/…"},
			Pending: 1, Retrying: 5, Dead: 2, Delivered: 3, Suppressed: 4, Succeeded: epoch, Failed: epoch.Add(1500 * time.Millisecond), Error: `410 "gone"`},
	}})
	want := `{"hooks":[{"name":"am","kind":"alertmanager","state":"waiting","reason":null,"holder":null,` +
		`"targets":["http://127.0.0.1:9093","http://127.0.0.1:9094"],"pending":0,"retrying":0,"dead":0,"delivered":0,"suppressed":0,"last_success":null,"last_error":null},` +
		`{"name":"pager","kind":"webhook","state":"disabled","reason":"the receiver wants no more","holder":"node-1","targets":["https://example.org/…"],` +
		`"pending":1,"retrying":5,"dead":2,"delivered":3,"suppressed":4,"last_success":"2026-11-21T02:00:00Z",` +
		`"last_error":{"time":"2026-11-21T02:00:01.5Z","message":"410 \"gone\""}}]}`
	if got := w.get("/v1/hooks").Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Without a file of hooks there are none, and nothing can be asked of one.
func TestHooks_None(t *testing.T) {
	w := newWorld(t)
	if got := w.get("/v1/hooks"); got.Code != http.StatusOK || got.Body.String() != `{"hooks":[]}` {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	for _, target := range []string{"/v1/hooks/pager/dead", "POST /v1/hooks/pager/test", "POST /v1/hooks/pager/redeliver", "POST /v1/hooks/pager/replay?since=2026-11-21"} {
		w.problem(target, http.StatusNotFound)
	}
}

func TestHooks_DeadPageByPage(t *testing.T) {
	h := &hooks{all: []api.Hook{{Name: "pager"}}}
	for i := range 5 {
		h.dead = append(h.dead, api.DeadMessage{ID: fmt.Sprint("m-", i), Resource: "t/server/s", Count: 2, Attempts: 10, First: epoch, Last: epoch.Add(75 * time.Hour), Error: "500", Event: []byte(`{"id":"m"}`)})
	}
	h.dead[4].Event = []byte(`{"id":`)
	w := newHookWorld(t, h)
	var ids []string
	for target, pages := "/v1/hooks/pager/dead?limit=2", 0; target != ""; pages++ {
		page, next := w.ids(target, "dead")
		if ids = append(ids, page...); pages > 3 {
			t.Fatal("there is no end")
		}
		target = strings.TrimPrefix(next, "http://example.com")
	}
	if want := []string{"m-0", "m-1", "m-2", "m-3", "m-4"}; !slices.Equal(ids, want) {
		t.Errorf("page by page %v, want %v", ids, want)
	}
	const m = `"resource":"t/server/s","count":2,"attempts":10,"first":"2026-11-21T02:00:00Z","last":"2026-11-24T05:00:00Z","error":"500",`
	want := `{"dead":[{"id":"m-3",` + m + `"event":{"id":"m"}},{"id":"m-4",` + m + `"event":null}],"links":[]}`
	if got := w.get("/v1/hooks/pager/dead?marker=m-2").Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, marker := range []string{"", "x"} {
		w.problem("/v1/hooks/pager/dead?marker="+marker, http.StatusBadRequest)
	}
}

func TestHooks_Commands(t *testing.T) {
	for target, want := range map[string]struct{ call, body string }{
		"/v1/hooks/pager/test":                              {"test pager", `{"delivered":1}`},
		"/v1/hooks/pager/redeliver":                         {"redeliver pager", `{"redelivered":3}`},
		"/v1/hooks/pager/redeliver?id=m-1":                  {"redeliver pager m-1", `{"redelivered":3}`},
		"/v1/hooks/pager/replay?since=2026-11-21T02:00:00Z": {"replay pager 2026-11-21T02:00:00Z", `{"replayed":7}`},
	} {
		h := &hooks{all: []api.Hook{{Name: "pager"}}}
		w := newHookWorld(t, h)
		if got := w.get("POST " + target); got.Code != http.StatusOK || got.Body.String() != want.body || !slices.Equal(h.calls, []string{want.call}) {
			t.Errorf("%s: %d %s, which called %q", target, got.Code, got.Body, h.calls)
		}
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
			if got := w.get(method + " " + target); got.Code != http.StatusMethodNotAllowed || got.Header().Get("Allow") != "POST" {
				t.Errorf("%s %s: %d %v", method, target, got.Code, got.Header())
			}
		}
		if len(h.calls) != 1 {
			t.Errorf("another method than POST has called %q", h.calls)
		}
	}
}

func TestHooks_Refused(t *testing.T) {
	for _, c := range []struct {
		target string
		err    error
		status int
		says   string
	}{
		{"/v1/hooks/nosuch/dead", nil, 404, "no such hook"},
		{"POST /v1/hooks/nosuch/test", nil, 404, "no such hook"},
		{"POST /v1/hooks/nosuch/redeliver", nil, 404, "no such hook"},
		{"POST /v1/hooks/nosuch/replay?since=2026-11-21", nil, 404, "no such hook"},
		{"POST /v1/hooks/Pager/test", nil, 404, "no such hook"},
		{"POST /v1/hooks/a%2Fb/test", nil, 404, "no such hook"},
		{"POST /v1/hooks/" + strings.Repeat("p", 33) + "/test", nil, 404, "no such hook"},
		{"POST /v1/hooks/pager/redeliver?id=unknown", nil, 404, "no such message"},
		{"POST /v1/hooks/pager/redeliver?id=", nil, 400, "id must be"},
		{"POST /v1/hooks/pager/replay", nil, 400, "since must be"},
		{"POST /v1/hooks/pager/replay?since=2h", nil, 400, "since must be"},
		{"POST /v1/hooks/pager/test", fmt.Errorf("%w: 500 Internal Server Error", api.ErrNotDelivered), 502, "not delivered: 500"},
		{"POST /v1/hooks/pager/redeliver", fmt.Errorf("%w: after 2 of 3: 500", api.ErrNotDelivered), 502, "after 2 of 3"},
		{"/v1/hooks", errors.New("SECRET"), 503, "cannot be read"},
		{"/v1/hooks/pager/dead", errors.New("SECRET"), 503, "cannot be read"},
		{"POST /v1/hooks/pager/test", errors.New("SECRET"), 503, "cannot be read"},
	} {
		w := newHookWorld(t, &hooks{all: []api.Hook{{Name: "pager"}}, err: c.err})
		if detail := w.problem(c.target, c.status); !strings.Contains(detail, c.says) || strings.Contains(detail, "SECRET") {
			t.Errorf("%s: %s", c.target, detail)
		}
	}
}

// A page that somebody looks at cannot command a daemon on the same machine, which asks for no token.
func TestHooks_NoCommandFromAnotherOrigin(t *testing.T) {
	h := &hooks{all: []api.Hook{{Name: "pager"}}}
	w := newHookWorld(t, h)
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://elsewhere.example"}, {"Origin", "null"}} {
		for _, command := range []string{"test", "redeliver", "replay?since=2026-11-21"} {
			if got := w.get("POST /v1/hooks/pager/"+command, headers...); got.Code != http.StatusForbidden {
				t.Errorf("%s with %v: %d %s", command, headers, got.Code, got.Body)
			}
		}
	}
	if len(h.calls) > 0 {
		t.Errorf("they called %q", h.calls)
	}
	for _, headers := range [][]string{nil, {"Sec-Fetch-Site", "same-origin"}, {"Origin", "http://example.com"}} {
		if got := w.get("POST /v1/hooks/pager/test", headers...); got.Code != http.StatusOK {
			t.Errorf("with %v: %d %s", headers, got.Code, got.Body)
		}
	}
}
