package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"
)

// Token is a token that the API takes. Of the token itself only its digest is known.
type Token struct {
	Name    string            // for people; two may share one while the second replaces the first
	SHA256  [sha256.Size]byte // of the token's bytes
	Tenant  string            // "": all tenants
	Admin   bool              // else its holder is a reader
	Expires time.Time         // from then on it is not taken; zero: never
}

// Expired tells whether the token's time is over.
func (t *Token) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// SetTokens replaces the tokens that are taken, from the next request on. A stream whose token is no longer among
// them ends. It may be called at any time; without any token nobody is served. A handler that was made without tokens
// goes on without.
func (h *Handler) SetTokens(tokens []Token) { h.tokens.Store(&tokens) }

// byToken is the rule with tokens: who shows one of them is its tenant's, or everybody's, reader or administrator.
func (h *Handler) byToken(r *http.Request) (caller, error) {
	sent, err := sentToken(r.Header)
	if err != nil {
		return caller{}, err
	}
	t := findToken(*h.tokens.Load(), sha256.Sum256([]byte(sent)))
	if t == nil || t.Expired(time.Now()) {
		return caller{}, badToken
	}
	return caller{tenant: t.Tenant, admin: t.Admin, token: t}, nil
}

// findToken compares a digest with those of all tokens, and takes as long whichever it is, and whether it is one.
func findToken(tokens []Token, digest [sha256.Size]byte) *Token {
	found := -1
	for i := range tokens {
		same := subtle.ConstantTimeCompare(tokens[i].SHA256[:], digest[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return nil
	}
	return &tokens[found]
}

// sentToken is the token of a request, which may stand in either header. Two that differ are none: whoever looked
// at one of them only, a proxy for instance, would let another in than we do.
func sentToken(head http.Header) (string, error) {
	sent := head["X-Auth-Token"]
	for _, value := range head["Authorization"] {
		scheme, token, _ := strings.Cut(strings.TrimSpace(value), " ")
		if strings.EqualFold(scheme, "Bearer") {
			sent = append(sent[:len(sent):len(sent)], strings.TrimSpace(token))
		}
	}
	one := ""
	for _, token := range sent {
		switch {
		case token == "", token == one:
		case one == "":
			one = token
		default:
			return "", twoTokens
		}
	}
	if one == "" {
		return "", noToken
	}
	return one, nil
}

// welcome tells whether the caller's token is still taken as what it was when the request came.
func (c *call) welcome(now time.Time) bool {
	was := c.caller.token
	if was == nil {
		return true
	}
	is := findToken(*c.h.tokens.Load(), was.SHA256)
	return is != nil && is.Tenant == was.Tenant && is.Admin == was.Admin && !is.Expired(now)
}

// audience is who may follow a route.
type audience uint8

const (
	everyTenant    audience = iota // whoever has a token, each for the tenant's own
	everybody                      // also without a token: what clients and probes ask before they have one
	allTenants                     // holders of a token of all tenants: what cannot be told tenant by tenant
	administrators                 // what is no tenant's, and of no use but to operators
	operators                      // administrators of all tenants
)

// admit refuses a caller who may not follow a route. The tenant in the path comes first, so that nobody learns
// anything below another one's.
func (c *call) admit(to audience) error {
	switch own := c.caller.tenant; {
	case to == everybody:
		return nil
	case c.denied != nil:
		return c.denied
	case c.tenant != "" && own != "" && c.tenant != own:
		return foreignTenant
	case to == administrators && !c.caller.admin, to == operators && !(c.caller.admin && own == ""), to == allTenants && own != "":
		return notForYou
	default:
		return nil
	}
}
