package storage

import "slices"

// Sum is the checksum of a record, for tests that write records behind the store's back.
func Sum(bucket string, key, value []byte) uint64 {
	id := slices.IndexFunc(bucketNames[:], func(name []byte) bool { return string(name) == bucket })
	return table{&access{}, byte(id)}.sum(key, value)
}
