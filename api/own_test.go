package api_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
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

// problem asks for a path that is answered with a problem document.
func (w *world) problem(target string, status int) string {
	w.tb.Helper()
	answer := w.get(target)
	var doc struct {
		Status        int
		Title, Detail string
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &doc); err != nil {
		w.tb.Errorf("%s: %v: %s", target, err, answer.Body)
	}
	if answer.Code != status || doc.Status != status || doc.Title == "" || doc.Detail == "" ||
		answer.Header().Get("Content-Type") != "application/problem+json" {
		w.tb.Errorf("%s: %d %v %s, want %d", target, answer.Code, answer.Header(), answer.Body, status)
	}
	return doc.Detail
}

func TestResource_Shape(t *testing.T) {
	w := newWorld(t)
	w.apply(
		event("1234/server/s", sm.ActBuild, sm.PhaseStarted, named("web"), job("b-41", "req-1"), progress(66), attributes(`{"hostId":"h"}`)),
		event("1234/server/s", sm.ActBuild, sm.PhaseFailed, job("b-41", "req-1"), fault(404, "no image", "d"), func(e *sm.Entry) {
			e.Fault.Reason, e.Fault.ErrorCode = "IMAGE_NOT_FOUND", "131"
		}),
	)
	failed := sm.Fault{Code: 404, Message: "no image", Reason: "IMAGE_NOT_FOUND", ErrorCode: "131"}
	diagnosis := `{"cause":"not-found","retry":false,"advice":"Export the backup, wait until the export is completed, then try again.",` +
		`"fingerprint":"` + sm.Fingerprint(sm.Server, sm.ActBuild, &failed) + `"}`
	want := `{"kind":"server","id":"s","tenant_id":"1234","name":"web","status":"ERROR","progress":66,` +
		`"created":"2026-11-21T02:00:01Z","updated":"2026-11-21T02:00:02Z","attributes":{"hostId":"h"},` +
		`"job":{"id":"b-41","action":"build","request_id":"req-1","phase":"failed","started":"2026-11-21T02:00:01Z","ended":"2026-11-21T02:00:02Z"},` +
		`"fault":{"code":404,"created":"2026-11-21T02:00:02Z","message":"no image","details":"d","reason":"IMAGE_NOT_FOUND","error_code":"131"},"diagnosis":` +
		diagnosis + `,"sequence":2}`
	for _, target := range []string{"/v1/resources/server/s", "/v1/resources/server/s?tenant=1234"} {
		if got := w.get(target).Body.String(); got != want {
			t.Errorf("%s\n got %s\nwant %s", target, got, want)
		}
	}
	r, err := w.db.Resource(sm.Key{Tenant: "1234", Kind: sm.Server, ID: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(api.Render(&r, false)); got != want {
		t.Errorf("Render: %s", got)
	}
	if got := string(api.RenderFault(r.Fault)); !strings.Contains(want, `"fault":`+got+`,`) {
		t.Errorf("RenderFault: %s", got)
	}
	for _, list := range []string{"/v1/resources", "/v1/faults"} {
		name := strings.TrimPrefix(list, "/v1/")
		if got := w.get(list).Body.String(); got != `{"`+name+`":[`+want+`],"links":[]}` {
			t.Errorf("%s: %s", list, got)
		}
	}
	const history = `{"history":[{"sequence":2,"time":"2026-11-21T02:00:02Z","job":{"id":"b-41","action":"build","request_id":"req-1"},"from":"BUILD","to":"ERROR",` +
		`"fault":{"code":404,"created":"2026-11-21T02:00:02Z","message":"no image","details":"d","reason":"IMAGE_NOT_FOUND","error_code":"131"}},` +
		`{"sequence":1,"time":"2026-11-21T02:00:01Z","job":{"id":"b-41","action":"build","request_id":"req-1"},"from":"UNKNOWN","to":"BUILD"}],"cut":0}`
	if got := w.get("/v1/resources/server/s/history").Body.String(); got != history {
		t.Errorf("history\n got %s\nwant %s", got, history)
	}
}

func TestResource_AttemptsProvidersAndWarning(t *testing.T) {
	w := newWorld(t)
	provider := func(name string) func(*sm.Entry) { return func(e *sm.Entry) { e.Provider = name } }
	w.apply(
		event("t/backup/b", sm.ActBackup, sm.PhaseProgressed, fault(503, "first try", "")),
		event("t/backup/b", sm.ActBackup, sm.PhaseSucceeded, provider("dfw"), func(e *sm.Entry) { e.Providers = []string{"dfw", "ord"} }),
		event("t/backup/b", sm.ActBackup, sm.PhaseFailed, provider("ord"), fault(500, "disk", "")),
		event("t/server/s", sm.ActBuild, sm.PhaseSucceeded),
		event("t/server/s", sm.ActResize, sm.PhaseCancelled, fault(400, "no space", "")),
	)
	var backup struct {
		Status   string
		Attempts []struct {
			Number int
			Fault  struct{ Message string }
		}
		Providers []struct {
			Name, Phase string
			Fault       *struct{ Message string }
		}
	}
	w.read("/v1/resources/backup/b", &backup)
	if backup.Status != "ERROR" || len(backup.Attempts) != 1 || backup.Attempts[0].Number != 1 || backup.Attempts[0].Fault.Message != "first try" {
		t.Errorf("attempts: %+v", backup)
	}
	if p := backup.Providers; len(p) != 2 || p[0].Name != "dfw" || p[0].Phase != "succeeded" || p[0].Fault != nil || p[1].Fault == nil || p[1].Fault.Message != "disk" {
		t.Errorf("providers: %+v", backup)
	}
	var server struct {
		Status  string
		Fault   any
		Warning struct{ Message string }
	}
	w.read("/v1/resources/server/s", &server)
	if server.Status != "ACTIVE" || server.Fault != nil || server.Warning.Message != "no space" {
		t.Errorf("warning: %+v", server)
	}
}

func TestResources_Filters(t *testing.T) {
	w := newWorld(t)
	w.apply(
		event("t/server/a", sm.ActBuild, sm.PhaseFailed, fault(500, "m", "")),
		event("t/image/a", sm.ActBuild, sm.PhaseFailed, fault(404, "m", "")),
		event("u/backup/b", sm.ActBackup, sm.PhaseFailed, fault(503, "m", "")),
		event("u/server/c", sm.ActBuild, sm.PhaseSucceeded),
		event("u/server/d", sm.ActBuild, sm.PhaseFailed, fault(500, "m", "")),
		event("u/server/d", sm.ActDelete, sm.PhaseSucceeded),
	)
	for query, want := range map[string]string{
		"":                                   "c b a a",
		"kind=server":                        "c a",
		"tenant=u":                           "c b",
		"tenant=nobody":                      "",
		"status=error":                       "b a a",
		"status=deleted":                     "d",
		"status=IN_PROGRESS":                 "",
		"code=500":                           "a",
		"code=5xx":                           "b a",
		"code=404&code=503":                  "b a",
		"code=500&changes-since=2026-11-21Z": "",
		"kind=image&code=4XX":                "a",
		"code=500&status=DELETED":            "d",
	} {
		if strings.Contains(query, "Z") {
			query = strings.Replace(query, "2026-11-21Z", "2026-11-21T02:00:06", 1)
			want = "d"
		}
		ids, _ := w.ids("/v1/resources?"+query, "resources")
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	for _, list := range []string{"resources", "faults"} {
		whole, _ := w.ids("/v1/"+list, list)
		var paged []string
		target := "/v1/" + list + "?limit=1"
		for target != "" && len(paged) < 10 {
			page, next := w.ids(target, list)
			paged = append(paged, page...)
			target = strings.TrimPrefix(next, "http://example.com")
		}
		if len(whole) < 3 || !slices.Equal(whole, paged) {
			t.Errorf("%s: page by page %v, at once %v", list, paged, whole)
		}
	}
	if ids, _ := w.ids("/v1/resources?marker=b", "resources"); strings.Join(ids, " ") != "a a" {
		t.Errorf("behind a plain id: %v", ids)
	}
	if ids, _ := w.ids("/v1/faults?tenant=t", "faults"); strings.Join(ids, " ") != "a a" {
		t.Errorf("faults of t: %v", ids)
	}
	for _, query := range []string{"kind=x", "status=x", "kind=image&status=BUILD", "code=200", "code=x", "limit=-1", "marker=x", "marker=a",
		"marker=t%2Fnothing%2Fa", "changes-since=x", "tenant=%2F"} {
		w.problem("/v1/resources?"+query, 400)
	}
	w.problem("/v1/faults?marker=c", 400) // it is not in ERROR
}

func TestResource_Problems(t *testing.T) {
	w := newWorld(t)
	w.apply(event("a/server/x", sm.ActBuild, sm.PhaseStarted), event("b/server/x", sm.ActBuild, sm.PhaseStarted))
	for target, status := range map[string]int{
		"/v1/resources/server/x":                  400,
		"/v1/resources/server/x/history":          400,
		"/v1/resources/server/y":                  404,
		"/v1/resources/server/x?tenant=c":         404,
		"/v1/resources/nothing/x":                 404,
		"/v1/resources/server":                    404,
		"/v1":                                     404,
		"/v1/":                                    404,
		"POST /v1/resources":                      405,
		"/v1/faults/groups?marker=1:0":            400,
		"/v1/faults/groups?marker=":               400,
		"/v1/faults/groups?limit=x":               400,
		"/v1/resources/server/x/history?tenant=c": 404,
		"/v1/rejected?marker=x":                   400,
		"/v1/rejected?marker=0":                   400,
	} {
		w.problem(target, status)
	}
	if detail := w.problem("/v1/resources/server/x", 400); !strings.Contains(detail, "a, b") {
		t.Errorf("the tenants are not named: %s", detail)
	}
	if answer := w.get("/v1/resources/server/x?tenant=b"); answer.Code != 200 || !strings.Contains(answer.Body.String(), `"tenant_id":"b"`) {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

func TestSummaryPositionAndRejected(t *testing.T) {
	w := newWorld(t)
	raw := []byte("{not json")
	bad := sm.Entry{Reason: sm.Malformed, Detail: "not JSON", Subject: "jobs.t.server.s.started", Raw: raw}
	w.apply(
		event("t/server/s", sm.ActBuild, sm.PhaseStarted), event("t/server/s", sm.ActBuild, sm.PhaseStarted), bad,
		event("u/image/i", sm.ActBuild, sm.PhaseFailed, fault(500, "m", "")), bad,
	)
	if got, want := w.get("/v1/summary").Body.String(),
		`{"server":{"BUILD":1},"image":{"ERROR":1},"backup":{},"export":{},"import":{},"restore":{},"migration":{}}`; got != want {
		t.Errorf("summary %s, want %s", got, want)
	}
	if got := w.get("/v1/summary?tenant=u").Body.String(); !strings.HasPrefix(got, `{"server":{},"image":{"ERROR":1},`) {
		t.Errorf("summary of u: %s", got)
	}
	_, _, hash := w.db.State()
	position := `{"stream":"JOBS","epoch":"2026-11-21T02:00:00Z","sequence":5,"ordinal":5,"lag":0,"state":"READY",` +
		`"state_hash":"` + fmt.Sprintf("%016x", hash) + `","policy":{"retention":"0s","machine":""},"counters":{"received":5,"applied":2,"ignored":1,"rejected":2,"ignored_by_reason":{"duplicate":1},"rejected_by_reason":{"malformed":2},"unknown_fields":0},"gaps":[],"epochs":[]}`
	if got := w.get("/v1/position").Body.String(); got != position {
		t.Errorf("position\n got %s\nwant %s", got, position)
	}
	if got, want := w.get("/livez").Header().Get("X-Faultd-Position"), "JOBS/2026-11-21T02:00:00Z/5"; got != want {
		t.Errorf("header %s, want %s", got, want)
	}
	first := `{"sequence":3,"subject":"jobs.t.server.s.started","time":"2026-11-21T02:00:03Z","reason":"malformed","error":"not JSON","size":9,"data":"` +
		base64.StdEncoding.EncodeToString(raw) + `"}`
	if got := w.get("/v1/rejected?marker=5&limit=2").Body.String(); got != `{"rejected":[`+first+`],"links":[]}` {
		t.Errorf("rejected: %s", got)
	}
	var page struct {
		Rejected []struct{ Sequence int }
		Links    []struct{ Rel, Href string }
	}
	w.read("/v1/rejected?limit=1", &page)
	if len(page.Rejected) != 1 || page.Rejected[0].Sequence != 5 || len(page.Links) != 1 || page.Links[0].Href != "http://example.com/v1/rejected?limit=1&marker=5" {
		t.Errorf("the newest: %+v", page)
	}
}

func TestPosition_Policy(t *testing.T) {
	w := newWorld(t)
	w.handler = api.New(api.Config{Store: w.db, Retention: 720 * time.Hour, Machine: "7"})
	if got := w.get("/v1/position").Body.String(); !strings.Contains(got, `"state_hash":"0000000000000000","policy":{"retention":"720h0m0s","machine":"7"},`) {
		t.Error(got)
	}
	w.fill(1)
	var position struct {
		Hash string `json:"state_hash"`
	}
	if w.read("/v1/position", &position); len(position.Hash) != 16 || position.Hash == "0000000000000000" {
		t.Errorf("with a server: %q", position.Hash)
	}
}

// sse is one server-sent event.
type sse struct{ id, event, data string }

// follow opens a stream; its events are to be asked for one by one.
func (w *world) follow(query, lastEventID string) func() sse {
	w.tb.Helper()
	server := httptest.NewServer(w.handler)
	w.tb.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(w.tb.Context())
	w.tb.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/stream"+query, nil)
	if err != nil {
		w.tb.Fatal(err)
	}
	if lastEventID != "" {
		r.Header.Set("Last-Event-ID", lastEventID)
	}
	answer, err := server.Client().Do(r)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" {
		w.tb.Fatalf("%s %v", answer.Status, answer.Header)
	}
	lines := bufio.NewReader(answer.Body)
	if first, err := lines.ReadString('\n'); err != nil || first[0] != ':' { // from here on nothing is missed
		w.tb.Fatalf("%q %v", first, err)
	}
	return func() (e sse) {
		w.tb.Helper()
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				w.tb.Fatal(err)
			}
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.event = value
			case "data":
				e.data = value
			case "":
				if e.event != "" {
					return e
				}
			}
		}
	}
}

func TestStream_FollowsCommits(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseStarted))
	next := w.follow("", "")
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseProgressed, progress(5))) // no transition
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseFailed, fault(404, "line\nbreak", "d")))
	want := sse{"3", "transition", `{"kind":"server","id":"s","tenant_id":"t","sequence":3,"time":"2026-11-21T02:00:03Z",` +
		`"job":{"id":"build-1","action":"build"},"from":"BUILD","to":"ERROR",` +
		`"fault":{"code":404,"created":"2026-11-21T02:00:03Z","message":"line\nbreak","details":"d"}}`}
	if got := next(); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseStarted, job("again", "")))
	if got := next(); got.id != "4" || !strings.Contains(got.data, `"from":"ERROR","to":"BUILD"}`) {
		t.Errorf("got %+v", got)
	}
}

