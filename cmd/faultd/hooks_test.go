package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answersWith answers everything with a body, and notes what was asked.
func answersWith(t *testing.T, body string) (url string, asked *string) {
	asked = new(string)
	return serving(t, func(w http.ResponseWriter, r *http.Request) {
		*asked = r.Method + " " + r.URL.String()
		io.WriteString(w, body)
	}), asked
}

func TestHooks_Table(t *testing.T) {
	url, asked := answersWith(t, `{"hooks":[
		{"name":"am","kind":"alertmanager","state":"active","reason":null,"holder":"node-1","targets":["http://10.0.0.1:9093","http://10.0.0.2:9093"],
		 "pending":0,"retrying":0,"dead":0,"delivered":7,"suppressed":0,"last_success":"2999-01-01T00:00:00Z","last_error":null},
		{"name":"pager","kind":"webhook","state":"disabled","reason":"the receiver wants\tno more","holder":null,"targets":["https://example.org/…"],
		 "pending":3,"retrying":2,"dead":12,"delivered":0,"suppressed":4,"last_success":null,"last_error":{"time":"2999-01-01T00:00:01Z","message":"410 Gone"}}
	]}`)
	const want = `NAME   KIND          STATE                                 HOLDER  PENDING  RETRYING  DEAD  LAST SUCCESS          LAST ERROR                     TARGETS
am     alertmanager  active                                node-1  0        0         0     2999-01-01T00:00:00Z  -                              http://10.0.0.1:9093, http://10.0.0.2:9093
pager  webhook       disabled: the receiver wants no more  -       3        2         12    -                     2999-01-01T00:00:01Z 410 Gone  https://example.org/…
`
	for _, args := range [][]string{{"hooks"}, {"hooks", "list"}} {
		if got := must(t, append(args, "--server", url)...); got != want || *asked != "GET /v1/hooks" {
			t.Errorf("%v asked for %s and printed\n%s, want\n%s", args, *asked, got, want)
		}
	}
	var page struct{ Hooks []hook }
	if err := json.Unmarshal([]byte(must(t, "hooks", "-o", "json", "--server", url)), &page); err != nil || len(page.Hooks) != 2 || page.Hooks[1].Dead != 12 {
		t.Errorf("as JSON: %v, %+v", err, page)
	}
}

func TestHooks_TableOfNone(t *testing.T) {
	url, _ := answersWith(t, `{"hooks":[]}`)
	if got := must(t, "hooks", "--server", url); got != "There are no hooks: faultd serve --hooks FILE names some.\n" {
		t.Errorf("it says %s", got)
	}
	if got := must(t, "hooks", "--server", url, "-o", "json"); strings.Join(strings.Fields(got), "") != `{"hooks":[]}` {
		t.Errorf("as JSON: %s", got)
	}
}

func TestHooksDead_Table(t *testing.T) {
	url, asked := answersWith(t, `{"dead":[
		{"id":"4f0c","resource":"1234/server/s-1","count":1,"attempts":10,"first":"2999-01-01T00:00:00Z","last":"2999-01-04T03:00:00Z","error":"500 Internal\u001b[2J","event":{"type":"io.faultd.v1.fault.raised"}},
		{"id":"99aa","resource":"1234/server/s-2","count":41,"attempts":1,"first":"2999-01-01T00:00:00Z","last":"2999-01-01T00:00:00Z","error":"refused","event":null}
	],"links":[]}`)
	const want = `ID    OF                           ATTEMPTS  FIRST                 LAST                  ERROR
4f0c  1234/server/s-1              10        2999-01-01T00:00:00Z  2999-01-04T03:00:00Z  500 Internal [2J
99aa  1234/server/s-2 and 40 more  1         2999-01-01T00:00:00Z  2999-01-01T00:00:00Z  refused
`
	if got := must(t, "hooks", "dead", "pager", "--server", url); got != want || *asked != "GET /v1/hooks/pager/dead?limit=101" {
		t.Errorf("asked for %s and printed\n%s, want\n%s", *asked, got, want)
	}
	if got := must(t, "hooks", "dead", "pager", "--limit", "1", "--server", url); !strings.HasSuffix(got, "There are more: these are the first 1 (--limit).\n") {
		t.Errorf("cut to one, it prints\n%s", got)
	}
	if got := must(t, "hooks", "dead", "pager", "-o", "json", "--server", url); !strings.Contains(got, `"4f0c"`) || !strings.Contains(got, `"dead": [`) {
		t.Errorf("as JSON:\n%s", got)
	}
}

func TestHooks_Commands(t *testing.T) {
	for name, c := range map[string]struct {
		args          []string
		answer, asked string
		says          string
	}{
		"test":          {[]string{"test", "pager"}, `{"delivered":1}`, "POST /v1/hooks/pager/test", "pager has taken the test.\n"},
		"one message":   {[]string{"redeliver", "pager", "4f0c"}, `{"redelivered":1}`, "POST /v1/hooks/pager/redeliver?id=4f0c", "Sent again to pager: 1 message.\n"},
		"all messages":  {[]string{"redeliver", "pager"}, `{"redelivered":12}`, "POST /v1/hooks/pager/redeliver", "Sent again to pager: 12 messages.\n"},
		"since a time":  {[]string{"replay", "pager", "--since", "2026-11-20T02:00:00+01:00"}, `{"replayed":0}`, "POST /v1/hooks/pager/replay?since=2026-11-20T01%3A00%3A00Z", "Told again to pager: 0 events.\n"},
		"as JSON":       {[]string{"redeliver", "pager", "-o", "json"}, `{"redelivered":12}`, "POST /v1/hooks/pager/redeliver", "{\n  \"redelivered\": 12\n}\n"},
		"an empty id":   {[]string{"redeliver", "pager", ""}, `{"redelivered":1}`, "POST /v1/hooks/pager/redeliver?id=", "Sent again to pager: 1 message.\n"},
		"a path's name": {[]string{"test", "../../x"}, `{"delivered":1}`, "POST /v1/hooks/..%2F..%2Fx/test", "../../x has taken the test.\n"},
	} {
		url, asked := answersWith(t, c.answer)
		if got := must(t, append(append([]string{"hooks"}, c.args...), "--server", url)...); got != c.says || *asked != c.asked {
			t.Errorf("%s: asked for %s and printed %q", name, *asked, got)
		}
	}
}

