package storage

import (
	"sync"

	sm "faultd/statemachine"
)

// maxRecent is how many bytes of those resources are kept that were read last, at least, and half of how many at most.
const maxRecent = 8 << 20

// recent are resources as they were read last, for those who ask for the same ones all day: finding one in a large file
// costs more than all else that an answer needs.
type recent struct {
	mu         sync.RWMutex // guards what follows
	commits    uint64       // that were published
	young, old map[sm.Key]sm.Resource
	bytes      int // of young
}

// get is what was kept of a resource, if it has not changed since; and by which commit whatever is read from now on is,
// at least.
func (c *recent) get(key sm.Key) (r sm.Resource, ok bool, commits uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if r, ok = c.young[key]; !ok {
		r, ok = c.old[key]
	}
	return r, ok, c.commits
}

// keep keeps a resource that was read behind that commit. If another one came meanwhile nobody knows which of the two it
// is of, and it is not kept.
func (c *recent) keep(r sm.Resource, commits uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.commits != commits {
		return
	}
	if c.young == nil || c.bytes >= maxRecent {
		c.young, c.old, c.bytes = make(map[sm.Key]sm.Resource), c.young, 0
	}
	c.young[r.Key] = r
	c.bytes += footprint(&r)
}

// footprint is about how many bytes of memory a resource takes.
func footprint(r *sm.Resource) int {
	const resource, job, fault = 512, 256, 128
	n := resource + len(r.Name) + len(r.Attributes)
	add := func(f *sm.Fault) {
		if f != nil {
			n += fault + len(f.Message) + len(f.Details)
		}
	}
	for i := range r.Jobs {
		j := &r.Jobs[i]
		n += job
		add(j.SaidFault)
		for _, a := range j.Attempts {
			add(a.Fault)
		}
		for _, p := range j.Providers {
			add(p.Fault)
		}
	}
	return n
}

// commit forgets what a transaction has changed. It must be called when that is in the file, and before anybody is told so.
func (c *recent) commit(changed []*touched) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commits++
	if len(c.young)+len(c.old) == 0 {
		return
	}
	for _, t := range changed {
		delete(c.young, t.resource.Key)
		delete(c.old, t.resource.Key)
	}
}
