package peers

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// faultyRequest is the one that asked for the faulty server.
const faultyRequest = "req-00000041-0810-4a10-8a10-524158000041"

// TestOpenAPI_AnswersFitTheDocument asks a daemon that has applied the sample log for every path of its document, with
// ids from that log and with all that can be wrong, and holds every answer to the document: its status, its header and
// its body, in which nothing may stand that is not described.
func TestOpenAPI_AnswersFitTheDocument(t *testing.T) {
	t.Setenv("FAULTD_HOOKS", hooksFile(t))
	d := describe(t, start(t))
	for _, path := range d.doc.Paths.InMatchingOrder() {
		t.Run(strings.Trim(path, "/"), func(t *testing.T) { d.askAll(t, path) })
	}
	t.Run("events", d.checkEvents)
	t.Run("not served", d.askUnserved)
	t.Run("elsewhere", d.askElsewhere)
	for _, item := range d.doc.Paths.Map() {
		_, op := operation(item)
		if got := d.asked[op.OperationID]; !got[200] && !got[300] {
			t.Errorf("%s never succeeded: %v", op.OperationID, slices.Sorted(maps.Keys(got)))
		}
	}
	if !d.asked["showResource"][304] || !d.asked["showHistory"][304] {
		t.Error("nothing was answered with 304")
	}
}

// operation is the only one of a path, and its method; HEAD stands beside every GET.
func operation(item *openapi3.PathItem) (string, *openapi3.Operation) {
	if item.Post != nil {
		return http.MethodPost, item.Post
	}
	return http.MethodGet, item.Get
}

// hooksFile is a file of the hook pager, whose receiver takes whatever comes.
func hooksFile(t *testing.T) string {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"pager.secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n",
		"hooks.yaml":   "hooks:\n- {name: pager, kind: webhook, url: " + receiver.URL + "/in, secret_file: pager.secret, allow_private: true, allow_http: true}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "hooks.yaml")
}

