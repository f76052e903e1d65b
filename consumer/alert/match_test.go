package alert

import "testing"

func TestMatch_Wants(t *testing.T) {
	raised, cleared := anEvent(t, raisedBody), anEvent(t, clearedBody)
	known := anEvent(t, clearedBody, `"previous_status"`, `"action":"build","diagnosis":{"cause":"capacity"},"previous_status"`)
	silent := cleared
	silent.Code = 0
	both := Match{Raised: true, Cleared: true}
	with := func(change func(*Match)) Match { m := both; change(&m); return m }
	for name, c := range map[string]struct {
		m                              Match
		raised, cleared, known, silent bool
	}{
		"all":          {both, true, true, true, true},
		"none":         {Match{}, false, false, false, false},
		"raised":       {Match{Raised: true}, true, false, false, false},
		"cleared":      {Match{Cleared: true}, false, true, true, true},
		"kind":         {with(func(m *Match) { m.Kinds = []string{"image", "server"} }), true, true, true, true},
		"other kind":   {with(func(m *Match) { m.Kinds = []string{"image"} }), false, false, false, false},
		"tenant":       {with(func(m *Match) { m.Tenants = []string{"1234"} }), true, true, true, true},
		"other tenant": {with(func(m *Match) { m.Tenants = []string{"123"} }), false, false, false, false},
		"cause":        {with(func(m *Match) { m.Causes = []string{"capacity"} }), true, true, true, true},
		"other cause":  {with(func(m *Match) { m.Causes = []string{"quota"} }), false, true, false, true},
		"action":       {with(func(m *Match) { m.Actions = []string{"build"} }), true, true, true, true},
		"other action": {with(func(m *Match) { m.Actions = []string{"rebuild"} }), false, true, false, true},
		"code":         {with(func(m *Match) { m.Codes = []Codes{{404, 404}, {500, 500}} }), true, true, true, true},
		"hundred":      {with(func(m *Match) { m.Codes = []Codes{{500, 599}} }), true, true, true, true},
		"other code":   {with(func(m *Match) { m.Codes = []Codes{{400, 499}, {501, 501}} }), false, false, false, true},
		"all of it":    {with(func(m *Match) { m.Kinds, m.Causes = []string{"server"}, []string{"quota"} }), false, true, false, true},
	} {
		got := []bool{c.m.Wants(&raised), c.m.Wants(&cleared), c.m.Wants(&known), c.m.Wants(&silent)}
		for i, want := range []bool{c.raised, c.cleared, c.known, c.silent} {
			if got[i] != want {
				t.Errorf("%s: event %d: %v", name, i, got[i])
			}
		}
	}
}

func TestHook_GroupKey(t *testing.T) {
	one, cleared := anEvent(t, raisedBody), anEvent(t, clearedBody)
	other := anEvent(t, raisedBody, "5f1c", "6f1c", "s-1", "s-2")
	otherHost := anEvent(t, raisedBody, "5f1c", "6f1c", "e4d9", "e4d8")
	otherCleared := anEvent(t, clearedBody, "aa1c", "bb1c", "s-1", "s-2")
	for by, want := range map[string][]bool{ // equal to one: other, otherHost, cleared; otherCleared to cleared
		"":                 {false, false, false, false},
		"fingerprint":      {true, true, false, true},
		"cause":            {true, true, false, true},
		"tenant":           {true, true, true, true},
		"kind":             {true, true, true, true},
		"attribute:hostId": {true, false, true, true},
	} {
		h := &Hook{}
		if by != "" {
			h.GroupBy = []string{by}
		}
		key := func(e Event) string { return h.GroupKey(&e) }
		got := []bool{key(one) == key(other), key(one) == key(otherHost), key(one) == key(cleared), key(cleared) == key(otherCleared)}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s, %d: %v", by, i, got[i])
			}
		}
	}
	h := &Hook{GroupBy: []string{"fingerprint"}}
	if otherFault := anEvent(t, clearedBody, "No valid host was found", "Image not found"); h.GroupKey(&otherFault) == h.GroupKey(&cleared) {
		t.Error("recoveries from two failures are one group")
	}
	a := Event{Tenant: `a""b`, Kind: ""}
	b := Event{Tenant: "a", Kind: `"b`}
	if h.GroupBy = []string{"tenant", "kind"}; h.GroupKey(&a) == h.GroupKey(&b) {
		t.Errorf("values run into each other: %s", h.GroupKey(&a))
	}
}
