package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt believes its pages: lengths that lie make it read anything, a page that refers to one above it makes it walk for
// ever, and a list of free pages that names a page in use makes it write over that. The pages have no checksums, but
// they are packed, ordered and used once each, so that hardly anything can change in one without a trace. All this is
// verified when a file is opened, before bbolt reads it.

// The numbers of bbolt's file format, version 2.
const (
	pageHeader  = 16 // id 8, flags 2, count 2, overflow 4
	element     = 16 // of a branch: pos 4, key size 4, page 8; of a leaf: flags 4, pos 4, key size 4, value size 4
	metaSize    = 64 // magic 4, version 4, page size 4, flags 4, root 8, sequence 8, free list 8, pages 8, transaction 8, checksum 8
	metaMagic   = 0xED0CDAED
	metaVersion = 2

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	bucketEntry  = 0x01
	bucketHeader = 16 // root 8, sequence 8; root 0: a page follows
)

// maxDepth is deeper than any tree is.
const maxDepth = 64

// errStructure is damage to the pages of a file.
type errStructure struct{ problems []string }

func (e errStructure) Error() string {
	return fmt.Sprintf("%s (the first of %d problems in its structure): %v", e.problems[0], len(e.problems), ErrCorrupt)
}

// Is makes it an [ErrCorrupt].
func (errStructure) Is(target error) bool { return target == ErrCorrupt }

// structure walks over the pages of a file.
type structure struct {
	file     *os.File
	size     int64
	pageSize int64
	root     uint64
	freelist uint64
	end      uint64 // the first page that is not in use

	used     []bool // by page
	buffers  [][]byte
	problems []string
	failed   error // in reading
}

// verifyStructure returns [ErrCorrupt], wrapped, for a file that bbolt must not be let read. It writes nothing. Leaked are
// pages that nothing refers to, which does no harm.
func verifyStructure(file *os.File) (leaked int, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	s := &structure{file: file, size: info.Size()}
	if s.findMeta() {
		s.used = make([]bool, s.end)
		s.walk(s.root, "", 0, nil, nil)
		s.free()
	}
	if s.failed != nil {
		return 0, fmt.Errorf("reading %s: %w", file.Name(), s.failed)
	}
	if len(s.problems) > 0 {
		return 0, errStructure{s.problems}
	}
	for _, used := range s.used[2:] {
		leaked += int(bit(!used))
	}
	return leaked, nil
}

func (s *structure) problem(format string, args ...any) {
	if len(s.problems) < maxProblems {
		s.problems = append(s.problems, fmt.Sprintf(format, args...))
	}
}

// findMeta chooses the meta page that bbolt chooses: the newest whole one of the two.
func (s *structure) findMeta() bool {
	if s.size == 0 {
		s.problem("the file is empty")
		return false
	}
	first, ok := s.meta(0)
	for at := int64(1024); !ok && at <= 1024<<14; at *= 2 {
		first, ok = s.meta(at)
	}
	if !ok {
		s.problem("it is no store, or neither of its two meta pages is whole")
		return false
	}
	newest := first
	s.pageSize = int64(binary.NativeEndian.Uint32(first[8:]))
	if second, ok := s.meta(s.pageSize); ok && binary.NativeEndian.Uint64(second[48:]) > binary.NativeEndian.Uint64(first[48:]) {
		newest = second
	}
	s.root, s.freelist, s.end = binary.NativeEndian.Uint64(newest[16:]), binary.NativeEndian.Uint64(newest[32:]), binary.NativeEndian.Uint64(newest[40:])
	if s.end > uint64(s.size/s.pageSize) {
		s.problem("the file is cut short: it has %d bytes, and must have %d at least", s.size, int64(s.end)*s.pageSize)
		return false
	}
	return true
}

// meta is the meta page at a place, or false if it is not whole.
func (s *structure) meta(at int64) ([]byte, bool) {
	page := make([]byte, pageHeader+metaSize)
	if _, err := s.file.ReadAt(page, at); err != nil {
		if err != io.EOF {
			s.failed = err
		}
		return nil, false
	}
	m := page[pageHeader:]
	sum := fnv.New64a()
	_, _ = sum.Write(m[:metaSize-8]) // a hash never fails
	return m, binary.NativeEndian.Uint32(m) == metaMagic && binary.NativeEndian.Uint32(m[4:]) == metaVersion &&
		binary.NativeEndian.Uint64(m[metaSize-8:]) == sum.Sum64() && binary.NativeEndian.Uint32(m[8:]) >= 512
}

// read reads a page with what it overflows into, into the buffer of its depth, and marks it as used.
func (s *structure) read(id uint64, depth int, of string) (page []byte, ok bool) {
	for len(s.buffers) <= depth {
		s.buffers = append(s.buffers, make([]byte, s.pageSize))
	}
	if id < 2 || id >= s.end || depth > maxDepth {
		s.problem("%s refers to page %d, and there are %d", of, id, s.end)
		return nil, false
	}
	page = s.buffers[depth][:s.pageSize]
	if _, s.failed = s.file.ReadAt(page, int64(id)*s.pageSize); s.failed != nil {
		return nil, false
	}
	overflow := uint64(binary.NativeEndian.Uint32(page[12:]))
	if got := binary.NativeEndian.Uint64(page); got != id || id+overflow >= s.end {
		s.problem("page %d of %s says that it is page %d with %d more", id, of, got, overflow)
		return nil, false
	}
	for i := id; i <= id+overflow; i++ {
		if s.used[i] {
			s.problem("page %d of %s is used twice", i, of)
			return nil, false
		}
		s.used[i] = true
	}
	if overflow > 0 {
		page = make([]byte, int64(overflow+1)*s.pageSize)
		s.buffers[depth] = page
		_, s.failed = s.file.ReadAt(page, int64(id)*s.pageSize)
	}
	return page, s.failed == nil
}