// TestOpenAPI_RefusalsFitTheDocument asks for every path without a token, with one that is not valid, and as the reader
// of a tenant that has nothing.
func TestOpenAPI_RefusalsFitTheDocument(t *testing.T) {
	dir := t.TempDir()
	tokens := "tokens:\n"
	for _, row := range [][3]string{{"operator", "*", "admin"}, {"newcomer", "newcomer", "reader"}} {
		tokens += fmt.Sprintf("- {name: %s, sha256: %x, tenant: %q, role: %s}\n", row[0], sha256.Sum256([]byte(row[0])), row[1], row[2])
	}
	for name, text := range map[string]string{"tokens.yaml": tokens, "token": "operator\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("FAULTD_TOKENS", filepath.Join(dir, "tokens.yaml"))
	t.Setenv("FAULTD_TOKEN_FILE", filepath.Join(dir, "token"))
	d := describe(t, start(t))
	for path, item := range d.doc.Paths.Map() {
		method, op := operation(item)
		open := op.Security != nil && len(*op.Security) == 0
		address := d.addressOf(path)
		for _, token := range []string{"", "wrong"} {
			got := d.check(t, fetch(t, method, d.url+address, map[string]string{"X-Auth-Token": token}), path)
			if got.status == http.StatusUnauthorized == open {
				t.Errorf("%s with the token %q: %d; open to everybody: %v", address, token, got.status, open)
			}
			if challenge := got.header.Get("Www-Authenticate"); !open && challenge == "" {
				t.Errorf("%s: 401 without a challenge", address)
			}
		}
		got := d.check(t, fetch(t, method, d.url+address, map[string]string{"X-Auth-Token": "newcomer"}), path)
		named := strings.Contains(path, "{tenant}") || strings.Contains(path, "{org}")
		if named && !open && got.status != http.StatusForbidden {
			t.Errorf("%s as another tenant's: %d %s", address, got.status, got.body)
		}
	}
}

// addressOf is one address that a path stands for, whether there is something or not.
func (d *described) addressOf(path string) string {
	fill := map[string]string{"kind": "server", "id": faultyServer, "request": faultyRequest, "version": versions(d.doc.Paths.Value(path))[0], "cloud": "c-dfw-1",
		"tenant": tenant, "org": tenant, "hook": "pager"}
	return placeholder.ReplaceAllStringFunc(path, func(name string) string { return fill[strings.Trim(name, "{}")] })
}

// samples are what can stand for the placeholders of each path, by what stands before them.
var samples = []struct {
	before string
	values []map[string]string
}{
	{"/v1/hooks/", one("hook", "pager")},
	{"/v1/", each("kind", map[string][]string{"server": {faultyServer, "52415800-8b69-11e0-9b19-734f00000107", "52415800-8b69-11e0-9b19-734f00000109"}, "image": {faultyImage},
		"backup": {faultyBackup, "bk-103"}, "export": {"ex-201", "ex-202"}, "import": {"im-301", "im-302"}, "restore": {"re-401", "re-402"},
		"migration": {"mi-501", "mi-502", "mi-503", "mi-504"}})},
	{"/compute/{version}/{tenant}/images", one("id", faultyImage, "52415800-8b69-11e0-9b19-734f5a0b0000")},
	{"/compute/{version}/images", one("id", faultyImage)},
	{"/compute/", append(one("id", faultyServer, "52415800-8b69-11e0-9b19-734f335aa7b3"), map[string]string{"id": faultyServer, "request": faultyRequest})},
	{"/volume/{version}", one("id", goodBackup, faultyBackup, "bk-103")},
	{"/cloud-backup/v2/{tenant}/backups", one("id", goodBackup, faultyBackup, "bk-103")},
	{"/cloud-backup/v2/{tenant}/restores", one("id", "re-401", "re-402")},
	{"/backup-management/v1/orgs/{org}/clouds/{cloud}/backups", one("id", goodBackup, faultyBackup, "bk-103")},
	{"/backup-management/v1/orgs/{org}/clouds/{cloud}/exports", one("id", "ex-201", "ex-202")},
	{"/backup-management/v1/orgs/{org}/clouds/{cloud}/imports", one("id", "im-301", "im-302")},
	{"/backup-management/v1/orgs/{org}/clouds/{cloud}/restores", one("id", "re-401", "re-402")},
	{"/backup-management/v1/orgs/{org}/clouds/{cloud}/migrations", one("id", "mi-501", "mi-502", "mi-503", "mi-504")},
}

func one(name string, values ...string) (all []map[string]string) {
	for _, v := range values {
		all = append(all, map[string]string{name: v})
	}
	return all
}

func each(name string, ids map[string][]string) (all []map[string]string) {
	for kind, of := range ids {
		for _, id := range of {
			all = append(all, map[string]string{name: kind, "id": id})
		}
	}
	return all
}

var placeholder = regexp.MustCompile(`\{([^}]*)\}`)

// addresses are all that a path of the document stands for: every version and cloud, each with every sample.
func (d *described) addresses(t *testing.T, path string) (all []string) {
	values := []map[string]string{{}}
	for _, s := range samples {
		if strings.HasPrefix(path, s.before) {
			values = s.values
			break
		}
	}
	if strings.HasSuffix(path, "/messages/{id}") {
		values = one("id", d.message(t))
	}
	for _, version := range versions(d.doc.Paths.Value(path)) {
		for _, cloud := range []string{"c-dfw-1", "c-ord-1"} {
			for _, sample := range values {
				fill := maps.Clone(sample)
				fill["version"], fill["cloud"], fill["tenant"], fill["org"] = version, cloud, tenant, tenant
				all = append(all, placeholder.ReplaceAllStringFunc(path, func(name string) string { return fill[strings.Trim(name, "{}")] }))
			}
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(address string) bool { return strings.HasSuffix(address, "/") && address != "/" })
}

// versions are those that a path stands for.
func versions(item *openapi3.PathItem) (all []string) {
	p := item.Parameters.GetByInAndName("path", "version")
	if p == nil {
		return []string{""}
	}
	for _, v := range p.Schema.Value.Enum {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

// message is the id of a message.
func (d *described) message(t *testing.T) string {
	var list struct{ Messages []struct{ ID string } }
	if err := json.Unmarshal(fetch(t, http.MethodGet, d.url+"/volume/v3/"+tenant+"/messages", nil).body, &list); err != nil || len(list.Messages) == 0 {
		t.Fatalf("there are no messages: %v", err)
	}
	return list.Messages[0].ID
}

// queries are asked of every address: what fits one path is no harm to the others, and what is wrong is answered with
// a fault.
var queries = []string{"", "limit=1", "limit=2&status=ERROR", "status=error", "status=failed&status=nonsense", "limit=nonsense", "limit=-1", "marker=unknown-marker", "marker=%00",
	"changes-since=2000-01-01T00:00:00Z", "changes-since=yesterday", "with_count=true", "all_tenants=1", "all_tenants=nonsense", "tenant=9001", "tenant=%2F", "sort_dir=desc", "sort_dir=asc",
	"name=web", "code=404", "code=5xx", "code=999", "kind=server", "kind=nonsense", "min_position=1", "min_position=999999&wait=0", "min_position=nonsense", "%zz", "start=0&pageSize=1",
	"since=2026-01-01T00:00:00Z", "since=nonsense", "id=nonsense"}

// allowed are the methods that are told to whoever asks by another than that.
var allowed = map[string]string{http.MethodGet: "GET, HEAD", http.MethodPost: "POST"}

// askAll asks for all that a path stands for in all ways.
func (d *described) askAll(t *testing.T, path string) {
	addresses := d.addresses(t, path)
	method, _ := operation(d.doc.Paths.Value(path))
	others := map[string]string{http.MethodGet: http.MethodPost, http.MethodPost: http.MethodGet}[method]
	if len(addresses) == 0 {
		t.Fatal("there is no sample for it")
	}
	for _, address := range addresses {
		for _, query := range queries {
			target := d.url + address
			if query != "" {
				target += "?" + query
			}
			header := map[string]string{"Last-Event-ID": "1"}
			got := d.check(t, fetch(t, method, target, header), path)
			if tag := got.header.Get("ETag"); tag != "" {
				header["If-None-Match"] = tag
				if again := d.check(t, fetch(t, method, target, header), path); again.status != http.StatusNotModified {
					t.Errorf("%s, If-None-Match %s: %d", target, tag, again.status)
				}
			}
		}
		for _, accept := range []string{"application/xml", "application/vnd.openstack.compute+json", "application/vnd.openstack.volume+xml;q=0.5", "image/png"} {
			d.check(t, fetch(t, method, d.url+address, map[string]string{"Accept": accept, "Last-Event-ID": "1"}), path)
		}
		for _, version := range []string{"compute 2.90, volume 3.64", "compute 9.9, volume 9.9", "compute x, volume x"} {
			d.check(t, fetch(t, method, d.url+address, map[string]string{"OpenStack-API-Version": version, "Last-Event-ID": "1"}), path)
		}
		d.checkHead(t, address)
		refused := d.check(t, fetch(t, others, d.url+address, nil), path)
		if refused.status != http.StatusMethodNotAllowed || refused.header.Get("Allow") != allowed[method] {
			t.Errorf("%s %s: %d %v", others, address, refused.status, refused.header)
		}
	}
	if strings.Contains(path, "{id}") || strings.Contains(path, "{hook}") { // one that nobody has
		unknown := strings.NewReplacer(goodBackup, "none", faultyServer, "none", faultyImage, "none", "/pager", "/none").Replace(addresses[0])
		unknown = regexp.MustCompile(`/(bk|ex|im|re|mi)-\d+|/[0-9a-f]{8}-[0-9a-f-]{27}`).ReplaceAllString(unknown, "/none")
		if got := d.check(t, fetch(t, method, d.url+unknown, nil), path); got.status != http.StatusNotFound && got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", unknown, got.status, got.body)
		}
	}
}

// checkHead compares HEAD with GET.
func (d *described) checkHead(t *testing.T, address string) {
	got, want := fetch(t, http.MethodHead, d.url+address, nil), fetch(t, http.MethodGet, d.url+address, nil)
	if got.status != want.status || len(got.body) > 0 || got.header.Get("Content-Type") != want.header.Get("Content-Type") || got.header.Get("X-Openstack-Request-Id") == "" {
		t.Errorf("HEAD %s: %d %v %s, GET %d %v", address, got.status, got.header, got.body, want.status, want.header)
	}
}

// checkEvents holds the events of the stream to their schema.
func (d *described) checkEvents(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Last-Event-ID", "1")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	faults := 0
	for lines := bufio.NewScanner(answer.Body); faults < 3 && lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var change map[string]any
		if err := json.Unmarshal([]byte(data), &change); err != nil {
			t.Fatal(err)
		}
		if err := d.doc.Components.Schemas["Change"].Value.VisitJSON(change, openapi3.EnableJSONSchema2020()); err != nil {
			t.Errorf("%s\n%v", data, err)
		}
		if change["fault"] != nil {
			faults++
		}
	}
	if faults < 3 {
		t.Errorf("the stream ended after %d faults", faults)
	}
}

// askUnserved asks for all that the document says is not served.
func (d *described) askUnserved(t *testing.T) {
	lists, ok := d.doc.Extensions["x-not-implemented"].(map[string]any)
	if !ok || len(lists) == 0 {
		t.Fatalf("x-not-implemented is %T", d.doc.Extensions["x-not-implemented"])
	}
	fill := strings.NewReplacer("{version}", "v2", "{org}", tenant, "{cloud}", "c-dfw-1", "{}", "any", "/**", "")
	for before, patterns := range lists {
		if before == "/cloud-backup/v2/" {
			before += tenant + "/"
		}
		for _, pattern := range patterns.([]any) {
			d.fault(t, fetch(t, http.MethodGet, d.url+fill.Replace(before+pattern.(string)), nil), http.StatusNotImplemented)
		}
	}
}

// askElsewhere asks for what is nowhere.
func (d *described) askElsewhere(t *testing.T) {
	for _, path := range []string{"/nothing", "/v1", "/v1/nothing", "/livez/x", "/compute/v9", "/compute/v2.1/" + tenant + "/nothing", "/volume/v3/" + tenant + "/nothing",
		"/cloud-backup/v2/" + tenant + "/nothing", "/cloud-backup", "/backup-management/v1/orgs/" + tenant + "/clouds/c/nothing", "/backup-management"} {
		for _, accept := range []string{"", "application/xml"} {
			d.fault(t, fetch(t, http.MethodGet, d.url+path, map[string]string{"Accept": accept}), http.StatusNotFound)
		}
	}
}
