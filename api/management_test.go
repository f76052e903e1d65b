package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	sm "faultd/statemachine"
)

const managementMount = "/backup-management/v1/orgs/o/clouds/c/"

// actionOf is the action that a kind of the backup family has its name from.
func actionOf(kind string) sm.Action {
	name := map[string]string{"migration": "migrate"}[kind]
	if name == "" {
		name = kind
	}
	action, _ := sm.ParseAction(name)
	return action
}

// managed are attributes that every kind is shown with: those of cloud c, and of a backup.
func managed(more ...string) func(*sm.Entry) {
	return attributes(`{"backup_id":"b","cloud_id":"c"` + strings.Join(append([]string{""}, more...), ",") + `}`)
}

var managedKinds = []string{"backup", "export", "import", "restore", "migration"}

func TestManagement_Statuses(t *testing.T) {
	w := newWorld(t)
	for _, kind := range managedKinds {
		act, key := actionOf(kind), "o/"+kind+"/"
		w.apply(
			event(key+"CREATED", act, sm.PhaseAccepted, managed()),
			event(key+"IN_PROGRESS", act, sm.PhaseStarted, managed()),
			event(key+"COMPLETED", act, sm.PhaseSucceeded, managed()),
			event(key+"FAILED", act, sm.PhaseFailed, managed(), fault(500, "m", "")),
			event(key+"CANCELLED", act, sm.PhaseStarted, managed()),
			event(key+"CANCELLED", act, sm.PhaseCancelled),
			event(key+"DELETED", act, sm.PhaseSucceeded, managed()),
			event(key+"DELETED", sm.ActDelete, sm.PhaseSucceeded),
		)
		for _, status := range []string{"CREATED", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "DELETED"} {
			var got map[string]any
			w.read(managementMount+kind+"s/"+status, &got)
			if got["status"] != status || got[kind+"Id"] != status || got["cloudId"] != "c" {
				t.Errorf("%s %s: %v", kind, status, got)
			}
			if ids := w.managedIDs(kind + "s?status=" + strings.ToLower(status)); !slices.Equal(ids, []string{status}) {
				t.Errorf("%s?status=%s: %v", kind, status, ids)
			}
		}
		if ids := w.managedIDs(kind + "s"); len(ids) != 5 || slices.Contains(ids, "DELETED") {
			t.Errorf("%ss: %v", kind, ids)
		}
	}
}

// managedPage is a list as it is answered.
type managedPage struct {
	ids   []string
	total int
	next  string
}

func (w *world) managedPage(target string) (p managedPage) {
	w.tb.Helper()
	many, _, _ := strings.Cut(target[strings.LastIndexByte("/"+target, '/'):], "?")
	var doc map[string]json.RawMessage
	w.read(managementMount+strings.TrimPrefix(target, "http://example.com"+managementMount), &doc)
	var items []map[string]any
	var links []struct{ Rel, Href string }
	for name, into := range map[string]any{many: &items, many + "_links": &links, "totalItems": &p.total} {
		if doc[name] == nil && strings.HasSuffix(name, "_links") {
			continue
		}
		if err := json.Unmarshal(doc[name], into); err != nil {
			w.tb.Fatalf("%s: %s: %v", target, name, err)
		}
	}
	for _, item := range items {
		p.ids = append(p.ids, fmt.Sprint(item[strings.TrimSuffix(many, "s")+"Id"]))
	}
	if len(links) > 0 {
		p.next = links[0].Href
	}
	return p
}

func (w *world) managedIDs(target string) []string { return w.managedPage(target).ids }

