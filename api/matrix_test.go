package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"faultd/api"
	sm "faultd/statemachine"
)

// target is a cell of the matrix as far as the path tells it.
type target struct {
	route  api.Route
	path   string
	tenant string // that the path names, or ""
	owner  string // whose resource it asks for; "": it asks for none, or for none that is
	one    bool   // it asks for one resource
}

// base is the path of a mount for a tenant, and whether the path can name one.
func base(mount, tenant string) (path string, ok bool) {
	switch mount {
	case "compute":
		return "/compute/v2.1/" + withSlash(tenant), true
	case "volume":
		return "/volume/v3/" + withSlash(tenant), true
	case "volume/v2":
		return "/volume/v2/" + withSlash(tenant), true
	case "cloud-backup":
		return "/cloud-backup/v2/" + withSlash(tenant), true
	case "backup-management/orgs":
		return "/backup-management/v1/orgs/" + withSlash(tenant), tenant != ""
	case "backup-management":
		return "/backup-management/v1/orgs/" + withSlash(tenant) + "clouds/cloud/", tenant != ""
	default:
		return "/" + withSlash(mount), tenant == ""
	}
}

func withSlash(s string) string {
	if s == "" {
		return ""
	}
	return s + "/"
}

// targets are all paths of a route: for each tenant in the path, and of each owner's resource.
func (w *world) targets(rt api.Route) (all []target) {
	for _, tenant := range []string{"", "mine", "theirs", "nobody"} {
		prefix, ok := base(rt.Mount, tenant)
		if !ok {
			continue
		}
		pattern := strings.Replace(rt.Pattern, "**", "x", 1)
		if !strings.Contains(pattern, "{}") {
			all = append(all, target{rt, prefix + pattern, tenant, "", false})
			continue
		}
		for _, owner := range []string{"mine", "theirs", "nobody"} {
			for _, path := range w.fill1(rt.Mount, pattern, owner) {
				t := target{rt, prefix + path, tenant, owner, true}
				if owner == "nobody" {
					t.owner = ""
				}
				if strings.HasPrefix(rt.Pattern, "hooks/") { // which are no tenant's
					t.owner, t.one = "", false
				}
				all = append(all, t)
			}
		}
	}
	return all
}

// kindOf is the kind that the segment before a placeholder stands for.
var kindOf = map[string]string{"servers": "server", "images": "image", "backups": "backup", "restores": "restore", "exports": "export",
	"imports": "import", "migrations": "migration"}

// fill1 puts what an owner has, or nobody, into a pattern.
func (w *world) fill1(mount, pattern, owner string) (paths []string) {
	collection, _, _ := strings.Cut(pattern, "/")
	switch {
	case mount == "v1" && collection == "hooks":
		paths = []string{put(pattern, matrixHook) + "?since=2026-11-21"}
	case mount == "v1":
		for _, kind := range sm.Kinds {
			paths = append(paths, put(pattern, kind.String(), owner+"-"+kind.String()))
		}
	case collection == "messages":
		paths = append(paths, put(pattern, w.message(owner)))
	default:
		kind := kindOf[collection]
		paths = append(paths, put(pattern, owner+"-"+kind, "req-"+map[string]string{"mine": "mine-mark", "theirs": alien}[owner]))
	}
	return paths
}

func put(pattern string, values ...string) string {
	for _, v := range values {
		pattern = strings.Replace(pattern, "{}", v, 1)
	}
	return pattern
}

// message is the id of a message of a tenant, or one that nobody has.
func (w *world) message(tenant string) string {
	var list struct{ Messages []struct{ ID string } }
	got := w.ask(&visitors[len(visitors)-1], http.MethodGet, "/volume/v3/"+tenant+"/messages?resource_uuid="+tenant+"-backup", "")
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Messages) == 0 {
		return "00000000-0000-8001-8000-00000000cafe"
	}
	return list.Messages[0].ID
}

// The rule, written down without a look at the code.

// forAdministrators is what is no tenant's; the value tells whether it needs one of all tenants.
var forAdministrators = map[string]bool{"faults/groups": true, "rejected": true, "snapshot": true, "position": false,
	"hooks": true, "hooks/{}/dead": true, "hooks/{}/test": true, "hooks/{}/redeliver": true, "hooks/{}/replay": true}

// want is the status that a visitor is to get.
func (at *target) want(a *visitor) int {
	ofAll, guarded := forAdministrators[at.route.Pattern]
	switch {
	case !a.valid:
		return http.StatusUnauthorized
	case at.tenant != "" && a.tenant != "" && at.tenant != a.tenant:
		return http.StatusForbidden
	case at.route.Mount == "v1" && guarded && (!a.admin || ofAll && a.tenant != ""):
		return http.StatusForbidden
	case !at.route.Served:
		return http.StatusNotImplemented
	case at.one && (!a.sees(at.owner) || at.owner == "" || at.tenant != "" && at.tenant != at.owner):
		if collection, _, _ := strings.Cut(at.route.Pattern, "/"); at.route.Mount == "backup-management" && (collection == "backups" || collection == "restores") {
			return http.StatusBadRequest // the codes 108 and 120
		}
		return http.StatusNotFound
	default:
		return http.StatusOK
	}
}

