package alert

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crashAt lets an alerter end as by kill -9 when it comes to a step for the n-th time.
func crashAt(step string, n int32) (change func(*Config), crashed chan *running, arm func(*running)) {
	var times atomic.Int32
	var victim atomic.Pointer[running]
	crashed = make(chan *running, 1)
	change = func(c *Config) {
		c.Step = func(name string) {
			if name != step || times.Add(1) != n {
				return
			}
			victim.Load().crash()
			crashed <- victim.Load()
		}
	}
	return change, crashed, func(a *running) { victim.Store(a) }
}

// Wherever the process ends, every event comes, and what comes twice has one id.
func TestAlerter_Crash(t *testing.T) {
	for _, group := range []string{"", "fingerprint"} {
		for _, step := range []string{"hook written", "hook kept", "hook sent", "hook settled", "hook failed"} {
			if group == "" && (step == "hook kept" || step == "hook written") {
				continue
			}
			t.Run(group+" "+step, func(t *testing.T) {
				t.Parallel()
				crashOnce(t, group, step)
			})
		}
	}
}

func crashOnce(t *testing.T, group, step string) {
	r, to := newRig(t), newReceiver(t)
	var refused sync.Map
	to.answers(func(_ int, got received) int {
		if _, before := refused.LoadOrStore(got.ID, true); !before && step == "hook failed" {
			return 500
		}
		return 200
	})
	hook := hookTo(to, func(h *Hook) {
		if group != "" {
			h.GroupBy, h.GroupInterval = []string{group}, 100*time.Millisecond
		}
	})
	change, crashed, arm := crashAt(step, 2)
	a := r.run([]Hook{hook}, change)
	arm(a)
	r.active(a, "pager")
	r.storm(0, 20)
	if group != "" { // the second message
		time.Sleep(150 * time.Millisecond)
		r.storm(20, 20)
	}
	<-crashed
	r.storm(100, 5)
	b := r.run([]Hook{hook})
	r.active(b, "pager")
	want := 25
	if group != "" {
		want = 45
	}
	r.eventually("all events", func() bool { return len(events(to)) >= want })
	r.settled("pager")
	wantOnce(t, to, want)
}

// events are how many events each message that was taken tells of, by id.
func events(to *receiver) map[string]int {
	all := map[string]int{}
	sum := map[string]int{}
	for _, one := range to.taken() {
		all[one.ID] = one.Count
	}
	for id, n := range all {
		for i := range n {
			sum[fmt.Sprint(id, i)] = 1
		}
	}
	return sum
}

// wantOnce checks that messages of different ids tell of so many events together, no matter how often each came.
func wantOnce(t testing.TB, to *receiver, want int) {
	t.Helper()
	if got := len(events(to)); got != want {
		t.Errorf("messages of different ids tell of %d events, want %d", got, want)
	}
}

// What was handed out to a process that is gone comes later than what is new; the order of a resource holds all the same.
func TestAlerter_OrderAfterCrash(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	var asked atomic.Int32
	to.answers(func(int, received) int {
		if asked.Add(1) == 1 {
			<-hang
		}
		return 200
	})
	a := r.run([]Hook{hookTo(to)})
	r.active(a, "pager")
	first := r.raise(1, "s1")
	r.eventually("asked", func() bool { return asked.Load() == 1 })
	a.crash()
	second := r.clear(2, "s1")
	third := r.raise(3, "s1")
	b := r.run([]Hook{hookTo(to)})
	r.active(b, "pager")
	r.await(to, 3)
	if got := to.ids(); !slices.Equal(got, []string{first, second, third}) {
		t.Errorf("received %v", got)
	}
	r.settled("pager")
}

// One replica sends at a time; another follows at once when it stops, and after the lease's time when it is gone.
func TestAlerter_HandOver(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	var all []*running
	for range 3 {
		all = append(all, r.run([]Hook{hookTo(to)}))
	}
	n := 0
	for len(all) > 0 {
		var active int
		r.eventually("one active", func() bool {
			active = slices.IndexFunc(all, func(a *running) bool { return a.local()["pager"].State == Active })
			return active >= 0
		})
		r.active(all[active], "pager")
		for range 20 {
			n++
			r.raise(n, fmt.Sprintf("s%d", n))
		}
		r.await(to, n)
		for i, a := range all {
			if i != active && a.local()["pager"].State == Active {
				t.Fatal("two send")
			}
		}
		if len(all)%2 == 1 {
			all[active].crash()
		} else {
			all[active].stop()
		}
		all = slices.Delete(all, active, active+1)
	}
	if got := len(slices.Compact(slices.Sorted(slices.Values(to.ids())))); got != n {
		t.Errorf("%d of %d events", got, n)
	}
}

