package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"faultd/api"
	sm "faultd/statemachine"
	"faultd/storage"
)

// epoch is when the stream of the tests began; its messages follow each other by a second.
var epoch = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// world is a real store that is fed by events, and the API over it.
type world struct {
	tb       testing.TB
	db       *storage.DB
	handler  *api.Handler
	done     chan struct{}
	sequence uint64
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	db, err := storage.Open(storage.Options{Path: filepath.Join(tb.TempDir(), "faultd.db")})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	w := &world{tb: tb, db: db, done: make(chan struct{})}
	w.handler = api.New(api.Config{Store: db, Done: w.done})
	return w
}

// apply appends entries to the log as one batch and gives them their sequences.
func (w *world) apply(entries ...sm.Entry) {
	w.tb.Helper()
	for i := range entries {
		w.sequence++
		e := &entries[i]
		e.Sequence, e.ID = w.sequence, w.sequence
		e.StreamTime = sm.At(epoch.Add(time.Duration(w.sequence) * time.Second))
		if e.Time == 0 {
			e.Time = e.StreamTime
		}
		if e.Fault != nil {
			e.Fault.Sequence = e.Sequence
			if e.Fault.Created == 0 {
				e.Fault.Created = e.Time
			}
		}
	}
	to := sm.Position{Stream: "JOBS", Epoch: sm.At(epoch), First: 1, Sequence: w.sequence, StreamTime: entries[len(entries)-1].StreamTime}
	if _, _, err := w.db.Apply(entries, to); err != nil {
		w.tb.Fatal(err)
	}
}

// event is one of a job of a resource, given as tenant/kind/id.
func event(resource string, action sm.Action, phase sm.Phase, change ...func(*sm.Entry)) sm.Entry {
	parts := strings.Split(resource, "/")
	kind, _ := sm.ParseKind(parts[1])
	e := sm.Entry{Event: sm.Event{Key: sm.Key{Tenant: parts[0], Kind: kind, ID: parts[2]}, Job: action.String() + "-1", Action: action,
		Phase: phase, Progress: -1}}
	for _, c := range change {
		c(&e)
	}
	return e
}

func named(name string) func(*sm.Entry) { return func(e *sm.Entry) { e.Name = name } }
func job(id, request string) func(*sm.Entry) {
	return func(e *sm.Entry) { e.Job, e.RequestID = id, request }
}
func progress(percent int8) func(*sm.Entry) { return func(e *sm.Entry) { e.Progress = percent } }
func attributes(json string) func(*sm.Entry) {
	return func(e *sm.Entry) { e.Attributes = sm.Attributes(json) }
}

func fault(code int, message, details string) func(*sm.Entry) {
	return func(e *sm.Entry) { e.Fault = &sm.Fault{Code: code, Message: message, Details: details} }
}

// get asks for a path, by GET unless a method stands before it.
func (w *world) get(target string, headers ...string) *httptest.ResponseRecorder {
	w.tb.Helper()
	method := http.MethodGet
	if first, rest, ok := strings.Cut(target, " "); ok && !strings.HasPrefix(target, "/") {
		method, target = first, rest
	}
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	return answer
}

// read asks for a path and decodes the answer, which must be 200.
func (w *world) read(target string, into any) {
	w.tb.Helper()
	answer := w.get(target)
	if answer.Code != http.StatusOK {
		w.tb.Fatalf("%s: %d %s", target, answer.Code, answer.Body)
	}
	if err := json.Unmarshal(answer.Body.Bytes(), into); err != nil {
		w.tb.Fatalf("%s: %v\n%s", target, err, answer.Body)
	}
}

// ids are those that a list answers with; member is the list's name, and next its link or "".
func (w *world) ids(target, member string) (ids []string, next string) {
	w.tb.Helper()
	var doc map[string]json.RawMessage
	w.read(target, &doc)
	var items []struct{ ID string }
	if err := json.Unmarshal(doc[member], &items); err != nil {
		w.tb.Fatalf("%s: %v", target, err)
	}
	for _, item := range items {
		ids = append(ids, item.ID)
	}
	for _, name := range []string{member + "_links", "links"} {
		var links []struct{ Rel, Href string }
		if doc[name] != nil {
			if err := json.Unmarshal(doc[name], &links); err != nil {
				w.tb.Fatalf("%s: %v", target, err)
			}
		}
		for _, l := range links {
			if l.Rel == "next" {
				next = l.Href
			}
		}
	}
	return ids, next
}

// refused asks for a path that is answered with a compute fault.
func (w *world) refused(target string, status int, element string) string {
	w.tb.Helper()
	answer := w.get(target)
	var doc map[string]struct {
		Code    int
		Message string
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &doc); err != nil {
		w.tb.Errorf("%s: %v: %s", target, err, answer.Body)
	}
	if f, ok := doc[element]; answer.Code != status || !ok || f.Code != status || f.Message == "" {
		w.tb.Errorf("%s: %d %s, want %d %s", target, answer.Code, answer.Body, status, element)
	}
	return doc[element].Message
}

// fill makes n servers s-0, s-1, … of tenants t-0, t-1, t-2 in turn.
func (w *world) fill(n int) {
	w.tb.Helper()
	var batch []sm.Entry
	for i := range n {
		batch = append(batch, event(fmt.Sprintf("t-%d/server/s-%d", i%3, i), sm.ActBuild, sm.PhaseSucceeded, named(fmt.Sprintf("web-%d", i)),
			attributes(`{"flavor":{"id":"f-1"},"hostId":"e4d909c290d0fb1ca068ffafff22cbd0","image":{"id":"i-1"}}`)))
	}
	w.apply(batch...)
}