// TestMatrix_EveryRoute asks for every route as everyone, for one's own, another's and what is not there, and compares
// with a store that has nothing of the other tenant.
func TestMatrix_EveryRoute(t *testing.T) {
	both, alone := newMatrixWorld(t, true), newMatrixWorld(t, false)
	cells, shown := 0, map[string]bool{}
	for _, rt := range api.Routes() {
		for _, at := range both.targets(rt) {
			for i := range visitors {
				for _, accept := range []string{"application/json", "application/xml", ""} {
					if accept == "application/xml" && rt.Mount != "compute" && !strings.HasPrefix(rt.Mount, "volume") || rt.Pattern == "stream" && accept != "" {
						continue
					}
					cells++
					got := both.ask(&visitors[i], rt.Method, at.path, accept)
					at.check(t, &visitors[i], got)
					if !visitors[i].sees("theirs") && rt.Pattern != "position" { // which is the stream's, of whomever it speaks
						if want := alone.ask(&visitors[i], rt.Method, at.path, accept); got.plain() != want.plain() {
							t.Errorf("%s, %s:\n%s\nand were there no other tenant:\n%s", visitors[i].name, at.path, got.plain(), want.plain())
						}
					}
					for _, mark := range []string{alien, internal, "mine-mark"} {
						if strings.Contains(got.body, mark) {
							shown[rt.Mount+" "+mark] = true
						}
					}
					head, want := both.ask(&visitors[i], http.MethodHead, at.path, accept), got.status
					if rt.Method == http.MethodPost && got.status == http.StatusOK {
						want = http.StatusMethodNotAllowed
					}
					if head.status != want || head.body != "" {
						t.Errorf("%s, HEAD %s: %d %s, want %d", visitors[i].name, at.path, head.status, head.body, want)
					}
				}
			}
			if t.Failed() {
				return // one route tells enough
			}
		}
	}
	for _, mount := range []string{"v1", "compute", "volume", "cloud-backup", "backup-management"} { // somebody may see each of them, so that who may not is no accident
		for _, mark := range []string{alien, internal, "mine-mark"} {
			if !shown[mount+" "+mark] {
				t.Errorf("nobody is shown %s by %s", mark, mount)
			}
		}
	}
	t.Logf("%d cells", cells)
}

// check compares an answer with the rule, and looks for what must not be in it.
func (at *target) check(t *testing.T, a *visitor, got answer) {
	t.Helper()
	if want := at.want(a); got.status != want {
		t.Errorf("%s, %s: %d %s, want %d", a.name, at.path, got.status, got.body, want)
	}
	all := fmt.Sprint(got.head, got.body)
	if !a.sees("theirs") && strings.Contains(strings.ReplaceAll(all, at.path, ""), alien) && !strings.Contains(at.path, alien) {
		t.Errorf("%s, %s: is shown what is another tenant's: %s", a.name, at.path, all)
	}
	if !a.sees("mine") && strings.Contains(all, "mine-mark") && !strings.Contains(at.path, "mine-mark") {
		t.Errorf("%s, %s: is shown what is another tenant's: %s", a.name, at.path, all)
	}
	if !a.admin && strings.Contains(all, internal) {
		t.Errorf("%s, %s: is shown what lies behind an internal error: %s", a.name, at.path, all)
	}
	if position := got.head.Get("X-Faultd-Position"); (position != "") != a.valid {
		t.Errorf("%s, %s: position %q", a.name, at.path, position)
	}
}