func TestStream_LastEventID(t *testing.T) {
	w := newWorld(t)
	w.fill(2500) // more than the store gives at once
	next := w.follow("", "0")
	for i := 1; i <= 2500; i++ {
		if got := next(); got.id != strconv.Itoa(i) || got.event != "transition" {
			t.Fatalf("event %d is %+v", i, got)
		}
	}
	next = w.follow("?last_event_id=2498", "")
	if a, b := next(), next(); a.id != "2499" || b.id != "2500" {
		t.Errorf("behind 2498: %+v %+v", a, b)
	}
	next = w.follow("?tenant=t-1&kind=server", "2490")
	if got := next(); !strings.Contains(got.data, `"tenant_id":"t-1"`) || got.id != "2492" {
		t.Errorf("of t-1 behind 2490: %+v", got)
	}
}

func TestStream_ResetWhereEventsAreMissing(t *testing.T) {
	w := newWorld(t)
	w.fill(20_000) // more than the store remembers
	for _, last := range []string{"1", "20001", "18446744073709551615"} {
		next := w.follow("", last)
		if got, want := next(), (sse{"20000", "reset", `{"sequence":20000}`}); got != want {
			t.Errorf("behind %s: %+v, want %+v", last, got, want)
		}
	}
	next := w.follow("", "1")
	next()
	w.apply(event("t-0/server/s-0", sm.ActDelete, sm.PhaseSucceeded))
	if got := next(); got.id != "20001" || got.event != "transition" {
		t.Errorf("after the reset: %+v", got)
	}
}
