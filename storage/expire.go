package storage

import (
	"encoding/binary"

	sm "faultd/statemachine"
)

const (
	minute = sm.Time(60e9)
	hour   = 60 * minute
)

// tick takes the stream's time on. Where it passes a full minute, what has outlived its retention goes: between two
// messages, so that the borders of batches cannot be seen in the result.
func (b *batch) tick(now sm.Time) error {
	if now <= b.clock {
		return nil
	}
	was := b.clock
	b.clock = now
	if b.db.retention == 0 || now/minute == was/minute {
		return nil
	}
	until := (now - b.db.retention) / minute * minute
	if now/hour != was/hour {
		if err := b.expireGroups(until); err != nil {
			return err
		}
	}
	return b.expire(until)
}

// expire lets go of deleted resources and of rows of history that came until then, a full minute.
func (b *batch) expire(until sm.Time) error {
	if err := b.aging.write(); err != nil {
		return err
	}
	var due []uint64
	c := b.ages.cursor()
	for k, record := c.first(); k != nil && sm.Time(binary.BigEndian.Uint64(k))*minute <= until; k, record = c.next() {
		due = append(due, chunk(record).members(firstOf(k))...)
	}
	for _, n := range due {
		t, err := b.touchNumber(n)
		if err != nil {
			return err
		}
		if t.oldest == 0 || t.oldest > until {
			return corrupt("resource number %d stands among what expires, and has nothing that old", n)
		}
		b.aging.mark(ageKey(t.oldest), n, false)
		if err := b.expireOne(t, until); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) expireOne(t *touched, until sm.Time) error {
	if err := b.writeHistory(t); err != nil {
		return err
	}
	t.oldest, t.aged = 0, true
	if t.resource.Status == sm.Deleted {
		var newest sm.Time
		for _, row := range b.rows(b.history, numberKey(t.number)) {
			newest = transitionTime(row.value)
		}
		if newest <= until {
			return b.remove(t)
		}
		b.age(t, newest)
		return nil
	}
	oldest, err := b.cut(t, until)
	if err == nil && oldest != 0 {
		b.age(t, oldest)
	}
	return err
}

// age notes the stream time from which on the resource has something that will expire.
func (b *batch) age(t *touched, from sm.Time) {
	t.oldest = from
	b.aging.mark(ageKey(from), t.number, true)
}

// remove takes a resource out of the store. What comes of it later is a resource that is new.
func (b *batch) remove(t *touched) error {
	key := numberKey(t.number)
	for _, record := range []struct {
		table table
		was   []byte
	}{{b.hot, t.wasHot}, {b.cold, t.wasCold}, {b.jobs, t.wasOlder}} {
		if err := b.replace(record.table, key, nil, record.was); err != nil {
			return err
		}
	}
	for _, row := range b.rows(b.history, key) {
		if err := b.dropRow(t, row); err != nil {
			return err
		}
	}
	if err := b.dropFaults(t.number, nil); err != nil {
		return err
	}
	if err := b.ids.delete(idKey(t.resource.Kind, t.resource.ID, t.tenant)); err != nil {
		return err
	}
	gone := t.resource.Key
	t.resource, t.is = sm.Resource{Key: gone}, hot{}
	b.countValues(t)
	for _, leave := range []func(*touched) error{b.listForAll, b.listForTenant, b.index} {
		if err := leave(t); err != nil {
			return err
		}
	}
	delete(b.open, gone)
	delete(b.born, t.number)
	t.number = 0
	return nil
}
