package api

import (
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// description is what the tests read of the document.
type description struct {
	OpenAPI        string
	NotImplemented map[string][]string `json:"x-not-implemented"`
	Paths          map[string]struct {
		Parameters []reference
		Get, Post  *operation
	}
	Components struct {
		Parameters map[string]struct {
			Name, In string
			Schema   struct{ Enum []string }
		}
	}
}

type operation struct {
	OperationID string
	Parameters  []reference
	Responses   map[string]json.RawMessage
}

type reference struct {
	Ref string `json:"$ref"`
}

func describe(t *testing.T) (d description) {
	t.Helper()
	if err := json.Unmarshal(openAPIDocument, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// placeholder is one of a path of the document.
var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// expand is a path of the document once for each version that it stands for, with placeholders as routes have them.
func (d *description) expand(path string) (all []string) {
	versions := []string{"{version}"}
	for _, p := range d.Paths[path].Parameters {
		if at := d.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]; at.Name == "version" {
			versions = at.Schema.Enum
		}
	}
	for _, v := range versions {
		all = append(all, placeholder.ReplaceAllString(strings.ReplaceAll(path, "{version}", v), "{}"))
	}
	return all
}

// described is a table of routes as the document has it: before is what stands before its paths, where it lists what
// is not served, and prefixes are what that comes to.
type described struct {
	table    routes
	before   string
	prefixes []string
}

var describedTables = []described{
	{ownRoutes, "/v1/", []string{"/v1/"}},
	{computeRoutes, "/compute/{version}/", []string{"/compute/v2/", "/compute/v2/{}/", "/compute/v2.1/", "/compute/v2.1/{}/"}},
	{volumeRoutes["v2"], "/volume/{version}/", []string{"/volume/v2/", "/volume/v2/{}/"}},
	{volumeRoutes["v3"], "/volume/{version}/", []string{"/volume/v3/", "/volume/v3/{}/"}},
	{cloudBackupRoutes, "/cloud-backup/v2/", []string{"/cloud-backup/v2/{}/"}},
	{managementRoutes, "/backup-management/v1/orgs/{org}/clouds/{cloud}/", []string{"/backup-management/v1/orgs/{}/clouds/{}/"}},
	{managementElsewhere, "/backup-management/v1/orgs/{org}/", nil},
}

// besideTables are the paths that mounts with tables have beside these.
var besideTables = []string{"/compute", "/compute/v2", "/compute/v2/{}", "/compute/v2.1", "/compute/v2.1/{}", "/volume", "/volume/v2", "/volume/v2/{}",
	"/volume/v3", "/volume/v3/{}"}

// TestOpenAPI_EveryRoute compares the document with the tables of routes, both ways.
func TestOpenAPI_EveryRoute(t *testing.T) {
	served, commands, unserved := map[string]bool{}, map[string]bool{}, map[string][]string{}
	for _, path := range besideTables {
		served[path] = true
	}
	tabled := map[string]bool{}
	for _, d := range describedTables {
		tabled[strings.Split(d.before, "/")[1]] = true
		for _, rt := range d.table {
			pattern := strings.Join(rt.parts, "/")
			if rt.handle == nil {
				unserved[d.before] = append(unserved[d.before], pattern)
				continue
			}
			for _, prefix := range d.prefixes {
				served[prefix+pattern] = true
				commands[prefix+pattern] = rt.post
			}
		}
	}
	for name := range New(Config{Store: &fake{}}).mounts {
		if !tabled[name] {
			served["/"+name] = true
		}
	}
	d := describe(t)
	said := map[string]bool{}
	for path, item := range d.Paths {
		for _, p := range d.expand(path) {
			said[p] = true
			if (item.Post != nil) != commands[p] || (item.Get != nil) == commands[p] {
				t.Errorf("%s: the document has other methods than the route", path)
			}
		}
	}
	sameNames(t, "served paths", slices.Sorted(maps.Keys(served)), slices.Sorted(maps.Keys(said)))
	sameNames(t, "beginnings of paths that are not served", slices.Sorted(maps.Keys(unserved)), slices.Sorted(maps.Keys(d.NotImplemented)))
	for before, patterns := range unserved {
		sameNames(t, "not served below "+before, slices.Compact(slices.Sorted(slices.Values(patterns))), slices.Sorted(slices.Values(d.NotImplemented[before])))
	}
}

// sameNames tells what only one side has.
func sameNames(t *testing.T, what string, routed, said []string) {
	t.Helper()
	for _, name := range routed {
		if !slices.Contains(said, name) {
			t.Errorf("%s: the document lacks %s", what, name)
		}
	}
	for _, name := range said {
		if !slices.Contains(routed, name) {
			t.Errorf("%s: the document has %s, which no route leads to", what, name)
		}
	}
}

// TestOpenAPI_EveryTable fails when a mount has a table of which the test above does not know.
func TestOpenAPI_EveryTable(t *testing.T) {
	for name, list := range tables {
		for _, table := range list {
			if !slices.ContainsFunc(describedTables, func(d described) bool { return &d.table[0] == &table[0] }) {
				t.Errorf("a table of %s is not compared with the document", name)
			}
		}
	}
}

// TestOpenAPI_OperationsAreWhole holds every operation to what all have: a name of its own, a success, and both
// classes of errors in the dialect of its mount.
func TestOpenAPI_OperationsAreWhole(t *testing.T) {
	faults := map[string]string{"compute": "ComputeFault", "volume": "VolumeFault", "cloud-backup": "CloudBackupFault", "backup-management": "ManagementFault"}
	d := describe(t)
	if !strings.HasPrefix(d.OpenAPI, "3.1.") {
		t.Errorf("OpenAPI %s", d.OpenAPI)
	}
	names := map[string]string{}
	for path, item := range d.Paths {
		is := cmp.Or(item.Get, item.Post)
		if is == nil {
			t.Errorf("%s has no operation", path)
			continue
		}
		if other := names[is.OperationID]; other != "" {
			t.Errorf("%s and %s are both called %s", path, other, is.OperationID)
		}
		names[is.OperationID] = path
		want := faults[strings.Split(path, "/")[1]]
		if want == "" {
			want = "Problem"
		}
		for _, class := range []string{"4XX", "5XX"} {
			var r reference
			if json.Unmarshal(is.Responses[class], &r) != nil || r.Ref != "#/components/responses/"+want {
				t.Errorf("%s: %s is %s, want %s", path, class, is.Responses[class], want)
			}
		}
		if is.Responses["200"] == nil && is.Responses["300"] == nil {
			t.Errorf("%s has no success", path)
		}
	}
}

func TestOpenAPI_Served(t *testing.T) {
	answer := get(t, New(Config{Store: &fake{}, Tokens: []Token{}}), "/openapi.json")
	if answer.Code != 200 || answer.Header().Get("Content-Type") != "application/json" || answer.Body.String() != string(openAPIDocument) {
		t.Errorf("%d %v", answer.Code, answer.Header())
	}
}
