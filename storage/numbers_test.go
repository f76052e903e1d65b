package storage

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

// A set holds what was put into it and not taken out, is walked from the top down, and has one form however it came about.
func TestSets_HoldWhatWasMarked(t *testing.T) {
	bolt, err := bbolt.Open(t.TempDir()+"/sets", 0o600, &bbolt.Options{NoSync: true})
	if err == nil {
		err = bolt.Update(initialize)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer bolt.Close()
	many := rapid.OneOf(rapid.Uint64Range(0, 400), rapid.SampledFrom([]uint64{255, 256, 257})) // where the form changes
	rapid.Check(t, func(t *rapid.T) {
		tx, err := bolt.Begin(true)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		tables, set, want := newTables(tx), []byte("set"), map[uint64]bool{}
		begin := rapid.Uint64Range(1, 3*chunkSpan).Draw(t, "begin")
		for range rapid.IntRange(1, 3).Draw(t, "batches") {
			s := sets{of: tables.lists}
			for range rapid.IntRange(0, 3).Draw(t, "runs") {
				from, is := begin+rapid.Uint64Range(0, 600).Draw(t, "from"), rapid.Bool().Draw(t, "is")
				for n := range many.Draw(t, "many") {
					s.mark(set, from+n, is)
					if want[from+n] = is; !is {
						delete(want, from+n)
					}
				}
			}
			s.mark([]byte("seu"), begin, true) // not to be met
			s.mark([]byte("ses"), begin, true)
			if err := s.write(); err != nil {
				t.Fatal(err)
			}
		}
		all := slices.Sorted(maps.Keys(want))
		walk := func(below uint64) (found []uint64) {
			l := list{of: tables.lists, set: set}
			for l.begin(below); l.number != 0 && len(found) <= len(all); l.next() {
				found = append(found, l.number)
			}
			slices.Reverse(found)
			return found
		}
		if found := walk(0); !slices.Equal(found, all) {
			t.Fatalf("%v, not %v", found, all)
		}
		below := begin + rapid.Uint64Range(0, 1200).Draw(t, "below")
		i, _ := slices.BinarySearch(all, below)
		if found := walk(below); !slices.Equal(found, all[:i]) {
			t.Fatalf("below %d: %v, not %v", below, found, all[:i])
		}
		once := sets{of: tables.errors}
		for _, n := range all {
			once.mark(set, n, true)
		}
		if err := once.write(); err != nil {
			t.Fatal(err)
		}
		var one, other [][]byte
		tables.lists.each(set, func(k, v []byte) { one = append(one, k, v) })
		tables.errors.each(set, func(k, v []byte) { other = append(other, k, v) })
		if !slices.EqualFunc(one, other, bytes.Equal) {
			t.Fatalf("%x was made in steps, and %x at once", one, other)
		}
	})
}
