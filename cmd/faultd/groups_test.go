package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestGroups_Table(t *testing.T) {
	var asked string
	url := serving(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		io.WriteString(w, `{"groups":[
			{"fingerprint":"1:a","kind":"server","action":"build","code":500,"message":"No valid host for\t<id>","cause":"capacity","active":40,"total":52,
			 "shared":[{"attribute":"hostId","value":"e4d9","count":37,"of":40},{"attribute":"flavor.id","value":"m1","count":21,"of":40}]},
			{"fingerprint":"1:b","kind":"image","action":"snapshot","code":507,"message":"full","cause":"storage-full","active":0,"total":1,"shared":[]}
		],"links":[]}`)
	})
	const want = `ACTIVE  TOTAL  CAUSE         KIND    ACTION    CODE  MESSAGE                 SHARED
40      52     capacity      server  build     500   No valid host for <id>  37 of 40: hostId e4d9, 21 of 40: flavor.id m1
0       1      storage-full  image   snapshot  507   full                    -
`
	if got := must(t, "groups", "--server", url); got != want {
		t.Errorf("printed\n%s, want\n%s", got, want)
	}
	if asked != "/v1/faults/groups?limit=101" {
		t.Errorf("asked for %s", asked)
	}
	if got := must(t, "groups", "--server", url, "--limit", "1"); !strings.HasSuffix(got, "There are more: these are the first 1 (--limit).\n") || strings.Contains(got, "image") {
		t.Errorf("cut to one, it prints\n%s", got)
	}
	if r := faultd(t, "groups", "--server", url, "--limit", "0"); r.code != exitUsage || !strings.Contains(r.stderr, "--limit") {
		t.Errorf("exit code %d for no limit: %s", r.code, r.stderr)
	}
}

// What the daemon answers is what the command reads.
func TestGroups_OfTheDaemon(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	d.publish(t, sample)
	var page struct{ Groups []faultGroup }
	if err := json.Unmarshal([]byte(d.ask(t, "groups", "-o", "json")), &page); err != nil {
		t.Fatal(err)
	}
	table := strings.Split(strings.TrimSpace(d.ask(t, "groups")), "\n")
	if len(page.Groups) == 0 || len(table) != 1+len(page.Groups) {
		t.Fatalf("%d groups, and a table of\n%s", len(page.Groups), strings.Join(table, "\n"))
	}
	for i, g := range page.Groups {
		if cells := strings.Fields(table[i+1]); g.Cause == "" || g.Total == 0 || g.Code < 400 || cells[2] != g.Cause || cells[3] != g.Kind || cells[4] != g.Action {
			t.Errorf("%+v stands there as %s", g, table[i+1])
		}
	}
	found := false
	for _, g := range page.Groups {
		found = found || g.Cause == "not-found" && g.Code == 404 && g.Kind == "server" && strings.HasPrefix(g.Message, "Could not find image")
	}
	if !found {
		t.Errorf("the documented server's fault is in no group: %+v", page.Groups)
	}
}
