package statemachine_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	sm "faultd/statemachine"
	"faultd/testdata/scenarios"
)

// An event of a fuzzed log is eight bytes, in the order of wordOf; the log's first byte is the kind of its resource.
const wordSize = 8

// The bits of the byte that says what stands in an event.
const (
	hasFault = 1 << iota
	hasProviders
	isDeadline
	isRepeated
	isDescribed
)

var fuzzProviders = []string{"", "dfw", "iad", "ord"}

// maxFuzzed is how many events of the input are read: more than a resource remembers jobs.
const maxFuzzed = 80

// logOf reads any bytes as a log.
func logOf(data []byte) (log []sm.Event) {
	if len(data) == 0 {
		return nil
	}
	key := sm.Key{Tenant: "t", Kind: sm.Kinds[int(data[0])%len(sm.Kinds)], ID: "r"}
	actions := actionsOf(key.Kind)
	for word := range slices.Chunk(data[1:], wordSize) {
		if len(word) < wordSize || len(log) == maxFuzzed {
			break
		}
		n := len(log) + 1
		if word[5]&isRepeated != 0 && len(log) > 0 {
			log = append(log, arriving(log[int(word[6])%len(log)], n))
			continue
		}
		e := sm.Event{Key: key, ID: uint64(n), Phase: sm.Phases[int(word[0])%6], Provider: fuzzProviders[int(word[0])/6%4],
			Action: actions[int(word[1])%len(actions)], Job: string(rune('0' + word[2]%48)), Progress: int8(word[3]%102) - 1,
			Time: arrival(n) + sm.Time(int8(word[4]))*second}
		log = append(log, arriving(decorated(e, word), n))
	}
	return log
}

func decorated(e sm.Event, word []byte) sm.Event {
	canHaveFault := e.Phase == sm.PhaseProgressed || e.Phase == sm.PhaseCancelled
	if e.Phase == sm.PhaseFailed || canHaveFault && word[5]&hasFault != 0 {
		e.Fault = &sm.Fault{Code: 400 + int(word[7])%200, Message: "message " + string(rune('a'+word[7]%26))}
	}
	if word[5]&hasProviders != 0 {
		e.Providers = []string{"dfw", "iad"}
	}
	if e.Phase == sm.PhaseFailed && word[5]&isDeadline != 0 {
		e.After = uint64(word[6]) + 1
	}
	if word[5]&isDescribed != 0 {
		e.Name, e.Attributes = "name "+string(rune('a'+word[7]%26)), []byte(`{"x":"`+strings.Repeat("y", int(word[7]))+`"}`)
	}
	return e
}

// bytesOfStory is a story's events of one resource in the form that logOf reads.
func bytesOfStory(story scenarios.Story, key sm.Key) []byte {
	data := []byte{byte(key.Kind - 1)}
	jobs := map[string]byte{}
	for _, step := range story.Steps {
		e := step.Event
		if e.Key != key || !sm.Allowed(e.Kind, e.Action) {
			continue
		}
		if _, ok := jobs[e.Job]; !ok {
			jobs[e.Job] = byte(len(jobs))
		}
		word := [wordSize]byte{byte(e.Phase-1) + 6*byte(max(0, slices.Index(fuzzProviders, e.Provider))), byte(slices.Index(actionsOf(e.Kind), e.Action)),
			jobs[e.Job], byte(e.Progress + 1), byte(int8((e.Time - e.StreamTime + 1000*second) / second))}
		word[5] = byte(hasFault*bit(e.Fault != nil) | hasProviders*bit(e.Providers != nil) | isDeadline*bit(e.After != 0) | isDescribed*bit(e.Name != ""))
		word[6] = byte(max(e.After, 1) - 1)
		data = append(data, word[:]...)
	}
	return data
}

