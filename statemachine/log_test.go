package statemachine_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	sm "faultd/statemachine"
)

// cases is how many logs each property is tried with, unless -rapid.checks says otherwise.
const cases = "10000"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	settings := map[string]string{"rapid.nofailfile": "true"} // the seed is printed
	if !given {
		settings["rapid.checks"] = cases
	}
	for name, value := range settings {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// weather is what may happen to the log of one resource on its way; the zero weather is a calm day.
type weather struct {
	events    int  // at most; 0 is 24
	jobs      int  // at most; 0 is 4
	skewed    bool // producers' clocks are up to 40 seconds slow
	ahead     bool // ... or up to 40 seconds fast
	coarse    bool // ... and tell whole seconds, so that events of different producers have the same time
	repeats   bool // events come again
	deadlines bool // faultd judges jobs silent, rightly and wrongly
	providers bool // jobs of backups have them
	attempts  bool // attempts fail
	endless   bool // jobs do not end, they fail one attempt after the other
	crowd     bool // each event is of a job of its own
	deletions bool // a server is built, rebooted and deleted, over and over
	described bool // events say more about the resource
}

var storm = weather{skewed: true, coarse: true, ahead: true, repeats: true, deadlines: true, providers: true, attempts: true, described: true}

func draw(t *rapid.T, label string, from, to int) int { return rapid.IntRange(from, to).Draw(t, label) }

// log draws the log of one resource.
func (w weather) log(t *rapid.T) []sm.Event {
	key := sm.Key{Tenant: "t", Kind: rapid.SampledFrom(sm.Kinds).Draw(t, "kind"), ID: "r"}
	if w.providers {
		key.Kind = rapid.SampledFrom([]sm.Kind{sm.Backup, sm.Backup, sm.Server, sm.Restore}).Draw(t, "kind with providers")
	}
	actions := actionsOf(key.Kind)
	if w.deletions {
		key.Kind, actions = sm.Server, []sm.Action{sm.ActDelete, sm.ActBuild, sm.ActReboot}
	}
	jobs := w.drawJobs(t, actions)
	var log []sm.Event
	var r sm.Resource
	most := max(w.events, 24*bit(w.events == 0))
	sizes := []int{most / 3, most / 2, most * 3 / 4, most, 1}
	if w.crowd {
		sizes = []int{most * 3 / 4, most}
	}
	for n := rapid.SampledFrom(sizes).Draw(t, "events"); len(log) < n; {
		var e sm.Event
		switch {
		case w.repeats && len(log) > 0 && draw(t, "repeat", 0, 4) == 4:
			e = log[draw(t, "which", 0, len(log)-1)]
		default:
			e = w.event(t, key, jobs[draw(t, "job", 0, len(jobs)-1)], len(log)+1)
			if w.crowd {
				e.Job = fmt.Sprint("j", len(log))
			}
		}
		e = arriving(e, len(log)+1)
		if w.deadlines && e.Phase == sm.PhaseFailed && e.Provider == "" && draw(t, "deadline", 0, 1) == 0 {
			e = expired(t, r, e)
		}
		log = append(log, e)
		r, _ = sm.Apply(r, e)
	}
	return log
}

// expired is the event by which a deadline ends a job that is known: mostly after the job's last event, else after an
// older one, so that it is overtaken.
func expired(t *rapid.T, r sm.Resource, e sm.Event) sm.Event {
	for i := range r.Jobs {
		if r.Jobs[i].ID != e.Job {
			continue
		}
		e.After, e.Time = r.Jobs[i].LastSeq, e.StreamTime
		if draw(t, "overtaken", 0, 3) == 0 {
			e.After = uint64(draw(t, "after", 1, int(e.Sequence)-1))
		}
		return arriving(e, int(e.Sequence))
	}
	return e
}

type jobOf struct {
	id     string
	action sm.Action
}

func (w weather) drawJobs(t *rapid.T, actions []sm.Action) []jobOf {
	most := max(w.jobs, 4*bit(w.jobs == 0))
	jobs := make([]jobOf, rapid.SampledFrom([]int{(most + 1) / 2, most, 1}).Draw(t, "jobs"))
	for i := range jobs {
		jobs[i] = jobOf{fmt.Sprint("j", i), actions[draw(t, "action", 0, len(actions)-1)]}
	}
	return jobs
}

func actionsOf(k sm.Kind) []sm.Action {
	return slices.DeleteFunc(slices.Clone(sm.Actions), func(a sm.Action) bool { return !sm.Allowed(k, a) })
}

// event draws the event that arrives as the nth.
func (w weather) event(t *rapid.T, key sm.Key, j jobOf, n int) sm.Event {
	phases := sm.Phases
	if w.endless {
		phases = []sm.Phase{sm.PhaseProgressed, sm.PhaseStarted, sm.PhaseAccepted}
	}
	e := sm.Event{Key: key, Job: j.id, Action: j.action, Phase: rapid.SampledFrom(phases).Draw(t, "phase"), ID: uint64(n),
		Progress: int8(draw(t, "progress", -1, 10)), Time: arrival(n)}
	switch {
	case w.ahead && draw(t, "is ahead", 0, 3) == 0:
		e.Time += sm.Time(draw(t, "ahead", 1, 40)) * second
	case w.skewed:
		e.Time -= sm.Time(draw(t, "behind", 0, 40)) * second
	}
	if !w.coarse {
		e.Time -= sm.Time(n)
	}
	if w.providers && draw(t, "has provider", 0, 2) > 0 {
		e.Provider = rapid.SampledFrom([]string{"dfw", "iad", "ord"}).Draw(t, "provider")
	}
	if w.providers && draw(t, "has providers", 0, 4) == 0 {
		e.Providers = []string{"dfw", "iad"}
	}
	attempt := w.attempts && e.Phase == sm.PhaseProgressed && draw(t, "attempt", 0, 1) == 0
	warned := e.Phase == sm.PhaseCancelled && draw(t, "warned", 0, 1) == 0
	if attempt || warned || e.Phase == sm.PhaseFailed {
		e.Fault = &sm.Fault{Code: 500 + draw(t, "code", 0, 3), Message: fmt.Sprint("fault ", n)}
	}
	if w.described && draw(t, "described", 0, 3) == 0 {
		e.Name = fmt.Sprint("name ", draw(t, "name", 0, 2))
		e.Attributes = []byte(fmt.Sprintf(`{"x%d":%d}`, draw(t, "attribute", 0, 1), n))
	}
	return e
}

// arrival is the stream's time of the nth event of a log.
func arrival(n int) sm.Time { return sm.Time(1_790_000_000+n) * second }

// arriving is the event as the decoder leaves it when it arrives as the nth.
func arriving(e sm.Event, n int) sm.Event {
	e.Sequence, e.StreamTime = uint64(n), arrival(n)
	if e.Fault != nil {
		f := *e.Fault
		f.Sequence, f.Created = e.Sequence, min(e.Time, e.StreamTime)
		e.Fault = &f
	}
	return e
}

// again is the log with the events of more behind it.
func again(log []sm.Event, more []sm.Event) []sm.Event {
	all := slices.Clone(log)
	for _, e := range more {
		all = append(all, arriving(e, len(all)+1))
	}
	return all
}

// replay applies a log to nothing.
func replay(log []sm.Event) (r sm.Resource, outcomes []sm.Outcome) {
	for _, e := range log {
		var o sm.Outcome
		r, o = sm.Apply(r, e)
		outcomes = append(outcomes, o)
	}
	return r, outcomes
}

// bytesOf is everything that a value holds, for comparison.
func bytesOf(tb interface{ Fatal(...any) }, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// telling is a log in words, for those who read why a property fails.
func telling(log []sm.Event) string {
	var r sm.Resource
	text := "\n"
	for _, e := range log {
		var o sm.Outcome
		r, o = sm.Apply(r, e)
		text += fmt.Sprintf("%2d %+4ds %s %s %s", e.Sequence, int(e.Time-e.StreamTime)/int(second), e.Job, e.Action, e.Phase)
		if e.Progress >= 0 {
			text += fmt.Sprintf(" %d%%", e.Progress)
		}
		if e.Provider != "" || e.Providers != nil {
			text += fmt.Sprintf(" by %q of %v", e.Provider, e.Providers)
		}
		if e.Fault != nil {
			text += fmt.Sprintf(" fault %d %q", e.Fault.Code, e.Fault.Message)
		}
		if e.After != 0 {
			text += fmt.Sprintf(" after %d", e.After)
		}
		text += fmt.Sprintf(" id %d -> %s %s\n", e.ID, r.Status, o.Reason)
	}
	return text
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// forAll checks a property of the logs of a weather.
func forAll(t *testing.T, w weather, property func(t *rapid.T, log []sm.Event)) {
	t.Helper()
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { property(t, w.log(t)) })
}
