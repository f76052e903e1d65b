package alert

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keyFile is what a file of a webhook's key holds.
var keyFile = "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef01234567")) + "\n"

const routingKey = "0123456789abcdef0123456789abcdef"

// named are the files that the tests' hooks name.
var named = map[string]string{
	"/etc/key": keyFile, "/etc/keys": keyFile + "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 64))) + "\n", "/etc/routing": routingKey + "\n",
	"/etc/url": "https://hooks.example/services/T0/B0/hush-hush-hush\n", "/etc/urls": "https://am1.example\nhttps://am2.example/prefix/\n",
}

func fakeRead(path string, _ int64) ([]byte, error) {
	if text, ok := named[path]; ok {
		return []byte(text), nil
	}
	return nil, errors.New("there is no such file")
}

func parse(text string) ([]Hook, error) { return parseHooks("/etc/hooks.yaml", []byte(text), fakeRead) }

func TestParseHooks_Rows(t *testing.T) {
	got, err := parse(`# who is told
hooks:
- name: pager
  kind: webhook
  url: https://user:pass@receiver.example/in?token=x
  secret_file: keys
  match: {kinds: [server], tenants: ["1234"], codes: [5xx, 404], causes: [capacity], actions: [build], on: [raised]}
  group_by: [fingerprint, attribute:hostId]
  group_wait: 1s
  min_error_for: 1m30s
  renotify_after: 4h
- {name: am, kind: alertmanager, urls: ["http://10.0.0.1:9093", "https://am.example/p/api/v2/alerts"], allow_private: true, allow_http: true}
- {name: am-2, kind: alertmanager, url_file: urls, min_error_for: 0s}
- {name: chat, kind: slack, url_file: /etc/url, template: "{{.Headline}} {{.Event.Attribute \"hostId\"}}", group_by: [cause], group_interval: 0s, group_wait: 0s}
- {name: pd, kind: pagerduty, secret_file: routing, match: {}, group_by: []}
`)
	if err != nil || len(got) != 5 {
		t.Fatalf("%v, %v", got, err)
	}
	pager, am, am2, chat, pd := got[0], got[1], got[2], got[3], got[4]
	m := pager.Match
	switch {
	case pager.Name != "pager" || pager.Kind != Webhook || pager.URLs[0] != "https://user:pass@receiver.example/in?token=x":
		t.Errorf("%+v", pager)
	case len(pager.Secrets) != 2 || string(pager.Secrets[0]) != "0123456789abcdef01234567" || len(pager.Secrets[1]) != 64:
		t.Errorf("%q", pager.Secrets)
	case !m.Raised || m.Cleared || m.Kinds[0] != "server" || m.Tenants[0] != "1234" || m.Causes[0] != "capacity" || m.Actions[0] != "build":
		t.Errorf("%+v", m)
	case len(m.Codes) != 2 || m.Codes[0] != (Codes{500, 599}) || m.Codes[1] != (Codes{404, 404}):
		t.Errorf("%+v", m.Codes)
	case len(pager.GroupBy) != 2 || pager.GroupBy[1] != "attribute:hostId" || pager.GroupWait != time.Second || pager.GroupInterval != 15*time.Second:
		t.Errorf("%+v", pager)
	case pager.MinErrorFor != 90*time.Second || pager.RenotifyAfter != 4*time.Hour || pager.AllowHTTP || pager.AllowPrivate:
		t.Errorf("%+v", pager)
	case am.URLs[0] != "http://10.0.0.1:9093/api/v2/alerts" || am.URLs[1] != "https://am.example/p/api/v2/alerts" || !am.AllowHTTP || !am.AllowPrivate:
		t.Errorf("%+v", am)
	case am2.URLs[0] != "https://am1.example/api/v2/alerts" || am2.URLs[1] != "https://am2.example/prefix/api/v2/alerts":
		t.Errorf("%+v", am2)
	case !am2.Match.Raised || !am2.Match.Cleared:
		t.Errorf("%+v", am2.Match)
	case chat.URLs[0] != "https://hooks.example/services/T0/B0/hush-hush-hush" || chat.Template == nil || chat.GroupInterval != 0:
		t.Errorf("%+v", chat)
	case pd.URLs[0] != pagerDutyURL || string(pd.Secrets[0]) != routingKey || !pd.Match.Raised || pd.GroupBy != nil:
		t.Errorf("%+v", pd)
	}
}

