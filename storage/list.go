package storage

import (
	"bytes"
	"encoding/binary"
	"slices"

	sm "faultd/statemachine"
)

// List returns the resources that a query selects, newest birth first. It reads one list for each kind and status
// that the query asks for and merges them, so that a page costs its page. It returns [sm.ErrUnknownMarker].
func (db *DB) List(q sm.Query) (page []sm.Resource, err error) {
	if q.Marker == nil && !db.stuck.Load() && db.empty(&q) {
		return nil, nil
	}
	err = db.view(func(v view) error {
		m, err := newMerge(v, q)
		if err != nil || m == nil {
			return err
		}
		for n, place := m.next(); n != 0 && len(page) < q.Limit; n, place = m.next() {
			if q.ChangedSince != 0 {
				if h, err := v.head(n); err != nil {
					return err
				} else if h.updated < q.ChangedSince {
					continue
				}
			}
			r, _, err := v.resource(n)
			if err == nil && (q.Tenant != "" && r.Tenant != q.Tenant || byte(r.Kind) != place[4] || byte(r.Status) != place[5]) {
				err = v.misplaced(v.lists, place, r.Key)
			}
			if err != nil {
				return err
			}
			if q.Match == nil || q.Match(&r) {
				page = append(page, r)
			}
		}
		return nil
	})
	return page, err
}

// empty tells whether nothing has a kind and status that a query asks for by name, by the sizes of the lists: many ask
// for what is seldom there. They are those of the state that is told to readers, which a commit changes a moment after the
// file's, as it does with the resources in memory.
func (db *DB) empty(q *sm.Query) bool {
	if q.Kind == 0 || len(q.Statuses) == 0 {
		return false
	}
	db.mu.RLock()
	defer db.mu.RUnlock()
	tenant := db.tenants[q.Tenant] // 0 for all, and for one that has nothing
	return !slices.ContainsFunc(q.Statuses, func(s sm.Status) bool { return db.counts[countKey{tenant, q.Kind, s}] > 0 })
}

// merge walks several lists at once, from the highest number down.
type merge struct {
	lists []list
}

// list is a place in one list.
type list struct {
	of     table
	set    []byte
	key    []byte // of the chunk
	chunk  chunk
	number uint64 // 0 behind the last
}

// begin goes to the last number below the given one; 0 is beyond all numbers.
func (l *list) begin(below uint64) {
	if l.number = below; below == 0 {
		l.number = 1<<64 - 1
	}
	l.before(binary.BigEndian.AppendUint64(l.set, (l.number-1)>>chunkBits+1))
	l.next()
}

// before takes up the last chunk before a key, if it is of this list.
func (l *list) before(key []byte) {
	l.key, l.chunk = l.of.before(key)
	if len(l.key) != len(l.set)+8 || !bytes.HasPrefix(l.key, l.set) {
		l.key = nil
	}
}

// next goes to the number before.
func (l *list) next() {
	for l.key != nil {
		first := firstOf(l.key)
		if n := l.chunk.below(int(min(l.number-first, chunkSpan))); n >= 0 {
			l.number = first + uint64(n)
			return
		}
		l.before(l.key)
	}
	l.number = 0
}

// newMerge returns nil for a query of a tenant that has nothing.
func newMerge(v view, q sm.Query) (*merge, error) {
	var tenant uint32
	if q.Tenant != "" {
		if tenant = v.tenant(q.Tenant); tenant == 0 && q.Marker == nil {
			return nil, nil
		}
	}
	var below uint64
	if q.Marker != nil {
		if below = v.number(*q.Marker); below == 0 || q.Tenant != "" && q.Marker.Tenant != q.Tenant {
			return nil, sm.ErrUnknownMarker
		}
	}
	m := &merge{}
	for _, kind := range sm.Kinds {
		if q.Kind != 0 && kind != q.Kind {
			continue
		}
		for _, status := range statuses(q, kind) {
			l := list{of: v.lists, set: listKey(tenant, kind, status)}
			if l.begin(below); l.number != 0 {
				m.lists = append(m.lists, l)
			}
		}
	}
	return m, nil
}

// statuses are those of the kind that a query asks for.
func statuses(q sm.Query, kind sm.Kind) []sm.Status {
	if len(q.Statuses) > 0 {
		all := slices.Clone(q.Statuses)
		slices.Sort(all)
		return slices.Compact(all)
	}
	all := kind.Statuses()
	if q.ChangedSince != 0 {
		return all
	}
	alive := make([]sm.Status, 0, len(all))
	for _, s := range all {
		if s != sm.Deleted {
			alive = append(alive, s)
		}
	}
	return alive
}

// next is the next number, 0 at the end, and the key of the chunk that it stands in.
func (m *merge) next() (number uint64, key []byte) {
	if len(m.lists) == 0 {
		return 0, nil
	}
	top := 0
	for i := range m.lists {
		if m.lists[i].number > m.lists[top].number {
			top = i
		}
	}
	l := &m.lists[top]
	number, key = l.number, l.key
	l.next()
	return number, key
}

// Faults returns what is in ERROR, the newest fault first: of one tenant, or of all for "". The page begins behind
// the marker's fault. It returns [sm.ErrUnknownMarker], also for a marker that is no longer in ERROR.
func (db *DB) Faults(tenant string, marker *sm.Key, limit int) (page []sm.Resource, err error) {
	err = db.view(func(v view) error {
		var number uint32
		if tenant != "" {
			number = v.tenant(tenant)
		}
		below, err := v.faultBelow(tenant, marker)
		if err != nil || tenant != "" && number == 0 {
			return err
		}
		prefix := binary.BigEndian.AppendUint32(nil, number)
		c := v.errors.cursor()
		for k, n := seekBelow(c, prefix, below); len(k) == 12 && string(k[:4]) == string(prefix) && len(page) < limit; k, n = c.prev() {
			r, h, err := v.resource(binary.BigEndian.Uint64(n))
			if err == nil && (tenant != "" && r.Tenant != tenant || inError(h) != binary.BigEndian.Uint64(k[4:])) {
				err = v.misplaced(v.errors, k, r.Key)
			}
			if err != nil {
				return err
			}
			page = append(page, r)
		}
		return nil
	})
	return page, err
}

// faultBelow is the sequence of the marker's fault, 0 without a marker.
func (v view) faultBelow(tenant string, marker *sm.Key) (uint64, error) {
	if marker == nil {
		return 0, nil
	}
	number := v.number(*marker)
	if number == 0 || tenant != "" && marker.Tenant != tenant {
		return 0, sm.ErrUnknownMarker
	}
	h, err := v.head(number)
	if err != nil {
		return 0, err
	}
	below := inError(h)
	if below == 0 {
		return 0, sm.ErrUnknownMarker
	}
	return below, nil
}
