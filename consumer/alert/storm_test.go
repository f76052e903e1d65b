package alert

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A storm of one fingerprint is a few messages whose counts add up, whatever the receiver thinks of the second of them.
func TestAlerter_Storm(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	to.answers(func(n int, _ received) int {
		if n == 2 {
			return 500
		}
		return 200
	})
	const interval = 2 * time.Second
	a := r.run([]Hook{hookTo(to, func(h *Hook) { h.GroupBy, h.GroupInterval = []string{"fingerprint"}, interval })})
	r.active(a, "pager")
	began := time.Now()
	r.storm(0, 10_000)
	r.eventually("all events", func() bool { return len(events(to)) >= 10_000 })
	r.settled("pager")
	wantOnce(t, to, 10_000)
	if n, most := len(to.taken()), 2+int(time.Since(began)/interval); n > most { // the first, and one for each interval
		t.Errorf("%d messages, want %d at most", n, most)
	}
	last := to.taken()[len(to.taken())-1]
	for _, want := range []string{typeGrouped, `"shared":{`, `"hostId":"h1"`, `"fingerprint":"1:0011223344556677"`} {
		if !strings.Contains(string(last.Body), want) {
			t.Errorf("a grouped message lacks %s: %.2000s", want, last.Body)
		}
	}
}

// In a group the order of a resource holds, also where its events belong to different groups.
func TestAlerter_GroupOrder(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	a := r.run([]Hook{hookTo(to, func(h *Hook) { h.GroupBy, h.GroupInterval = []string{"attribute:name"}, 50*time.Millisecond })})
	r.active(a, "pager")
	named := func(n int, raised bool, host string) string {
		body := strings.Replace(string(fault(n, "s1", raised, "BUILD")), `"hostId":"h1"`, `"name":"`+host+`"`, 1)
		word := map[bool]string{true: "raised", false: "cleared"}[raised]
		r.publish("faults.t1.server.s1."+word, []byte(body))
		return eventID(n, "s1", raised)
	}
	var want []string
	for n := range 6 {
		want = append(want, named(n, n%2 == 0, fmt.Sprint("h", n/2%2)))
	}
	r.eventually("all events", func() bool { return len(events(to)) >= 6 })
	var all strings.Builder
	for _, one := range to.taken() {
		all.Write(one.Body)
	}
	at := 0
	for _, id := range want {
		i := strings.Index(all.String()[at:], `"id":"`+id+`"`)
		if i < 0 {
			t.Fatalf("%s is missing, or not in its place", id)
		}
		at += i
	}
}

func TestAlerter_MinErrorFor(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	hook := hookTo(to, func(h *Hook) { h.MinErrorFor = 600 * time.Millisecond })
	a := r.run([]Hook{hook})
	r.active(a, "pager")
	r.raise(1, "heals")
	r.clear(2, "heals")
	stays := r.raise(3, "stays")
	r.raise(4, "later")
	if got := to.ids(); len(got) != 0 {
		t.Errorf("received %v at once", got)
	}
	r.eventually("the healed one settled", func() bool {
		c, err := r.js.Consumer(t.Context(), faultsStream, durable("pager"))
		return err == nil && c.CachedInfo().NumAckPending == 2
	})
	a.crash() // what is held back is held by the next one, and not for longer
	b := r.run([]Hook{hook})
	r.active(b, "pager")
	r.clear(5, "later")
	r.await(to, 1)
	gone := r.clear(6, "stays")
	r.await(to, 2)
	r.settled("pager")
	got := slices.DeleteFunc(to.ids(), func(id string) bool { return strings.Contains(id, "-later-") })
	if !slices.Equal(got, []string{stays, gone}) {
		t.Errorf("received %v", to.ids())
	}
}

// What healed in time is not told either where nobody was there to see it.
func TestAlerter_MinErrorForBacklog(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	hook := hookTo(to, func(h *Hook) { h.MinErrorFor = 200 * time.Millisecond })
	a := r.run([]Hook{hook})
	r.active(a, "pager")
	a.stop()
	r.raise(1, "heals")
	r.clear(2, "heals")
	want := []string{r.raise(3, "stays")}
	time.Sleep(2 * hook.MinErrorFor)
	want = append(want, r.clear(4, "stays"))
	r.run([]Hook{hook})
	r.await(to, 2)
	r.settled("pager")
	if got := to.ids(); !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

func TestAlerter_MinErrorForCounts(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	a := r.run([]Hook{hookTo(to, func(h *Hook) { h.MinErrorFor, h.Match.Cleared = time.Hour, false })})
	r.active(a, "pager")
	r.raise(1, "s1")
	r.clear(2, "s1")
	r.eventually("suppressed", func() bool { return a.local()["pager"].Suppressed == 2 })
	r.settled("pager")
	if len(to.ids()) != 0 {
		t.Errorf("received %v", to.ids())
	}
}

func TestAlerter_Flapping(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	a := r.run([]Hook{hookTo(to)})
	r.active(a, "pager")
	for n := range 8 {
		if n%2 == 0 {
			r.raise(n, "s1")
		} else {
			r.clear(n, "s1")
		}
	}
	for n, one := range r.await(to, 8) {
		if got, want := strings.Contains(string(one.Body), `"flapping":true`), n >= 6; got != want {
			t.Errorf("message %d: flapping is %t", n, got)
		}
	}
}

// A group that was delivered stays in the bucket until the server is sure to have kept its acknowledgements, but not for whoever
// comes after an orderly end.
func TestAlerter_GroupRemovedAtStop(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	hook := hookTo(to, func(h *Hook) { h.GroupBy = []string{"fingerprint"} })
	a := r.run([]Hook{hook}, func(c *Config) { c.pace.again = patience })
	r.active(a, "pager")
	r.raise(1, "s1")
	r.await(to, 1)
	r.eventually("counted", func() bool { return a.local()["pager"].Delivered == 1 })
	count := func() int { return len(r.keys("try.pager.*")) }
	if count() != 1 {
		t.Error("the bucket forgot the group at once")
	}
	a.stop()
	if count() != 0 {
		t.Error("the bucket still has the group")
	}
}
