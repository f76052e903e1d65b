package storage

import (
	"cmp"
	"encoding/binary"
	"slices"

	sm "faultd/statemachine"
)

const (
	groupSamples = 3
	groupShares  = 5
)

// Groups returns the groups of faults, those with most resources in ERROR first, at most limit, behind the marker's
// fingerprint; an empty marker begins with the first. It returns [sm.ErrUnknownMarker].
func (db *DB) Groups(marker string, limit int) (page []sm.Group, err error) {
	err = db.view(func(v view) error {
		all, err := v.groups()
		if err != nil {
			return err
		}
		from := 0
		if marker != "" {
			if from = slices.IndexFunc(all, func(g sm.Group) bool { return g.Fingerprint == marker }) + 1; from == 0 {
				return sm.ErrUnknownMarker
			}
		}
		page = all[from:min(from+limit, len(all))]
		for i := range page {
			if err := v.describe(&page[i], db.alive(page[i].Kind)); err != nil {
				return err
			}
		}
		return nil
	})
	return page, err
}

func (v view) groups() (all []sm.Group, err error) {
	err = v.groupRecords.all(func(k, record []byte) error {
		g, err := decodeGroup(string(k), record)
		all = append(all, g)
		return err
	})
	slices.SortFunc(all, func(a, b sm.Group) int {
		return cmp.Or(cmp.Compare(b.Active, a.Active), cmp.Compare(b.Last, a.Last), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return all, err
}

// alive is how many resources of a kind are not deleted.
func (db *DB) alive(kind sm.Kind) (n uint64) {
	for status, count := range db.count(0)[kind] {
		if status != sm.Deleted {
			n += count
		}
	}
	return n
}

// describe adds to a group the newest of its resources and what they share.
func (v view) describe(g *sm.Group, alive uint64) error {
	prefix := []byte(g.Fingerprint)
	c := v.members.cursor()
	for k, _ := seekBelow(c, prefix, 0); len(k) == len(prefix)+8 && string(k[:len(prefix)]) == g.Fingerprint && len(g.Samples) < groupSamples; k, _ = c.prev() {
		r, h, err := v.resource(binary.BigEndian.Uint64(k[len(prefix):]))
		if err == nil && h.group != g.Fingerprint {
			err = v.misplaced(v.members, k, r.Key)
		}
		if err != nil {
			return err
		}
		g.Samples = append(g.Samples, r)
	}
	g.Shared = v.shares(g, alive)
	return nil
}

// shares are the values that at least half of a group's resources have, and two at least, and that more of them have
// than of all the other resources of the kind.
func (v view) shares(g *sm.Group, alive uint64) (all []sm.Share) {
	type ranked struct {
		sm.Share
		beyond float64 // share in the group less share among the others
	}
	var found []ranked
	prefix := []byte(g.Fingerprint)
	v.shared.each(prefix, func(k, record []byte) {
		val := value{k[len(prefix)], string(k[len(prefix)+1:])}
		count := asNumber(record)
		if int(val.attr) >= len(sharable) || count < 2 || 2*count < g.Active {
			return
		}
		had := max(asNumber(v.valueCounts.get([]byte(valueKey(g.Kind, val)))), count)
		others := float64(had-count) / float64(max(alive, g.Active+1)-g.Active)
		if beyond := float64(count)/float64(g.Active) - others; beyond > 0 {
			found = append(found, ranked{sm.Share{Attribute: sharable[val.attr], Value: val.text, Count: count, Of: g.Active}, beyond})
		}
	})
	slices.SortStableFunc(found, func(a, b ranked) int { return cmp.Compare(b.beyond, a.beyond) })
	for _, r := range found[:min(len(found), groupShares)] {
		all = append(all, r.Share)
	}
	return all
}
