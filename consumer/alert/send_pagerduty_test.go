package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// paged are the requests that PagerDuty gets of a message.
func paged(t testing.TB, h *Hook, m *message) []pagerDutyEvent {
	t.Helper()
	url, got := receive(t, answering(202))
	h.URLs = []string{url}
	if err := newSender(h, "1").send(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	var all []pagerDutyEvent
	for range len(got) {
		r := <-got
		var e pagerDutyEvent
		if err := json.Unmarshal(r.body, &e); err != nil || r.header.Get("Content-Type") != "application/json" || e.RoutingKey != string(h.Secrets[0]) {
			t.Fatalf("%s, %v, %v", r.body, err, r.header)
		}
		all = append(all, e)
	}
	return all
}

func TestPagerDuty_Single(t *testing.T) {
	h := aHook(PagerDuty)
	got := paged(t, h, newMessage(h, []Event{anEvent(t, raisedBody)}))
	if len(got) != 1 || got[0].Action != "trigger" || got[0].DedupKey != "faultd/1234/server/s-1" {
		t.Fatalf("%+v", got)
	}
	p := got[0].Payload
	if p.Summary != "server web (s-1) of tenant 1234: build failed: 500 No valid host was found" || p.Severity != "error" || p.Source != "1234/server/s-1" ||
		p.Component != "server" || p.Class != "capacity" || !p.Timestamp.Equal(time.Date(2026, 11, 21, 12, 0, 0, 250_000_000, time.UTC)) {
		t.Errorf("%+v", p)
	}
	if p.Details["advice"] != "Try again later." || p.Details["request_id"] != "req-7" {
		t.Errorf("%v", p.Details)
	}
	got = paged(t, h, newMessage(h, []Event{anEvent(t, clearedBody)}))
	if len(got) != 1 || got[0].Action != "resolve" || got[0].DedupKey != "faultd/1234/server/s-1" || got[0].Payload != nil {
		t.Errorf("%+v", got)
	}
}

func TestPagerDuty_Groups(t *testing.T) {
	h := aHook(PagerDuty)
	h.GroupBy = []string{"tenant"}
	raised, other, cleared := anEvent(t, raisedBody), anEvent(t, raisedBody, "5f1c", "6f1c", "s-1", "s-2"), anEvent(t, clearedBody)
	elsewhere := anEvent(t, raisedBody, `"tenant_id":"1234"`, `"tenant_id":"9"`)
	settled := newMessage(h, []Event{cleared})
	settled.Settled = true
	var keys []string
	for name, c := range map[string]struct {
		m    *message
		want string
	}{
		"first": {newMessage(h, []Event{raised}), "[trigger]"}, "more": {newMessage(h, []Event{other, cleared}), "[trigger]"},
		"recovery": {newMessage(h, []Event{cleared}), "[]"}, "last recovery": {settled, "[resolve]"},
	} {
		actions := []string{}
		for _, e := range paged(t, h, c.m) {
			actions, keys = append(actions, e.Action), append(keys, e.DedupKey)
		}
		if fmt.Sprint(actions) != c.want {
			t.Errorf("%s: %v, want %s", name, actions, c.want)
		}
	}
	for _, key := range keys {
		if key != keys[0] || !strings.HasPrefix(key, "faultd/group/h/") {
			t.Errorf("keys %q", keys)
		}
	}
	if got := paged(t, h, newMessage(h, []Event{elsewhere})); got[0].DedupKey == keys[0] {
		t.Error("two groups have one key")
	}
	got := paged(t, h, newMessage(h, []Event{raised, other, cleared}))[0].Payload
	if got.Summary != "2 faults, 1 recovered, first: "+raised.headline() || got.Details["count"] != 3.0 || len(got.Details["samples"].([]any)) != 3 {
		t.Errorf("%+v", got)
	}
}

func TestPagerDuty_Limits(t *testing.T) {
	h := aHook(PagerDuty)
	long := strings.Repeat("x", 128)
	m := newMessage(h, []Event{anEvent(t, raisedBody, "s-1", long, `"1234"`, `"`+long+`"`, "No valid host was found", strings.Repeat("é", 2000))})
	got := paged(t, h, m)
	if len(got[0].DedupKey) > maxDedupKey || !strings.HasPrefix(got[0].DedupKey, "faultd/sha256/") || len(got[0].Payload.Summary) > maxSummary {
		t.Errorf("%+v", got)
	}
	cleared := paged(t, h, newMessage(h, []Event{anEvent(t, clearedBody, "s-1", long, `"1234"`, `"`+long+`"`)}))
	if cleared[0].DedupKey != got[0].DedupKey {
		t.Errorf("%s resolves %s", cleared[0].DedupKey, got[0].DedupKey)
	}
}

func TestPagerDuty_Test(t *testing.T) {
	h := aHook(PagerDuty)
	got := paged(t, h, newTestMessage(h, time.Now()))
	if len(got) != 2 || got[0].Action != "trigger" || got[1].Action != "resolve" || got[0].DedupKey != got[1].DedupKey || got[0].Payload.Severity != "info" ||
		!strings.HasPrefix(got[0].DedupKey, "faultd/test/") || !strings.HasPrefix(got[0].Payload.Summary, "[test] ") {
		t.Errorf("%+v", got)
	}
}

func TestPagerDuty_Refused(t *testing.T) {
	url, _ := receive(t, answering(400))
	h := aHook(PagerDuty, url)
	if err := sendTo(t, h); !errors.Is(err, errRefused) {
		t.Errorf("%v", err)
	}
}
