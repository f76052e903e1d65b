package alert

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"faultd/statemachine"
)

// inError is what a store says is in ERROR.
type inError struct {
	mu  sync.Mutex
	all []statemachine.Resource
}

func (s *inError) set(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
	for _, id := range ids {
		s.all = append(s.all, statemachine.Resource{Key: statemachine.Key{Tenant: "t1", Kind: statemachine.Server, ID: id}, Status: statemachine.Error})
	}
}

func (s *inError) Faults(_ string, marker *statemachine.Key, limit int) ([]statemachine.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := 0
	if marker != nil {
		from = 1 + slices.IndexFunc(s.all, func(r statemachine.Resource) bool { return r.Key == *marker })
	}
	return slices.Clone(s.all[from:min(from+limit, len(s.all))]), nil
}

// shown is a resource as the events of [fault] show it.
func shown(at string) func(*statemachine.Resource) []byte {
	return func(r *statemachine.Resource) []byte {
		var e struct {
			Data struct{ Resource json.RawMessage }
		}
		_ = json.Unmarshal(fault(0, r.ID, true, "BUILD"), &e)
		return []byte(strings.Replace(string(e.Data.Resource), "2026-11-21T02:00:00Z", at, 1))
	}
}

func withStore(s *inError, at string) func(*Config) {
	return func(c *Config) { c.Store, c.Render = s, shown(at) }
}

// What stays in ERROR is told again each time it has done so for renotify_after, with an id for each time.
func TestAlerter_RenotifyAfter(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	store := new(inError)
	hook := hookTo(to, func(h *Hook) { h.RenotifyAfter = 300 * time.Millisecond })
	a := r.run([]Hook{hook}, withStore(store, time.Now().UTC().Format(time.RFC3339Nano)))
	r.active(a, "pager")
	store.set("s1")
	for _, one := range r.await(to, 3) {
		if one.Type != typeRaised || !strings.Contains(string(one.Body), `"reminder":true`) {
			t.Errorf("received %s", one.Body)
		}
	}
	store.set()
	ids := to.ids()
	if slices.Sort(ids); len(slices.Compact(ids)) != len(to.ids()) {
		t.Errorf("two reminders have one id: %v", ids)
	}
}

func TestRenotify_DueAgain(t *testing.T) {
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	for _, c := range []struct {
		since, now int
		want       int64
	}{{0, 9, 0}, {0, 10, 1}, {9, 11, 1}, {10, 19, 0}, {11, 35, 3}, {35, 39, 0}, {39, 40, 4}} {
		if got := dueAgain(epoch, 10*time.Second, at(c.since), at(c.now)); got != c.want {
			t.Errorf("from %d to %d: %d, want %d", c.since, c.now, got, c.want)
		}
	}
}

// alertmanager is a small one: it keeps what it was told last of each alert.
type alertmanager struct {
	*httptest.Server
	mu     sync.Mutex
	alerts map[string]alert
	posts  map[string]int // of an alert's resource
	down   bool
	back   []string // resources whose alert fired again after it was over
}

func newAlertmanager(t testing.TB) *alertmanager {
	m := &alertmanager{}
	m.forget()
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		var all []alert
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.down {
			w.WriteHeader(503)
			return
		}
		if err := json.Unmarshal(body, &all); err != nil || len(all) > maxAlerts {
			t.Errorf("%d alerts: %v", len(all), err)
		}
		for _, a := range all {
			if was, is := m.alerts[fmt.Sprint(a.Labels)]; is && !was.EndsAt.IsZero() && a.EndsAt.IsZero() {
				m.back = append(m.back, a.Labels["resource_id"])
			}
			m.alerts[fmt.Sprint(a.Labels)] = a
			m.posts[a.Labels["resource_id"]]++
		}
	}))
	t.Cleanup(func() { m.CloseClientConnections(); m.Close() })
	return m
}

// forget is what an Alertmanager does that is started anew.
func (m *alertmanager) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.alerts, m.posts = map[string]alert{}, map[string]int{}
}

func (m *alertmanager) set(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

// firing are the ids of the resources whose alerts have no end.
func (m *alertmanager) firing() (ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.alerts {
		if a.EndsAt.IsZero() {
			ids = append(ids, a.Labels["resource_id"])
		}
	}
	slices.Sort(ids)
	return ids
}

func hookToAlertmanager(m *alertmanager) Hook {
	return Hook{Name: "pager", Kind: Alertmanager, URLs: []string{m.URL + alertsPath}, Match: Match{Raised: true, Cleared: true},
		AllowPrivate: true, AllowHTTP: true, Digest: "1"}
}

func TestAlerter_Alertmanager(t *testing.T) {
	r, m := newRig(t), newAlertmanager(t)
	store := new(inError)
	var many []string
	for n := range 1200 {
		many = append(many, fmt.Sprintf("s%04d", n))
	}
	store.set(many...)
	a := r.run([]Hook{hookToAlertmanager(m)}, withStore(store, "2026-11-21T02:00:00Z"))
	r.active(a, "pager")
	fires := func(what string, want ...string) {
		t.Helper()
		r.eventually(what, func() bool { return slices.Equal(m.firing(), want) })
	}
	fires("all that is in ERROR", many...)
	m.forget()
	fires("all of it again after a restart", many...)

	store.set("s1")
	r.raise(1, "s1")
	m.forget()
	fires("what is left", "s1")
	r.raise(2, "s2") // before the store says so, and without it
	fires("an event at once", "s1", "s2")
	r.clear(3, "s2")
	r.clear(4, "s1") // the store says otherwise for a while
	fires("nothing")
	told := func(times int) func() bool {
		return func() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.posts["s1"] >= times && m.posts["s2"] >= times }
	}
	r.eventually("what is over is told for a while", told(6))
	store.set()
	m.forget()
	r.eventually("also to one that is started anew", told(2))
	fires("nothing")
	if m.back != nil {
		t.Errorf("%v fired again after they were over", m.back)
	}
	r.settled("pager")
}