func TestManagement_IsTheDocument(t *testing.T) {
	w := newWorld(t)
	w.apply(
		event("o/backup/b", sm.ActBackup, sm.PhaseSucceeded, named("nightly"), func(e *sm.Entry) { e.User = "u-1" },
			attributes(`{"backupSize":{"dataSize":2154,"usersSize":1.5},"cloud_id":"c","encryption_type":"CMK","expiryTime":"2026-12-21T00:00:00Z",`+
				`"product":"JIRA","selections":["USERS"],"status_message":"done","storage_id":7}`)),
		event("o/import/i", sm.ActImport, sm.PhaseStarted, progress(40), attributes(`{"accountId":"a-9","backup_id":"b","cloud_id":"c","export_id":"e"}`)),
		event("o/restore/r", sm.ActRestore, sm.PhaseFailed, fault(409, "A restore request for this product already exists", ""), errorCode("137"), managed()),
	)
	const backup = `{"backupId":"b","name":"nightly","status":"COMPLETED","statusMessage":"done","progress":100,"cloudId":"c","product":"JIRA",` +
		`"accountId":"u-1","encryptionType":"CMK","expiryTime":"2026-12-21T00:00:00Z","selections":["USERS"],` +
		`"backupSize":{"dataSize":2154,"usersSize":1.5},"createdAt":"2026-11-21T02:00:01.000Z","lastUpdatedAt":"2026-11-21T02:00:01.000Z"}`
	const restore = `{"restoreId":"r","name":"","status":"FAILED","statusMessage":"A restore request for this product already exists","progress":0,` +
		`"backupId":"b","cloudId":"c","createdAt":"2026-11-21T02:00:03.000Z","lastUpdatedAt":"2026-11-21T02:00:03.000Z",` +
		`"errorCode":"137","errorMessage":"A restore request for this product already exists","httpStatus":409}`
	for target, want := range map[string]string{
		"backups/b": backup,
		"backups":   `{"backups":[` + backup + `],"totalItems":1}`,
		"imports/i": `{"importId":"i","name":"","status":"IN_PROGRESS","statusMessage":null,"progress":40,"backupId":"b","exportId":"e","cloudId":"c",` +
			`"accountId":"a-9","createdAt":"2026-11-21T02:00:02.000Z","lastUpdatedAt":"2026-11-21T02:00:02.000Z"}`,
		"restores/r": restore,
	} {
		if got := w.get(managementMount + target).Body.String(); got != want {
			t.Errorf("%s\n got %s\nwant %s", target, got, want)
		}
	}
}

func TestManagement_StatusMessageIsWhy(t *testing.T) {
	for want, events := range map[string][]sm.Entry{
		"no room":   {event("o/export/e", sm.ActExport, sm.PhaseFailed, managed(), fault(507, "no room", ""))},
		"withdrawn": {event("o/export/e", sm.ActExport, sm.PhaseCancelled, managed(), fault(400, "withdrawn", ""))},
		"once more": {event("o/export/e", sm.ActExport, sm.PhaseProgressed, managed(), fault(503, "once more", ""))},
		"said":      {event("o/export/e", sm.ActExport, sm.PhaseStarted, managed(`"statusMessage":"said"`))},
	} {
		w := newWorld(t)
		w.apply(events...)
		var got struct{ StatusMessage string }
		if w.read(managementMount+"exports/e", &got); got.StatusMessage != want {
			t.Errorf("%q, want %q", got.StatusMessage, want)
		}
	}
}

