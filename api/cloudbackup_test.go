package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	sm "faultd/statemachine"
)

// ofProvider says that an event is a provider's, of a job that needs those and itself.
func ofProvider(name string, others ...string) func(*sm.Entry) {
	return func(e *sm.Entry) {
		e.Provider = name
		if len(others) > 0 {
			e.Providers = append([]string{name}, others...)
		}
	}
}

func reason(symbol string) func(*sm.Entry) { return func(e *sm.Entry) { e.Fault.Reason = symbol } }
func errorCode(code string) func(*sm.Entry) {
	return func(e *sm.Entry) { e.Fault.ErrorCode = code }
}

// inEveryState makes a backup and a restore of tenant t for each state, the state being its id.
func inEveryState(w *world) (states []string) {
	for kind, act := range map[string]sm.Action{"backup": sm.ActBackup, "restore": sm.ActRestore} {
		w.apply(
			event("t/"+kind+"/queued", act, sm.PhaseAccepted),
			event("t/"+kind+"/in_progress", act, sm.PhaseStarted),
			event("t/"+kind+"/completed", act, sm.PhaseSucceeded),
			event("t/"+kind+"/completed_with_errors", act, sm.PhaseSucceeded, ofProvider("dfw", "ord")),
			event("t/"+kind+"/completed_with_errors", act, sm.PhaseFailed, ofProvider("ord"), fault(500, "m", "")),
			event("t/"+kind+"/failed", act, sm.PhaseFailed, ofProvider("dfw", "ord"), fault(500, "m", "")),
			event("t/"+kind+"/failed", act, sm.PhaseCancelled, ofProvider("ord")),
			event("t/"+kind+"/stopped", act, sm.PhaseStarted),
			event("t/"+kind+"/stopped", act, sm.PhaseCancelled),
			event("t/"+kind+"/deleted", act, sm.PhaseSucceeded),
			event("t/"+kind+"/deleted", sm.ActDelete, sm.PhaseSucceeded),
		)
	}
	return []string{"queued", "in_progress", "completed", "completed_with_errors", "failed", "stopped", "deleted"}
}

func TestCloudBackup_States(t *testing.T) {
	w := newWorld(t)
	states := inEveryState(w)
	for _, many := range []string{"backups", "restores"} {
		for _, state := range states {
			var got struct{ State string }
			w.read("/cloud-backup/v2/t/"+many+"/"+state, &got)
			if got.State != state {
				t.Errorf("%s %s: state %s", many, state, got.State)
			}
			for _, parameter := range []string{"status=" + state, "state=" + strings.ToUpper(state)} {
				if ids, _ := w.ids("/cloud-backup/v2/t/"+many+"?"+parameter, many); !slices.Equal(ids, []string{state}) {
					t.Errorf("%s?%s: %v", many, parameter, ids)
				}
			}
		}
		alive, _ := w.ids("/cloud-backup/v2/t/"+many, many)
		all, _ := w.ids("/cloud-backup/v2/t/"+many+"?changes-since=2026-01-01", many)
		if len(alive) != len(states)-1 || slices.Contains(alive, "deleted") || len(all) != len(states) {
			t.Errorf("%s: %v; with changes-since %v", many, alive, all)
		}
	}
}