func TestParseHooks_Refused(t *testing.T) {
	const secret = "pasted-secret-where-none-belongs"
	hook := func(change ...string) string {
		text := "hooks:\n- name: n\n  kind: webhook\n  url: https://r.example/in\n  secret_file: key\n"
		return strings.NewReplacer(change...).Replace(text)
	}
	more := func(lines string) string { return hook() + lines }
	slack := "hooks:\n- name: n\n  kind: slack\n  url: https://r.example/in\n"
	am := "hooks:\n- name: n\n  kind: alertmanager\n  urls: [https://r.example]\n"
	named["/etc/bad"], named["/etc/short"], named["/etc/three"] = secret, "whsec_"+base64.StdEncoding.EncodeToString([]byte("short")), keyFile+keyFile+keyFile
	named["/etc/none"], named["/etc/unpadded"] = "\n", strings.TrimRight(keyFile[:len(keyFile)-3], "=")
	f := "/etc/hooks.yaml:"
	for name, c := range map[string]struct{ text, says string }{
		"nothing":              {"", f + `1: key "hooks" is missing`},
		"comments":             {"# none\n", f + `1: key "hooks" is missing`},
		"null":                 {"hooks:\n", f + "1: hooks must be a list"},
		"a list":               {"- a\n", f + "1: there must be keys"},
		"no list":              {"hooks: {}\n", f + "1: hooks must be a list"},
		"no YAML":              {"hooks: [\n", "/etc/hooks.yaml: yaml: line 1"},
		"no YAML, secret":      {"hooks: *" + secret + "\n", "/etc/hooks.yaml: yaml: "},
		"not UTF-8":            {"hooks: \xff\n", "/etc/hooks.yaml: yaml:"},
		"two documents":        {hook() + "---\n" + hook(), "more than one document"},
		"hook without keys":    {"hooks:\n- " + secret + "\n", f + "2: there must be keys"},
		"alias":                {"hooks:\n- &a {name: n, kind: webhook, url: https://r.example, secret_file: key}\n- *a\n", f + "3: there must be keys"},
		"merge":                {more("  <<: {allow_http: true}\n"), f + `6: unknown key "<<"`},
		"unknown key":          {more("  colour: red\n"), f + `6: unknown key "colour"`},
		"unknown key above":    {"hook: []\n" + hook(), f + `1: unknown key "hook"`},
		"key of another case":  {more("  Match: {}\n"), f + `6: unknown key "Match"`},
		"secret for a key":     {more("  " + secret + ": x\n"), f + `6: unknown key "pasted-secret-wh…"`},
		"repeated key":         {more("  kind: slack\n"), f + `6: key "kind" stands here again, after line 3`},
		"name missing":         {hook("- name: n\n  kind", "- kind"), f + "2: name: it is missing"},
		"name of capitals":     {hook("name: n", "name: Pager"), f + "2: name: it must be"},
		"long name":            {hook("name: n", "name: "+strings.Repeat("n", 33)), f + "2: name: it must be"},
		"name of a list":       {hook("name: n", "name: [n]"), f + "2: name: it must be a text"},
		"same name":            {hook() + "- {name: n, kind: slack, url: https://r.example}\n", f + "6: name: n is that of the hook on line 2"},
		"kind missing":         {hook("  kind: webhook\n", ""), f + "2: kind: it is missing"},
		"no such kind":         {hook("kind: webhook", "kind: mail"), f + "3: kind: it must be webhook"},
		"url missing":          {hook("  url: https://r.example/in\n", ""), f + "2: url: it is missing"},
		"url and url_file":     {more("  url_file: url\n"), f + "6: url_file: there is url too"},
		"urls of a webhook":    {more("  urls: [https://r.example]\n"), f + "6: urls: it is not for a hook of kind webhook"},
		"no URL":               {hook("https://r.example/in", secret), f + "4: url: it must be a URL"},
		"relative URL":         {hook("https://r.example/in", "/"+secret), f + "4: url: it must be a URL"},
		"URL without host":     {hook("https://r.example/in", "https:///"+secret), f + "4: url: it must be a URL"},
		"URL with fragment":    {hook("/in", "/in#"+secret), f + "4: url: it must be a URL"},
		"URL with bad port":    {hook("r.example/", "r.example:99999/"), f + "4: url: it must be a URL"},
		"URL with a control":   {hook("url: https://r.example/in", `url: "https://r.example/\u202e`+secret+`"`), f + "4: url: it must be a URL"},
		"broken URL":           {hook("/in", "/%zz"+secret), f + "4: url: it must be a URL"},
		"plain http":           {hook("https:", "http:"), f + "4: url: it is plain http"},
		"ftp":                  {hook("https:", "ftp:"), f + "4: url: it must begin with https://"},
		"metadata":             {hook("r.example", "169.254.169.254"), f + "4: url: 169.254.169.254: " + ErrAddress.Error()},
		"metadata in IPv6":     {hook("r.example", "[::ffff:169.254.169.254]"), ErrAddress.Error()},
		"private":              {hook("r.example", "10.0.0.1"), "allow_private"},
		"url_file missing":     {hook("url: https://r.example/in", "url_file: nowhere"), f + "4: url_file: there is no such file"},
		"two URLs in a file":   {hook("url: https://r.example/in", "url_file: urls"), f + "4: url_file: the file must hold 1 to 1"},
		"no URL in a file":     {hook("url: https://r.example/in", "url_file: none"), f + "4: url_file: the file must hold"},
		"bad URL in a file":    {hook("url: https://r.example/in", "url_file: bad"), f + "4: url_file: it must be a URL"},
		"secret_file missing":  {hook("  secret_file: key\n", ""), f + "2: secret_file: it is missing"},
		"no secret":            {hook("secret_file: key", "secret_file: bad"), f + "5: secret_file: line 1 of the file must be whsec_"},
		"short secret":         {hook("secret_file: key", "secret_file: short"), f + "5: secret_file: line 1 of the file must be whsec_"},
		"three secrets":        {hook("secret_file: key", "secret_file: three"), f + "5: secret_file: the file must hold whsec_"},
		"empty secret":         {hook("secret_file: key", "secret_file: none"), f + "5: secret_file: the file must hold whsec_"},
		"cut secret":           {hook("secret_file: key", "secret_file: unpadded"), f + "5: secret_file: line 1"},
		"secret of slack":      {slack + "  secret_file: key\n", f + "5: secret_file: it is not for a hook of kind slack"},
		"no routing key":       {"hooks:\n- {name: n, kind: pagerduty}\n", f + "2: secret_file: it is missing"},
		"bad routing key":      {"hooks:\n- {name: n, kind: pagerduty, secret_file: keys}\n", f + "2: secret_file: the file must hold the integration's key"},
		"template of webhook":  {more("  template: x\n"), f + "6: template: it is not for a hook of kind webhook"},
		"broken template":      {slack + "  template: '{{.Headline'\n", f + "5: template: "},
		"template, no field":   {slack + "  template: '{{.Colour}}'\n", f + "5: template: "},
		"template, deep field": {slack + "  template: '{{range .Samples}}{{.Colour}}{{end}}'\n", f + "5: template: "},
		"template, attribute":  {slack + "  template: '{{.Event.attributes.x}}'\n", f + "5: template: "},
		"template, no func":    {slack + "  template: '{{env \"HOME\"}}'\n", f + "5: template: "},
		"template, nothing":    {slack + "  template: ' {{/* */}} '\n", f + "5: template: it says nothing"},
		"template, too much":   {slack + "  template: '{{range 1000000}}0123456789{{end}}'\n", f + "5: template: "},
		"am with url":          {am + "  url: https://r.example\n", f + "5: url: it is not for a hook of kind alertmanager"},
		"am with group_by":     {am + "  group_by: [kind]\n", f + "5: group_by: it is not for a hook of kind alertmanager"},
		"am with renotify":     {am + "  renotify_after: 1h\n", f + "5: renotify_after: it is not for a hook of kind alertmanager"},
		"am without urls":      {"hooks:\n- {name: n, kind: alertmanager}\n", f + "2: urls: it is missing"},
		"am with no urls":      {"hooks:\n- {name: n, kind: alertmanager, urls: []}\n", f + "2: urls: there must be 1 to 16"},
		"am with text":         {"hooks:\n- {name: n, kind: alertmanager, urls: https://r.example}\n", f + "2: urls: it must be a list"},
		"am twice":             {"hooks:\n- {name: n, kind: alertmanager, urls: [https://r.example, https://r.example]}\n", f + "2: urls: something stands twice"},
		"match of a list":      {more("  match: [server]\n"), f + "6: match: there must be keys"},
		"match unknown":        {more("  match:\n    kind: [server]\n"), f + `7: match: unknown key "kind"`},
		"match twice":          {more("  match:\n    on: [raised]\n    on: [cleared]\n"), f + `8: match: key "on" stands here again`},
		"match no list":        {more("  match: {kinds: server}\n"), f + "6: match: kinds: it must be a list"},
		"match nested":         {more("  match: {kinds: [[server]]}\n"), f + "6: match: kinds: each of the list must be a text"},
		"match null":           {more("  match: {tenants: [~]}\n"), f + "6: match: tenants: each of the list must be a text"},
		"no such match kind":   {more("  match: {kinds: [volume]}\n"), f + "6: match: kinds: each must be server"},
		"no such cause":        {more("  match: {causes: [rain]}\n"), f + "6: match: causes: each must be"},
		"no such action":       {more("  match: {actions: [dance]}\n"), f + "6: match: actions: each must be"},
		"code 600":             {more("  match: {codes: [600]}\n"), f + "6: match: codes: each must be"},
		"code 3xx":             {more("  match: {codes: [3xx]}\n"), f + "6: match: codes: each must be"},
		"bad tenant":           {more("  match: {tenants: [a/b]}\n"), f + "6: match: tenants: each must be"},
		"bad occasion":         {more("  match: {on: [raise]}\n"), f + "6: match: on: each must be"},
		"bad group":            {more("  group_by: [hostId]\n"), f + "6: group_by: each must be fingerprint"},
		"empty attribute":      {more("  group_by: ['attribute:']\n"), f + "6: group_by: each must be fingerprint"},
		"wait without group":   {more("  group_wait: 1s\n"), f + "6: group_wait: there is no group_by"},
		"interval, no group":   {more("  group_by: []\n  group_interval: 1s\n"), f + "7: group_interval: there is no group_by"},
		"duration of a number": {more("  min_error_for: 15\n"), f + "6: min_error_for: it must be 0s, or a duration"},
		"negative duration":    {more("  min_error_for: -1s\n"), f + "6: min_error_for: it must be"},
		"long duration":        {more("  min_error_for: 25h\n"), f + "6: min_error_for: it must be"},
		"short renotification": {more("  renotify_after: 1s\n"), f + "6: renotify_after: it must be"},
		"flag of a word":       {more("  allow_private: yes\n"), f + "6: allow_private: it must be true or false"},
		"flag of nothing":      {more("  allow_http:\n"), f + "6: allow_http: it must be a text"},
	} {
		got, err := parse(c.text)
		if err == nil || got != nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, %v; want %s", name, got, err, c.says)
		}
	}
}

