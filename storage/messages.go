package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"

	sm "faultd/statemachine"
)

// Messages returns transitions that brought a fault, of a tenant or of all for "", with a sequence below before, newest
// first, at most limit; before 0 begins with the newest.
func (db *DB) Messages(tenant string, before uint64, limit int) (page []sm.Change, err error) {
	err = db.view(func(v view) error {
		var number uint32
		if tenant != "" {
			if number = v.tenant(tenant); number == 0 {
				return nil
			}
		}
		prefix := binary.BigEndian.AppendUint32(nil, number)
		c := v.messages.cursor()
		for k, n := seekBelow(c, prefix, before); len(k) == 12 && bytes.HasPrefix(k, prefix) && len(page) < limit; k, n = c.prev() {
			change, err := v.change(binary.BigEndian.Uint64(n), binary.BigEndian.Uint64(k[4:]))
			if err == nil && (tenant != "" && change.Tenant != tenant || change.Fault == nil) {
				err = v.misplaced(v.messages, k, change.Key)
			}
			if err != nil {
				return err
			}
			page = append(page, change)
		}
		return nil
	})
	return page, err
}

// change is one transition of a resource, with whose it is.
func (v view) change(number, sequence uint64) (c sm.Change, err error) {
	var r sm.Resource
	if err = decodeCold(v.cold.get(numberKey(number)), &r); err != nil {
		return c, fmt.Errorf("resource number %d: %w", number, err)
	}
	record := v.history.get(rowKey(number, sequence))
	if record == nil {
		return c, fmt.Errorf("resource number %d: history row %d: %w", number, sequence, errMissing)
	}
	c.Key = r.Key
	c.Transition, err = decodeTransition(sequence, record, loader(v.faults, number))
	return c, err
}
