package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	sm "faultd/statemachine"
)

// fake is a store of a few resources in memory, newest first.
type fake struct {
	all     []sm.Resource
	err     error // what every read ends in
	panics  bool
	changed chan struct{}
	changes func(after uint64) ([]sm.Change, bool)
}

func (f *fake) read() error {
	if f.panics {
		panic("a secret inside")
	}
	return f.err
}

func (f *fake) Recent(sm.Key) (sm.Resource, bool) { return sm.Resource{}, false }

func (f *fake) Resource(key sm.Key) (sm.Resource, error) {
	for _, r := range f.all {
		if r.Key == key {
			return r, f.read()
		}
	}
	return sm.Resource{}, sm.ErrNotFound
}

func (f *fake) Find(kind sm.Kind, id string) (found []sm.Resource, err error) {
	for _, r := range f.all {
		if r.Kind == kind && r.ID == id {
			found = append(found, r)
		}
	}
	return found, f.read()
}

func (f *fake) List(q sm.Query) (page []sm.Resource, err error) {
	for _, r := range f.all {
		if (q.Tenant == "" || r.Tenant == q.Tenant) && (q.Kind == 0 || r.Kind == q.Kind) && (q.Match == nil || q.Match(&r)) &&
			(len(q.Statuses) == 0 || slices.Contains(q.Statuses, r.Status)) && len(page) < q.Limit {
			page = append(page, r)
		}
	}
	return page, f.read()
}

func (f *fake) Faults(tenant string, _ *sm.Key, limit int) ([]sm.Resource, error) {
	return f.List(sm.Query{Tenant: tenant, Statuses: []sm.Status{sm.Error}, Limit: limit})
}

func (f *fake) History(sm.Key) ([]sm.Transition, uint64, error) { return nil, 0, f.read() }

func (f *fake) Summary(string) map[sm.Kind]map[sm.Status]uint64 {
	return map[sm.Kind]map[sm.Status]uint64{sm.Server: {sm.Error: 3}}
}

func (f *fake) Messages(string, uint64, int) ([]sm.Change, error) { return nil, f.read() }

func (f *fake) Rejected(uint64, int) ([]sm.Rejection, error) { return nil, f.read() }

func (f *fake) Position() sm.Position {
	return sm.Position{Stream: "JOBS", Epoch: 1_000_000_001, Sequence: 42}
}

func (f *fake) State() (sm.Position, sm.Counters, uint64) { return f.Position(), sm.Counters{}, 0 }

func (f *fake) Groups(string, int) ([]sm.Group, error) { return nil, f.read() }

func (f *fake) Gaps() []sm.Gap { return nil }

func (f *fake) Epochs() []sm.Position {
	return []sm.Position{{Stream: "JOBS", Epoch: 1, First: 1, Sequence: 7}}
}

func (f *fake) Changed() <-chan struct{} { return f.changed }

func (f *fake) Changes(after uint64) ([]sm.Change, bool) { return f.changes(after) }

func (f *fake) Snapshot(context.Context, string) (sm.Position, error) { return f.Position(), f.read() }

// failed is a server in ERROR by an internal error.
func failed(tenant, id string) sm.Resource {
	return sm.Resource{
		Key: sm.Key{Tenant: tenant, Kind: sm.Server, ID: id}, Name: "web", Created: 1, Updated: 1, Status: sm.Error, Sequence: 7,
		Fault: &sm.Fault{Sequence: 7, Created: 1, Code: 500, Message: "An internal error occurred", Details: "canary"},
	}
}

// get sends a request, of GET if target begins with a slash, and returns the answer.
func get(tb testing.TB, h http.Handler, target string, headers ...string) *httptest.ResponseRecorder {
	tb.Helper()
	method := http.MethodGet
	if first, rest, ok := strings.Cut(target, " "); ok && target[0] != '/' {
		method, target = first, rest
	}
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