func TestParseHooks_AllAtOnce(t *testing.T) {
	_, err := parse("hooks:\n- name: N\n  kind: webhook\n  url: ftp://x\n  colour: red\n- {name: m, kind: mail}\n- {name: m, kind: slack, url: https://r.example, match: {codes: [9]}}\n")
	for _, says := range []string{":2: name:", ":4: url:", ":5: unknown key", ":2: secret_file:", ":6: kind:", ":7: name:", ":7: match: codes:"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s is not told: %v", says, err)
		}
	}
	if hooks, err := parse("hooks: []\n"); err != nil || hooks == nil || len(hooks) != 0 {
		t.Errorf("%v, %v", hooks, err)
	}
}

func TestHook_Digest(t *testing.T) {
	const base = "hooks:\n- {name: n, kind: slack, url: https://r.example/in, template: '{{.Headline}}', group_by: [cause], group_interval: 15s, match: {codes: [500]}}\n"
	digest := func(old, new string) string {
		hooks, err := parse(strings.Replace(base, old, new, 1))
		if err != nil {
			t.Fatal(err)
		}
		return hooks[0].Digest
	}
	first := digest("", "")
	for _, same := range []string{"# a comment\n", "\n\n"} {
		if digest("", same) != first {
			t.Errorf("%q changes it", same)
		}
	}
	if digest("group_interval: 15s, ", "") != first {
		t.Error("a default changes it")
	}
	for _, c := range [][2]string{{"name: n", "name: m"}, {"/in", "/on"}, {"{{.Headline}}", "{{.Headline}}!"}, {"[cause]", "[kind]"}, {"15s", "16s"}, {"[500]", "[5xx]"},
		{"match", "allow_private: true, match"}, {"match", "allow_http: true, match"}, {"match", "min_error_for: 1s, match"}, {"match", "renotify_after: 1h, match"}, {"match", "group_wait: 1s, match"},
		{"codes: [500]", "codes: [500], on: [raised]"}} {
		if digest(c[0], c[1]) == first {
			t.Errorf("%s is not in it", c[1])
		}
	}
	webhook := "hooks:\n- {name: n, kind: webhook, url: https://r.example/in, secret_file: key}\n"
	one, err := parse(webhook)
	two, err2 := parse(strings.Replace(webhook, "file: key", "file: keys", 1))
	if err != nil || err2 != nil || one[0].Digest == two[0].Digest || strings.Contains(one[0].Digest, "0123456789abcdef") {
		t.Errorf("%v, %v", err, err2)
	}
}

