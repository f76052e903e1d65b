package api

import (
	"bufio"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	sm "faultd/statemachine"
)

// token is a row for a token of a tenant, or of all for "".
func token(secret, tenant string, admin bool) Token {
	return Token{Name: secret, SHA256: sha256.Sum256([]byte(secret)), Tenant: tenant, Admin: admin}
}

func TestIdentify_Headers(t *testing.T) {
	h := New(Config{Store: &fake{}, Tokens: []Token{token("first", "", true), token("good", "t", false), token("last", "u", true)}})
	const name, bearer = "X-Auth-Token", "Authorization"
	for _, c := range []struct {
		headers []string
		status  int
	}{
		{nil, 401},
		{[]string{name, "good"}, 200},
		{[]string{name, "first"}, 200},
		{[]string{name, "last"}, 200},
		{[]string{bearer, "Bearer good"}, 200},
		{[]string{bearer, "bearer  good "}, 200},
		{[]string{name, "good", bearer, "Bearer good"}, 200},
		{[]string{name, "good", name, "good"}, 200},
		{[]string{name, "", bearer, "Bearer good"}, 200},
		{[]string{name, "good", bearer, "Basic Z29vZDo="}, 200},
		{[]string{bearer, "Basic Z29vZDo="}, 401},
		{[]string{name, ""}, 401},
		{[]string{bearer, "Bearer"}, 401},
		{[]string{bearer, "Bearer "}, 401},
		{[]string{bearer, "good"}, 401},
		{[]string{name, "Good"}, 401},
		{[]string{name, "goo"}, 401},
		{[]string{name, "good "}, 401}, // over the wire no space is left at its end
		{[]string{name, digest("good")}, 401},
		{[]string{name, "good", bearer, "Bearer last"}, 401},
		{[]string{name, "bad", bearer, "Bearer good"}, 401},
		{[]string{name, "good", name, "last"}, 401},
		{[]string{bearer, "Bearer good", bearer, "Bearer last"}, 401},
	} {
		w := get(t, h, "/compute/v2.1/servers", c.headers...)
		if w.Code != c.status {
			t.Errorf("%q: %d %s, want %d", c.headers, w.Code, w.Body, c.status)
		}
		if known := w.Header().Get("X-Faultd-Position") != ""; known != (c.status == 200) {
			t.Errorf("%q: the position is told: %v", c.headers, known)
		}
		if c.status == 401 && w.Header().Get("WWW-Authenticate") != `Bearer realm="faultd"` {
			t.Errorf("%q: %v", c.headers, w.Header())
		}
	}
}

func TestIdentify_WithoutTokens(t *testing.T) {
	h := New(Config{Store: &fake{all: []sm.Resource{failed("t", "a")}}})
	for _, headers := range [][]string{nil, {"X-Auth-Token", "whatever"}, {"X-Auth-Token", "a", "Authorization", "Bearer b"}} {
		if w := get(t, h, "/v1/resources/server/a", headers...); w.Code != 200 || !contains(w.Body.String(), "canary") {
			t.Errorf("%q: %d %s", headers, w.Code, w.Body)
		}
	}
}

func TestIdentify_Expiry(t *testing.T) {
	over, coming := token("over", "t", true), token("coming", "t", true)
	over.Expires, coming.Expires = time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	h := New(Config{Store: &fake{}, Tokens: []Token{over, coming}})
	expired, unknown := get(t, h, "/v1/resources", "X-Auth-Token", "over"), get(t, h, "/v1/resources", "X-Auth-Token", "unknown")
	without := func(w string) string {
		before, _, _ := strings.Cut(w, `,"request_id"`)
		return before
	}
	if expired.Code != 401 || without(expired.Body.String()) != without(unknown.Body.String()) {
		t.Errorf("an expired token: %s; an unknown one: %s", expired.Body, unknown.Body)
	}
	if w := get(t, h, "/v1/resources", "X-Auth-Token", "coming"); w.Code != 200 {
		t.Errorf("one that has not expired: %d", w.Code)
	}
	if at := over.Expires; !over.Expired(at) || over.Expired(at.Add(-1)) {
		t.Error("it does not expire at that time")
	}
}