// Who loses the lease in the middle of a request ends it, and whoever has the lease then sends the event.
func TestAlerter_LeaseLostInRequest(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	ended := make(chan struct{})
	var asked atomic.Int32
	to.cut = func(n int, done <-chan struct{}) {
		if n == 1 {
			asked.Add(1)
			<-done
			close(ended)
		}
	}
	a := r.run([]Hook{hookTo(to)}, func(c *Config) { c.pace.grace = time.Hour })
	r.active(a, "pager")
	id := r.raise(1, "s1")
	r.eventually("asked", func() bool { return asked.Load() == 1 })
	kv, err := r.js.KeyValue(t.Context(), Bucket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), "lease.pager", []byte(`{"id":"thief","replica":"thief"}`)); err != nil {
		t.Fatal(err)
	}
	r.eventually("somebody else's", func() bool { s := a.local()["pager"]; return s.State == Elsewhere && s.Holder == "thief" })
	<-ended
	r.await(to, 1) // the thief does not renew it
	if got := to.ids(); !slices.Equal(got, []string{id}) {
		t.Errorf("received %v", got)
	}
}

// What is deleted comes back, and nothing is lost or comes under another id.
func TestAlerter_Deleted(t *testing.T) {
	remove := map[string]func(*rig) error{
		"consumer": func(r *rig) error { return r.js.DeleteConsumer(r.Context(), faultsStream, durable("pager")) },
		"bucket":   func(r *rig) error { return r.js.DeleteKeyValue(r.Context(), Bucket) },
		"stream": func(r *rig) error {
			err := r.js.DeleteStream(r.Context(), faultsStream)
			r.makeFaults()
			return err
		},
		"server": func(r *rig) error { r.restart(); return nil },
	}
	for name, do := range remove {
		for _, running := range []bool{true, false} {
			if name == "bucket" && !running {
				continue // what it knew nobody else knows
			}
			t.Run(fmt.Sprint(name, running), func(t *testing.T) {
				t.Parallel()
				r, to := newRig(t), newReceiver(t)
				a := r.run([]Hook{hookTo(to)})
				r.active(a, "pager")
				first := r.raise(1, "s1")
				r.await(to, 1)
				r.settled("pager")
				r.eventually("floor kept", func() bool {
					p, err := (&feed{link: a.link, hook: "pager"}).position(t.Context())
					return err == nil && p != nil && p.Floor == 1
				})
				if !running {
					a.stop()
				}
				if err := do(r); err != nil {
					t.Fatal(err)
				}
				second := r.raise(2, "s2")
				if !running {
					a = r.run([]Hook{hookTo(to)})
				}
				r.await(to, 2)
				third := r.clear(3, "s1")
				r.await(to, 3)
				if got := to.ids(); !slices.Equal(got, []string{first, second, third}) {
					t.Errorf("received %v", got)
				}
				r.active(a, "pager")
				r.settled("pager")
			})
		}
	}
}

// A hook that is there before the stream is told of all that will be in it.
func TestAlerter_FaultsMissingAtStart(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	if err := r.js.DeleteStream(t.Context(), faultsStream); err != nil {
		t.Fatal(err)
	}
	a := r.run([]Hook{hookTo(to)})
	r.eventually("seen missing", func() bool { return strings.Contains(a.local()["pager"].Reason, "no stream") })
	r.makeFaults()
	r.raise(1, "s1")
	r.await(to, 1)
}

// Messages that the bucket loses while a replica sends are still in its memory.
func TestAlerter_BucketLostWhileRetrying(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	to.answers(always(500))
	a := r.run([]Hook{hookTo(to)}, func(c *Config) { c.pace.retries = []time.Duration{300 * time.Millisecond, 10 * time.Millisecond} })
	r.active(a, "pager")
	id := r.raise(1, "s1")
	r.eventually("kept", func() bool { n, err := a.link.bucket.count(t.Context(), "try.pager.*"); return err == nil && n == 1 })
	if err := r.js.DeleteKeyValue(t.Context(), Bucket); err != nil {
		t.Fatal(err)
	}
	if dead := r.dead(a, 1); dead[0].ID != id || dead[0].Attempts != 3 {
		t.Errorf("dead %+v", dead)
	}
}

// An event that is worked on for longer than the server waits is not handed out again.
func TestAlerter_SlowRequestIsKeptAlive(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	to.answers(func(int, received) int { time.Sleep(2 * hurried().ackWait); return 200 })
	a := r.run([]Hook{hookTo(to)})
	r.active(a, "pager")
	r.raise(1, "s1")
	r.await(to, 1)
	r.settled("pager")
	c, err := r.js.Consumer(t.Context(), faultsStream, durable("pager"))
	if err != nil {
		t.Fatal(err)
	}
	if info := c.CachedInfo(); info.Delivered.Consumer != 1 || len(to.requests()) != 1 {
		t.Errorf("handed out %d times, %d requests", info.Delivered.Consumer, len(to.requests()))
	}
}

