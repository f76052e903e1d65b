package alert

import (
	"slices"
	"time"
)

// chain keeps a resource's events in order: none goes on while an earlier one is under way, but into a group that holds all of
// those.
type chain struct {
	held    []*item // until it has been in ERROR for long enough
	group   string  // the open group that holds its events; empty: none does
	busy    int     // deliveries that tell of it
	current *delivery
	waiting []*item
}

func (c *chain) empty() bool {
	return len(c.held) == 0 && c.group == "" && c.busy == 0 && len(c.waiting) == 0
}

func (d *desk) chain(key string) *chain {
	c := d.chains[key]
	if c == nil {
		c = new(chain)
		d.chains[key] = c
	}
	return c
}

// forget drops a chain with nothing in it.
func (d *desk) forget(key string) {
	if c := d.chains[key]; c != nil && c.empty() {
		delete(d.chains, key)
	}
}

// admit puts events behind those of their resources. Whether one healed by itself can be seen only once all of them are there.
func (d *desk) admit(items ...*item) {
	for _, it := range items {
		if !it.reminder {
			it.flapping = d.flapping.note(&it.ev, it.stored)
		}
		c := d.chain(it.ev.Key())
		if it.reminder && !c.empty() {
			continue // what is under way tells more
		}
		c.waiting = append(c.waiting, it)
		d.outdate(c)
	}
	for _, it := range items {
		d.drain(it.ev.Key())
	}
}

// drain lets the events of a resource go on that can.
func (d *desk) drain(key string) {
	c := d.chain(key)
	for c.busy == 0 && len(c.waiting) > 0 && d.pass(c, c.waiting[0]) {
		c.waiting = c.waiting[1:]
	}
	d.forget(key)
}

// pass lets an event go on, of whose resource nothing is under way but in an open group; or says that it has to wait for that.
func (d *desk) pass(c *chain, it *item) bool {
	wanted := d.hook.Match.Wants(&it.ev)
	switch {
	case len(c.held) > 0 && !it.ev.Raised:
		d.suppress(append(c.held, it))
		c.held = nil
	case !wanted:
		d.acknowledge(it)
	case len(c.held) > 0:
		c.held = append(c.held, it)
	case d.tooEarly(c, it):
		c.held = []*item{it}
		d.at(it.stored.Add(d.hook.MinErrorFor), func() { d.release(it.ev.Key()) })
	case len(d.hook.GroupBy) == 0:
		d.dispatch([]*item{it})
	default:
		group := d.hook.GroupKey(&it.ev)
		if c.group != "" && c.group != group {
			return false
		}
		c.group = group
		d.groups.add(group, it, time.Now())
	}
	return true
}

// tooEarly tells whether a resource has not been in ERROR for long enough to be told of, or is known to leave it before that.
func (d *desk) tooEarly(c *chain, it *item) bool {
	least := d.hook.MinErrorFor
	if least == 0 || !it.ev.Raised || it.reminder || it.ev.Previous == "ERROR" {
		return false
	}
	healed := slices.ContainsFunc(c.waiting, func(other *item) bool { return !other.ev.Raised && other.stored.Sub(it.stored) < least })
	return healed || time.Since(it.stored) < least
}

// release lets what was held back of a resource go on.
func (d *desk) release(key string) {
	c := d.chain(key)
	c.waiting = append(c.held, c.waiting...)
	c.held = nil
	d.drain(key)
}

// suppress drops what healed by itself. Should the process end on the way, what is left is a recovery of which nobody heard the
// fault, and not the reverse.
func (d *desk) suppress(items []*item) {
	for _, it := range items {
		d.acknowledge(it)
	}
	d.w.suppress(len(items))
}
