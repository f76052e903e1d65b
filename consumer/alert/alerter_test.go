package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"faultd/statemachine"
)

func TestAlerter_Delivers(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	before := r.raise(0, "s0")
	a := r.run([]Hook{hookTo(to)})
	r.active(a, "pager")
	want := []string{r.raise(1, "s1"), r.clear(2, "s1"), r.raise(3, "s1"), r.clear(4, "s1")}
	r.await(to, 4)
	if got := to.ids(); !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
	if slices.Contains(to.ids(), before) {
		t.Error("a new hook was told of what was before it")
	}
	r.settled("pager")
	c, err := r.js.Consumer(t.Context(), faultsStream, durable("pager"))
	if err != nil || c.CachedInfo().Delivered.Consumer != 4 {
		t.Errorf("handed out %d times: %v", c.CachedInfo().Delivered.Consumer, err)
	}
}

func TestAlerter_SendsOnlyWhatIsWanted(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	a := r.run([]Hook{hookTo(to, func(h *Hook) { h.Match = Match{Cleared: true} })})
	r.active(a, "pager")
	r.raise(1, "s1")
	want := r.clear(2, "s1")
	r.await(to, 1)
	r.settled("pager")
	if got := to.ids(); !slices.Equal(got, []string{want}) {
		t.Errorf("received %v, want %s alone", got, want)
	}
}

// A fault that is tried again holds up its own recovery, and nothing of other resources or hooks.
func TestAlerter_OrderWhileRetrying(t *testing.T) {
	r, to, other := newRig(t), newReceiver(t), newReceiver(t)
	var failed atomic.Int32
	to.answers(func(_ int, got received) int {
		if strings.Contains(got.ID, "-s1-true") && failed.Add(1) <= 3 {
			return 500
		}
		return 204
	})
	slow := hookTo(to)
	a := r.run([]Hook{slow, hookTo(other, func(h *Hook) { h.Name = "other" })})
	r.active(a, "pager")
	r.active(a, "other")
	raised, cleared, free := r.raise(1, "s1"), r.clear(2, "s1"), r.raise(3, "s2")
	r.await(to, 3)
	got := to.ids()
	if slices.Index(got, raised) > slices.Index(got, cleared) {
		t.Errorf("received %v: the recovery before its fault", got)
	}
	if got[0] != free {
		t.Errorf("received %v: %s waited for another resource", got, free)
	}
	r.await(other, 3)
	r.settled("pager")
}

