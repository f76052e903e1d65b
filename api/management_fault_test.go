package api

import (
	"errors"
	"net/http"
	"testing"
	"time"

	sm "faultd/statemachine"
)

func TestManagedErrors_AreTheAPIs(t *testing.T) {
	seen := map[string]bool{}
	reading := 0
	for _, e := range managedErrors {
		if seen[e.code] || e.status < 400 || e.message == "" {
			t.Errorf("%+v", e)
		}
		seen[e.code] = true
		if e.by == byReading {
			reading++
		}
	}
	if len(seen) != 16 || reading != 7 {
		t.Errorf("%d codes, %d of them by reading", len(seen), reading)
	}
}

func TestManagedErrors_Say(t *testing.T) {
	for _, c := range []struct {
		code  string
		about []string
		want  string
	}{
		{"103", []string{"JIRA", "site"}, "JIRA is not present in cloud site site"},
		{"110", []string{"EXPORT", "{}"}, "Brie job=EXPORT with externalId={} is not present"},
		{"112", []string{"{}", "IMPORT", "i"}, "Invalid cloudId={} for job=IMPORT with externalId=i"},
		{"127", []string{"o", "c", "p"}, "Backup Policy already exists with orgId: o cloudId: c product: p"},
		{"128", []string{"n"}, "Conflicting Storage name = n"},
		{"129", []string{"s"}, "Storage Details not found for storageId = s"},
		{"130", []string{"t", "r"}, "Incorrect principalTag = t or roleIdentifier = r"},
		{"133", []string{"r", "o", "c"}, "Storage region = r is not eligible for the org:o and cloud: c"},
		{"137", nil, "A restore request for this product already exists"},
		{"140", nil, "Export Already in Progress"},
		{"142", []string{"b", "p", "r"}, "Validation failed for storage creation for bucketName = b and basePath = p and region = r"},
	} {
		if got := refusal(c.code, c.about...); got.message != c.want || got.code != c.code {
			t.Errorf("%s: %+v, want %s", c.code, got, c.want)
		}
	}
}

// TestManagement_StatusCodes makes a request that ends in each status of the API which reading can end in.
func TestManagement_StatusCodes(t *testing.T) {
	store := &fake{all: []sm.Resource{failedJob("o", sm.Backup, "b", sm.Fault{Code: 409, Message: "m", ErrorCode: "127"})}}
	const backup = "/backup-management/v1/orgs/o/clouds/c/backups/b"
	refusing := func(p *problem) *Handler {
		h := New(Config{Store: store})
		h.identify = func(*http.Request) (caller, error) { return caller{}, p }
		return h
	}
	stuck := blocked{fake: store, until: make(chan struct{})}
	defer close(stuck.until)
	for _, c := range []struct {
		h      *Handler
		target string
		status int
		code   string
	}{
		{New(Config{Store: store}), backup + "c", 400, "108"},
		{New(Config{Store: store}), backup + "?a=%zz", 400, "400"},
		{refusing(badToken), backup, 401, "401"},
		{only(New(Config{Store: store}), "p", false), backup, 403, "403"},
		{New(Config{Store: store}), backup + "/nothing", 404, "404"},
		{New(Config{Store: store}), backup + "/export", 404, "131"},
		{New(Config{Store: store}), "POST " + backup, 405, "405"},
		{refusing(&problem{status: 429, message: "m", retry: 2 * time.Second}), backup, 429, "429"},
		{New(Config{Store: &fake{panics: true, all: store.all}}), backup, 500, "500"},
		{New(Config{Store: store}), "/backup-management/v1/orgs/o/storages", 501, "501"},
		{New(Config{Store: &fake{err: errors.New("canary"), all: store.all}}), backup, 503, "503"},
		{New(Config{Store: stuck, ReadLimit: time.Millisecond}), backup, 504, "504"},
	} {
		w := get(t, c.h, c.target)
		if w.Code != c.status || !contains(w.Body.String(), `{"errorCode":"`+c.code+`","errorMessage":"`) || contains(w.Body.String(), "canary") ||
			contains(w.Body.String(), "secret") || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v %s, want %d %s", c.target, w.Code, w.Header(), w.Body, c.status, c.code)
		}
		if c.status == 429 && w.Header().Get("Retry-After") != "2" {
			t.Errorf("429: %v", w.Header())
		}
	}
}

// blocked is a store that answers nothing until its channel is closed.
type blocked struct {
	*fake
	until chan struct{}
}

func (b blocked) Resource(key sm.Key) (sm.Resource, error) {
	<-b.until
	return b.fake.Resource(key)
}

func (b blocked) List(q sm.Query) ([]sm.Resource, error) {
	<-b.until
	return b.fake.List(q)
}

