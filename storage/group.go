package storage

import (
	"encoding/binary"
	"fmt"
	"slices"

	sm "faultd/statemachine"
)

// maxShared is how many values of one attribute a group counts.
const maxShared = 64

// group is what is kept of all faults with one fingerprint.
type group struct {
	sm.Group
	record []byte // what the file holds
}

func encodeGroup(g *sm.Group) []byte {
	e := encoder{make([]byte, 0, 96+len(g.Message))}
	e.byte(byte(g.Kind))
	e.byte(byte(g.Action))
	e.uint(uint64(g.Code))
	e.text(g.Reason)
	e.text(g.Message)
	e.byte(byte(g.Cause))
	e.uint(g.Active)
	e.uint(g.Total)
	e.uint(g.Tenants)
	e.int(int64(g.First))
	e.int(int64(g.Last))
	e.int(int64(g.Touched))
	return e.b
}

func decodeGroup(fingerprint string, record []byte) (sm.Group, error) {
	d := decoder{b: record}
	g := sm.Group{Fingerprint: fingerprint, Kind: sm.Kind(d.byte()), Action: sm.Action(d.byte()), Code: int(d.uint()), Reason: d.text(),
		Message: d.text(), Cause: sm.Cause(d.byte()), Active: d.uint(), Total: d.uint(), Tenants: d.uint(),
		First: sm.Time(d.int()), Last: sm.Time(d.int()), Touched: sm.Time(d.int())}
	return g, d.err
}

// regroup takes a resource from the group of the fault that it had to that of the fault that it has.
func (b *batch) regroup(t *touched, was *sm.Resource) error {
	is := &t.resource
	stays := was.Status == sm.Error && is.Status == sm.Error && refOf(was.Fault) == refOf(is.Fault)
	if stays {
		return nil
	}
	if t.group != "" {
		if err := b.leave(t); err != nil {
			return err
		}
	}
	if is.Status == sm.Error {
		return b.enter(t)
	}
	return nil
}

func (b *batch) group(fingerprint string) (*group, error) {
	if g := b.groups[fingerprint]; g != nil {
		return g, nil
	}
	g := &group{record: b.groupRecords.get([]byte(fingerprint))}
	g.Fingerprint = fingerprint
	if g.record != nil {
		var err error
		if g.Group, err = decodeGroup(fingerprint, g.record); err != nil {
			return nil, err
		}
	}
	b.groups[fingerprint] = g
	return g, nil
}

// enter counts a resource in the group of its fault.
func (b *batch) enter(t *touched) error {
	r, f := &t.resource, t.resource.Fault
	action := r.Job().Action
	t.group = sm.Fingerprint(r.Kind, action, f)
	g, err := b.group(t.group)
	if err != nil {
		return err
	}
	if g.Total == 0 {
		g.Kind, g.Action, g.Code, g.Reason, g.Message = r.Kind, action, f.Code, f.Reason, sm.Template(f.Message)
		g.First = f.Created
	}
	g.Cause = sm.Diagnose(r, action, f, false).Cause
	g.Active, g.Total = g.Active+1, g.Total+1
	g.First, g.Last, g.Touched = min(g.First, f.Created), max(g.Last, f.Created), b.clock
	tenant := binary.BigEndian.AppendUint32([]byte(t.group), t.tenant)
	if b.groupTenants.get(tenant) == nil {
		g.Tenants++
		if err := b.replace(b.groupTenants, tenant, []byte{1}, nil); err != nil {
			return err
		}
	}
	return b.enterShared(t)
}

// enterShared counts the values that the resource shares with others of its group, and notes which, so that the same
// ones are taken off when it leaves.
func (b *batch) enterShared(t *touched) error {
	values := valuesOf(t.resource.Attributes)
	for _, p := range t.resource.Job().Providers {
		if v := (value{attrProvider, p.Name}); p.Phase == sm.PhaseFailed && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	var counted encoder
	for _, v := range values {
		key := sharedKey(t.group, v)
		was := b.shared.get(key)
		if was == nil && b.distinct(key[:len(t.group)+1]) >= maxShared {
			continue
		}
		counted.byte(v.attr)
		counted.text(v.text)
		if err := b.replace(b.shared, key, number(asNumber(was)+1), was); err != nil {
			return err
		}
	}
	counted.byte(0xff)
	return b.put(b.members, memberKey(t.group, t.number), counted.b)
}

// leave takes a resource out of the group that it is counted in.
func (b *batch) leave(t *touched) error {
	g, err := b.group(t.group)
	if err != nil {
		return err
	}
	member := memberKey(t.group, t.number)
	record := b.members.get(member)
	if g.Active == 0 || record == nil {
		return fmt.Errorf("group %s, of %d, in which resource number %d is: %w", t.group, g.Active, t.number, errMissing)
	}
	g.Active, g.Touched = g.Active-1, b.clock
	for d := (decoder{b: record}); len(d.b) > 1 && d.err == nil; {
		key := sharedKey(t.group, value{d.byte(), d.text()})
		was := b.shared.get(key)
		if was == nil {
			return fmt.Errorf("a value of group %s: %w", t.group, errMissing)
		}
		if err := b.replace(b.shared, key, number(asNumber(was)-1), was); err != nil {
			return err
		}
	}
	t.group = ""
	return b.replace(b.members, member, nil, record)
}

func (b *batch) distinct(prefix []byte) (n int) {
	b.shared.each(prefix, func(_, _ []byte) { n++ })
	return n
}

func sharedKey(fingerprint string, v value) []byte {
	return append(append([]byte(fingerprint), v.attr), v.text...)
}

func memberKey(fingerprint string, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(fingerprint), number)
}

func (b *batch) writeGroups() error {
	for fingerprint, g := range b.groups {
		if err := b.replace(b.groupRecords, []byte(fingerprint), encodeGroup(&g.Group), g.record); err != nil {
			return err
		}
	}
	return nil
}

// expireGroups lets go of groups in which nothing is and nothing was for longer than the retention.
func (b *batch) expireGroups(until sm.Time) error {
	if err := b.writeGroups(); err != nil {
		return err
	}
	clear(b.groups)
	for _, row := range b.rows(b.groupRecords, nil) {
		g, err := decodeGroup(string(row.key), row.value)
		if err != nil {
			return err
		}
		if g.Active > 0 || g.Touched > until {
			continue
		}
		for _, r := range b.rows(b.groupTenants, row.key) {
			if err := b.replace(b.groupTenants, r.key, nil, r.value); err != nil {
				return err
			}
		}
		if err := b.replace(b.groupRecords, row.key, nil, row.value); err != nil {
			return err
		}
	}
	return nil
}
