package storage_test

import (
	"errors"
	"fmt"
	"testing"

	sm "faultd/statemachine"
)

func TestGroups_CountWhatIsAndWasInError(t *testing.T) {
	db := open(t, temp(t))
	var log []sm.Event
	add := func(id, tenant string, a sm.Action, p sm.Phase, host, message string) {
		e := ev(len(log)+1, sm.Server, id, a, fmt.Sprint("j-", len(log)), p)
		e.Tenant = tenant
		e.Attributes = sm.Attributes(fmt.Sprintf(`{"hostId":%q,"flavor":{"id":"m1"}}`, host))
		if p == sm.PhaseFailed {
			e.Fault.Message = message
		}
		log = append(log, e)
	}
	for i := range 40 { // a flavor that all have, a host that those that fail share
		add(fmt.Sprint("ok-", i), "t", sm.ActBuild, sm.PhaseSucceeded, fmt.Sprint("host-", i), "")
	}
	for i := range 10 {
		host := "bad-host"
		if i == 9 {
			host = "another"
		}
		add(fmt.Sprint("s-", i), fmt.Sprint("t", i%3), sm.ActBuild, sm.PhaseFailed, host, fmt.Sprintf("disk %d of 10.0.0.%d is gone", i, i))
	}
	add("other", "t", sm.ActBuild, sm.PhaseFailed, "bad-host", "No valid host was found")
	add("s-0", "t0", sm.ActRebuild, sm.PhaseSucceeded, "bad-host", "")
	for _, e := range log {
		apply(t, db, entries([]sm.Event{e}))
	}
	groups, err := db.Groups("", 10)
	if err != nil || len(groups) != 2 {
		t.Fatalf("%d groups, %v: %+v", len(groups), err, groups)
	}
	g := groups[0]
	if g.Active != 9 || g.Total != 10 || g.Tenants != 3 || g.Kind != sm.Server || g.Action != sm.ActBuild || g.Code != 500 {
		t.Errorf("the group is %+v", g)
	}
	if len(g.Samples) != 3 || g.Samples[0].ID != "s-9" || g.First != log[40].Time || g.Last != log[49].Time {
		t.Errorf("samples are %v, first %d, last %d", ids(g.Samples), g.First, g.Last)
	}
	if len(g.Shared) != 1 || g.Shared[0] != (sm.Share{Attribute: "hostId", Value: "bad-host", Count: 8, Of: 9}) {
		t.Errorf("they share %+v", g.Shared)
	}
	if next, err := db.Groups(g.Fingerprint, 10); err != nil || len(next) != 1 || next[0].Active != 1 {
		t.Errorf("behind it are %+v, %v", next, err)
	}
	if _, err := db.Groups("1:no", 10); !errors.Is(err, sm.ErrUnknownMarker) {
		t.Errorf("an unknown marker: %v", err)
	}
}

func TestGroups_ExpireWhenEmpty(t *testing.T) {
	db := retaining(t, 3600e9)
	apply(t, db, entries([]sm.Event{
		ev(1, sm.Server, "a", sm.ActBuild, "b", sm.PhaseFailed),
		ev(2, sm.Server, "a", sm.ActRebuild, "r", sm.PhaseSucceeded),
		ev(3, sm.Server, "b", sm.ActReboot, "b", sm.PhaseFailed),
	}))
	apply(t, db, entries([]sm.Event{ev(9000, sm.Image, "i", sm.ActBuild, "b", sm.PhaseStarted)}))
	groups, err := db.Groups("", 10)
	if err != nil || len(groups) != 1 || groups[0].Action != sm.ActReboot {
		t.Errorf("left are %+v, %v", groups, err)
	}
}
