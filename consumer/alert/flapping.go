package alert

import "time"

// flapping finds the resources that go in and out of ERROR. It knows no clock: each event says when the stream took it. One
// goroutine uses it.
type flapping struct {
	within  time.Duration
	entries int // so many entries within that time are flapping

	seen   map[string][]time.Time // of each resource the newest entries, oldest first
	pruned time.Time
}

func newFlapping(p *pace) *flapping {
	return &flapping{within: p.flapping, entries: p.entries, seen: map[string][]time.Time{}}
}

// note takes an event and tells whether its resource is flapping.
func (f *flapping) note(e *Event, at time.Time) bool {
	f.prune(at)
	key := e.Key()
	all := f.seen[key]
	if e.Raised && e.Previous != "ERROR" {
		all = append(all, at)
		all = all[max(len(all)-f.entries, 0):]
		f.seen[key] = all
	}
	return len(all) == f.entries && at.Sub(all[0]) < f.within
}

// prune forgets what was long ago.
func (f *flapping) prune(now time.Time) {
	if now.Sub(f.pruned) < f.within {
		return
	}
	f.pruned = now
	for key, all := range f.seen {
		if now.Sub(all[len(all)-1]) >= f.within {
			delete(f.seen, key)
		}
	}
}