func TestCloudBackup_IsTheDocument(t *testing.T) {
	w := newWorld(t)
	w.apply(
		event("1234/backup/b", sm.ActBackup, sm.PhaseStarted, attributes(`{"agent_id":"a-1","bandwidth_avg_bps":"many","bytes_in_db":49340871,`+
			`"bytes_searched":3700000000,"configuration":{"id":"c-1"},"files_backed_up":6,"files_searched":1222,"snapshot_id":1111}`)),
		event("1234/backup/b", sm.ActBackup, sm.PhaseSucceeded, ofProvider("dfw", "ord")),
		event("1234/backup/b", sm.ActBackup, sm.PhaseFailed, ofProvider("ord"), fault(500, "Some files could not be backed up", ""),
			reason("unable_to_process_some_files")),
		event("1234/restore/r", sm.ActRestore, sm.PhaseAccepted, attributes(`{"agent_id":"a-2","backup_id":"b","bytes_restored":1512,`+
			`"destination_path":"/tmp/restore","exclusions":[{"type":"folder"}],"inclusions":[{"type":"folder","path":"/web/"}],"overwrite_files":false}`)),
	)
	const base = "http://example.com/cloud-backup/v2/1234/"
	const backup = `{"project_id":"1234","id":"b","agent":{"id":"a-1","links":[]},"configuration":{"id":"c-1","links":[]},` +
		`"state":"completed_with_errors","started_time":"2026-11-21T02:00:01.000000Z","ended_time":"2026-11-21T02:00:03.000000Z",` +
		`"errors":{"count":1,"reason":"unable_to_process_some_files","diagnostics":"internal: It failed and does not say why. ` +
		`Make sure that the server runs the latest agent release, and run the job again if the error comes and goes.",` +
		`"links":[{"rel":"full","href":"` + base + `backups/b/errors"}]},"snapshot_id":1111,"files_searched":1222,"files_backed_up":6,` +
		`"bytes_searched":3700000000,"bytes_in_db":49340871,"restorable":true,` +
		`"links":[{"rel":"self","href":"` + base + `backups/b"},{"rel":"events","href":"` + base + `backups/b/events"}]}`
	const restore = `{"project_id":"1234","id":"r","backup":{"id":"b","links":[{"rel":"full","href":"` + base + `backups/b"}]},` +
		`"destination_agent":{"id":"a-2","links":[]},"agent":{"id":"a-2","links":[]},"configuration":null,"state":"queued",` +
		`"started_time":null,"ended_time":null,"errors":{"count":0,"reason":null,"diagnostics":null,` +
		`"links":[{"rel":"full","href":"` + base + `restores/r/errors"}]},"snapshot_id":null,"destination_path":"/tmp/restore",` +
		`"overwrite_files":false,"inclusions":[{"type":"folder","path":"/web/"}],"bytes_restored":1512,` +
		`"links":[{"rel":"self","href":"` + base + `restores/r"},{"rel":"events","href":"` + base + `restores/r/events"}]}`
	for target, want := range map[string]string{
		"1234/backups/b":   backup,
		"backups/b":        backup,
		"1234/restores/r":  restore,
		"1234/backups":     `{"backups":[` + backup + `],"links":[]}`,
		"restores?limit=9": `{"restores":[` + restore + `],"links":[]}`,
	} {
		if got := w.get("/cloud-backup/v2/" + target).Body.String(); got != want {
			t.Errorf("%s\n got %s\nwant %s", target, got, want)
		}
	}
}

// cloudEvents are the ids and names of the events that a path answers with, and the link next or "".
func (w *world) cloudEvents(target string) (events []string, next string) {
	w.tb.Helper()
	var doc struct {
		Events []struct{ ID, Time, Event string }
		Links  []struct{ Rel, Href string }
	}
	w.read(target, &doc)
	for _, e := range doc.Events {
		events = append(events, e.ID+" "+e.Event)
	}
	if len(doc.Links) > 0 {
		next = doc.Links[0].Href
	}
	return events, next
}

