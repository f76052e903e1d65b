package storage

import (
	"encoding/binary"

	sm "faultd/statemachine"
)

// numberKey is a number as a key, or as a record with room for its checksum.
func numberKey(number uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, 8+checksumSize), number)
}

// number is a count as a record; 0 has none.
func number(n uint64) []byte {
	if n == 0 {
		return nil
	}
	return numberKey(n)
}

// rowKey is the key of a row of a resource's history.
func rowKey(number, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(numberKey(number), sequence)
}

func faultKey(number uint64, r faultRef) []byte {
	return append(rowKey(number, r.sequence), bit(r.summary))
}

// idPrefix is where all tenants' resources of a kind and id stand.
func idPrefix(k sm.Kind, id string) []byte {
	key := make([]byte, 0, len(id)+6)
	key = append(key, byte(k))
	key = append(key, id...)
	return append(key, 0)
}

func idKey(k sm.Kind, id string, tenant uint32) []byte {
	return binary.BigEndian.AppendUint32(idPrefix(k, id), tenant)
}

// listKey is where a list stands, with room for the number of a chunk.
func listKey(tenant uint32, k sm.Kind, s sm.Status) []byte {
	key := make([]byte, 0, 14)
	return append(binary.BigEndian.AppendUint32(key, tenant), byte(k), byte(s))
}

// ageKey is where those stand that something came of at that time, in the full minute that follows.
func ageKey(t sm.Time) []byte {
	return numberKey(uint64((t + minute - 1) / minute))
}

func errorKey(tenant uint32, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, tenant), sequence)
}
