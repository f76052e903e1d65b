package api

import (
	"errors"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	sm "faultd/statemachine"
)

// maxPage is the most that a list answers with, and what it answers with if nothing is said.
const maxPage = 1000

// param is the first value of a parameter, "" where there is none.
func (c *call) param(name string) string { return c.params.Get(name) }

// limit reads how many a page is to hold.
func (c *call) limit() (int, error) {
	if !c.params.Has("limit") {
		return maxPage, nil
	}
	value := c.param("limit")
	n, err := strconv.Atoi(value)
	switch {
	case errors.Is(err, strconv.ErrRange) && n > 0, err == nil && (n == 0 || n > maxPage):
		return maxPage, nil
	case err != nil || n < 0:
		return 0, badRequest("limit must be a number from 0 to %d, not [%s]", maxPage, sm.Clip(value, maxName))
	}
	return n, nil
}

// flag reads a parameter that is a boolean; one without a value is true.
func (c *call) flag(name string) (bool, error) {
	if !c.params.Has(name) {
		return false, nil
	}
	switch value := c.param(name); strings.ToLower(value) {
	case "", "1", "t", "true", "on", "y", "yes":
		return true, nil
	case "0", "f", "false", "off", "n", "no":
		return false, nil
	default:
		return false, badRequest("%s must be true or false, not [%s]", name, sm.Clip(value, maxName))
	}
}

// timeForms are the forms of ISO 8601 that are understood. What has no zone is UTC.
var timeForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02",
}

// changesSince reads from when on changes are asked for; 0 is not said.
func (c *call) changesSince() (sm.Time, error) {
	if !c.params.Has("changes-since") {
		return 0, nil
	}
	value := c.param("changes-since")
	t, ok := parseTime(value)
	if !ok {
		return 0, badRequest("changes-since must be a time in ISO 8601, not [%s]", sm.Clip(value, maxName))
	}
	return t, nil
}

func parseTime(value string) (sm.Time, bool) {
	if n := len(value) - len(" 00:00"); n > len("2006-01-02") && value[n] == ' ' {
		value = value[:n] + "+" + value[n+1:] // a plus that was not escaped
	}
	for _, form := range timeForms {
		t, err := time.Parse(form, value)
		switch {
		case err != nil:
			continue
		case t.Unix() <= 0:
			return 1, true
		case t.Unix() >= math.MaxInt64/int64(time.Second):
			return math.MaxInt64, true
		default:
			return max(sm.At(t), 1), true
		}
	}
	return 0, false
}

// hasStatus tells whether a resource of that kind can have that status; kind 0 is any.
func hasStatus(kind sm.Kind, s sm.Status) bool {
	return kind == 0 || slices.Contains(kind.Statuses(), s)
}

// maxPattern is the longest name that can be asked for, in bytes.
const maxPattern = 255

// nameMatch reads the name that is asked for: that of an image, or for servers a regular expression that is to be
// found in the name, as with Nova.
func (c *call) nameMatch(kind sm.Kind) (func(*sm.Resource) bool, error) {
	name := c.param("name")
	switch {
	case name == "":
		return nil, nil
	case len(name) > maxPattern:
		return nil, badRequest("name must have at most %d bytes", maxPattern)
	case kind != sm.Server:
		return func(r *sm.Resource) bool { return r.Name == name }, nil
	case regexp.QuoteMeta(name) == name:
		return func(r *sm.Resource) bool { return strings.Contains(r.Name, name) }, nil
	}
	pattern, err := regexp.Compile(name)
	if err != nil {
		return nil, badRequest("name must be a regular expression, not [%s]", name)
	}
	return func(r *sm.Resource) bool { return pattern.MatchString(r.Name) }, nil
}

// scope is the tenant to which an answer is restricted, "" for all: the caller's, the one in the path, or the one
// that is asked for.
func (c *call) scope(asked string) (string, error) {
	if asked != "" && !validName(asked) {
		return "", badRequest("tenant must be a tenant's id, not [%s]", sm.Clip(asked, maxName))
	}
	if c.tenant != "" {
		asked = c.tenant
	}
	own := c.caller.tenant
	if own == "" {
		return asked, nil
	}
	if asked != "" && asked != own {
		return "", foreignTenant
	}
	return own, nil
}

// resource finds one resource by its id: the tenant's, or of all tenants the only one that has it.
func (c *call) resource(tenant string, kind sm.Kind, id string) (sm.Resource, error) {
	if !validName(id) {
		return sm.Resource{}, missing(kind, id)
	}
	if tenant != "" {
		r, err := c.h.store.Resource(sm.Key{Tenant: tenant, Kind: kind, ID: id})
		if errors.Is(err, sm.ErrNotFound) {
			err = missing(kind, id)
		}
		return r, err
	}
	found, err := c.h.store.Find(kind, id)
	switch {
	case err != nil:
		return sm.Resource{}, err
	case len(found) == 0:
		return sm.Resource{}, missing(kind, id)
	case len(found) > 1:
		return sm.Resource{}, ambiguous(kind, id, found)
	}
	return found[0], nil
}