func TestCloudBackup_Events(t *testing.T) {
	w := newWorld(t)
	w.apply(
		event("t/backup/b", sm.ActBackup, sm.PhaseAccepted, job("j", "req-1"), attributes(`{"agent_id":"a","configuration_id":"c"}`)),
		event("t/backup/b", sm.ActBackup, sm.PhaseStarted, job("j", "req-1")),
		event("t/backup/b", sm.ActBackup, sm.PhaseProgressed, job("j", ""), fault(503, "try", "secret")),
		event("t/backup/b", sm.ActBackup, sm.PhaseFailed, job("j", ""), fault(507, "disk full", "secret")),
		event("t/backup/b", sm.ActBackup, sm.PhaseSucceeded, job("k", "")),
		event("t/backup/b", sm.ActDelete, sm.PhaseSucceeded),
		event("t/restore/r", sm.ActRestore, sm.PhaseStarted),
		event("t/restore/r", sm.ActRestore, sm.PhaseCancelled),
	)
	const base = "http://example.com/cloud-backup/v2/t/"
	all := []string{"1 backup_queued", "2 backup_in_progress", "3 backup_progress", "4 backup_failed", "5 backup_completed", "6 backup_deleted"}
	for _, c := range []struct {
		target string
		want   []string
		next   string
	}{
		{"backups/b/events", all, base + "backups/b/events?marker=6"},
		{"backups/b/events?limit=2", all[:2], base + "backups/b/events?limit=2&marker=2"},
		{"backups/b/events?limit=2&marker=2", all[2:4], base + "backups/b/events?limit=2&marker=4"},
		{"backups/b/events?marker=6", nil, base + "backups/b/events?marker=6"},
		{"backups/b/events?sort_dir=desc&limit=2&marker=3", []string{all[5], all[4]}, base + "backups/b/events?limit=2&marker=6&sort_dir=desc"},
		{"restores/r/events", []string{"7 restore_in_progress", "8 restore_stopped"}, base + "restores/r/events?marker=8"},
	} {
		got, next := w.cloudEvents("/cloud-backup/v2/t/" + c.target)
		if !slices.Equal(got, c.want) || next != c.next {
			t.Errorf("%s: %v next %s, want %v next %s", c.target, got, next, c.want, c.next)
		}
	}
	body := w.get("/cloud-backup/v2/t/backups/b/events?limit=4").Body.String()
	for _, want := range []string{
		`{"id":"1","time":"2026-11-21T02:00:01.000000Z","event":"backup_queued","agent":{"id":"a"},"configuration":{"id":"c"},"backup":{"id":"b"},"request_id":"req-1"}`,
		`"error":{"code":507,"description":"disk full"}`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
	if strings.Contains(body, "secret") {
		t.Errorf("events show details: %s", body)
	}
}

// TestCloudBackup_EventsBehindAForgottenOne is a client that comes back when its marker is no longer kept.
func TestCloudBackup_EventsBehindAForgottenOne(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/backup/b", sm.ActBackup, sm.PhaseFailed, fault(500, "kept for long", ""))) // before what is cut
	for i := range 75 {
		w.apply(event("t/backup/b", sm.ActBackup, sm.PhaseStarted, job(fmt.Sprint(i), "")),
			event("t/backup/b", sm.ActBackup, sm.PhaseSucceeded, job(fmt.Sprint(i), "")))
	}
	for _, marker := range []string{"", "?marker=1", "?marker=7"} {
		seen, next := w.cloudEvents("/cloud-backup/v2/t/backups/b/events" + marker)
		if len(seen) != 100 || next != "http://example.com/cloud-backup/v2/t/backups/b/events?marker="+strings.Fields(seen[99])[0] {
			t.Errorf("%s: %d events, next %s", marker, len(seen), next)
		}
	}
	if w := w.get("/cloud-backup/v2/t/backups/b/events?marker=152"); w.Code != http.StatusBadRequest {
		t.Errorf("a marker of no event: %d", w.Code)
	}
}

func TestCloudBackup_Lists(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.apply(event(fmt.Sprintf("t/backup/b-%d", i), sm.ActBackup, sm.PhaseSucceeded, named(fmt.Sprint("n-", i%2)),
			attributes(fmt.Sprintf(`{"configuration_id":"c-%d","restorable":%v}`, i%2, i != 3))))
	}
	w.apply(event("u/backup/b-0", sm.ActBackup, sm.PhaseFailed, fault(500, "m", "")))
	for target, want := range map[string]string{
		"t/backups":                                 "b-4 b-3 b-2 b-1 b-0",
		"t/backups?configuration_id=c-1":            "b-3 b-1",
		"t/backups?restorable=true":                 "b-4 b-2 b-1 b-0",
		"t/backups?restorable=false":                "b-3",
		"t/backups?name=n-0&restorable=1&limit=2":   "b-4 b-2",
		"t/backups?marker=b-1&sort_dir=desc":        "b-0",
		"t/backups?status=failed&status=completed":  "b-4 b-3 b-2 b-1 b-0",
		"t/backups?status=completed_with_errors":    "",
		"u/backups?status=failed":                   "b-0",
		"backups":                                   "b-0 b-4 b-3 b-2 b-1 b-0",
		"t/backups?all_tenants=1&limit=2":           "b-0 b-4",
		"t/backups?changes-since=2026-11-21T02:00Z": "b-4 b-3 b-2 b-1 b-0",
		"nobody/backups":                            "",
	} {
		if ids, _ := w.ids("/cloud-backup/v2/"+target, "backups"); strings.Join(ids, " ") != want {
			t.Errorf("%s: %v, want %s", target, ids, want)
		}
	}
	var seen []string
	for target := "/cloud-backup/v2/t/backups?limit=2"; target != ""; {
		ids, next := w.ids(target, "backups")
		seen = append(seen, ids...)
		target = strings.TrimPrefix(next, "http://example.com")
	}
	if strings.Join(seen, " ") != "b-4 b-3 b-2 b-1 b-0" {
		t.Errorf("paging shows %v", seen)
	}
	var page map[string]json.RawMessage
	w.read("/cloud-backup/v2/t/backups?limit=2", &page)
	if string(page["links"]) != string(page["backups_links"]) || len(page["links"]) < 10 {
		t.Errorf("links %s, backups_links %s", page["links"], page["backups_links"])
	}
}

