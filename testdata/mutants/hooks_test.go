//go:build campaign

package mutants

// What hooks are told, wrongly.
var ofTheHooks = []mutant{
	{"a hook may dial what an IPv6 address carries", "consumer/alert/dial.go",
		`worst = max(worst, reachOf(inner))`, `_ = inner`, "./consumer/alert -run TestReachOf|TestGuard|TestSend_Address"},
	{"a recovery overtakes its fault", "consumer/alert/chain.go",
		`for c.busy == 0 && len(c.waiting) > 0 &&`, `for len(c.waiting) > 0 &&`, "./consumer/alert -run TestAlerter_Order|TestAlerter_GroupOrder"},
	{"who waits for a lease takes it at once", "consumer/alert/lease.go",
		`time.Since(since) >= l.pace.lease`, `time.Since(since) >= 0`, "./consumer/alert -run TestAlerter_HandOver|TestAlerter_Lease"},
	{"nothing is ever given up", "consumer/alert/deliver.go",
		`if r.Attempts >= d.pace.attempts() {`, `if r.Attempts < 0 {`, "./consumer/alert -run TestAlerter_Redeliver|TestAlerter_RetriesSurviveRestart"},
	{"what follows in a group goes out at once", "consumer/alert/groups.go",
		`in.members, in.due = nil, now.Add(g.interval)`, `in.members, in.due = nil, now`, "./consumer/alert -run TestGroups"},
	{"what was answered is not settled", "consumer/alert/deliver.go",
		`	for _, it := range v.items {
		if it.msg != nil {
			_ = it.msg.Ack()
		}
	}
	d.w.a.cfg.Step("hook settled")`, `	d.w.a.cfg.Step("hook settled")`, "./consumer/alert -run TestAlerter_Delivers|TestAlerter_Crash"},
}
