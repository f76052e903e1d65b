package alert

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"
)

// What the bucket keeps of a message is sent as the message would have been; and a group of the largest size fits into a message of
// the server.
func TestRecord_RoundTrip(t *testing.T) {
	read := func(n int, raised bool) Event {
		e, err := ParseEvent(fault(n, fmt.Sprintf("%08d-8b69-11e0-9b19-734f0000ffff", n), raised, "BUILD"))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	reminder, err := parseResource(sampleResource(&Event{Raised: true, Kind: "server", Tenant: "t1", ResourceID: "s1", Status: "ERROR",
		Time: epoch, Action: "build", Cause: "capacity", Code: 500, Message: "no room", attributes: map[string]string{"hostId": "h"}}))
	if err != nil {
		t.Fatal(err)
	}
	reminder.ID, reminder.Previous = "again", "ERROR"
	var storm []Event
	for n := range maxGroup {
		storm = append(storm, read(n, n%3 > 0))
	}
	h := &Hook{Kind: Webhook, GroupBy: []string{"fingerprint"}}
	for name, m := range map[string]*message{
		"raised":   newMessage(&Hook{}, []Event{read(1, true)}),
		"cleared":  newMessage(&Hook{}, []Event{read(1, false)}),
		"reminder": newMessage(&Hook{}, []Event{reminder}),
		"storm":    newMessage(h, storm),
	} {
		m.Flapping, m.Reminder, m.Settled = name == "storm", name == "reminder", name == "storm"
		value, err := pack(&record{Attempts: 3, Next: time.Now(), Message: keep(m)})
		if err != nil || len(value) > 1<<20-1024 {
			t.Fatalf("%s: %d bytes, %v", name, len(value), err)
		}
		var r record
		if err := unpack(value, &r); err != nil {
			t.Fatal(name, err)
		}
		got, err := r.Message.message()
		if err != nil {
			t.Fatal(name, err)
		}
		check := func(who string, got *message) {
			if !bytes.Equal(got.cloudEvent(), m.cloudEvent()) || got.GroupKey != m.GroupKey || got.Settled != m.Settled || got.raised() != m.raised() {
				t.Errorf("%s, %s:\n%.500s\nis not\n%.500s", name, who, got.cloudEvent(), m.cloudEvent())
			}
			if !slices.Equal(keysOf(got), keysOf(m)) || got.Events[0].Fingerprint != m.Events[0].Fingerprint {
				t.Errorf("%s, %s: other resources, or another fault", name, who)
			}
		}
		check("kept", got)
		light := *m
		light.lighten()
		check("lightened", &light)
	}
}

func TestPace_Delay(t *testing.T) {
	p := &defaultPace
	var sum time.Duration
	for n := 1; n < p.attempts(); n++ {
		d, want := p.delay(n, errRefused), p.retries[n-1]
		if d < want-want/10 || d > want+want/10 {
			t.Errorf("after %d attempts %s, want about %s", n, d, want)
		}
		sum += want
	}
	if p.attempts() != 10 || sum.Round(time.Hour) != 76*time.Hour {
		t.Errorf("%d attempts in %s", p.attempts(), sum)
	}
	if d := p.delay(1, fmt.Errorf("busy: %w", &later{After: time.Hour, err: errRefused})); d != time.Hour {
		t.Errorf("%s where an hour was asked for", d)
	}
}
