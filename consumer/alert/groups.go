package alert

import (
	"cmp"
	"slices"
	"time"
)

// groups puts events together. It knows no clock: each call says what time it is, and times never go back. The first event of a
// group goes out after wait; what comes within the interval after that goes out together at its end, and so on until an
// interval passes in which nothing comes. One goroutine uses it.
type groups[T any] struct {
	wait, interval time.Duration
	most           int // so many go out before their time

	open map[string]*gathering[T]
	size int       // events in them
	soon time.Time // no gathering is due before; zero: not known
}

// gathering is what has come of a group.
type gathering[T any] struct {
	key     string
	members []T
	due     time.Time // when they go out, or, without any, when the group is forgotten
}

func newGroups[T any](wait, interval time.Duration, most int) *groups[T] {
	return &groups[T]{wait: wait, interval: interval, most: most, open: map[string]*gathering[T]{}}
}

// add puts an event into its group.
func (g *groups[T]) add(key string, member T, now time.Time) {
	in := g.open[key]
	if in == nil || len(in.members) == 0 && !now.Before(in.due) {
		in = &gathering[T]{key: key, due: now.Add(g.wait)}
		g.open[key] = in
	}
	in.members = append(in.members, member)
	g.size++
	if len(in.members) >= g.most {
		in.due = now
	}
	g.soon = time.Time{}
}

// take takes out what is due, the most urgent first.
func (g *groups[T]) take(now time.Time) (due []gathering[T]) {
	if now.Before(g.next()) {
		return nil
	}
	for key, in := range g.open {
		switch {
		case now.Before(in.due):
		case len(in.members) == 0:
			delete(g.open, key)
		default:
			due = append(due, *in)
			g.size -= len(in.members)
			in.members, in.due = nil, now.Add(g.interval)
		}
	}
	g.soon = time.Time{}
	slices.SortFunc(due, func(a, b gathering[T]) int { return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.key, b.key)) })
	return due
}

// hurry makes everything due.
func (g *groups[T]) hurry(now time.Time) {
	for _, in := range g.open {
		if len(in.members) > 0 {
			in.due = now
		}
	}
	g.soon = time.Time{}
}

// next is when [groups.take] is to be called; far away where there is nothing to wait for.
func (g *groups[T]) next() time.Time {
	if g.soon.IsZero() {
		g.soon = farAway
		for _, in := range g.open {
			if in.due.Before(g.soon) {
				g.soon = in.due
			}
		}
	}
	return g.soon
}

// farAway is after all times that matter.
var farAway = time.Unix(1<<40, 0)