func TestAlerter_DeadReceiverDelaysNobody(t *testing.T) {
	r, to, deaf := newRig(t), newReceiver(t), newReceiver(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	deaf.answers(func(int, received) int { <-hang; return 500 })
	a := r.run([]Hook{hookTo(deaf, func(h *Hook) { h.Name = "deaf" }), hookTo(to)})
	r.active(a, "deaf")
	r.active(a, "pager")
	r.storm(0, 100)
	r.await(to, 100)
	r.settled("pager")
}

// Attempts are counted over restarts, and what failed for the last time is on the dead list, with all that it says.
func TestAlerter_RetriesSurviveRestart(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	to.answers(always(500))
	slow := func(c *Config) {
		c.pace.retries = []time.Duration{20 * time.Millisecond, 500 * time.Millisecond, 20 * time.Millisecond}
	}
	a := r.run([]Hook{hookTo(to)}, slow)
	r.active(a, "pager")
	id := r.raise(1, "s1")
	r.eventually("two attempts", func() bool { return len(to.requests()) == 2 })
	r.settled("pager")
	a.stop()
	b := r.run([]Hook{hookTo(to)}, slow)
	dead := r.dead(b, 1)
	if n := len(to.requests()); n != 4 || dead[0].Attempts != 4 {
		t.Errorf("%d requests, %d attempts told, want 4: %+v", n, dead[0].Attempts, dead[0])
	}
	if d := dead[0]; d.ID != id || d.Resource != "t1/server/s1" || d.Count != 1 || !d.Raised || !strings.Contains(d.Error, "500") ||
		d.First.IsZero() || d.Last.Before(d.First) || !json.Valid(d.Event) {
		t.Errorf("dead: %+v", d)
	}
}

// dead waits until so many are on the dead list.
func (r *rig) dead(a *running, n int) (all []Dead) {
	r.Helper()
	r.eventually(fmt.Sprintf("%d dead", n), func() bool {
		var err error
		all, err = a.Dead(r.Context(), "pager", "", 0)
		return err == nil && len(all) == n
	})
	return all
}

// A record that cannot be read hides nothing that follows it, and no hook that there is not has a list.
func TestAlerter_DeadUnreadable(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	to.answers(always(500))
	a := r.run([]Hook{hookTo(to)})
	r.active(a, "pager")
	l, err := a.linked()
	if err == nil {
		err = l.bucket.put(t.Context(), deadKey("pager", "broken"), []byte(`{"attempts":10,"message":{"id":"broken","events":[]}}`))
	}
	if err != nil {
		t.Fatal(err)
	}
	id := r.raise(1, "s1")
	r.dead(a, 2)
	page, err := a.Dead(t.Context(), "pager", "", 1)
	if err != nil || len(page) != 1 || page[0].ID != "broken" || page[0].Attempts != 10 || page[0].Event != nil {
		t.Fatalf("%+v, %v", page, err)
	}
	if page, err = a.Dead(t.Context(), "pager", "broken", 1); err != nil || len(page) != 1 || page[0].ID != id {
		t.Errorf("behind it: %+v, %v", page, err)
	}
	if _, err := a.Dead(t.Context(), "nobody", "broken", 1); !errors.Is(err, ErrUnknownHook) {
		t.Errorf("of no hook: %v", err)
	}
}

func TestAlerter_Redeliver(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	to.answers(always(503))
	a := r.run([]Hook{hookTo(to)})
	r.active(a, "pager")
	first, second, third := r.raise(1, "s1"), r.raise(2, "s2"), r.clear(3, "s1")
	all := r.dead(a, 3)
	for _, page := range []struct {
		after string
		limit int
		want  []Dead
	}{{"", 2, all[:2]}, {all[0].ID, 1, all[1:2]}, {all[1].ID, 5, all[2:]}, {all[2].ID, 5, all[3:]}} {
		if got, err := a.Dead(t.Context(), "pager", page.after, page.limit); err != nil || len(got) != len(page.want) || len(got) > 0 && got[0].ID != page.want[0].ID {
			t.Errorf("%d behind %q: %+v, %v", page.limit, page.after, got, err)
		}
	}
	for _, unknown := range []string{"x", "*", "a b"} {
		if _, err := a.Dead(t.Context(), "pager", unknown, 5); !errors.Is(err, statemachine.ErrUnknownMarker) {
			t.Errorf("behind %q: %v", unknown, err)
		}
	}
	if n, err := a.Redeliver(t.Context(), "pager", ""); n != 0 || err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("redelivered %d to a receiver that refuses: %v", n, err)
	}
	r.dead(a, 3)
	to.answers(nil)
	if n, err := a.Redeliver(t.Context(), "pager", second); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	r.dead(a, 2)
	if n, err := a.Redeliver(t.Context(), "pager", ""); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if got, want := to.ids(), []string{second, first, third}; !slices.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
	r.dead(a, 0)
	if _, err := a.Redeliver(t.Context(), "pager", first); !errors.Is(err, ErrUnknownMessage) {
		t.Errorf("redelivered what is not on the list: %v", err)
	}
}

func TestAlerter_Replay(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	a := r.run([]Hook{hookTo(to)})
	r.active(a, "pager")
	old := r.raise(1, "s1")
	r.await(to, 1)
	r.settled("pager")
	time.Sleep(2 * time.Millisecond)
	since := time.Now()
	want := []string{r.clear(2, "s1"), r.raise(3, "s1")}
	r.await(to, 3)
	n, err := a.Replay(t.Context(), "pager", since)
	if err != nil || n != 2 {
		t.Fatalf("%d events again, want 2: %v", n, err)
	}
	r.await(to, 5)
	r.settled("pager")
	if got := to.ids(); !slices.Equal(got, append([]string{old}, append(want, want...)...)) {
		t.Errorf("received %v", got)
	}
}

func TestAlerter_UnknownHook(t *testing.T) {
	r := newRig(t)
	a := r.run(nil)
	_, err1 := a.Dead(t.Context(), "x", "", 0)
	_, err2 := a.Redeliver(t.Context(), "x", "")
	_, err3 := a.Replay(t.Context(), "x", time.Now())
	for _, err := range []error{err1, err2, err3, a.Test(t.Context(), "x")} {
		if !errors.Is(err, ErrUnknownHook) {
			t.Errorf("got %v", err)
		}
	}
}

func TestAlerter_Test(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	a := r.run([]Hook{hookTo(to)})
	if err := a.Test(t.Context(), "pager"); err != nil {
		t.Fatal(err)
	}
	if got := to.taken(); len(got) != 1 || !strings.Contains(string(got[0].Body), `"test":true`) {
		t.Errorf("received %v", got)
	}
}

