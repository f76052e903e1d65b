package main

import (
	"fmt"
	"slices"
	"strings"

	sm "faultd/statemachine"
)

// The sets of statuses from which an arrow can begin, where the machine does not look at the single one.
const (
	fromAny     = "any"     // any but DELETED
	fromNothing = "nothing" // any, DELETED too: the action brings a resource into the world
)

func actionsOf(k sm.Kind) []sm.Action {
	return slices.DeleteFunc(slices.Clone(sm.Actions), func(a sm.Action) bool { return !sm.Allowed(k, a) })
}

// move leads from a status, or a set of them, to another.
type move struct {
	from string
	to   sm.Status
}

// movesOf are the moves that a phase of an action makes, in the order of the statuses; none if it leaves the
// status alone.
func movesOf(k sm.Kind, a sm.Action, p sm.Phase) []move {
	var all []move
	for _, to := range k.Statuses() {
		others := slices.DeleteFunc(slices.Clone(k.Statuses()), func(s sm.Status) bool { return s == to })
		live := slices.DeleteFunc(slices.Clone(others), func(s sm.Status) bool { return s == sm.Deleted })
		from := slices.DeleteFunc(slices.Clone(others), func(s sm.Status) bool { return sm.Next(k, s, a, p) != to })
		switch {
		case len(from) == 0:
		case slices.Equal(from, live):
			all = append(all, move{fromAny, to})
		case slices.Equal(from, others):
			all = append(all, move{fromNothing, to})
		default:
			for _, s := range from {
				all = append(all, move{s.String(), to})
			}
		}
	}
	return all
}

// startsFrom is what an action needs to begin: "nothing" if it creates the resource.
func startsFrom(k sm.Kind, a sm.Action) string {
	for _, p := range sm.Phases {
		for _, m := range movesOf(k, a, p) {
			if m.from == fromNothing {
				return fromNothing
			}
		}
	}
	return fromAny
}

// cell is what a phase of an action leads to: a status, "-" for none, or the moves one by one where it
// depends on the status before.
func cell(k sm.Kind, a sm.Action, p sm.Phase) string {
	var words []string
	for _, m := range movesOf(k, a, p) {
		if m.from == fromAny || m.from == fromNothing {
			return m.to.String()
		}
		words = append(words, m.from+">"+m.to.String())
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, " ")
}

// arrow is one line of a diagram.
type arrow struct {
	from, to string
	phase    sm.Phase
}

// arrows are the lines of a kind's diagram with their labels, in the order of the actions; actions that draw the
// same one share it. A job that shows a status while it runs succeeds from there: to ACTIVE leads an arrow
// from REBUILD, not from any status, although a job of which no start was heard may end there too.
func arrows(k sm.Kind) ([]arrow, map[arrow]string) {
	var order []arrow
	drawn := make(map[arrow][]sm.Action)
	for _, a := range actionsOf(k) {
		for _, w := range arrowsOf(k, a) {
			if drawn[w] == nil {
				order = append(order, w)
			}
			drawn[w] = append(drawn[w], a)
		}
	}
	labels := make(map[arrow]string, len(drawn))
	for w, by := range drawn {
		labels[w] = fmt.Sprintf("%s %s", nameActions(by, actionsOf(k)), w.phase)
	}
	return order, labels
}

func arrowsOf(k sm.Kind, a sm.Action) []arrow {
	var all []arrow
	at := ""
	for _, p := range sm.Phases {
		for _, m := range movesOf(k, a, p) {
			w := arrow{m.from, m.to.String(), p}
			switch {
			case p == sm.PhaseFailed:
				w.from = strings.Replace(w.from, fromNothing, fromAny, 1)
			case at != "":
				w.from = at
			}
			if w.from != w.to {
				all = append(all, w)
			}
			if p != sm.PhaseFailed {
				at = w.to
			}
		}
	}
	return all
}

// nameActions lists actions, or says which are missing if that is shorter.
func nameActions(some, all []sm.Action) string {
	missing := slices.DeleteFunc(slices.Clone(all), func(a sm.Action) bool { return slices.Contains(some, a) })
	switch {
	case len(all) > 1 && len(missing) == 0:
		return "any action"
	case len(missing) < len(some)/2:
		return "any action but " + join(missing, ", ")
	default:
		return join(some, ", ")
	}
}