// walk verifies a page and all below it. Its keys are not below low, and below high; nil is no bound. The tree of the
// empty bucket name is that of the buckets.
func (s *structure) walk(id uint64, bucket string, depth int, low, high []byte) {
	of := "the tree of " + bucket
	if bucket == "" {
		of = "the tree of buckets"
	}
	page, ok := s.read(id, depth, of)
	if !ok {
		return
	}
	where := place{id, of}
	size, ok := s.packed(page, where)
	if !ok {
		return
	}
	if count(page) == 0 && low != nil || (int64(size)+s.pageSize-1)/s.pageSize != int64(len(page))/s.pageSize {
		s.problem("%s has %d entries of %d bytes in %d", where, count(page), size, len(page))
		return
	}
	s.entries(page, where, bucket, depth, low, high)
}

// place is a page for people; of is the tree that it is in.
type place struct {
	id uint64
	of string
}

func (p place) String() string { return fmt.Sprintf("page %d of %s", p.id, p.of) }

func flags(page []byte) uint16 { return binary.NativeEndian.Uint16(page[8:]) }
func count(page []byte) int    { return int(binary.NativeEndian.Uint16(page[10:])) }

// entry is the key of an entry of a page, and what stands with it.
func entry(page []byte, i int) (key, value []byte, pos, flag int, child uint64) {
	at := pageHeader + i*element
	e := page[at:]
	word := func(i int) int { return int(binary.NativeEndian.Uint32(e[4*i:])) }
	if flags(page) == branchPage {
		pos = at + word(0)
		return page[pos : pos+word(1)], nil, pos, 0, binary.NativeEndian.Uint64(e[8:])
	}
	pos = at + word(1)
	return page[pos : pos+word(2)], page[pos+word(2) : pos+word(2)+word(3)], pos, word(0), 0
}

// packed verifies that the entries of a page follow each other without a space, and returns where they end.
func (s *structure) packed(page []byte, where fmt.Stringer) (size int, ok bool) {
	kind := flags(page)
	size = pageHeader + count(page)*element
	if kind != branchPage && kind != leafPage || size > len(page) {
		s.problem("%s is of type %#x with %d entries", where, kind, count(page))
		return 0, false
	}
	for i := range count(page) {
		e := page[pageHeader+i*element:]
		word := func(i int) int { return int(binary.NativeEndian.Uint32(e[4*i:])) }
		pos, key, value := word(0), word(1), 0
		if kind == leafPage {
			pos, key, value = word(1), word(2), word(3)
		}
		if key == 0 || pageHeader+i*element+pos != size || size+key+value > len(page) {
			s.problem("entry %d of %s is not where it should be", i, where)
			return 0, false
		}
		size += key + value
	}
	return size, true
}

// entries verifies the order of the keys of a page, and what the entries lead to.
func (s *structure) entries(page []byte, where fmt.Stringer, bucket string, depth int, low, high []byte) {
	n := count(page)
	for i := range n {
		key, value, _, flag, child := entry(page, i)
		next := high
		if i+1 < n {
			next, _, _, _, _ = entry(page, i+1)
		}
		if i == 0 && bytes.Compare(key, low) < 0 || next != nil && bytes.Compare(key, next) >= 0 {
			s.problem("entry %d of %s is out of order", i, where)
			return
		}
		switch {
		case flags(page) == branchPage:
			s.walk(child, bucket, depth+1, key, next)
		case (flag == bucketEntry) != (bucket == "") || flag > bucketEntry:
			s.problem("entry %d of %s has the flags %#x", i, where, flag)
		case bucket == "":
			s.bucket(string(key), value, depth)
		}
		if s.failed != nil || len(s.problems) >= maxProblems {
			return
		}
	}
}

// bucket verifies a bucket: its own tree, or, of a small one, the page in its entry.
func (s *structure) bucket(name string, value []byte, depth int) {
	if len(value) < bucketHeader {
		s.problem("bucket %q has no header", name)
		return
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		s.walk(root, name, depth+1, nil, nil)
		return
	}
	where := place{of: "the entry of bucket " + name}
	page := value[bucketHeader:]
	if len(page) < pageHeader || flags(page) != leafPage {
		s.problem("%s is none", where)
		return
	}
	if size, ok := s.packed(page, where); !ok || size != len(page) {
		s.problem("%s has another size than its entries", where)
		return
	}
	s.entries(page, where, name, depth, nil, nil)
}

// free verifies the list of free pages: none of them is in use.
func (s *structure) free() {
	if len(s.problems) > 0 || s.failed != nil {
		return // what is in use is not known
	}
	page, ok := s.read(s.freelist, 0, "the list of free pages")
	if !ok {
		return
	}
	n, ids := uint64(count(page)), page[pageHeader:]
	if n == 0xffff {
		n, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if flags(page) != freelistPage || n > uint64(len(ids)/8) {
		s.problem("the list of free pages is of type %#x with %d entries", flags(page), n)
		return
	}
	last := uint64(1)
	for i := range n {
		id := binary.NativeEndian.Uint64(ids[8*i:])
		if id <= last || id >= s.end || s.used[id] {
			s.problem("page %d is in the list of free pages, and is in use, twice there, or none", id)
			return
		}
		s.used[id], last = true, id
	}
}