// An alert that is out of date by the time an Alertmanager is back is not told any more.
func TestAlerter_AlertmanagerDown(t *testing.T) {
	r, m := newRig(t), newAlertmanager(t)
	m.set(true)
	a := r.run([]Hook{hookToAlertmanager(m)}, func(c *Config) {
		c.pace.retries = []time.Duration{10 * time.Millisecond, 10 * time.Millisecond, time.Second, time.Second}
	})
	r.active(a, "pager")
	r.raise(1, "s1")
	r.clear(2, "s1")
	r.raise(3, "s2")
	r.eventually("tried", func() bool { s := a.local()["pager"]; return s.Retrying == 2 && s.Pending == 0 })
	m.set(false)
	r.eventually("both told", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(m.alerts) == 2 })
	if got := m.firing(); !slices.Equal(got, []string{"s2"}) {
		t.Errorf("firing %v", got)
	}
	if n := m.posts["s1"]; n != 1 {
		t.Errorf("told %d times of s1", n)
	}
}

// A group is over when nothing of it is in ERROR any more.
func TestWorker_SettledGroup(t *testing.T) {
	store := new(inError)
	h := &Hook{Kind: PagerDuty, GroupBy: []string{"fingerprint"}, Match: Match{Raised: true, Cleared: true}}
	cfg := Config{pace: hurried()}
	withStore(store, "2026-11-21T02:00:00Z")(&cfg)
	w := &worker{a: New(cfg), hook: h}
	read := func(n int, id string, raised bool) Event {
		e, err := ParseEvent(fault(n, id, raised, "BUILD"))
		if err != nil {
			t.Fatal(err)
		}
		e.Fingerprint = "1:0011223344556677"
		return e
	}
	for name, c := range map[string]struct {
		events []Event
		others []string
		want   bool
	}{
		"all over":         {[]Event{read(1, "s1", true), read(2, "s1", false)}, nil, true},
		"the store behind": {[]Event{read(2, "s1", false)}, []string{"s1"}, true},
		"raised again":     {[]Event{read(2, "s1", false), read(3, "s1", true)}, nil, false},
		"another is left":  {[]Event{read(2, "s1", false)}, []string{"s2"}, false},
	} {
		store.set(c.others...)
		if got, err := w.settledGroup(newMessage(h, c.events)); got != c.want || err != nil {
			t.Errorf("%s: settled is %t, %v", name, got, err)
		}
	}
}

// A recovery ends the alert that was raised before the process knew of it.
func TestAlerter_AlertmanagerAfterRestart(t *testing.T) {
	r, m := newRig(t), newAlertmanager(t)
	a := r.run([]Hook{hookToAlertmanager(m)})
	r.active(a, "pager")
	r.raise(1, "s1")
	r.eventually("firing", func() bool { return len(m.firing()) == 1 })
	r.settled("pager")
	a.stop()
	r.clear(2, "s1")
	r.run([]Hook{hookToAlertmanager(m)})
	r.eventually("over", func() bool { return len(m.firing()) == 0 })
	if len(m.alerts) != 1 {
		t.Errorf("alerts %v", m.alerts)
	}
}

// What an Alertmanager takes of what stays in ERROR is a success that the status shows, and ends what it showed of a failure.
func TestAlertmanager_StatusOfWhatFires(t *testing.T) {
	r, m, store := newRig(t), newAlertmanager(t), new(inError)
	m.set(true)
	store.set("s1")
	a := r.run([]Hook{hookToAlertmanager(m)}, withStore(store, time.Now().UTC().Format(time.RFC3339Nano)))
	r.eventually("a failure is shown", func() bool { return a.local()["pager"].LastError != "" })
	m.set(false)
	r.eventually("it fires", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.posts["s1"] > 2 })
	r.eventually("the success is shown", func() bool { return a.local()["pager"].LastSuccess.After(a.local()["pager"].LastFailure) })
}

// One instance that is not there is shown, although another has taken the alert.
func TestAlertmanager_StatusOfOneInstance(t *testing.T) {
	r, m, store := newRig(t), newAlertmanager(t), new(inError)
	store.set("s1")
	h := hookToAlertmanager(m)
	h.URLs = append(h.URLs, "http://127.0.0.1:1"+alertsPath)
	a := r.run([]Hook{h}, withStore(store, time.Now().UTC().Format(time.RFC3339Nano)))
	r.eventually("it fires", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.posts["s1"] > 2 })
	r.eventually("the failure is shown", func() bool { return a.local()["pager"].LastError != "" })
}