// TestManagement_CodesThatReadingMeets makes a request for each.
func TestManagement_CodesThatReadingMeets(t *testing.T) {
	w := newWorld(t)
	elsewhere := attributes(`{"backup_id":"b-1","cloud_id":"d"}`)
	homeless := attributes(`{"cloud_id":"c"}`)
	for _, kind := range managedKinds {
		w.apply(event("o/"+kind+"/x", actionOf(kind), sm.PhaseSucceeded, elsewhere),
			event("o/"+kind+"/lost", actionOf(kind), sm.PhaseSucceeded, homeless),
			event("p/"+kind+"/foreign", actionOf(kind), sm.PhaseSucceeded, managed()))
	}
	w.apply(
		event("o/backup/b", sm.ActBackup, sm.PhaseSucceeded, managed()),
		event("o/export/running", sm.ActExport, sm.PhaseStarted, managed()),
		event("o/export/failed", sm.ActExport, sm.PhaseFailed, managed(), fault(500, "m", "")),
		event("o/backup/b-2", sm.ActBackup, sm.PhaseSucceeded, managed()),
		event("o/export/astray", sm.ActExport, sm.PhaseSucceeded, attributes(`{"backup_id":"b-2","cloud_id":"d"}`)),
		event("o/migration/m", sm.ActMigrate, sm.PhaseStarted, managed()),
		event("o/migration/queued", sm.ActMigrate, sm.PhaseAccepted, managed()),
	)
	for _, c := range []struct {
		target  string
		status  int
		code    string
		message string
	}{
		{"backups/none", 400, "108", "The backupId : none is invalid or does not belong to operation Backup"},
		{"backups/foreign", 400, "108", "The backupId : foreign is invalid or does not belong to operation Backup"},
		{"backups/running", 400, "108", "The backupId : running is invalid or does not belong to operation Backup"},
		{"backups/a%2Fb", 400, "108", "The backupId : a/b is invalid or does not belong to operation Backup"},
		{"backups/none/export", 400, "108", "The backupId : none is invalid or does not belong to operation Backup"},
		{"restores/none", 400, "120", "The restoreId : none is invalid or does not belong to operation Restore"},
		{"restores/foreign", 400, "120", "The restoreId : foreign is invalid or does not belong to operation Restore"},
		{"exports/none", 404, "110", "Brie job=EXPORT with externalId=none is not present"},
		{"exports/foreign", 404, "110", "Brie job=EXPORT with externalId=foreign is not present"},
		{"imports/none", 404, "110", "Brie job=IMPORT with externalId=none is not present"},
		{"migrations/none", 404, "110", "Brie job=MIGRATION with externalId=none is not present"},
		{"migrations/none/report", 404, "110", "Brie job=MIGRATION with externalId=none is not present"},
		{"exports/x", 404, "112", "Invalid cloudId=c for job=EXPORT with externalId=x"},
		{"imports/x", 404, "112", "Invalid cloudId=c for job=IMPORT with externalId=x"},
		{"backups/x", 404, "112", "Invalid cloudId=c for job=BACKUP with externalId=x"},
		{"restores/x", 404, "112", "Invalid cloudId=c for job=RESTORE with externalId=x"},
		{"migrations/x", 404, "112", "Invalid cloudId=c for job=MIGRATION with externalId=x"},
		{"backups/b-2/export", 404, "112", "Invalid cloudId=c for job=EXPORT with externalId=astray"},
		{"exports/lost", 404, "113", "BackupId not found for exportId = lost"},
		{"imports/lost", 404, "113", "BackupId not found for importId = lost"},
		{"backups/b/export", 404, "131", "No COMPLETED export found for backup = b"},
		{"migrations/m/report", 404, "143", "Post operation report not available for migration = m"},
		{"migrations/queued/report", 404, "143", "Post operation report not available for migration = queued"},
	} {
		want := fmt.Sprintf(`{"errorCode":%q,"errorMessage":%q}`, c.code, c.message)
		if answer := w.get(managementMount + c.target); answer.Code != c.status || answer.Body.String() != want {
			t.Errorf("%s: %d %s, want %d %s", c.target, answer.Code, answer.Body, c.status, want)
		}
	}
	for _, target := range []string{"backups/lost", "restores/lost", "migrations/lost"} {
		if answer := w.get(managementMount + target); answer.Code != 200 {
			t.Errorf("%s: %d %s", target, answer.Code, answer.Body)
		}
	}
}