func FuzzApply(f *testing.F) {
	for _, story := range scenarios.Load() {
		seen := map[sm.Key]bool{}
		for _, step := range story.Steps {
			if key := step.Event.Key; !seen[key] {
				seen[key] = true
				f.Add(bytesOfStory(story, key))
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r sm.Resource
		log := logOf(data)
		for i, e := range log {
			is, o := sm.Apply(r, e)
			checkShape(t, &is, log[:i+1])
			checkStep(t, &r, &is, o, log[:i+1])
			once, o := sm.Apply(is, arriving(e, i+2))
			if o.Verdict() == sm.Applied || bytesOf(t, once) != bytesOf(t, is) {
				t.Fatalf("once more it is %s, from\n%s to\n%s%s", o.Verdict(), bytesOf(t, is), bytesOf(t, once), telling(log[:i+1]))
			}
			r = is
		}
	})
}

// What is fuzzed holds in a storm too.
func TestApply_ShapeAndSteps(t *testing.T) {
	forAll(t, storm, func(t *rapid.T, log []sm.Event) {
		var r sm.Resource
		for i, e := range log {
			is, o := sm.Apply(r, e)
			checkShape(t, &is, log[:i+1])
			checkStep(t, &r, &is, o, log[:i+1])
			r = is
		}
	})
}

// checkShape is what holds of a resource whatever came.
func checkShape(t rapid.TB, r *sm.Resource, log []sm.Event) {
	t.Helper()
	if (r.Fault != nil) != (r.Status == sm.Error) && (r.Status != sm.Deleted || r.Kind != sm.Server) {
		t.Fatalf("%s with fault %+v%s", r.Status, r.Fault, telling(log))
	}
	if r.Status != 0 && !slices.Contains(r.Kind.Statuses(), r.Status) || len(r.Jobs) > sm.MaxJobs || r.Progress() < 0 || r.Progress() > 100 {
		t.Fatalf("a %s is %s with %d jobs and %d%%%s", r.Kind, r.Status, len(r.Jobs), r.Progress(), telling(log))
	}
	for i := range r.Jobs {
		j := &r.Jobs[i]
		ordered := i == 0 || r.Jobs[i-1].Began <= j.Began
		if !ordered || len(j.Marks) > sm.MaxMarks || len(j.Attempts) > sm.MaxMarks || (j.Phase == sm.PhaseFailed) != (j.Fault != nil && j.Phase != sm.PhaseCancelled) ||
			j.Phase.End() != (j.Ended != 0) || j.Heard != arrival(int(j.LastSeq)) || j.Began > j.Heard {
			t.Fatalf("job %d is %s%s", i, bytesOf(t, j), telling(log))
		}
	}
	bare := *r
	bare.Status, bare.Fault, bare.Jobs = 0, nil, slices.Clone(r.Jobs)
	for i := range bare.Jobs {
		bare.Jobs[i].Fault = nil
	}
	if bare.Derive(); r.Status != 0 && bytesOf(t, bare) != bytesOf(t, r) {
		t.Fatalf("derived it is\n%s, applied\n%s%s", bytesOf(t, bare), bytesOf(t, r), telling(log))
	}
}

// checkStep is what holds of a resource before and after an event.
func checkStep(t rapid.TB, was, is *sm.Resource, o sm.Outcome, log []sm.Event) {
	t.Helper()
	for _, before := range was.Jobs {
		at := slices.IndexFunc(is.Jobs, func(j sm.Job) bool { return j.ID == before.ID && j.Action == before.Action })
		if at < 0 {
			continue // forgotten
		}
		after := is.Jobs[at]
		if min(after.Phase, sm.PhaseSucceeded) < min(before.Phase, sm.PhaseSucceeded) || after.Attempt() == before.Attempt() && after.Progress < before.Progress {
			t.Fatalf("job %s went from %s %d%% to %s %d%%%s", before.ID, before.Phase, before.Progress, after.Phase, after.Progress, telling(log))
		}
	}
	changed := was.Status != is.Status || bytesOf(t, was.Fault) != bytesOf(t, is.Fault)
	if changed && (o.Transition == nil || o.Verdict() != sm.Applied) {
		t.Fatalf("from %s to %s it is %s, and its line of history %+v%s", was.Status, is.Status, o.Verdict(), o.Transition, telling(log))
	}
	if o.Verdict() != sm.Applied && (was.Updated != is.Updated || was.Sequence != is.Sequence || was.Name != is.Name || string(was.Attributes) != string(is.Attributes)) {
		t.Fatalf("%s, and yet it changed from\n%s to\n%s%s", o.Reason, bytesOf(t, was), bytesOf(t, is), telling(log))
	}
}
