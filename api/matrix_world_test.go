package api_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"faultd/api"
	sm "faultd/statemachine"
)

// The strings that are planted in what some may not see: alien in everything of the tenant theirs, and internal in
// what lies behind an internal error of the tenant mine.
const (
	alien    = "ALIEN-canary"
	internal = "INTERNAL-canary"
)

// matrixHook is the only hook, which belongs to no tenant.
const matrixHook = "pager"

// visitor is one who asks, with what the matrix knows of its token.
type visitor struct {
	name   string
	token  string // "": none
	valid  bool
	tenant string // "": all
	admin  bool
}

var visitors = []visitor{
	{name: "no token"},
	{name: "bad token", token: "bad"},
	{name: "expired token", token: "expired"},
	{"reader", "reader", true, "mine", false},
	{"administrator", "admin", true, "mine", true},
	{"reader of another tenant", "their-reader", true, "theirs", false},
	{"administrator of another tenant", "their-admin", true, "theirs", true},
	{"reader of a tenant without anything", "newcomer", true, "empty", false},
	{"reader of all", "all-reader", true, "", false},
	{"administrator of all", "all-admin", true, "", true},
}

// visitorTokens are the rows of their tokens.
func visitorTokens() []api.Token {
	tokens := []api.Token{{Name: "expired", SHA256: sha256.Sum256([]byte("expired")), Admin: true, Expires: time.Unix(1, 0)}}
	for _, a := range visitors {
		if a.valid {
			tokens = append(tokens, api.Token{Name: a.name, SHA256: sha256.Sum256([]byte(a.token)), Tenant: a.tenant, Admin: a.admin})
		}
	}
	return tokens
}

// sees tells whether a visitor may see what belongs to a tenant.
func (a *visitor) sees(tenant string) bool { return a.valid && (a.tenant == "" || a.tenant == tenant) }

// plant fills a store with resources of all kinds of a tenant, each of which carries a mark wherever a producer can
// put something. secret stands behind internal errors.
func (w *world) plant(tenant, mark, secret string) {
	for _, kind := range sm.Kinds {
		at := tenant + "/" + kind.String() + "/" + tenant + "-" + kind.String()
		for _, a := range sm.Actions {
			if a != sm.ActDelete && sm.Allowed(kind, a) {
				w.plantJobs(at, a, mark, secret)
				break
			}
		}
	}
}

func (w *world) plantJobs(at string, a sm.Action, mark, secret string) {
	marked := func(e *sm.Entry) {
		e.Name, e.User, e.RequestID = mark, mark, "req-"+mark
		e.Attributes = sm.Attributes(fmt.Sprintf(`{"metadata":{"k":%q},"hostId":%[1]q,"cloud_id":"cloud","description":%[1]q,"vault":"shared-vault","agent_id":%[1]q,"host":%[1]q,"report":{"r":%[1]q},"backup_id":%q,"image":{"id":%[1]q}}`,
			mark, strings.Split(at, "/")[0]+"-backup"))
	}
	fails := func(code int, details string) func(*sm.Entry) {
		return func(e *sm.Entry) {
			e.Fault = &sm.Fault{Code: code, Message: mark, Details: mark + details, Reason: mark}
		}
	}
	provider := func(e *sm.Entry) { e.Provider, e.Providers = mark, []string{mark, mark + "-2"} }
	job := func(e *sm.Entry) { e.Job = "job-" + mark }
	shown := strings.ToLower(mark) // a mark that a reader of the tenant sees where the other one would be hidden
	w.apply(
		event(at, a, sm.PhaseStarted, marked, job),
		event(at, a, sm.PhaseProgressed, marked, job, fails(500, secret)),
		event(at, a, sm.PhaseFailed, marked, job, provider, fails(500, secret)),
		event(at, a, sm.PhaseFailed, marked, job, provider, func(e *sm.Entry) { e.Provider += "-2" }, fails(404, shown)),
		event(at, sm.ActDelete, sm.PhaseCancelled, marked, func(e *sm.Entry) { e.Job = "delete-" + mark }, fails(500, secret)),
		event(at+"-2", a, sm.PhaseFailed, marked, job, provider, fails(500, secret)),
		event(at+"-2", a, sm.PhaseFailed, marked, job, fails(404, shown)), // its own details list the provider's
		event(at+"-3", a, sm.PhaseSucceeded, marked, job),
		event(at+"-4", a, sm.PhaseFailed, marked, job, fails(404, shown)),
	)
}

// newMatrixWorld is a store of the tenant mine, and of the tenant theirs if that is told.
func newMatrixWorld(tb testing.TB, foreign bool) *world {
	w := newWorld(tb)
	w.plant("mine", "mine-mark", internal)
	if foreign {
		w.plant("theirs", alien, internal)
		w.apply(sm.Entry{Reason: sm.Malformed, Detail: alien, Subject: "jobs.theirs.server.x.failed", Raw: []byte(alien)})
	}
	w.handler = api.New(api.Config{Store: w.db, Done: w.done, Tokens: visitorTokens(), Spool: tb.TempDir(), Hooks: &hooks{all: []api.Hook{{Name: matrixHook}}}})
	return w
}

// answer is what a visitor got.
type answer struct {
	status int
	head   http.Header
	body   string
}

// patient takes whatever a stream sends.
type patient struct{ *httptest.ResponseRecorder }

func (patient) SetWriteDeadline(time.Time) error { return nil }

// ask asks as a client that goes at once, so that a stream tells what it has and ends.
func (w *world) ask(a *visitor, method, target, accept string) answer {
	ctx, cancel := context.WithCancel(w.tb.Context())
	defer cancel()
	if target != "/v1/snapshot" { // which would not be made for a client that has gone
		cancel()
	}
	r := httptest.NewRequestWithContext(ctx, method, target, nil)
	r.Header.Set("Last-Event-ID", "0")
	if a.token != "" {
		r.Header.Set("X-Auth-Token", a.token)
	}
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	recorder := patient{httptest.NewRecorder()}
	w.handler.ServeHTTP(recorder, r)
	return answer{recorder.Code, recorder.Header(), recorder.Body.String()}
}

var requestID = regexp.MustCompile(`req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// plain is an answer as a text without what differs from one answer to the next.
func (a answer) plain() string {
	head := maps.Clone(a.head)
	delete(head, "X-Faultd-Position")
	return requestID.ReplaceAllString(fmt.Sprint(a.status, head, a.body), "req-")
}
