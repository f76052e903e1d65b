package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeAlertmanager takes alerts as the real one does: of a batch with bad ones it keeps the good ones and answers 400.
type fakeAlertmanager struct {
	bad func(*alert) bool

	mu       sync.Mutex
	taken    map[string]int // by resource
	requests int
	paths    []string
}

func (f *fakeAlertmanager) start(t testing.TB) string {
	t.Helper()
	f.taken = map[string]int{}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL + alertsPath
}

func (f *fakeAlertmanager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	f.paths = append(f.paths, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type"))
	var alerts []alert
	if err := json.NewDecoder(r.Body).Decode(&alerts); err != nil {
		http.Error(w, err.Error(), 422)
		return
	}
	refused := 0
	for i := range alerts {
		if f.bad != nil && f.bad(&alerts[i]) {
			refused++
			continue
		}
		f.taken[alerts[i].Labels["resource_id"]]++
	}
	if refused > 0 {
		http.Error(w, fmt.Sprintf("%d bad", refused), 400)
	}
}

func (f *fakeAlertmanager) ids() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return sortedNames(toText(f.taken))
}

func toText(of map[string]int) map[string]string {
	all := map[string]string{}
	for name := range of {
		all[name] = ""
	}
	return all
}

// someAlerts are alerts of servers s-0, s-1 and so on.
func someAlerts(t testing.TB, n int) []alert {
	t.Helper()
	all := make([]alert, n)
	for i := range all {
		e := anEvent(t, raisedBody, "s-1", fmt.Sprint("s-", i))
		all[i] = alertOf(&e)
	}
	return all
}

func isBad(ids ...string) func(*alert) bool {
	return func(a *alert) bool { return slices.Contains(ids, a.Labels["resource_id"]) }
}

func droppedIDs(dropped []droppedAlert) []string {
	all := make([]string, len(dropped))
	for i := range dropped {
		all[i] = dropped[i].alert.Labels["resource_id"]
	}
	slices.Sort(all)
	return all
}

