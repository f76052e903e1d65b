package alert

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// chatted is the text that a chat gets of events.
func chatted(t testing.TB, template string, events ...Event) string {
	t.Helper()
	url, got := receive(t, nil)
	h := aHook(Slack, url)
	h.GroupBy = []string{"fingerprint"}
	if template != "" {
		var err error
		if h.Template, err = parseTemplate(template); err != nil {
			t.Fatal(err)
		}
	}
	if err := newSender(h, "1").send(context.Background(), newMessage(h, events)); err != nil {
		t.Fatal(err)
	}
	r := <-got
	var body map[string]string
	if err := json.Unmarshal(r.body, &body); err != nil || len(body) != 1 || r.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%v, %s, %v", r.header, r.body, err)
	}
	return body["text"]
}

func TestSlack_Text(t *testing.T) {
	one, two := anEvent(t, raisedBody), anEvent(t, raisedBody, "5f1c", "6f1c", "s-1", "s-2", `"web"`, `"db"`)
	for _, c := range []struct {
		template string
		events   []Event
		want     string
	}{
		{"", []Event{one}, "server web (s-1) of tenant 1234: build failed: 500 No valid host was found\nTry again later."},
		{"", []Event{anEvent(t, clearedBody)}, "server web (s-1) of tenant 1234 has left ERROR and is ACTIVE"},
		{"", []Event{one, two}, "2 faults, first: server web (s-1) of tenant 1234: build failed: 500 No valid host was found\nTry again later.\n" +
			"action: build\ncause: capacity\ncode: 500\nfingerprint: 1:0011223344556677\nhostId: e4d9\nhot: true\nkind: server\nram: 512\ntenant: 1234\n" +
			"• server web (s-1) of tenant 1234: build failed: 500 No valid host was found\n• server db (s-2) of tenant 1234: build failed: 500 No valid host was found"},
		{`*{{.Count}}* <https://faults.example/{{.Event.ResourceID}}|{{.Event.Name}}> {{.Event.Attribute "hostId"}}{{.Event.Attribute "none"}}{{range .Group}} {{.Name}}={{.Value}}{{end}}`,
			[]Event{one}, "*1* <https://faults.example/s-1|web> e4d9 fingerprint=1:0011223344556677"},
	} {
		if got := chatted(t, c.template, c.events...); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

func TestSlack_HostileEvents(t *testing.T) {
	const hostile = `<!channel> <https://evil.example|click> @all @here & {{.Event.ID}} {{env \"HOME\"}} \u001b[31m\u202e\r\n> quoted`
	const inert = "&lt;!channel&gt; &lt;https://evil.example|click&gt; @\u200ball @\u200bhere &amp; {{.Event.ID}} {{env \"HOME\"}} [31m  &gt; quoted"
	e := anEvent(t, raisedBody, "No valid host was found", hostile, `"web"`, `"`+hostile+`"`, `"e4d9"`, `"`+hostile+`"`, `"NoValidHost"`, `"`+hostile+`"`,
		`"Try again later."`, `"`+hostile+`"`, `"req-7"`, `"`+hostile+`"`)
	for _, template := range []string{"", `{{.Event.Message}} {{.Event.Name}} {{.Event.Attribute "hostId"}} {{.Event.Reason}} {{.Event.Advice}} {{.Event.RequestID}}{{range .Shared}}{{.Value}}{{end}}`} {
		got := chatted(t, template, e, e)
		if !strings.Contains(got, inert) || strings.ContainsAny(strings.ReplaceAll(got, inert, ""), "<>@&\x1b\r\u202e") {
			t.Errorf("%q", got)
		}
	}
}

func TestSlack_TemplateFails(t *testing.T) {
	e := anEvent(t, raisedBody)
	// It goes well with the sample, which is named so, and with nothing else.
	picky := `{{if ne .Event.Name "sample-server"}}{{index .Samples 99}}{{end}}picky`
	if got, want := chatted(t, picky, e), chatted(t, "", e); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := chatted(t, `{{range 16384}}é{{end}}`, e); len(got) > maxChatText || !strings.HasSuffix(got, "é…") {
		t.Errorf("%d bytes", len(got))
	}
}

func TestSlack_Marks(t *testing.T) {
	h := aHook(Slack, "http://x")
	for mark, set := range map[string]func(*message){
		"[test] ": func(m *message) { m.Test = true }, "[flapping] ": func(m *message) { m.Flapping = true }, "[still] ": func(m *message) { m.Reminder = true }, "server": func(*message) {},
	} {
		m := newMessage(h, []Event{anEvent(t, raisedBody)})
		set(m)
		if got := (&slackSender{hook: h}).text(m); !strings.HasPrefix(got, mark) {
			t.Errorf("%q does not begin with %q", got, mark)
		}
	}
}