func TestCloudBackup_BadRequestsSayAllThatIsWrong(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/backup/a", sm.ActBackup, sm.PhaseSucceeded), event("t/backup/b", sm.ActBackup, sm.PhaseSucceeded))
	for target, want := range map[string]int{
		"backups/b/events?marker=1": 1, // another's
		"backups?limit=x&status=ERROR&changes-since=y&restorable=z&sort_dir=asc": 5,
		"backups?marker=nobody":                         1,
		"restores?limit=-1":                             1,
		"backups/b/events?limit=x&marker=y&sort_dir=up": 3,
		"backups/b/events?marker=77":                    1,
		"backups/b/events?marker=0":                     1,
		"backups/b/events?marker=18446744073709551616":  1,
		"backups/b/events?marker=-1":                    1,
		"backups?name=" + strings.Repeat("x", 300):      1,
	} {
		answer := w.get("/cloud-backup/v2/t/" + target)
		var got struct {
			Message string
			Errors  []string
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
			t.Errorf("%s: %v: %s", target, err, answer.Body)
		}
		if answer.Code != http.StatusBadRequest || got.Message != "Validation failed." || len(got.Errors) != want {
			t.Errorf("%.80s: %d %s, want %d errors", target, answer.Code, answer.Body, want)
		}
	}
}

func TestCloudBackup_MissingAndForeignAnswerTheSame(t *testing.T) {
	w := newWorld(t)
	w.apply(event("u/backup/b", sm.ActBackup, sm.PhaseSucceeded), event("u/restore/b", sm.ActRestore, sm.PhaseSucceeded))
	for _, target := range []string{"backups/b", "backups/b/errors", "backups/b/events", "restores/b", "restores/b/errors", "restores/b/events?marker=x"} {
		foreign, missing := w.get("/cloud-backup/v2/t/"+target), w.get("/cloud-backup/v2/t/"+strings.Replace(target, "/b", "/c", 1))
		if foreign.Code != 404 || strings.ReplaceAll(missing.Body.String(), " c ", " b ") != foreign.Body.String() {
			t.Errorf("%s: %d %s, a missing one %d %s", target, foreign.Code, foreign.Body, missing.Code, missing.Body)
		}
	}
}