func TestAlertOf_Event(t *testing.T) {
	raised, cleared := anEvent(t, raisedBody), anEvent(t, clearedBody)
	got := string(encode(alertOf(&raised)))
	want := `{"labels":{"action":"build","alertname":"ResourceError","cause":"capacity","code":"500","kind":"server","resource_id":"s-1","tenant":"1234"},` +
		`"annotations":{"advice":"Try again later.","error_code":"131","fingerprint":"1:0011223344556677","host_id":"e4d9","message":"No valid host was found",` +
		`"name":"web","previous_status":"BUILD","reason":"NoValidHost","request_id":"req-7","status":"ERROR",` +
		`"summary":"server web (s-1) of tenant 1234: build failed: 500 No valid host was found"},"startsAt":"2026-11-21T12:00:00.25Z"}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	a := alertOf(&cleared)
	if !a.StartsAt.Equal(raised.FaultTime) || !a.EndsAt.Equal(cleared.Time) || a.Labels["code"] != "500" || a.Labels["action"] != "" {
		t.Errorf("%+v", a)
	}
	early := anEvent(t, clearedBody, "2026-11-21T12:05:00Z", "2026-11-21T11:00:00Z")
	if a := alertOf(&early); a.EndsAt.Before(a.StartsAt) {
		t.Errorf("it ends before it starts: %+v", a)
	}
}

func TestAlertmanager_Post(t *testing.T) {
	var f fakeAlertmanager
	h := aHook(Alertmanager, f.start(t))
	dropped, err := newAlertSender(h, newClient(h, "1")).post(context.Background(), someAlerts(t, maxAlerts))
	if err != nil || len(dropped) != 0 || len(f.ids()) != maxAlerts || f.requests != 1 || f.paths[0] != "POST /api/v2/alerts application/json" {
		t.Errorf("%v, %v, %d alerts in %d requests %v", dropped, err, len(f.taken), f.requests, f.paths)
	}
}

func TestAlertmanager_BadAlertsStandAlone(t *testing.T) {
	for _, bad := range [][]string{{"s-0"}, {"s-499"}, {"s-250"}, {"s-100", "s-3", "s-4", "s-498"}} {
		f := fakeAlertmanager{bad: isBad(bad...)}
		h := aHook(Alertmanager, f.start(t))
		dropped, err := newAlertSender(h, newClient(h, "1")).post(context.Background(), someAlerts(t, maxAlerts))
		if err != nil || !slices.Equal(droppedIDs(dropped), bad) || len(f.ids()) != maxAlerts-len(bad) {
			t.Errorf("%v: %v, %v, %d taken", bad, droppedIDs(dropped), err, len(f.taken))
		}
		if most := 20 * len(bad); f.requests > most {
			t.Errorf("%v: %d requests, more than %d", bad, f.requests, most)
		}
		for _, d := range dropped {
			if !errors.Is(d.err, errRefused) || !strings.Contains(d.err.Error(), `alert "1234/server/`+d.alert.Labels["resource_id"]+`"`) {
				t.Errorf("%v", d.err)
			}
		}
	}
}

func TestAlertmanager_Instances(t *testing.T) {
	good := func(t *testing.T) string { return (&fakeAlertmanager{}).start(t) }
	strict := func(t *testing.T) string { return (&fakeAlertmanager{bad: isBad("s-1")}).start(t) }
	with := func(code int, header ...string) func(*testing.T) string {
		return func(t *testing.T) string { url, _ := receive(t, answering(code, header...)); return url }
	}
	dead := func(t *testing.T) string {
		s := httptest.NewServer(nil)
		s.Close()
		return s.URL
	}
	type instances []func(*testing.T) string
	for name, c := range map[string]struct {
		of      instances
		dropped int
		is      error
		after   time.Duration // -1: it is no *later
		fails   bool
		trouble string
	}{
		"both":                   {instances{good, good}, 0, nil, -1, false, ""},
		"one is dead":            {instances{good, dead}, 0, nil, -1, false, "refused"},
		"one is overloaded":      {instances{with(503, "Retry-After", "5"), good}, 0, nil, -1, false, "503"},
		"one is elsewhere":       {instances{good, with(404)}, 0, nil, -1, false, "404"},
		"one is gone":            {instances{good, with(410)}, 0, nil, -1, false, "410"},
		"one is strict":          {instances{good, strict}, 0, nil, -1, false, ""},
		"both are strict":        {instances{strict, strict}, 1, nil, -1, false, ""},
		"strict and dead":        {instances{strict, dead}, 1, nil, -1, false, "refused"},
		"all dead":               {instances{dead, dead}, 0, nil, -1, true, "refused"},
		"all gone":               {instances{with(410), with(410)}, 0, errGone, -1, true, "410"},
		"gone and dead":          {instances{with(410), dead}, 0, nil, -1, true, "410"},
		"gone and refusing":      {instances{with(410), with(404)}, 0, errRefused, -1, true, "410"},
		"all refuse":             {instances{with(404), with(401)}, 0, errRefused, -1, true, "404"},
		"all are overloaded":     {instances{with(503, "Retry-After", "9"), with(429, "Retry-After", "5")}, 0, nil, 5 * time.Second, true, "503"},
		"overloaded and failing": {instances{with(503, "Retry-After", "9"), with(500)}, 0, nil, -1, true, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			var urls []string
			for _, start := range c.of {
				urls = append(urls, start(t))
			}
			h := aHook(Alertmanager, urls...)
			s := newAlertSender(h, newClient(h, "1"))
			dropped, err := s.post(context.Background(), someAlerts(t, 3))
			if len(dropped) != c.dropped || (err != nil) != c.fails || errors.Is(err, errGone) != (c.is == errGone) || errors.Is(err, errRefused) != (c.is == errRefused) {
				t.Errorf("%v, %v", dropped, err)
			}
			var l *later
			if errors.As(err, &l) != (c.after >= 0) || l != nil && l.After != c.after {
				t.Errorf("%v, want after %s", err, c.after)
			}
			if trouble := s.trouble(); (trouble == nil) != (c.trouble == "") || trouble != nil && !strings.Contains(trouble.Error(), c.trouble) {
				t.Errorf("trouble %v, want %s", trouble, c.trouble)
			}
		})
	}
}

func TestAlertmanager_Send(t *testing.T) {
	f := fakeAlertmanager{bad: isBad("s-7", "s-900")}
	h := aHook(Alertmanager, f.start(t))
	s := newSender(h, "1")
	events := make([]Event, 1200)
	for i := range events {
		events[i] = anEvent(t, raisedBody, "s-1", fmt.Sprint("s-", i))
	}
	if err := s.send(context.Background(), newMessage(h, events)); err != nil || len(f.ids()) != 1198 {
		t.Errorf("%v, %d taken", err, len(f.taken))
	}
	if err := s.send(context.Background(), newMessage(h, events[7:8])); !errors.Is(err, errRefused) {
		t.Errorf("a single bad one: %v", err)
	}
}

func TestAlertmanager_Test(t *testing.T) {
	var got []alert
	url, _ := receive(t, nil)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a half one is no JSON
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	now := time.Now().UTC().Truncate(time.Second)
	h := aHook(Alertmanager, url, server.URL)
	if err := newSender(h, "1").send(context.Background(), newTestMessage(h, now)); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Labels["alertname"] != "FaultdTest" || !got[0].EndsAt.After(now) {
		t.Errorf("%+v", got)
	}
}