func (b blocked) NewestExport(tenant, id string) (sm.Resource, bool, error) {
	<-b.until
	return b.fake.NewestExport(tenant, id)
}

func (b blocked) History(key sm.Key) ([]sm.Transition, uint64, error) {
	<-b.until
	return b.fake.History(key)
}

// lateHistory and lateExport block in one thing only, so that what comes before it is read.
type lateHistory struct{ blocked }

func (l lateHistory) Resource(key sm.Key) (sm.Resource, error) { return l.fake.Resource(key) }

func TestManagement_EveryReadHasADeadline(t *testing.T) {
	store := &fake{all: []sm.Resource{failedJob("o", sm.Backup, "b", sm.Fault{Code: 500, Message: "m"}),
		failedJob("o", sm.Migration, "m", sm.Fault{Code: 500, Message: "m"})}}
	b := blocked{fake: store, until: make(chan struct{})}
	defer close(b.until)
	for _, target := range []string{"backups", "backups/b", "backups/b/export", "exports/e", "migrations/m/report"} {
		for name, s := range map[string]Store{"all": b, "late": lateHistory{b}} {
			if name == "late" && (target == "backups/b" || target == "exports/e") {
				continue
			}
			w := get(t, New(Config{Store: s, ReadLimit: time.Millisecond}), "/backup-management/v1/orgs/o/clouds/c/"+target)
			if want := `{"errorCode":"504","errorMessage":"` + tooSlow.message + `"}`; w.Code != 504 || w.Body.String() != want {
				t.Errorf("%s, %s: %d %s", target, name, w.Code, w.Body)
			}
		}
	}
}

func TestManagement_DetailsOfInternalErrorsAreForAdministrators(t *testing.T) {
	store := &fake{all: []sm.Resource{failedJob("o", sm.Migration, "m", sm.Fault{Code: 500, Message: "m", Details: "canary"})}}
	for _, admin := range []bool{false, true} {
		h := only(New(Config{Store: store}), "o", admin)
		for _, target := range []string{"migrations", "migrations/m", "migrations/m/report"} {
			body := get(t, h, "/backup-management/v1/orgs/o/clouds/c/"+target).Body.String()
			if contains(body, "canary") != (admin && target == "migrations/m/report") || !contains(body, `"errorCode":"500"`) {
				t.Errorf("%s, admin %v: %s", target, admin, body)
			}
		}
	}
}

func TestManagement_Routes(t *testing.T) {
	h := New(Config{Store: &fake{all: []sm.Resource{failedJob("o", sm.Backup, "b", sm.Fault{Code: 500, Message: "m"})}}})
	const cloud = "/backup-management/v1/orgs/o/clouds/c"
	for target, status := range map[string]int{
		"/backup-management":                              404,
		"/backup-management/v1":                           404,
		"/backup-management/v1/orgs/o":                    404,
		"/backup-management/v1/orgs/o/clouds":             404,
		"/backup-management/v1/orgs/o/clouds/":            404,
		"/backup-management/v1/orgs/o/clouds//":           404,
		"/backup-management/v1/orgs//clouds/c":            404,
		"/backup-management/v1/orgs/a.b/clouds/c/x":       404,
		"/backup-management/v1/o/clouds/c/backups":        404,
		"/backup-management/v2/orgs/o/policies":           501,
		"/backup-management/v1/orgs/o/storages":           501,
		"/backup-management/v1/orgs/o/storages/x":         501,
		"/backup-management/v1/orgs/o/policies/p":         501,
		"/backup-management/v1/orgs/o/nothing":            404,
		cloud:                                             404,
		cloud + "/":                                       404,
		cloud + "/policies":                               501,
		cloud + "/backups":                                200,
		cloud + "/backups/b":                              200,
		cloud + "/backups/b/":                             404,
		cloud + "/backups/b/exports":                      404,
		cloud + "/restores/r/report":                      404,
		cloud + "/nothing":                                404,
		"HEAD " + cloud + "/backups/b":                    200,
		"POST " + cloud + "/backups/b/export":             405,
		"POST " + cloud + "/restores":                     405,
		"DELETE " + cloud + "/migrations/m/report":        405,
		"/backup-management/v1/orgs/o/clouds/%00/backups": 200,
	} {
		if w := get(t, h, target); w.Code != status || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s, want %d", target, w.Code, w.Body, status)
		}
	}
	if w := get(t, h, cloud+"/backups", "Accept", "text/html"); w.Code != 415 || !contains(w.Body.String(), `"errorCode":"415"`) {
		t.Errorf("text/html: %d %s", w.Code, w.Body)
	}
}