// TestMatrix_ForeignIsMissing compares another tenant's resource with one that is not there, byte by byte.
func TestMatrix_ForeignIsMissing(t *testing.T) {
	w := newMatrixWorld(t, true)
	compared := 0
	for _, rt := range api.Routes() {
		for _, at := range w.targets(rt) {
			if at.owner != "theirs" || !rt.Served {
				continue
			}
			missing := strings.NewReplacer("theirs-", "absent-", w.message("theirs"), w.message("absent"), "req-"+alien, "req-").Replace(at.path)
			for i := range visitors {
				if visitors[i].sees("theirs") {
					continue
				}
				compared++
				foreign, none := w.ask(&visitors[i], http.MethodGet, at.path, ""), w.ask(&visitors[i], http.MethodGet, missing, "")
				want := strings.NewReplacer("absent-", "theirs-", w.message("absent"), w.message("theirs")).Replace(none.plain())
				if got := foreign.plain(); got != want {
					t.Errorf("%s, %s: %s\n%s: %s", visitors[i].name, at.path, got, missing, want)
				}
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d were compared", compared)
	}
}

// TestMatrix_AskedTenant asks for another tenant's by a parameter, or with another's marker.
func TestMatrix_AskedTenant(t *testing.T) {
	both, alone := newMatrixWorld(t, true), newMatrixWorld(t, false)
	both.plantJobs("theirs/server/theirs-twin", sm.ActBuild, alien, internal)
	both.plantJobs("theirs/image/theirs-twin", sm.ActBuild, alien, internal)
	both.plantJobs("theirs/server/mine-server", sm.ActBuild, alien, internal)
	both.plantJobs("theirs/backup/mine-backup", sm.ActBackup, alien, internal)
	for _, path := range []string{"/v1/resources", "/v1/faults", "/v1/summary", "/v1/stream", "/v1/resources/server/theirs-server", "/v1/resources/server/theirs-server/history",
		"/compute/v2.1/servers", "/compute/v2.1/servers/detail", "/compute/v2.1/images/detail", "/volume/v3/backups/detail", "/volume/v3/messages"} {
		for i := range visitors {
			a := &visitors[i]
			for _, query := range []string{"tenant=theirs", "tenant=nobody", "all_tenants=1", "all_tenants=1&tenant=theirs", "marker=theirs-server", "marker=theirs%2Fserver%2Ftheirs-server",
				"marker=theirs%2Ftheirs-server", "marker=theirs-backup", "marker=theirs-twin", "marker=mine-server", "marker=mine-backup", "marker=" + both.message("theirs"), "project_id=theirs", "tenant_id=theirs", "name=" + alien,
				"resource_uuid=theirs-backup", "request_id=req-" + alien, "limit=1", "limit=1000", "changes-since=2000-01-01"} {
				target := path + "?" + query
				got := both.ask(a, http.MethodGet, target, "")
				if a.sees("theirs") {
					if got.status >= 500 {
						t.Errorf("%s, %s: %d", a.name, target, got.status)
					}
					continue
				}
				if want := alone.ask(a, http.MethodGet, target, ""); got.plain() != want.plain() {
					t.Errorf("%s, %s:\n%s\nand were there no other tenant:\n%s", a.name, target, got.plain(), want.plain())
				}
				if asked := strings.HasPrefix(query, "tenant="); a.valid && asked && got.status != http.StatusForbidden {
					t.Errorf("%s, %s: %d, want 403", a.name, target, got.status)
				}
				if !a.valid && got.status != http.StatusUnauthorized {
					t.Errorf("%s, %s: %d, want 401", a.name, target, got.status)
				}
			}
		}
	}
}

// open are the paths that need no token, and what they answer.
var open = map[string]int{"/": 200, "/livez": 200, "/readyz": 200, "/compute": 200, "/compute/v2.1": 200, "/compute/v2.1/mine": 200, "/compute/v2/": 200,
	"/openapi.json": 200, "/volume": 300, "/volume/v3": 200, "/volume/v3/mine": 200, "/volume/v2": 200}

// TestMatrix_BesideTheTables asks for what stands in no table.
func TestMatrix_BesideTheTables(t *testing.T) {
	both, alone := newMatrixWorld(t, true), newMatrixWorld(t, false)
	for i := range visitors {
		a := &visitors[i]
		for path, status := range open {
			got := both.ask(a, http.MethodGet, path, "")
			if got.status != status || got.plain() != alone.ask(a, http.MethodGet, path, "").plain() {
				t.Errorf("%s, %s: %d %s", a.name, path, got.status, got.body)
			}
		}
		want := map[bool]int{true: 404, false: 401}[a.valid]
		for _, path := range []string{"/nothing", "/v1/nothing", "/compute/v9", "/compute/v2.1/mine/nothing", "/volume/v3/mine/nothing", "/livez/x", "/cloud-backup", "/backup-management/v1"} {
			if got := both.ask(a, http.MethodGet, path, ""); got.status != want && got.status != 501 || !a.valid && got.status != 401 {
				t.Errorf("%s, %s: %d, want %d", a.name, path, got.status, want)
			}
		}
		want = http.StatusOK
		switch {
		case !a.valid:
			want = http.StatusUnauthorized
		case a.tenant != "":
			want = http.StatusForbidden
		}
		if got := both.ask(a, http.MethodGet, "/metrics", ""); got.status != want {
			t.Errorf("%s, /metrics: %d, want %d", a.name, got.status, want)
		}
	}
}

// TestMatrix_KnowsEveryMount fails when a mount is added that it has no table of.
func TestMatrix_KnowsEveryMount(t *testing.T) {
	known := []string{"", "livez", "readyz", "metrics", "openapi.json"} // these are no tables
	for _, rt := range api.Routes() {
		mount, _, _ := strings.Cut(rt.Mount, "/")
		known = append(known, mount)
	}
	for _, mount := range api.Mounts(newWorld(t).handler) {
		if !slices.Contains(known, mount) {
			t.Errorf("%s is not in the matrix", mount)
		}
	}
}