// TestManagement_CodesThatEventsBring fails a job with each code of the API, and with none, and reads it.
func TestManagement_CodesThatEventsBring(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		code    string
		status  int
		message string
	}{
		{"103", 422, "JIRA is not present in cloud site c"},
		{"108", 400, "The backupId : b is invalid or does not belong to operation Backup"},
		{"110", 404, "Brie job=EXPORT with externalId=e is not present"},
		{"112", 404, "Invalid cloudId=c for job=IMPORT with externalId=i"},
		{"113", 404, "BackupId not found for importId = i"},
		{"120", 400, "The restoreId : r is invalid or does not belong to operation Restore"},
		{"127", 409, "Backup Policy already exists with orgId: o cloudId: c product: JIRA"},
		{"128", 409, "Conflicting Storage name = s"},
		{"129", 404, "Storage Details not found for storageId = s"},
		{"130", 400, "Incorrect principalTag = t or roleIdentifier = r"},
		{"131", 404, "No COMPLETED export found for backup = b"},
		{"133", 400, "Storage region = eu is not eligible for the org:o and cloud: c"},
		{"137", 409, "A restore request for this product already exists"},
		{"140", 400, "Export Already in Progress"},
		{"142", 400, "Validation failed for storage creation for bucketName = b and basePath = p and region = r"},
		{"143", 404, "Post operation report not available for migration = m"},
		{"", 599, "a code of HTTP's alone"},
		{"999", 418, "a code that the API does not have"},
	} {
		for _, kind := range managedKinds {
			w.apply(event("o/"+kind+"/x", actionOf(kind), sm.PhaseFailed, managed(), job(c.message, ""), fault(c.status, c.message, ""), errorCode(c.code)))
			code := c.code
			if code == "" || code == "999" {
				code = fmt.Sprint(c.status)
			}
			want := fmt.Sprintf(`"errorCode":%q,"errorMessage":%q,"httpStatus":%d}`, code, c.message, c.status)
			for _, target := range []string{"s", "s/x"} {
				if answer := w.get(managementMount + kind + target); answer.Code != 200 || !strings.Contains(answer.Body.String(), want) {
					t.Errorf("%s: %d %s lacks %s", kind+target, answer.Code, answer.Body, want)
				}
			}
		}
	}
}

// TestManagement_StatusIsThatOfTheCode: a producer that sends another HTTP code beside one of the API's does not
// change what that means.
func TestManagement_StatusIsThatOfTheCode(t *testing.T) {
	w := newWorld(t)
	w.apply(event("o/export/e", sm.ActExport, sm.PhaseFailed, managed(), fault(500, "m", ""), errorCode("103")))
	if body := w.get(managementMount + "exports/e").Body.String(); !strings.Contains(body, `"errorCode":"103","errorMessage":"m","httpStatus":422`) {
		t.Error(body)
	}
}

func TestManagement_AFailedExportOfNoBackupIsShown(t *testing.T) {
	w := newWorld(t)
	w.apply(event("o/export/e", sm.ActExport, sm.PhaseFailed, attributes(`{"cloud_id":"c"}`), fault(404, "no backup", ""), errorCode("113")))
	var got struct{ ErrorMessage string }
	if w.read(managementMount+"exports/e", &got); got.ErrorMessage != "no backup" {
		t.Errorf("got %+v", got)
	}
}

func TestManagement_NewestExport(t *testing.T) {
	w := newWorld(t)
	w.apply(
		event("o/backup/b", sm.ActBackup, sm.PhaseSucceeded, managed()),
		event("o/export/old", sm.ActExport, sm.PhaseSucceeded, managed()),
		event("o/export/new", sm.ActExport, sm.PhaseSucceeded, managed()),
		event("o/export/other", sm.ActExport, sm.PhaseSucceeded, attributes(`{"backup_id":"b-9","cloud_id":"c"}`)),
		event("o/export/failed", sm.ActExport, sm.PhaseFailed, managed(), fault(500, "m", "")),
		event("p/export/foreign", sm.ActExport, sm.PhaseSucceeded, managed()),
	)
	one := w.get(managementMount + "exports/new").Body.String()
	if got := w.get(managementMount + "backups/b/export").Body.String(); got != one || !strings.HasPrefix(got, `{"exportId":"new",`) {
		t.Errorf("got %s, want %s", got, one)
	}
	w.apply(event("o/export/new", sm.ActDelete, sm.PhaseSucceeded))
	if got := w.get(managementMount + "backups/b/export").Body.String(); !strings.HasPrefix(got, `{"exportId":"old",`) {
		t.Errorf("behind a deleted one: %s", got)
	}
}

