//go:build campaign

package mutants

// What is read, told and shown, each wrongly.
var ofTheStream = []mutant{
	{"an event may name another resource than its subject", "consumer/cloudevents_data.go",
		`case b == nil || string(b) == inSubject:`, `case b == nil || isName(b):`, "./consumer -run TestDecode"},
	{"an event is taken for the one before it, at whatever depth", "consumer/decode_known.go",
		`|| d.depth != known.depth ||`, `||`, "./consumer -run TestDecoder"},
	{"a rejected event is not counted", "statemachine/log.go",
		`	case Rejected:
		c.Rejected++
	}`, `	case Rejected:
		return
	}`, "./statemachine ./storage"},
	{"reading begins one message too late", "consumer/session.go",
		`start = pos.Sequence + 1`, `start = pos.Sequence + 2`, "./consumer -run TestRun"},
	{"a gap of one message is none", "consumer/reader.go",
		`case seq > r.next && r.hole == nil:`, `case seq > r.next+1 && r.hole == nil:`, "./consumer -run TestHandle|TestOnGap"},
	{"a gap ends where the next message is", "consumer/reader.go",
		`hole.From, hole.To = r.next, seq-1`, `hole.From, hole.To = r.next, seq`, "./consumer -run TestHandle|TestOnGap"},
	{"a delivery that was lost is not noticed", "consumer/reader.go",
		`case d.number != r.delivered:`, `case d.number < r.delivered:`, "./consumer -run TestHandle"},
	{"a message that looks like the server's is taken for it", "consumer/pulls.go",
		`if m.Subject != p.sub.Subject {`, `if m.Header.Get("Status") == "" {`, "./consumer -run TestRun_MessagesThatLookLikeTheServers"},
	{"what a pull had left is still awaited", "consumer/pulls.go",
		`p.owed = max(0, p.owed-left)`, `_ = left`, "./consumer -run TestPulls"},
	{"a server that waits for us is taken for one that is gone", "consumer/pulls.go",
		`|| err == nil && waiting > 0 {`, `|| err == nil && waiting < 0 {`, "./consumer -run TestPulls"},
	{"another message at the position is not noticed", "consumer/position.go",
		`case s.applied != 0 && pos.Digest != 0 && s.applied != pos.Digest:`, `case s.applied != 0 && pos.Digest != 0 && s.applied == 0:`,
		"./consumer -run TestCheck|TestOnRewind"},
	{"a stream made anew is not noticed", "consumer/position.go",
		`case s.created != pos.Epoch:`, `case s.created < pos.Epoch:`, "./consumer -run TestCheck|TestOnRewind"},
	{"what does not fit into the queue is dropped", "consumer/queue.go",
		`for q.closed == nil && q.full(size) {`, `if q.closed == nil && q.full(size) {
		q.mu.Unlock()
		return true
	}
	for q.closed == nil && q.full(size) {`, "./consumer -timeout 20s -run TestQueue"},
	{"what was told is told again", "consumer/faults.go",
		`m.sequence >= row.Sequence`, `m.sequence > row.Sequence`, "./consumer -run TestTelling"},
	{"a telling is noted before it is acknowledged", "consumer/telling.go",
		`		stored, err := t.faults.publish(ctx, batch)`, `		if len(ordinals) > 0 {
			t.told(ordinals[len(ordinals)-1])
		}
		stored, err := t.faults.publish(ctx, batch)`, "./consumer -run TestTelling_(Epoch|Replicas|Dies|Known|Server)"},
	{"what others told of a stream made anew counts for nothing", "consumer/continuity.go",
		`if seen.created == was.Epoch {`, `if seen.created != 0 {`, "./consumer -run TestTelling|TestOnRewind"},
	{"another tenant's resource is shown", "storage/read.go",
		`tenant := v.tenant(key.Tenant)`, `tenant := max(v.tenant(key.Tenant), 1)`, "./storage ./api"},
	{"tellings do not wait for the one before", "consumer/faults.go",
		`msgs[0].Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(f.last, 10))`, ``, "./consumer -run TestTelling"},
}
