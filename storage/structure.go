package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/bits"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
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

// structure is what the pages of a file are compared with.
type structure struct {
	file     *os.File
	size     int64
	pageSize int64
	root     uint64
	freelist uint64
	end      uint64 // the first page that is not in use
	problems []string
	failed   error // in reading

	pages []byte          // as the kernel maps them
	used  []atomic.Uint32 // a bit for each page
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
		s.verify()
	}
	if s.failed != nil {
		return 0, fmt.Errorf("reading %s: %w", file.Name(), s.failed)
	}
	if len(s.problems) > 0 {
		return 0, errStructure{s.problems[:min(len(s.problems), maxProblems)]}
	}
	return s.leaked(), nil
}

// verify walks through all that is in use. The pages are looked at where the kernel maps them: most of the time would
// else go into copying them.
func (s *structure) verify() {
	if s.pages, s.failed = syscall.Mmap(int(s.file.Fd()), 0, int(int64(s.end)*s.pageSize), syscall.PROT_READ, syscall.MAP_SHARED); s.failed != nil {
		return
	}
	defer func() { s.failed = errors.Join(s.failed, syscall.Munmap(s.pages)) }()
	s.used = make([]atomic.Uint32, s.end/32+1)
	top := walker{structure: s}
	top.protect(func() { top.walk(place{s.root, tree{}}, 0, nil, nil) })
	s.add(&top)
	s.walkAll(top.buckets)
	if len(s.problems) == 0 && s.failed == nil { // else what is in use is not known
		last := walker{structure: s}
		last.protect(last.free)
		s.add(&last)
	}
}

// walkAll has each processor walk through one tree after another. What they find stands in the order of the trees.
func (s *structure) walkAll(trees []tree) {
	parts := make([]walker, len(trees))
	var next atomic.Int64
	var walkers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		walkers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(trees); i = int(next.Add(1)) - 1 {
				w, t := &parts[i], trees[i]
				w.structure = s
				w.protect(func() { w.walk(place{t.root, t}, t.depth, nil, nil) })
			}
		})
	}
	walkers.Wait()
	for i := range parts {
		s.add(&parts[i])
	}
}

// add takes over what a walker found.
func (s *structure) add(w *walker) {
	s.problems = append(s.problems, w.problems...)
	s.failed = errors.Join(s.failed, w.failed)
}

// use marks a page as used, and tells whether it was not.
func (s *structure) use(id uint64) bool {
	bit := uint32(1) << (id % 32)
	return s.used[id/32].Or(bit)&bit == 0
}

func (s *structure) leaked() int {
	n := int(s.end) - 2 // the meta pages
	for i := range s.used {
		n -= bits.OnesCount32(s.used[i].Load())
	}
	return n
}