// What the receiver has asked not to be told is kept, and sent when the hook is another.
func TestAlerter_Disabled(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	to.answers(always(410))
	a := r.run([]Hook{hookTo(to)})
	r.active(a, "pager")
	first := r.raise(1, "s1")
	r.eventually("disabled", func() bool { return a.local()["pager"].State == Disabled })
	second := r.raise(2, "s2")
	b := r.run([]Hook{hookTo(to)})
	r.eventually("disabled at another replica", func() bool { return b.local()["pager"].State == Disabled })
	if n := len(to.requests()); n != 1 {
		t.Errorf("%d requests to a receiver that wants none", n)
	}
	to.answers(nil)
	a.SetHooks([]Hook{hookTo(to, func(h *Hook) { h.Digest = "2" })})
	b.SetHooks([]Hook{hookTo(to, func(h *Hook) { h.Digest = "2" })})
	r.await(to, 2)
	if got := to.ids(); !slices.Contains(got, first) || !slices.Contains(got, second) {
		t.Errorf("received %v", got)
	}
}

func TestAlerter_RetryAfter(t *testing.T) {
	r := newRig(t)
	to := newReceiver(t)
	to.header = "1"
	to.answers(func(n int, _ received) int {
		if n == 1 {
			return 429
		}
		return 200
	})
	a := r.run([]Hook{hookTo(to)})
	r.active(a, "pager")
	r.raise(1, "s1")
	r.eventually("refused", func() bool { return len(to.requests()) == 1 })
	r.raise(2, "s2")
	r.await(to, 2)
	all := to.requests()
	if waited := all[1].At.Sub(all[0].At); waited < 900*time.Millisecond {
		t.Errorf("asked again after %s, although the receiver wanted a second", waited)
	}
}

func TestAlerter_Unreadable(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	a := r.run([]Hook{hookTo(to)})
	r.active(a, "pager")
	r.publish("faults.t1.server.x.raised", []byte(`{"specversion":"1.0"}`))
	want := r.raise(1, "s1")
	r.await(to, 1)
	r.settled("pager")
	if got := to.ids(); !slices.Equal(got, []string{want}) {
		t.Errorf("received %v", got)
	}
}

func TestAlerter_SetHooks(t *testing.T) {
	r, to, other := newRig(t), newReceiver(t), newReceiver(t)
	release := make(chan struct{})
	var asked atomic.Int32
	to.answers(func(int, received) int { asked.Add(1); <-release; return 200 })
	stays, goes := hookTo(to), hookTo(other, func(h *Hook) { h.Name = "other" })
	a := r.run([]Hook{stays, goes})
	r.active(a, "pager")
	r.active(a, "other")
	r.raise(1, "s1")
	r.eventually("asked", func() bool { return asked.Load() == 1 })
	r.await(other, 1)
	a.SetHooks([]Hook{stays})
	r.eventually("the other gone", func() bool { return len(a.local()) == 1 })
	missed := r.raise(2, "s2")
	close(release)
	r.await(to, 2)
	if n := len(to.requests()); n != 2 {
		t.Errorf("%d requests: the hook that stays was disturbed", n)
	}
	if n := len(other.taken()); n != 1 {
		t.Errorf("%d messages to a hook that is gone", n)
	}
	a.SetHooks([]Hook{stays, goes})
	r.await(other, 2)
	if got := other.ids(); got[1] != missed {
		t.Errorf("a hook that came back had %v, and not %s that it had missed", got, missed)
	}
}

// A changed hook takes over what was under way, and nothing is sent twice that was answered.
func TestAlerter_ChangedHookInFlight(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	release := make(chan struct{})
	var asked atomic.Int32
	to.answers(func(int, received) int {
		if asked.Add(1) <= maxRequests {
			<-release
		}
		return 200
	})
	a := r.run([]Hook{hookTo(to)})
	r.active(a, "pager")
	r.storm(0, 50)
	r.eventually("asked", func() bool { return asked.Load() == maxRequests })
	a.SetHooks([]Hook{hookTo(to, func(h *Hook) { h.Digest = "2" })})
	close(release)
	r.await(to, 50)
	r.settled("pager")
	if n := len(to.requests()); n != 50 {
		t.Errorf("%d requests for 50 events", n)
	}
}

func TestAlerter_Status(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	to.answers(func(_ int, got received) int {
		if strings.Contains(got.ID, "-bad-") {
			return 500
		}
		return 200
	})
	a := r.run([]Hook{hookTo(to)}, func(c *Config) { c.Replica = "one" })
	r.active(a, "pager")
	b := r.run([]Hook{hookTo(to)}, func(c *Config) { c.Replica = "two" })
	r.raise(1, "s1")
	r.raise(2, "bad")
	r.dead(a, 1)
	for name, each := range map[State]*running{Active: a, Elsewhere: b} {
		r.eventually("status of who is "+string(name), func() bool {
			all, err := each.Status(context.Background())
			if err != nil || len(all) != 1 {
				return false
			}
			s := all[0]
			return s.State == name && s.Holder == "one" && s.Dead == 1 && s.Pending == 0 && s.Retrying == 0 && s.Delivered == 1 &&
				!s.LastSuccess.IsZero() && strings.Contains(s.LastError, "500") && len(s.Targets) == 1
		})
	}
}