func TestSetTokens_ReplacesThemAll(t *testing.T) {
	h := New(Config{Store: &fake{}, Tokens: []Token{token("old", "t", true)}})
	status := func(secret string) int { return get(t, h, "/v1/resources", "X-Auth-Token", secret).Code }
	h.SetTokens([]Token{token("old", "t", true), token("new", "t", true)}) // rotation
	if status("old") != 200 || status("new") != 200 {
		t.Errorf("both: %d %d", status("old"), status("new"))
	}
	h.SetTokens([]Token{token("new", "t", true)})
	if status("old") != 401 || status("new") != 200 {
		t.Errorf("the new one: %d %d", status("old"), status("new"))
	}
	h.SetTokens(nil)
	if status("new") != 401 || get(t, h, "/v1/resources").Code != 401 {
		t.Error("without any token somebody is served")
	}
}

// TestStream_EndsWithItsToken takes the token of a stream away, as a reader's or altogether.
func TestStream_EndsWithItsToken(t *testing.T) {
	for name, left := range map[string][]Token{
		"gone":           {},
		"expired":        {{SHA256: sha256.Sum256([]byte("secret")), Tenant: "t", Admin: true, Expires: time.Unix(1, 0)}},
		"another tenant": {token("secret", "u", true)},
		"reader now":     {token("secret", "t", false)},
	} {
		t.Run(name, func(t *testing.T) {
			h := New(Config{Store: quiet(), Tokens: []Token{token("secret", "t", true)}})
			h.heartbeat = time.Millisecond
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, serve(t, h, nil)+"/v1/stream", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Auth-Token", "secret")
			answer, err := http.DefaultTransport.RoundTrip(r)
			if err != nil || answer.StatusCode != 200 {
				t.Fatal(answer, err)
			}
			defer answer.Body.Close()
			lines := bufio.NewReader(answer.Body)
			for range 5 {
				if _, err := lines.ReadString('\n'); err != nil {
					t.Fatalf("it ends although its token stands: %v", err)
				}
			}
			h.SetTokens(left)
			for err == nil { // the test's own deadline ends this if the stream goes on
				_, err = lines.ReadString('\n')
			}
		})
	}
}

func TestFindToken_WhereverItStands(t *testing.T) {
	var tokens []Token
	for _, secret := range []string{"a", "b", "c", "d"} {
		tokens = append(tokens, token(secret, "t", false))
	}
	for i := range tokens {
		if got := findToken(tokens, tokens[i].SHA256); got != &tokens[i] {
			t.Errorf("token %d: %v", i, got)
		}
	}
	if got := findToken(tokens, [32]byte{}); got != nil {
		t.Errorf("no token: %v", got)
	}
	if got := findToken(nil, [32]byte{}); got != nil {
		t.Errorf("none of none: %v", got)
	}
}

// TestOpenRoutes_NeedNoToken asks for what clients and probes ask before they have a token.
func TestOpenRoutes_NeedNoToken(t *testing.T) {
	h := New(Config{Store: &fake{}, Tokens: []Token{token("good", "t", false)}})
	for target, status := range map[string]int{
		"/": 200, "/livez": 200, "/readyz": 200, "/compute": 200, "/compute/": 200, "/compute/v2.1": 200, "/compute/v2.1/": 200,
		"/compute/v2/": 200, "/compute/v2.1/t": 200, "/volume": 300, "/volume/v3/": 200, "/volume/v3/t/": 200,
		"POST /livez": 405, "POST /compute/v2.1/": 405, "POST /": 405,
		"/metrics": 401, "/v1": 401, "/nothing": 401, "/livez/x": 401, "/compute/v3": 401, "/compute/v2.1/servers": 401, "/compute/v2.1/t/nothing": 401,
		"/compute/v2.1/flavors": 401, "POST /compute/v2.1/servers": 401, "/volume/v3/t/backups": 401, "/cloud-backup/v2/t": 401, "/backup-management": 401,
		"/v1/hooks": 401, "/v1/hooks/pager/dead": 401, "POST /v1/hooks/pager/test": 401, "GET /v1/hooks/pager/test": 401, "OPTIONS /v1/resources": 401,
	} {
		for _, headers := range [][]string{nil, {"X-Auth-Token", "bad"}} {
			w := get(t, h, target, headers...)
			if w.Code != status || w.Header().Get("X-Faultd-Position") != "" {
				t.Errorf("%s with %v: %d %v, want %d", target, headers, w.Code, w.Header(), status)
			}
		}
		if w := get(t, h, target, "X-Auth-Token", "good"); w.Code == 401 || w.Header().Get("X-Faultd-Position") == "" {
			t.Errorf("%s with a token: %d %v", target, w.Code, w.Header())
		}
	}
	if w := get(t, h, "/compute/v2.1/servers", "OpenStack-API-Version", "compute 9.9"); w.Code != 401 {
		t.Errorf("a version that is not served, without a token: %d", w.Code)
	}
}