func TestHooks_CommandRefused(t *testing.T) {
	url := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, `{"detail":"not delivered: it answers 500"}`)
	})
	if r := faultd(t, "hooks", "test", "pager", "--server", url); r.code != exitFailed || !strings.Contains(r.stderr, "it answers 500") || r.stdout != "" {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
}

func TestHooks_Usage(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no such command":   {[]string{"nosuch"}, "unknown command"},
		"no name":           {[]string{"test"}, "accepts 1 arg"},
		"too many ids":      {[]string{"redeliver", "pager", "a", "b"}, "accepts between 1 and 2"},
		"no file":           {[]string{"check"}, "accepts 1 arg"},
		"since nothing":     {[]string{"replay", "pager"}, "--since"},
		"since no time":     {[]string{"replay", "pager", "--since", "yesterday"}, "--since"},
		"since before":      {[]string{"replay", "pager", "--since", "-2h"}, "--since"},
		"since some future": {[]string{"replay", "pager", "--since", "2999-01-01T00:00:00Z"}, "--since"},
		"limit of nothing":  {[]string{"dead", "pager", "--limit", "0"}, "--limit"},
	} {
		if r := faultd(t, append([]string{"hooks"}, c.args...)...); r.code != exitUsage || !strings.Contains(r.stderr, c.says) {
			t.Errorf("%s: exit code %d; it must say %q:\n%s", name, r.code, c.says, r.stderr)
		}
	}
}

func TestPastTime(t *testing.T) {
	now := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2h": now.Add(-2 * time.Hour), "1h30m": now.Add(-90 * time.Minute), "2026-11-21T01:00:00Z": now.Add(-time.Hour), "2026-11-21T02:00:00+01:00": now.Add(-time.Hour),
	} {
		if got, err := pastTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0s", "-1h", "2", "2026-11-21", "2026-11-21T02:00:01Z"} {
		if got, err := pastTime(text, now); err == nil || exitCode(err, false) != exitUsage {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}

// hooksFile is a file of hooks of which each entry is given as its lines, without the list's dash.
func hooksFile(entries ...string) string {
	text := "hooks:\n"
	for _, e := range entries {
		text += "- " + strings.ReplaceAll(strings.TrimSpace(e), "\n", "\n  ") + "\n"
	}
	return text
}

const hookSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" // of no receiver but the tests'

func TestHooksCheck_Shows(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir+"/pager.secret", hookSecret+"\n")
	path := writeFile(t, dir+"/hooks.yaml", hooksFile(
		"name: pager\nkind: webhook\nurl: https://example.org/in/S3CRET\nsecret_file: pager.secret\nmatch: {kinds: [server], codes: [5xx, 404], on: [raised]}\n"+
			"group_by: [fingerprint]\ngroup_interval: 15s\nmin_error_for: 30s",
		"name: am\nkind: alertmanager\nurls: [http://127.0.0.1:9093]\nallow_private: true\nallow_http: true"))
	const want = `NAME   KIND          MATCH                                    GROUPS                          OPTIONS                        TARGETS
pager  webhook       kind server, code 5xx|404, raised alone  by fingerprint, then every 15s  in ERROR for 30s               https://example.org/…
am     alertmanager  everything                               -                               private addresses, plain http  http://127.0.0.1:9093/…
`
	if got := must(t, "hooks", "check", path); got != want {
		t.Errorf("printed\n%s, want\n%s", got, want)
	}
	var report struct {
		Hooks    []readHook
		Problems []string
	}
	if err := json.Unmarshal([]byte(must(t, "hooks", "check", path, "-o", "json")), &report); err != nil || len(report.Hooks) != 2 || len(report.Problems) != 0 {
		t.Errorf("as JSON: %v, %+v", err, report)
	}
}

func TestHooksCheck_TellsAllThatIsWrong(t *testing.T) {
	path := writeFile(t, t.TempDir()+"/hooks.yaml", hooksFile("name: Pager\nkind: webhook\nurl: https://example.org/S3CRET\ncolor: red", "name: b\nkind: pigeon"))
	r := faultd(t, "hooks", "check", path)
	if r.code != exitFailed || !strings.Contains(r.stderr, "would not take it") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	for _, says := range []string{path + ":2: ", path + ":5: ", path + ":7: "} {
		if !strings.Contains(r.stdout, says) {
			t.Errorf("it must say %s:\n%s", says, r.stdout)
		}
	}
	if strings.Contains(r.stdout+r.stderr, "S3CRET") {
		t.Errorf("it shows a secret:\n%s%s", r.stdout, r.stderr)
	}
	var report struct{ Problems []string }
	j := faultd(t, "hooks", "check", path, "-o", "json")
	if err := json.Unmarshal([]byte(j.stdout), &report); err != nil || j.code != exitFailed || len(report.Problems) < 3 {
		t.Errorf("as JSON, exit code %d: %v, %s", j.code, err, j.stdout)
	}
}