func (s *structure) problem(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
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

// tree is that of a bucket, or that of the buckets.
type tree struct {
	bucket string
	root   uint64
	depth  int // of its root below the root of all
}

// freePages is what stands for the name of a bucket where the list of free pages is meant.
const freePages = "\x00free"

func (t tree) String() string {
	switch t.bucket {
	case "":
		return "the tree of buckets"
	case freePages:
		return "the list of free pages"
	}
	return "the tree of " + t.bucket
}

// place is a page for people.
type place struct {
	id uint64 // 0: it is in the entry of the bucket
	of tree
}

func (p place) String() string {
	if p.id == 0 {
		return "the entry of bucket " + p.of.bucket
	}
	return fmt.Sprintf("page %d of %s", p.id, p.of)
}

// walker walks through one tree, in one goroutine.
type walker struct {
	*structure
	problems []string
	failed   error
	buckets  []tree // that were met
}

func (w *walker) problem(format string, args ...any) {
	if len(w.problems) < maxProblems {
		w.problems = append(w.problems, fmt.Sprintf(format, args...))
	}
}

// protect does something with the pages. One that cannot be read, or is beyond the end of a file that was cut meanwhile,
// is a fault of memory.
func (w *walker) protect(what func()) {
	w.failed = protect(func() error { what(); return nil })
}

// page is a page with what it overflows into. It marks it as used.
func (w *walker) page(at place, depth int) (page []byte, ok bool) {
	if at.id < 2 || at.id >= w.end || depth > maxDepth {
		w.problem("%s refers to page %d, and there are %d", at.of, at.id, w.end)
		return nil, false
	}
	page = w.pages[int64(at.id)*w.pageSize:]
	overflow := uint64(binary.NativeEndian.Uint32(page[12:]))
	if got := binary.NativeEndian.Uint64(page); got != at.id || at.id+overflow >= w.end {
		w.problem("%s says that it is page %d with %d more", at, got, overflow)
		return nil, false
	}
	for i := at.id; i <= at.id+overflow; i++ {
		if !w.use(i) {
			w.problem("page %d of %s is used twice", i, at.of)
			return nil, false
		}
	}
	return page[:int64(overflow+1)*w.pageSize], true
}

// walk verifies a page and all below it. Its keys are not below low, and below high; nil is no bound.
func (w *walker) walk(at place, depth int, low, high []byte) {
	page, ok := w.page(at, depth)
	if !ok {
		return
	}
	size, ok := w.packed(page, at, low, high)
	if !ok {
		return
	}
	if count(page) == 0 && (low != nil || flags(page) == branchPage) || (int64(size)+w.pageSize-1)/w.pageSize != int64(len(page))/w.pageSize {
		w.problem("%s has %d entries of %d bytes in %d", at, count(page), size, len(page))
		return
	}
	switch {
	case flags(page) == branchPage:
		w.below(page, at, depth, high)
	case at.of.bucket == "":
		w.bucketsOf(page, depth)
	}
}

// below walks through what the entries of a branch page lead to.
func (w *walker) below(page []byte, at place, depth int, high []byte) {
	low := entryAt(page, branchPage, 0).keyOf(page)
	for i := range count(page) {
		next := high
		if i+1 < count(page) {
			next = entryAt(page, branchPage, i+1).keyOf(page)
		}
		child := binary.NativeEndian.Uint64(page[pageHeader+i*element+8:])
		if w.walk(place{child, at.of}, depth+1, low, next); len(w.problems) >= maxProblems {
			return
		}
		low = next
	}
}

func flags(page []byte) uint16 { return binary.NativeEndian.Uint16(page[8:]) }
func count(page []byte) int    { return int(binary.NativeEndian.Uint16(page[10:])) }

// entry is where an entry of a page is: its key at pos, counted from the page's beginning, and its value behind that.
type entry struct {
	pos, key, value int // the last two are lengths
	flags           uint32
}

func (e entry) keyOf(page []byte) []byte { return page[e.pos:][:e.key] }

func entryAt(page []byte, kind uint16, i int) entry {
	at := pageHeader + i*element
	e := page[at:][:element]
	if kind == branchPage {
		return entry{pos: at + int(binary.NativeEndian.Uint32(e)), key: int(binary.NativeEndian.Uint32(e[4:]))}
	}
	return entry{at + int(binary.NativeEndian.Uint32(e[4:])), int(binary.NativeEndian.Uint32(e[8:])), int(binary.NativeEndian.Uint32(e[12:])),
		binary.NativeEndian.Uint32(e)}
}

// packed verifies that the entries of a page follow each other without a space, in the order of their keys, and returns
// where they end.
func (w *walker) packed(page []byte, at place, low, high []byte) (size int, ok bool) {
	kind, n := flags(page), count(page)
	size = pageHeader + n*element
	if kind != branchPage && kind != leafPage || size > len(page) {
		w.problem("%s is of type %#x with %d entries", at, kind, n)
		return 0, false
	}
	var flags uint32
	if kind == leafPage && at.of.bucket == "" {
		flags = bucketEntry
	}
	last := low
	for i := range n {
		e := entryAt(page, kind, i)
		if e.key == 0 || e.pos != size || size+e.key+e.value > len(page) || e.flags != flags {
			w.problem("entry %d of %s is not where it should be, or of type %#x", i, at, e.flags)
			return 0, false
		}
		key := e.keyOf(page)
		if order := bytes.Compare(key, last); order < 0 || order == 0 && i > 0 {
			w.problem("entry %d of %s is out of order", i, at)
			return 0, false
		}
		last = key
		size += e.key + e.value
	}
	if high != nil && bytes.Compare(last, high) >= 0 {
		w.problem("the last entry of %s is out of order", at)
		return 0, false
	}
	return size, true
}

// bucketsOf are the buckets that a leaf of the tree of buckets holds.
func (w *walker) bucketsOf(page []byte, depth int) {
	for i := range count(page) {
		e := entryAt(page, leafPage, i)
		w.bucket(string(e.keyOf(page)), page[e.pos+e.key:][:e.value], depth)
	}
}

// bucket notes the tree of a bucket, or verifies, of a small one, the page in its entry.
func (w *walker) bucket(name string, value []byte, depth int) {
	if len(value) < bucketHeader {
		w.problem("bucket %q has no header", name)
		return
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		w.buckets = append(w.buckets, tree{name, root, depth + 1})
		return
	}
	at, page := place{of: tree{bucket: name}}, value[bucketHeader:]
	if len(page) < pageHeader || flags(page) != leafPage {
		w.problem("%s is none", at)
		return
	}
	if size, ok := w.packed(page, at, nil, nil); !ok || size != len(page) {
		w.problem("%s has another size than its entries", at)
	}
}

// free verifies the list of free pages: none of them is in use.
func (w *walker) free() {
	page, ok := w.page(place{w.freelist, tree{bucket: freePages}}, 0)
	if !ok {
		return
	}
	n, ids := uint64(count(page)), page[pageHeader:]
	if n == 0xffff {
		n, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if flags(page) != freelistPage || n > uint64(len(ids)/8) {
		w.problem("the list of free pages is of type %#x with %d entries", flags(page), n)
		return
	}
	last := uint64(1)
	for i := range n {
		id := binary.NativeEndian.Uint64(ids[8*i:])
		if id <= last || id >= w.end || !w.use(id) {
			w.problem("page %d is in the list of free pages, and is in use, twice there, or none", id)
			return
		}
		last = id
	}
}
