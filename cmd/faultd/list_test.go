package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// pages answers a list of n resources, at most most of them a page.
func pages(t testing.TB, n, most int) string {
	t.Helper()
	return serving(t, func(w http.ResponseWriter, r *http.Request) {
		begin, _ := strconv.Atoi(r.URL.Query().Get("marker"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		end := min(begin+min(limit, most), n)
		page := map[string]any{"resources": []any{}}
		for i := begin; i < end; i++ {
			page["resources"] = append(page["resources"].([]any), map[string]any{"kind": "server", "id": strconv.Itoa(i)})
		}
		if end-begin == min(limit, most) {
			page["links"] = []any{map[string]any{"rel": "next", "href": fmt.Sprintf("http://%s/v1/resources?limit=%d&marker=%d", r.Host, limit, end)}}
		}
		_ = json.NewEncoder(w).Encode(page)
	})
}

func TestList_FollowsLinks(t *testing.T) {
	for _, test := range []struct {
		there, page, limit, want int
		more                     bool
	}{
		{0, 1000, 100, 0, false},
		{99, 1000, 100, 99, false},
		{100, 1000, 100, 100, false},
		{101, 1000, 100, 100, true},
		{2500, 1000, 2400, 2400, true},
		{2400, 1000, 2400, 2400, false},
		{30, 7, 1000, 30, false},
	} {
		url := pages(t, test.there, test.page)
		lines := strings.Split(strings.TrimSpace(must(t, "list", "--server", url, "--limit", strconv.Itoa(test.limit))), "\n")
		more := strings.Contains(lines[len(lines)-1], "There are more")
		if more {
			lines = lines[:len(lines)-1]
		}
		if got := len(lines) - 1; got != test.want || more != test.more {
			t.Errorf("%+v: %d resources are listed, more is %t", test, got, more)
		}
	}
}

func TestList_Filters(t *testing.T) {
	var query string
	url := serving(t, func(w http.ResponseWriter, r *http.Request) {
		query = r.URL.RawQuery
		io.WriteString(w, `{"resources":[]}`)
	})
	must(t, "list", "--server", url, "--kind", "server", "--tenant", "1234", "--status", "ERROR,BUILD", "--code", "404", "--changes-since", "2026-01-01T00:00:00Z")
	if want := "changes-since=2026-01-01T00%3A00%3A00Z&code=404&kind=server&limit=101&status=ERROR&status=BUILD&tenant=1234"; query != want {
		t.Errorf("it asks for\n%s, want\n%s", query, want)
	}
}

func TestList_LinkLeadsAway(t *testing.T) {
	var stolen bool
	thief := serving(t, func(http.ResponseWriter, *http.Request) { stolen = true })
	url := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"resources":[{"id":"x"}],"links":[{"rel":"next","href":%q}]}`, thief)
	})
	if r := faultd(t, "list", "--server", url); r.code != exitFailed || stolen {
		t.Errorf("exit code %d, stolen %t", r.code, stolen)
	}
}

// What producers write must not reach the terminal as more than text.
func TestList_HostileText(t *testing.T) {
	url := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"resources":[{"kind":"server","id":"x","name":"a\tb\nc\u001b[2Jd\u202e","status":"ERROR","fault":{"code":500,"message":"m\r\u0007"}}]}`)
	})
	out := must(t, "list", "--server", url)
	if strings.ContainsAny(out, "\t\x1b\r\a\u202e") || strings.Count(out, "\n") != 2 {
		t.Errorf("printed %q", out)
	}
}

func TestShow(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	d.publish(t, sample)

	out := d.ask(t, "show", "server", faultyServer)
	for _, part := range []string{"ERROR, 66%, since 2010-08-10T11:59:59Z", "404 Could not find image", "Fault details", "IMAGE_NOT_FOUND",
		"Cause       not-found", "  advice    The image does not exist", "  retry     does not help",
		"build b-41, failed", "History", "BUILD    ERROR  build"} {
		if !strings.Contains(out, part) {
			t.Errorf("show lacks %q:\n%s", part, out)
		}
	}
	var whole struct {
		Resource resource
		History  []row
	}
	if err := json.Unmarshal([]byte(d.ask(t, "show", "server", faultyServer, "-o", "json")), &whole); err != nil {
		t.Fatal(err)
	}
	if whole.Resource.Fault == nil || whole.Resource.Fault.Code != 404 || len(whole.History) != 2 || whole.History[0].To != "ERROR" {
		t.Errorf("show as JSON: %+v", whole)
	}
	if r := faultd(t, "show", "server", "nosuch", "--server", d.http); r.code != exitFailed || !strings.Contains(r.stderr, "404") {
		t.Errorf("exit code %d for a server that is not there:\n%s", r.code, r.stderr)
	}
	out = d.ask(t, "list", "--kind", "backup", "--status", "ERROR")
	if !strings.Contains(out, "bk-102") || strings.Contains(out, "bk-101") {
		t.Errorf("the backups in ERROR:\n%s", out)
	}
}

func TestWait_GivesUp(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	d.ask(t, "wait")
	r := faultd(t, "wait", "--server", d.http, "--sequence", "1000", "--timeout", "50ms")
	if r.code != exitFailed || !strings.Contains(r.stderr, "has not applied 1000 yet") {
		t.Errorf("exit code %d, want %d:\n%s", r.code, exitFailed, r.stderr)
	}
}