func TestManagement_Report(t *testing.T) {
	w := newWorld(t)
	w.apply(
		event("o/migration/m", sm.ActMigrate, sm.PhaseAccepted, named("move"), managed(`"product":"JIRA"`, `"report":{"spaces":12}`)),
		event("o/migration/m", sm.ActMigrate, sm.PhaseStarted, progress(10)),
		event("o/migration/m", sm.ActMigrate, sm.PhaseProgressed, fault(503, "try", "")),
		event("o/migration/m", sm.ActMigrate, sm.PhaseSucceeded, ofProvider("users", "data")),
		event("o/migration/m", sm.ActMigrate, sm.PhaseFailed, ofProvider("data"), fault(422, "JIRA is not present in cloud site c", "canary"), errorCode("103")),
	)
	const failed = `"errorCode":"103","errorMessage":"JIRA is not present in cloud site c","httpStatus":422,"errorDetails":"canary","failedAt":"2026-11-21T02:00:05.000Z"}`
	const all = `"errorCode":"103","errorMessage":"providers that failed: 1; data: JIRA is not present in cloud site c","httpStatus":422,` +
		`"errorDetails":"data: canary","failedAt":"2026-11-21T02:00:05.000Z"}`
	const try = `"errorCode":"503","errorMessage":"try","httpStatus":503,"failedAt":"2026-11-21T02:00:03.000Z"}`
	const want = `{"migrationId":"m","name":"move","status":"FAILED","statusMessage":"providers that failed: 1; data: JIRA is not present in cloud site c",` +
		`"progress":10,"backupId":"b","cloudId":"c","product":"JIRA","createdAt":"2026-11-21T02:00:01.000Z","startedAt":"2026-11-21T02:00:02.000Z",` +
		`"endedAt":"2026-11-21T02:00:05.000Z","outcome":"failed","fault":{` + all + `,"attempts":[{"number":1,` + try + `],` +
		`"providers":[{"name":"data","outcome":"failed",` + failed + `,{"name":"users","outcome":"succeeded"}],` +
		`"history":[{"time":"2026-11-21T02:00:05.000Z","from":"IN_PROGRESS","to":"FAILED",` + all + `,` +
		`{"time":"2026-11-21T02:00:03.000Z","from":"IN_PROGRESS","to":"IN_PROGRESS",` + try + `,` +
		`{"time":"2026-11-21T02:00:02.000Z","from":"CREATED","to":"IN_PROGRESS"},{"time":"2026-11-21T02:00:01.000Z","from":"CANCELLED","to":"CREATED"}],` +
		`"report":{"spaces":12}}`
	if got := w.get(managementMount + "migrations/m/report").Body.String(); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestManagement_ReportIsThereFromTheEndOn(t *testing.T) {
	for _, end := range []sm.Phase{sm.PhaseSucceeded, sm.PhaseFailed, sm.PhaseCancelled} {
		w := newWorld(t)
		change := []func(*sm.Entry){managed()}
		if end == sm.PhaseFailed {
			change = append(change, fault(500, "m", ""))
		}
		w.apply(event("o/migration/m", sm.ActMigrate, end, change...))
		var got struct{ Outcome string }
		if w.read(managementMount+"migrations/m/report", &got); got.Outcome != end.String() {
			t.Errorf("%v: %+v", end, got)
		}
		w.apply(event("o/migration/m", sm.ActDelete, sm.PhaseSucceeded, job("d", "")))
		if w.read(managementMount+"migrations/m/report", &got); got.Outcome != end.String() {
			t.Errorf("%v, deleted: %+v", end, got)
		}
		w.apply(event("o/migration/m", sm.ActMigrate, sm.PhaseStarted, job("again", "")))
		if answer := w.get(managementMount + "migrations/m/report"); answer.Code != 404 || !strings.Contains(answer.Body.String(), `"143"`) {
			t.Errorf("%v, while it runs again: %d %s", end, answer.Code, answer.Body)
		}
	}
}

func TestManagement_Lists(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		w.apply(event(fmt.Sprintf("o/backup/b-%d", i), sm.ActBackup, sm.PhaseSucceeded, named(fmt.Sprint("n-", i%2)), managed()),
			event(fmt.Sprintf("o/backup/d-%d", i), sm.ActBackup, sm.PhaseSucceeded, attributes(`{"cloud_id":"d"}`)),
			event(fmt.Sprintf("p/backup/p-%d", i), sm.ActBackup, sm.PhaseSucceeded, managed()))
	}
	w.apply(event("o/backup/none", sm.ActBackup, sm.PhaseSucceeded))
	for target, want := range map[string]struct {
		ids   string
		total int
	}{
		"backups":                                {"b-6 b-5 b-4 b-3 b-2 b-1 b-0", 7},
		"backups?limit=3":                        {"b-6 b-5 b-4", 7},
		"backups?limit=3&marker=b-4":             {"b-3 b-2 b-1", 7},
		"backups?marker=b-1":                     {"b-0", 7},
		"backups?pageSize=3":                     {"b-6 b-5 b-4", 7},
		"backups?pageSize=3&start=0":             {"b-6 b-5 b-4", 7},
		"backups?pageSize=3&start=2":             {"b-0", 7},
		"backups?pageSize=3&start=3":             {"", 7},
		"backups?pageSize=2&start=1&name=n-0":    {"b-2 b-0", 4},
		"backups?name=n-1&sortOrder=desc":        {"b-5 b-3 b-1", 3},
		"backups?status=FAILED&status=completed": {"b-6 b-5 b-4 b-3 b-2 b-1 b-0", 7},
		"backups?status=FAILED":                  {"", 0},
		"exports":                                {"", 0},
	} {
		got := w.managedPage(target)
		if strings.Join(got.ids, " ") != want.ids || got.total != want.total {
			t.Errorf("%s: %+v, want %+v", target, got, want)
		}
	}
	for _, first := range []string{"backups?limit=3", "backups?pageSize=3&start=0", "backups?pageSize=3&start=1"} {
		var seen []string
		for target := first; target != ""; {
			page := w.managedPage(target)
			seen, target = append(seen, page.ids...), page.next
		}
		if want := "b-6 b-5 b-4 b-3 b-2 b-1 b-0"; !strings.HasSuffix(want, strings.Join(seen, " ")) || len(seen) < 4 {
			t.Errorf("%s: %v", first, seen)
		}
	}
}

