package api

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	sm "faultd/statemachine"
)

func (f *fake) NewestExport(tenant, _ string) (sm.Resource, bool, error) {
	for _, r := range f.all {
		if r.Tenant == tenant && r.Kind == sm.Export && r.Status == sm.Completed {
			return r, true, f.read()
		}
	}
	return sm.Resource{}, false, f.read()
}

func (f *fake) SharedVault(*sm.Resource) bool { return false }

// failedJob is a backup, restore or another of that sort in ERROR.
func failedJob(tenant string, kind sm.Kind, id string, f sm.Fault) sm.Resource {
	action := map[sm.Kind]sm.Action{sm.Backup: sm.ActBackup, sm.Restore: sm.ActRestore, sm.Export: sm.ActExport,
		sm.Import: sm.ActImport, sm.Migration: sm.ActMigrate}[kind]
	r := sm.Resource{Key: sm.Key{Tenant: tenant, Kind: kind, ID: id}, Created: 1, Updated: 1, Sequence: 7, Attributes: sm.Attributes(`{"cloud_id":"c"}`),
		Jobs: []sm.Job{{ID: "j", Action: action, Phase: sm.PhaseFailed, Began: 1, Said: sm.PhaseFailed, SaidFault: &f}}}
	r.Derive()
	return r
}

// TestCloudBackup_ResponseCodes goes through all codes of the API: those that reading can end in by requests, those
// of jobs by a fault with that code, and those that only a write has by writes, which are refused.
func TestCloudBackup_ResponseCodes(t *testing.T) {
	store := &fake{all: []sm.Resource{failedJob("t", sm.Backup, "b", sm.Fault{Code: 409, Message: "m"})}}
	refusing := func(p *problem) *Handler {
		h := New(Config{Store: store})
		h.identify = func(*http.Request) (caller, error) { return caller{}, p }
		return h
	}
	open := New(Config{Store: store})
	for _, r := range responses {
		h, target, want := open, "/cloud-backup/v2/t/backups/b", r.status
		switch r.status {
		case 200:
		case 201, 202, 204:
			target, want = map[int]string{201: "POST ", 202: "PATCH ", 204: "DELETE "}[r.status]+target, 405
		case 400:
			target += "/events?marker=x"
		case 401:
			h = refusing(badToken)
		case 403:
			h = only(New(Config{Store: store}), "u", false)
		case 404:
			target += "c"
		case 405:
			target = "POST " + target
		case 409:
			body := get(t, h, target+"/errors").Body.String()
			if !contains(body, `"exception":{"code":409,"description":"Conflict"}`) {
				t.Errorf("409 is shown as %s", body)
			}
			continue
		case 500:
			h = New(Config{Store: &fake{panics: true, all: store.all}})
		case 501:
			target = "/cloud-backup/v2/t/agents/a"
		case 503:
			h = New(Config{Store: &fake{err: errors.New("canary"), all: store.all}})
		default:
			t.Errorf("%d is no code of this API", r.status)
		}
		w := get(t, h, target)
		if w.Code != want || w.Header().Get("Content-Type") != "application/json" || contains(w.Body.String(), "canary") {
			t.Errorf("%d: %s answers %d %v %s", r.status, target, w.Code, w.Header(), w.Body)
		}
		if want >= 400 && !contains(w.Body.String(), `{"message":"`) {
			t.Errorf("%d: %s is not in the dialect", r.status, w.Body)
		}
		if reads := want == r.status; reads != (r.by == byReading) {
			t.Errorf("%d is listed as %d, but reading it is %v", r.status, r.by, reads)
		}
	}
	if len(responses) != 13 {
		t.Errorf("%d codes", len(responses))
	}
}

func TestCloudBackupFault_Forms(t *testing.T) {
	for _, c := range []struct {
		problem problem
		status  int
		want    string
	}{
		{problem{status: 400, message: "Name is required.\nRSA public key is required."}, 400,
			`{"message":"Validation failed.","errors":["Name is required.","RSA public key is required."]}`},
		{problem{status: 401, message: "m"}, 401, `{"message":"m","errors":["m"]}`},
		{problem{status: 403, message: "m"}, 403, `{"message":"m","errors":["m"]}`},
		{problem{status: 404, message: "m"}, 404, `{"message":"m","errors":["m"]}`},
		{problem{status: 405, message: "m"}, 405, `{"message":"m","errors":["m"]}`},
		{problem{status: 409, message: "m"}, 409, `{"message":"m","errors":["m"]}`},
		{problem{status: 415, message: "m"}, 415, `{"message":"m","errors":["m"]}`},
		{problem{status: 429, message: "m", retry: time.Second}, 503, `{"message":"m","errors":["m"]}`},
		{problem{status: 500, message: "m"}, 500, `{"message":"m","errors":["m"]}`},
		{problem{status: 501, message: "m"}, 501, `{"message":"m","errors":["m"]}`},
		{problem{status: 503, message: "m"}, 503, `{"message":"m","errors":["m"]}`},
	} {
		got := cloudBackupFault(&c.problem, "req-1", time.Time{})
		if got.status != c.status || string(got.body) != c.want || got.contentType != "application/json" {
			t.Errorf("%d: got %d %s %s, want %d %s", c.problem.status, got.status, got.contentType, got.body, c.status, c.want)
		}
	}
}