// Who stops gives the lease back.
func TestAlerter_StopGivesLeaseBack(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	long := func(c *Config) { c.pace.lease = time.Hour }
	a := r.run([]Hook{hookTo(to)}, long)
	r.active(a, "pager")
	a.stop()
	r.active(r.run([]Hook{hookTo(to)}, long), "pager")
}

// A process that is started again under its name does not wait for the lease of the one before.
func TestAlerter_SuccessorOfTheName(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	named := func(c *Config) { c.Replica, c.pace.lease = "one", time.Hour }
	a := r.run([]Hook{hookTo(to)}, named)
	r.active(a, "pager")
	a.crash()
	r.active(r.run([]Hook{hookTo(to)}, named), "pager")
}

// A process that is killed again and again gets on all the same: what its predecessor had in hand comes soon.
func TestAlerter_CrashLoop(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	named := func(c *Config) { c.Replica, c.pace.ackWait = "one", time.Hour }
	to.answers(func(int, received) int { time.Sleep(40 * time.Millisecond); return 200 })
	a := r.run([]Hook{hookTo(to)}, named)
	r.active(a, "pager")
	r.storm(0, 500)
	for range 4 {
		time.Sleep(300 * time.Millisecond)
		a.crash()
		a = r.run([]Hook{hookTo(to)}, named)
		r.active(a, "pager")
	}
	r.settled("pager")
	times := map[string]int{}
	for _, one := range to.requests() {
		times[one.ID]++
	}
	for id, n := range times {
		if n > 5 {
			t.Errorf("%s came %d times in five lives", id, n)
		}
	}
	if len(times) != 500 {
		t.Errorf("%d of 500 events", len(times))
	}
	c, err := r.js.Consumer(t.Context(), faultsStream, durable("pager"))
	if err != nil || c.CachedInfo().Config.AckWait != time.Hour {
		t.Errorf("the server is left with %s: %v", c.CachedInfo().Config.AckWait, err)
	}
}

// A message that a replica has put into the bucket just as it lost the lease is sent all the same, once.
func TestAlerter_Stray(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	a := r.run([]Hook{hookTo(to)})
	r.active(a, "pager")
	e, err := ParseEvent(fault(1, "s1", true, "BUILD"))
	if err != nil {
		t.Fatal(err)
	}
	value, err := pack(&record{Attempts: 1, Message: keep(newMessage(a.workers["pager"].hook, []Event{e}))})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.link.bucket.put(t.Context(), tryKey("pager", e.ID), value); err != nil {
		t.Fatal(err)
	}
	r.await(to, 1)
	r.eventually("removed", func() bool { n, err := a.link.bucket.count(t.Context(), "try.pager.*"); return err == nil && n == 0 })
	time.Sleep(2 * hurried().strays)
	if n := len(to.requests()); n != 1 {
		t.Errorf("sent %d times", n)
	}
}

// A message that is seen in the bucket for the first time may have been delivered since it was read there.
func TestDesk_Adopt(t *testing.T) {
	e, err := ParseEvent(fault(1, "s1", true, "BUILD"))
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{a: New(Config{pace: hurried()}), hook: &Hook{Name: "pager"}}
	d := newDesk(w, nil, nil)
	all := []*record{{Message: keep(newMessage(w.hook, []Event{e}))}}
	for looks, want := range []int{0, 1, 1} {
		if d.adopt(all); len(d.messages) != want {
			t.Errorf("%d messages taken up after %d looks, want %d", len(d.messages), looks+1, want)
		}
	}
}

func TestAlerter_DeadListIsLimited(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	to.answers(always(500))
	a := r.run([]Hook{hookTo(to)}, func(c *Config) { c.pace.dead = 2 })
	r.active(a, "pager")
	var ids []string
	for n := range 4 {
		ids = append(ids, r.raise(n, fmt.Sprint("s", n)))
		r.eventually("given up", func() bool {
			all, err := a.Dead(t.Context(), "pager", "", 0)
			return err == nil && len(all) > 0 && all[len(all)-1].ID == ids[n]
		})
	}
	r.eventually("the newest two", func() bool {
		all, err := a.Dead(t.Context(), "pager", "", 0)
		return err == nil && len(all) == 2 && all[0].ID == ids[2] && all[1].ID == ids[3]
	})
}