func TestManagement_BadRequests(t *testing.T) {
	w := newWorld(t)
	w.apply(event("o/backup/b", sm.ActBackup, sm.PhaseSucceeded, managed()), event("p/backup/p", sm.ActBackup, sm.PhaseSucceeded, managed()))
	for _, query := range []string{"limit=x", "limit=-1", "pageSize=x", "start=-1", "start=x", "start=1&marker=b", "start=9999999", "marker=none",
		"marker=p", "status=ERROR", "changes-since=x", "sortOrder=ASC", "name=" + strings.Repeat("x", 300), "%zz"} {
		answer := w.get(managementMount + "backups?" + query)
		if answer.Code != 400 || !strings.HasPrefix(answer.Body.String(), `{"errorCode":"400","errorMessage":"`) {
			t.Errorf("%.40s: %d %s", query, answer.Code, answer.Body)
		}
	}
	if body := w.get(managementMount + "backups?limit=x&sortOrder=y&status=z").Body.String(); strings.Count(body, `\n`) != 2 {
		t.Errorf("not all is said that is wrong: %s", body)
	}
}

// TestManagement_CountingEnds: a total beyond that would cost the collection.
func TestManagement_CountingEnds(t *testing.T) {
	w := newWorld(t)
	batch := make([]sm.Entry, 0, 10_001)
	for i := range cap(batch) {
		batch = append(batch, event(fmt.Sprintf("o/backup/b-%d", i), sm.ActBackup, sm.PhaseSucceeded, attributes(`{"cloud_id":"c"}`)))
	}
	w.apply(batch...)
	if got := w.managedPage("backups?limit=1"); got.total != 10_000 || len(got.ids) != 1 {
		t.Errorf("%+v", got)
	}
}
