package storage_test

import (
	"fmt"
	"reflect"
	"sync"
	"testing"

	sm "faultd/statemachine"
)

// Whoever reads while batches are committed never sees less than what was committed before it began, read again or not; and
// what is deleted and expires is gone.
func TestResource_NeverOlderThanThePosition(t *testing.T) {
	path := temp(t)
	db := open(t, path)
	const resources, rounds = 20, 200
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				at := db.Position().Sequence // each round changes each resource once
				key := sm.Key{Tenant: "t", Kind: sm.Server, ID: fmt.Sprint("s", i%resources)}
				r, err := db.Resource(key)
				if at > 0 && (err != nil || r.Sequence+resources <= at) {
					t.Errorf("behind message %d %s is as of %d, %v", at, key.ID, r.Sequence, err)
					return
				}
			}
		})
	}
	for n := range rounds {
		var log []sm.Event
		for i := range resources {
			log = append(log, ev(n*resources+i+1, sm.Server, fmt.Sprint("s", i), sm.ActRebuild, fmt.Sprint("j", n), sm.PhaseSucceeded))
		}
		apply(t, db, entries(log))
	}
	close(done)
	readers.Wait()
}

// What was read before is what a store says that never read it, whatever happened in between.
func TestResource_ReadAgain(t *testing.T) {
	path := temp(t)
	db := open(t, path)
	key := sm.Key{Tenant: "t", Kind: sm.Server, ID: "s"}
	for n, e := range []sm.Event{
		ev(1, sm.Server, "s", sm.ActBuild, "b", sm.PhaseStarted),
		ev(2, sm.Server, "s", sm.ActBuild, "b", sm.PhaseFailed),
		ev(3, sm.Server, "s", sm.ActRebuild, "r", sm.PhaseSucceeded),
		ev(4, sm.Server, "s", sm.ActDelete, "d", sm.PhaseSucceeded),
	} {
		apply(t, db, entries([]sm.Event{e}))
		first, err1 := db.Resource(key)
		again, err2 := db.Resource(key)
		if err1 != nil || err2 != nil || !reflect.DeepEqual(first, again) || first.Sequence != uint64(n+1) {
			t.Errorf("message %d: %+v, %v, and again %+v, %v", n+1, first, err1, again, err2)
		}
		found, err := db.Find(sm.Server, "s")
		if err != nil || len(found) != 1 || !reflect.DeepEqual(found[0], again) {
			t.Errorf("message %d: among those of all tenants it is %+v, %v", n+1, found, err)
		}
	}
}

// What is kept for those who read again has a limit.
func TestResource_KeepsNoMoreThanItMay(t *testing.T) {
	db := open(t, temp(t))
	var log []sm.Event
	for i := range 3000 {
		e := ev(i+1, sm.Server, fmt.Sprint("s", i), sm.ActBuild, "b", sm.PhaseSucceeded)
		e.Attributes = fmt.Appendf(nil, `{"a":"%0*d"}`, 12_000, i)
		log = append(log, e)
	}
	apply(t, db, entries(log))
	for i := range log {
		if _, err := db.Resource(log[i].Key); err != nil {
			t.Fatal(err)
		}
	}
	kept, most := db.Kept()
	if kept == 0 || kept > 2*most+1<<20 {
		t.Errorf("%d bytes are kept, twice %d may be", kept, most)
	}
}