func TestHook_Targets(t *testing.T) {
	h := Hook{URLs: []string{"https://hooks.example/services/hush", "https://u:hush@r.example:8443", "http://[::1]:80/", "https://r.example?hush", "hush"}}
	want := []string{"https://hooks.example/…", "https://r.example:8443/…", "http://[::1]:80", "https://r.example/…", "…"}
	for i, got := range h.Targets() {
		if got != want[i] {
			t.Errorf("%s, want %s", got, want[i])
		}
	}
}

func TestLoad_Files(t *testing.T) {
	dir := t.TempDir()
	path, key := filepath.Join(dir, "hooks.yaml"), filepath.Join(dir, "pager.secret")
	text := "hooks:\n- {name: n, kind: webhook, url: https://r.example, secret_file: pager.secret}\n"
	for file, text := range map[string]string{path: text, key: keyFile} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{path, key} {
		for mode, good := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o602: false, 0o700: false, 0o644: false, 0o620: false} {
			if err := os.Chmod(file, mode); err != nil {
				t.Fatal(err)
			}
			got, err := Load(path)
			if good && (err != nil || len(got) != 1) || !good && (!errors.Is(err, ErrFileMode) || !strings.Contains(err.Error(), "chmod 600 "+file)) {
				t.Errorf("%s, mode %04o: %v, %v", file, mode, got, err)
			}
		}
		if err := os.Chmod(file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a directory: %v", err)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "hooks.yaml:2: secret_file: ") {
		t.Errorf("no key: %v", err)
	}
	if err := os.WriteFile(key, make([]byte, maxNamedFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("a large key: %v", err)
	}
}

// FuzzParseHooks: what is accepted can be used, and what is refused says where.
func FuzzParseHooks(f *testing.F) {
	f.Add([]byte("hooks:\n- {name: n, kind: webhook, url: https://r.example, secret_file: key, match: {codes: [5xx], on: [raised]}, group_by: [kind], group_wait: 1s}\n"))
	f.Add([]byte("hooks:\n- {name: a, kind: alertmanager, url_file: urls}\n- {name: p, kind: pagerduty, secret_file: routing, renotify_after: 1h}\n"))
	f.Add([]byte("hooks:\n- {name: s, kind: slack, url: https://r.example, template: '{{.Headline}}'}\n"))
	f.Add([]byte("hooks: &a [*a]\n"))
	f.Add([]byte("? [a]\n: b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		hooks, err := parse(string(text))
		if err != nil {
			if hooks != nil || !strings.HasPrefix(err.Error(), "/etc/hooks.yaml:") {
				t.Errorf("%v, %v", hooks, err)
			}
			return
		}
		for _, h := range hooks {
			if !hookName.MatchString(h.Name) || len(h.URLs) == 0 || len(h.Digest) != 64 || h.GroupWait < 0 || len(h.Targets()) != len(h.URLs) {
				t.Errorf("%+v", h)
			}
			if (h.Kind == Webhook || h.Kind == PagerDuty) && len(h.Secrets) == 0 || !h.Match.Raised && !h.Match.Cleared {
				t.Errorf("%+v", h)
			}
			newSender(&h, "test").close()
		}
	})
}
