package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	sm "faultd/statemachine"
)

// from asks as a client at that address.
func from(tb testing.TB, h http.Handler, address, target, secret string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.RemoteAddr = address
	if secret != "" {
		r.Header.Set("X-Auth-Token", secret)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestRate_InTheDialects has one request in a thousand seconds, so that the second one is too many.
func TestRate_InTheDialects(t *testing.T) {
	for _, c := range []struct {
		target string
		status int
		body   string // what stands in it
	}{
		{"/compute/v2.1/servers", 413, `{"overLimit":{"code":413,`},
		{"/compute/v2.1/t/servers.xml", 413, `<overLimit xmlns="http://docs.openstack.org/compute/api/v1.1" code="413" retryAt="`},
		{"/volume/v3/t/backups", 413, `{"overLimit":{"code":413,`},
		{"/volume/v3/t/backups.xml", 413, `<overLimit xmlns="http://docs.openstack.org/api/openstack-block-storage/2.0/content" code="413"`},
		{"/cloud-backup/v2/t/backups", 503, `{"message":"`},
		{"/backup-management/v1/orgs/t/clouds/c/backups", 429, `"errorMessage":"`},
		{"/v1/resources", 429, `"status":429`},
		{"/nothing", 429, `"status":429`},
		{"/metrics", 429, `"status":429`},
		{"/", 429, `"status":429`},
	} {
		h := New(Config{Store: &fake{}, Limits: Limits{Rate: 0.001, Burst: 1}})
		if w := get(t, h, c.target); w.Code == c.status {
			t.Errorf("%s: the first request: %d %s", c.target, w.Code, w.Body)
		}
		w := get(t, h, c.target)
		body := w.Body.String()
		after, err := strconv.Atoi(w.Header().Get("Retry-After"))
		if w.Code != c.status || !contains(body, c.body) || err != nil || after < 990 || after > 1000 {
			t.Errorf("%s: %d %v %s", c.target, w.Code, w.Header(), body)
		}
		if _, at, ok := strings.Cut(strings.ReplaceAll(body, `":"`, `="`), `retryAt="`); ok != (c.status == 413) {
			t.Errorf("%s: retryAt: %s", c.target, body)
		} else if ok {
			at, _, _ = strings.Cut(at, `"`)
			if when, err := time.Parse(seconds, at); err != nil || time.Until(when) < 900*time.Second || time.Until(when) > 1001*time.Second {
				t.Errorf("%s: retryAt is %s: %v", c.target, at, err)
			}
		}
	}
}

// TestRate_EachClientByItself counts tokens wherever they come from, and addresses of those that show none.
func TestRate_EachClientByItself(t *testing.T) {
	h := New(Config{Store: &fake{}, Tokens: []Token{token("a", "t", false), token("b", "t", false)}, Limits: Limits{Rate: 0.001, Burst: 2}})
	for i, c := range []struct {
		address, secret string
		limited         bool
	}{
		{"192.0.2.1:1", "a", false}, {"192.0.2.1:2", "b", false}, {"192.0.2.2:1", "a", false}, // two of a, one of b
		{"192.0.2.3:1", "a", true}, {"192.0.2.3:1", "b", false}, {"192.0.2.4:1", "b", true},
		{"192.0.2.1:1", "", false}, {"192.0.2.1:99", "bad", false}, {"192.0.2.1:1", "other", true}, // bad tokens are none
		{"[::ffff:192.0.2.1]:1", "", true}, {"192.0.2.2:1", "", false},
		{"[2001:db8::1]:1", "", false}, {"[2001:db8::2]:1", "", false}, {"[2001:db8::3%eth0]:1", "", true}, {"[2001:db8:0:1::3]:1", "", false},
		{"@", "", false}, {"@", "", false}, {"", "", true}, // what is no address is one
	} {
		w := from(t, h, c.address, "/v1/resources", c.secret)
		if (w.Code == 429) != c.limited {
			t.Errorf("request %d, of %q from %s: %d", i, c.secret, c.address, w.Code)
		}
	}
	for range 10 {
		if w := from(t, h, "192.0.2.1:1", "/livez", ""); w.Code != 200 {
			t.Errorf("a health check: %d", w.Code)
		}
		if w := from(t, h, "192.0.2.1:1", "/readyz", ""); w.Code != 200 {
			t.Errorf("a health check: %d", w.Code)
		}
	}
}

func TestRate_NoneIfNotGiven(t *testing.T) {
	h := New(Config{Store: &fake{}})
	for i := range 2000 {
		if w := get(t, h, "/v1/resources"); w.Code != 200 {
			t.Fatalf("request %d: %d", i, w.Code)
		}
	}
}

func TestLimiters_Refill(t *testing.T) {
	ls := newLimiters[int](Limits{Rate: 10, Burst: 3})
	now := time.Unix(1, 0)
	for range 3 {
		if wait := ls.wait(1, now); wait != 0 {
			t.Fatalf("within the burst: %s", wait)
		}
	}
	for range 5 { // asking in vain is not counted
		if wait := ls.wait(1, now); wait != 100*time.Millisecond {
			t.Fatalf("beyond the burst: %s", wait)
		}
	}
	if wait := ls.wait(1, now.Add(100*time.Millisecond)); wait != 0 {
		t.Errorf("as told: %s", wait)
	}
	if wait := ls.wait(1, now.Add(150*time.Millisecond)); wait != 50*time.Millisecond {
		t.Errorf("too early again: %s", wait)
	}
	if wait := ls.wait(2, now); wait != 0 {
		t.Errorf("another client: %s", wait)
	}
}

// TestLimiters_Bounded has more clients than may be known. Those that keep coming stay known.
func TestLimiters_Bounded(t *testing.T) {
	ls := newLimiters[netip.Addr](Limits{Rate: 0.001, Burst: 1})
	ls.most = 100
	loyal, now := netip.MustParseAddr("192.0.2.1"), time.Unix(1, 0)
	ls.wait(loyal, now)
	addr := netip.MustParseAddr("10.0.0.0")
	for i := range 1000 {
		ls.wait(addr, now)
		addr = addr.Next()
		if i%50 == 0 && ls.wait(loyal, now) == 0 {
			t.Fatalf("after %d others the one that keeps coming is forgotten", i)
		}
		if n := len(ls.recent) + len(ls.older); n > 200 {
			t.Fatalf("%d clients are known", n)
		}
	}
}

// slow is a store whose reads wait.
type slow struct {
	*fake
	begun chan struct{}
	go_   chan struct{}
}

func (s *slow) Resource(sm.Key) (sm.Resource, error) {
	s.begun <- struct{}{}
	<-s.go_
	return sm.Resource{}, sm.ErrNotFound
}

func TestInFlight_IsBounded(t *testing.T) {
	store := &slow{fake: &fake{}, begun: make(chan struct{}), go_: make(chan struct{})}
	h := New(Config{Store: store, Limits: Limits{InFlight: 2}})
	ended := make(chan int)
	for range 2 {
		go func() { ended <- get(t, h, "/compute/v2.1/t/servers/x").Code }()
		<-store.begun
	}
	w := get(t, h, "/compute/v2.1/t/servers")
	if name, code := element(t, w.Body.Bytes()); w.Code != 503 || name != "serviceUnavailable" || code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("the third: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := get(t, h, "/livez"); w.Code != 200 {
		t.Errorf("a health check: %d", w.Code)
	}
	close(store.go_)
	for range 2 {
		if code := <-ended; code != 404 {
			t.Errorf("one that was let in: %d", code)
		}
	}
	if w := get(t, h, "/compute/v2.1/t/servers"); w.Code != 200 {
		t.Errorf("when there is room again: %d", w.Code)
	}
}

// TestInFlight_RoomIsGivenBack ends requests in every way, a panic included.
func TestInFlight_RoomIsGivenBack(t *testing.T) {
	store := &fake{all: []sm.Resource{failed("t", "a")}}
	h := New(Config{Store: store, Limits: Limits{InFlight: 1}})
	for _, panics := range []bool{false, true, false} {
		store.panics = panics
		for _, target := range []string{"/compute/v2.1/servers", "/compute/v2.1/servers/x", "/nothing", "POST /v1/faults", "/livez", "/v1/resources?limit=x", "HEAD /v1/stream"} {
			store.changes = func(uint64) ([]sm.Change, bool) { return nil, true }
			if w := get(t, h, target); w.Code == 503 {
				t.Errorf("%s: %s", target, w.Body)
			}
			if len(h.gate.slots) != 0 {
				t.Fatalf("%s: its room is not given back", target)
			}
		}
	}
}

// TestInFlight_StreamsAreApart opens more streams than there may be requests.
func TestInFlight_StreamsAreApart(t *testing.T) {
	url := serve(t, New(Config{Store: quiet(), Limits: Limits{InFlight: 1}}), nil)
	for range 3 {
		if answer := stream(t, url+"/v1/stream"); answer.StatusCode != 200 {
			t.Fatal(answer.Status)
		}
	}
}

func TestSizes_InTheDialect(t *testing.T) {
	h := New(Config{Store: &fake{}})
	for _, target := range []string{"/compute/v2.1/servers", "/volume/v3/t/backups", "/v1/resources", "/cloud-backup/v2/t/backups", "/backup-management/v1/orgs/o/clouds/c/backups"} {
		w := get(t, h, target+"?marker="+strings.Repeat("x", maxURL))
		if w.Code != 414 || !contains(w.Header().Get("Content-Type"), "json") {
			t.Errorf("%s, long: %d %v %s", target, w.Code, w.Header(), w.Body)
		}
		if w = get(t, h, target+"?limit=1&x="+strings.Repeat("x", maxURL-200)); w.Code == 414 {
			t.Errorf("%s, not too long: %d", target, w.Code)
		}
		w = get(t, h, target, "X-Junk", strings.Repeat("x", maxHeader))
		if w.Code != 431 {
			t.Errorf("%s, a large field: %d %s", target, w.Code, w.Body)
		}
		var many []string
		for i := range maxHeader / 100 {
			many = append(many, fmt.Sprintf("X-Junk-%d", i), strings.Repeat("x", 100))
		}
		if w = get(t, h, target, many...); w.Code != 431 {
			t.Errorf("%s, many fields: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestLimits_Defaults(t *testing.T) {
	g := newGate(Limits{Rate: 50})
	if g.byToken.burst != 100 || cap(g.slots) != DefaultInFlight {
		t.Errorf("burst %d, %d in flight", g.byToken.burst, cap(g.slots))
	}
	if g := newGate(Limits{Rate: 0.1}); g.byToken.burst != 1 {
		t.Errorf("of a slow rate: burst %d", g.byToken.burst)
	}
}
