//go:build campaign

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	sm "faultd/statemachine"
	"faultd/testdata/campaign"
)

// verify compares what was received, and what was given up, with what the log has to have told.
func (a *alarm) verify(result *campaign.Result) *campaign.Model {
	a.Helper()
	model := campaign.ReadModel(a, a.url, "JOBS")
	model.CheckFaults(a, a.url)
	result.Operations = len(model.Tellings)
	for _, l := range a.listeners {
		if err := l.check(model.Tellings, a.dead(l.name), result); err != nil {
			a.Errorf("%s: %v", l.name, err)
		}
		for _, h := range l.copy() {
			a.most = max(a.most, h.requests)
		}
	}
	result.Lost += model.Lost
	result.Twice += model.Twice
	return model
}

// dead is a hook's dead list, by the messages' ids.
func (a *alarm) dead(name string) map[string]deadMessage {
	a.Helper()
	all := map[string]deadMessage{}
	for path := "/v1/hooks/" + name + "/dead?limit=1000"; path != ""; {
		var page struct {
			Dead  []deadMessage
			Links []link
		}
		code, body, err := a.processes[0].Get(path)
		if err != nil || code != http.StatusOK || json.Unmarshal(body, &page) != nil {
			a.Fatalf("GET %s: %d %v %.300s", path, code, err, body)
		}
		for _, m := range page.Dead {
			all[m.ID] = m
		}
		path = strings.TrimPrefix(next(page.Links), "http://"+a.replicas[0].HTTP)
	}
	return all
}

// delays are how long the events up to a sequence, and those behind it, took from being published to each healthy listener, sorted.
func (a *alarm) delays(model *campaign.Model, border uint64) (before, behind []time.Duration) {
	for _, l := range a.listeners {
		if !l.healthy() {
			continue
		}
		heard := l.copy()
		for i := range model.Tellings {
			t := &model.Tellings[i]
			h, took := heard[campaign.TellingID(t)], time.Duration(0)
			if h.took == 0 {
				continue // which was told already
			}
			if took = h.at.Sub(a.sent[t.Sequence]); t.Sequence <= border {
				before = append(before, took)
			} else {
				behind = append(behind, took)
			}
		}
	}
	slices.Sort(before)
	slices.Sort(behind)
	return before, behind
}

// percentile is the least of sorted times that so many of a hundred are not above.
func percentile(sorted []time.Duration, of int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*of-1)/100].Round(time.Millisecond)
}

// hearsay compares what a listener has had, and its hook's dead list, with what was told.
type hearsay struct {
	*listener
	heard map[string]hearing
	dead  map[string]deadMessage
	known map[string]bool // ids of what was told
	wrong []string
	total *campaign.Result
}

// check says what is wrong with what a listener has had, nil for nothing, and counts it.
func (l *listener) check(tellings []sm.Telling, dead map[string]deadMessage, total *campaign.Result) error {
	h := &hearsay{listener: l, heard: l.copy(), dead: dead, known: map[string]bool{}, total: total}
	before := map[sm.Key]string{}
	for i := range tellings {
		t := &tellings[i]
		id := campaign.TellingID(t)
		h.known[id] = true
		if !l.grouped() {
			h.told(id, t.Resource.Key, before[t.Resource.Key])
		}
		before[t.Resource.Key] = id
	}
	h.messages(len(tellings))
	for id := range dead {
		if l.takes() || !h.known[id] {
			h.problem(&total.Lost, "message %s is on the dead list", id)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range l.odd {
		h.problem(&total.Twice, "%s", text)
	}
	if len(h.wrong) > 0 {
		return errors.New(strings.Join(h.wrong[:min(5, len(h.wrong))], "\n"))
	}
	return nil
}

func (h *hearsay) problem(count *int, format string, args ...any) {
	*count++
	h.wrong = append(h.wrong, fmt.Sprintf(format, args...))
}

// told checks what was told by itself: it was taken, and only behind what was told of the resource before; or it was given up.
func (h *hearsay) told(id string, key sm.Key, before string) {
	is, given := h.heard[id], h.dead[id]
	switch {
	case h.takes() && is.took == 0:
		h.problem(&h.total.Lost, "message %s of %v was not taken; it came %d times", id, key, is.requests)
	case h.takes() && before != "" && h.heard[before].took > is.asked:
		h.problem(&h.total.Lost, "message %s of %v came before %s was taken", id, key, before)
	case !h.takes() && (given.Attempts != hookAttempts || !strings.Contains(given.Error, h.says)):
		h.problem(&h.total.Lost, "message %s of %v is not on the dead list as it should: %+v", id, key, given)
	}
}

// messages checks what came: nothing that was not told, nothing too often; and of groups that their counts add up.
func (h *hearsay) messages(told int) {
	const atMost = hookReplicas + hookAttempts - 1
	events := 0
	for id, is := range h.heard {
		if !h.known[id] && !h.grouped() {
			h.problem(&h.total.Twice, "message %s is none that was told", id)
		}
		if is.requests-1 > atMost {
			h.problem(&h.total.Twice, "message %s came %d times again, more than %d", id, is.requests-1, atMost)
		}
		events += is.count
	}
	if h.grouped() && events < told {
		h.problem(&h.total.Lost, "the messages are of %d events, not %d", events, told)
	}
	if h.grouped() && events > told {
		h.problem(&h.total.Twice, "the messages are of %d events, not %d", events, told)
	}
}