func TestCloudBackup_LimitIs503WithRetryAfter(t *testing.T) {
	h := New(Config{Store: &fake{}})
	h.identify = func(*http.Request) (caller, error) {
		return caller{}, &problem{status: http.StatusTooManyRequests, message: "slowly", retry: 3 * time.Second}
	}
	w := get(t, h, "/cloud-backup/v2/t/backups")
	if w.Code != 503 || w.Header().Get("Retry-After") != "3" || w.Body.String() != `{"message":"slowly","errors":["slowly"]}` {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestCloudBackup_DetailsOfInternalErrorsAreForAdministrators(t *testing.T) {
	store := &fake{all: []sm.Resource{
		failedJob("t", sm.Backup, "internal", sm.Fault{Code: 500, Message: "m", Details: "canary"}),
		failedJob("t", sm.Backup, "full", sm.Fault{Code: 507, Message: "m", Details: "canary"}),
	}}
	for _, c := range []struct {
		id    string
		admin bool
		shown bool
	}{{"internal", false, false}, {"internal", true, true}, {"full", false, true}, {"full", true, true}} {
		body := get(t, only(New(Config{Store: store}), "t", c.admin), "/cloud-backup/v2/t/backups/"+c.id+"/errors").Body.String()
		if contains(body, "canary") != c.shown || !contains(body, `"count":1`) {
			t.Errorf("%+v: %s", c, body)
		}
	}
}

func TestCloudBackup_Routes(t *testing.T) {
	h := New(Config{Store: &fake{all: []sm.Resource{failedJob("t", sm.Backup, "b", sm.Fault{Code: 500, Message: "m"})}}})
	for target, status := range map[string]int{
		"/cloud-backup":                                404,
		"/cloud-backup/":                               404,
		"/cloud-backup/v2":                             404,
		"/cloud-backup/v2/t":                           404,
		"/cloud-backup/v2/t/":                          404,
		"/cloud-backup/v3/t/backups":                   404,
		"/cloud-backup/v1.0/t/backup/report/b":         501,
		"/cloud-backup/v2/backups/b":                   200,
		"/cloud-backup/v2/t/backups/b":                 200,
		"/cloud-backup/v2/t/backups/b/":                404,
		"/cloud-backup/v2/t/backups/b/nothing":         404,
		"/cloud-backup/v2/t/backups/b/errors/0":        404,
		"/cloud-backup/v2/t/backups/b/browse-requests": 501,
		"/cloud-backup/v2/t/restores/b":                404,
		"/cloud-backup/v2/t/cleanups/b/errors":         501,
		"/cloud-backup/v2/t/events":                    501,
		"/cloud-backup/v2/agents":                      501,
		"/cloud-backup/v2/t/u/backups":                 404,
		"/cloud-backup/v2/a.b/backups":                 404,
		"/cloud-backup/v2/t/backups/a%2Fb":             404,
		"HEAD /cloud-backup/v2/t/backups/b/events":     200,
		"POST /cloud-backup/v2/t/backups":              405,
		"POST /cloud-backup/v2/t/configurations":       501,
		"POST /cloud-backup/v2/t/nothing":              404,
	} {
		w := get(t, h, target)
		if w.Code != status || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s, want %d", target, w.Code, w.Body, status)
		}
		if status == 405 && w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %v", target, w.Header())
		}
	}
	if w := get(t, h, "/cloud-backup/v2/t/backups", "Accept", "application/xml"); w.Code != 415 || !contains(w.Body.String(), `"errors":[`) {
		t.Errorf("XML: %d %s", w.Code, w.Body)
	}
}

// counted counts the looks at vaults.
type counted struct {
	*fake
	looks *int
}

func (c counted) SharedVault(*sm.Resource) bool { *c.looks++; return true }

func TestCloudBackup_APageLooksAtAVaultOnce(t *testing.T) {
	store, looks := &fake{}, 0
	for _, id := range []string{"a", "b", "c", "d"} {
		r := failedJob("t", sm.Backup, id, sm.Fault{Code: 500, Message: "m"})
		if r.Attributes = sm.Attributes(`{"agent_id":"a","host":"h","vault":"v"}`); id == "d" {
			r.Attributes = nil
		}
		store.all = append(store.all, r)
	}
	body := get(t, New(Config{Store: counted{store, &looks}}), "/cloud-backup/v2/t/backups").Body.String()
	if looks != 1 || strings.Count(body, "cloned-agent: ") != 3 {
		t.Errorf("%d looks: %s", looks, body)
	}
}