// missing says the same of what does not exist and of what the caller may not see.
func missing(kind sm.Kind, id string) *problem {
	title := "The " + kind.String()
	if name := computeNames[kind]; name != nil {
		title = name.title
	}
	return &problem{status: notFound.status, message: title + " " + sm.Clip(id, maxName) + " could not be found."}
}

// ambiguous asks for the tenant of an id that several have.
func ambiguous(kind sm.Kind, id string, found []sm.Resource) *problem {
	const shown = 10
	var tenants []string
	for i := range found[:min(len(found), shown)] {
		tenants = append(tenants, found[i].Tenant)
	}
	if len(found) > shown {
		tenants = append(tenants, "…")
	}
	return badRequest("%d tenants have a %s %s: say which one by ?tenant=, one of %s", len(found), kind, id, strings.Join(tenants, ", "))
}

// The marker of a page is the id of the resource that it begins behind. Where that does not name one, because the
// page is of all tenants or of all kinds, it is tenant/id or tenant/kind/id; what next writes, marker reads.

// marker reads it; nil: from the beginning. The kind 0 is any.
func (c *call) marker(tenant string, kind sm.Kind) (*sm.Key, error) {
	if !c.params.Has("marker") {
		return nil, nil
	}
	key, ok := parseMarker(c.param("marker"), tenant, kind)
	switch {
	case !ok:
		return nil, c.markerError(sm.ErrUnknownMarker)
	case key.Tenant != "" && key.Kind != 0:
		return &key, nil
	}
	var found []sm.Resource
	for _, kind := range sm.Kinds {
		if key.Kind != 0 && key.Kind != kind {
			continue
		}
		more, err := c.h.store.Find(kind, key.ID)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	found = slices.DeleteFunc(found, func(r sm.Resource) bool { return key.Tenant != "" && r.Tenant != key.Tenant })
	switch {
	case len(found) == 0:
		return nil, c.markerError(sm.ErrUnknownMarker)
	case len(found) > 1:
		return nil, badRequest("marker [%s] is the id of %d resources: follow the link next, or give it as tenant/kind/id", key.ID, len(found))
	}
	return &found[0].Key, nil
}

// parseMarker reads a marker within a tenant and a kind, "" and 0 where these are open.
func parseMarker(s, tenant string, kind sm.Kind) (key sm.Key, ok bool) {
	parts := strings.Split(s, "/")
	key = sm.Key{Tenant: tenant, Kind: kind, ID: parts[len(parts)-1]}
	if len(parts) > 1 {
		if key.Tenant = parts[0]; tenant != "" && tenant != key.Tenant || !validName(key.Tenant) {
			return key, false
		}
	}
	if len(parts) > 2 {
		if key.Kind, ok = sm.ParseKind(parts[1]); !ok || kind != 0 && kind != key.Kind {
			return key, false
		}
	}
	return key, len(parts) <= 3 && validName(key.ID)
}

// markerError says which marker it is that is not known.
func (c *call) markerError(err error) error {
	if errors.Is(err, sm.ErrUnknownMarker) {
		return badRequest("marker [%s] not found", sm.Clip(c.param("marker"), maxName))
	}
	return err
}

// list is a page of resources, and the address of the page behind it: "" where the page is not full.
func (c *call) list(q sm.Query) (page []sm.Resource, next string, err error) {
	if page, err = c.h.store.List(q); err != nil {
		return nil, "", c.markerError(err)
	}
	if len(page) == q.Limit {
		next, err = c.next(&page[len(page)-1], q.Tenant)
	}
	return page, next, err
}

// next is the address of the page behind that resource, in a list of one tenant or, for "", of all. The marker is
// the plain id wherever that is enough, since that is what clients make of it themselves.
func (c *call) next(last *sm.Resource, tenant string) (string, error) {
	marker := last.ID
	if tenant == "" {
		found, err := c.h.store.Find(last.Kind, last.ID)
		if err != nil {
			return "", err
		}
		if len(found) > 1 {
			marker = last.Tenant + "/" + last.ID
		}
	}
	return c.nextAt(marker), nil
}

// nextAt is the address of the same list behind a marker.
func (c *call) nextAt(marker string) string {
	query := url.Values{"marker": {marker}}
	for name, values := range c.params {
		if name != "marker" {
			query[name] = values
		}
	}
	return c.host() + c.r.URL.EscapedPath() + "?" + query.Encode()
}
