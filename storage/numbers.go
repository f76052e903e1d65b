package storage

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math/bits"
	"slices"
	"sort"
)

// A set of resource numbers stands in chunks: numbers that follow each other share a record, since what a write costs in
// bbolt is the page that it changes, by the entries on it. A chunk is the sorted low parts of its numbers, 2 bytes each;
// where a bit for each number that there could be is not longer, it is those. So a set has one form.
const (
	chunkBits  = 12
	chunkSpan  = 1 << chunkBits // numbers that a chunk may hold
	bitmapSize = chunkSpan / 8  // bytes
)

// holdsSets tells whether a table's records are chunks.
func (t table) holdsSets() bool { return t.id == idLists || t.id == idUnfinished || t.id == idAges }

// chunkKey appends the key of the chunk that holds a number to what is before it in the key of its set.
func chunkKey(set []byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(set, number>>chunkBits)
}

// firstOf is the first number that the chunk of that key may hold.
func firstOf(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) << chunkBits }

// chunk is a chunk's record.
type chunk []byte

// below is the largest member under a limit, both counted from the chunk's first number, or -1.
func (c chunk) below(limit int) int {
	if len(c) < bitmapSize {
		return c.at(sort.Search(len(c)/2, func(i int) bool { return c.at(i) >= limit }) - 1)
	}
	for limit > 0 {
		word := (limit - 1) / 64
		if set := binary.LittleEndian.Uint64(c[8*word:]) << (63 - (limit-1)%64); set != 0 {
			return limit - 1 - bits.LeadingZeros64(set)
		}
		limit = word * 64
	}
	return -1
}

// at is a member of a chunk that is a list, -1 before the first.
func (c chunk) at(i int) int {
	if i < 0 {
		return -1
	}
	return int(binary.BigEndian.Uint16(c[2*i:])) % chunkSpan
}

// size is how many numbers the chunk holds.
func (c chunk) size() (n int) {
	if len(c) < bitmapSize {
		return len(c) / 2
	}
	for i := 0; i < bitmapSize; i += 8 {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(c[i:]))
	}
	return n
}

// members are the numbers of a chunk, from the largest down.
func (c chunk) members(first uint64) (all []uint64) {
	for n := c.below(chunkSpan); n >= 0; n = c.below(n) {
		all = append(all, first+uint64(n))
	}
	return all
}

// bitmap is a chunk that a batch changes.
type bitmap [chunkSpan / 64]uint64

// load sets the members of a chunk.
func (m *bitmap) load(c chunk) {
	if len(c) < bitmapSize {
		for i := range len(c) / 2 {
			m.set(c.at(i), true)
		}
		return
	}
	for i := range m {
		m[i] = binary.LittleEndian.Uint64(c[8*i:])
	}
}

func (m *bitmap) set(n int, is bool) {
	if bit := uint64(1) << (n % 64); is {
		m[n/64] |= bit
	} else {
		m[n/64] &^= bit
	}
}

// chunk returns the record, with room for its checksum; it is empty where there is no member.
func (m *bitmap) chunk() chunk {
	size := 0
	for _, word := range m {
		size += 2 * bits.OnesCount64(word)
	}
	c := make(chunk, 0, min(size, bitmapSize)+checksumSize)
	for i, word := range m {
		if size >= bitmapSize {
			c = binary.LittleEndian.AppendUint64(c, word)
			continue
		}
		for ; word != 0; word &= word - 1 {
			c = binary.BigEndian.AppendUint16(c, uint16(64*i+bits.TrailingZeros64(word)))
		}
	}
	return c
}

// sets are those of a table in the hands of a batch: each chunk is read once.
type sets struct {
	of   table
	open map[string]*opened
	key  []byte // for one call
}

// opened is a chunk in the hands of a batch.
type opened struct {
	bitmap
	was chunk // as the transaction has it
}

// mark puts a number into a set or takes it out.
func (s *sets) mark(set []byte, number uint64, is bool) {
	s.key = chunkKey(append(s.key[:0], set...), number)
	o := s.open[string(s.key)]
	if o == nil {
		o = &opened{was: s.of.get(s.key)}
		o.load(o.was)
		if s.open == nil {
			s.open = map[string]*opened{}
		}
		s.open[string(s.key)] = o
	}
	o.set(int(number%chunkSpan), is)
}

// write brings the table up to date; more may be marked afterwards, and written again.
func (s *sets) write() error {
	for _, key := range slices.Sorted(maps.Keys(s.open)) {
		o := s.open[key]
		is := o.chunk()
		var err error
		switch {
		case bytes.Equal(o.was, is):
		case len(is) == 0:
			err = s.of.delete([]byte(key))
		default:
			err = s.of.put([]byte(key), is)
		}
		if err != nil {
			return err
		}
		o.was = is
	}
	return nil
}
