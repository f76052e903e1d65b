package alert

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Unix(1_800_000_000, 0)

// 10,000 faults of one group in a minute are five messages.
func TestGroups_Storm(t *testing.T) {
	g := newGroups[int](0, 15*time.Second, maxGroup)
	var messages [][]int
	collect := func(now time.Time) {
		for _, due := range g.take(now) {
			messages = append(messages, due.members)
		}
	}
	for i := range 10_000 {
		now := epoch.Add(time.Duration(i) * time.Minute / 10_000)
		for g.next().Before(now) {
			collect(g.next())
		}
		g.add("f", i, now)
		collect(now)
	}
	for len(g.open) > 0 {
		collect(g.next())
	}
	total := 0
	for _, m := range messages {
		total += len(m)
	}
	if len(messages) > 5 || total != 10_000 || len(messages[0]) != 1 {
		t.Errorf("%d messages of %d events, the first of %d; want at most 5 of 10000, the first of 1", len(messages), total, len(messages[0]))
	}
}

func TestGroups_Wait(t *testing.T) {
	g := newGroups[int](5*time.Second, 15*time.Second, maxGroup)
	g.add("f", 1, epoch)
	g.add("f", 2, epoch.Add(4*time.Second))
	if due := g.take(epoch.Add(5*time.Second - 1)); due != nil {
		t.Errorf("%v before group_wait is over", due)
	}
	if due := g.take(epoch.Add(5 * time.Second)); len(due) != 1 || !slices.Equal(due[0].members, []int{1, 2}) {
		t.Errorf("got %v", due)
	}
}

func TestGroups_Full(t *testing.T) {
	g := newGroups[int](time.Hour, time.Hour, 3)
	for i := range 3 {
		if due := g.take(epoch); due != nil {
			t.Errorf("%v with %d members", due, i)
		}
		g.add("f", i, epoch)
	}
	if due := g.take(epoch); len(due) != 1 || g.size != 0 {
		t.Errorf("got %v, %d left", due, g.size)
	}
}

// Whatever comes whenever: each event goes out once, in its group's order, no later than it may, and no two messages of a group
// go out within an interval unless one was full.
func TestGroups_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wait := time.Duration(rapid.IntRange(0, 20).Draw(t, "wait"))
		interval := time.Duration(rapid.IntRange(0, 20).Draw(t, "interval"))
		most := rapid.IntRange(1, 10).Draw(t, "most")
		g := newGroups[int](wait, interval, most)
		came, sent, last := map[string][]time.Time{}, map[string]int{}, map[string]time.Time{}
		now := epoch
		take := func() {
			for _, due := range g.take(now) {
				for i, n := range due.members {
					if n != sent[due.key]+i {
						t.Fatalf("%s: %d after %d", due.key, n, sent[due.key]+i-1)
					}
				}
				if before, is := last[due.key]; is && now.Sub(before) < interval && len(due.members) < most {
					t.Fatalf("%s: two messages within %s", due.key, now.Sub(before))
				}
				if late := now.Sub(came[due.key][sent[due.key]]); late > max(wait, interval) {
					t.Fatalf("%s: an event waited for %d", due.key, late)
				}
				sent[due.key] += len(due.members)
				last[due.key] = now
			}
		}
		advance := func(to time.Time) {
			for !g.next().After(to) {
				now = g.next()
				take()
			}
			now = to
		}
		for range rapid.IntRange(0, 100).Draw(t, "events") {
			advance(now.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "later"))))
			key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
			g.add(key, len(came[key]), now)
			came[key] = append(came[key], now)
			take()
		}
		advance(now.Add(1000))
		for key, all := range came {
			if sent[key] != len(all) {
				t.Fatalf("%s: %d of %d sent", key, sent[key], len(all))
			}
		}
		if len(g.open) != 0 || g.size != 0 {
			t.Fatalf("%d groups of %d events are left", len(g.open), g.size)
		}
	})
}

func TestFlapping_Note(t *testing.T) {
	in := &Event{Raised: true, Previous: "BUILD", Tenant: "t", Kind: "server", ResourceID: "s"}
	again := &Event{Raised: true, Previous: "ERROR", Tenant: "t", Kind: "server", ResourceID: "s"}
	out := &Event{Previous: "ERROR", Tenant: "t", Kind: "server", ResourceID: "s"}
	f := newFlapping(&pace{flapping: 10 * time.Minute, entries: 3})
	for i, step := range []struct {
		e    *Event
		at   time.Duration
		want bool
	}{
		{in, 0, false}, {out, time.Minute, false}, {in, 2 * time.Minute, false}, {again, 3 * time.Minute, false}, {out, 4 * time.Minute, false},
		{in, 5 * time.Minute, true}, {out, 6 * time.Minute, true}, {out, 10 * time.Minute, false}, {in, 11 * time.Minute, true},
		{in, time.Hour, false},
	} {
		if got := f.note(step.e, epoch.Add(step.at)); got != step.want {
			t.Errorf("step %d: flapping is %t", i, got)
		}
	}
	other := &Event{Raised: true, Tenant: "t", Kind: "server", ResourceID: "other"}
	if f.note(other, epoch.Add(3*time.Hour)); len(f.seen) != 1 {
		t.Errorf("%d resources are remembered", len(f.seen))
	}
}
