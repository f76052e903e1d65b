package campaign

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	sm "faultd/statemachine"
)

// Load draws job events: many resources of all kinds and of seven tenants, jobs that fail and recover, repetitions,
// what comes late, and what must be rejected.
type Load struct {
	random  *rand.Rand
	source  string
	drawn   int
	running map[sm.Key]*job
	keys    []sm.Key
	before  []Message // some of those that were drawn
}

// Message is an event as it is published.
type Message struct {
	Subject string
	Data    []byte
	ID      string // "source/id", which may be its Nats-Msg-Id
}

type job struct {
	id     string
	action sm.Action
	phase  sm.Phase
}

// NewLoad draws from the source, for that many resources.
func NewLoad(random *rand.Rand, resources int) *Load {
	l := &Load{random: random, source: fmt.Sprintf("campaign-%08x", random.Uint32()), running: map[sm.Key]*job{}}
	for i := range resources {
		kind := sm.Server
		if random.IntN(2) == 0 {
			kind = sm.Kinds[random.IntN(len(sm.Kinds))]
		}
		l.keys = append(l.keys, sm.Key{Tenant: fmt.Sprint("t-", i%7), Kind: kind, ID: fmt.Sprint("r-", i/3)})
	}
	return l
}

// Next draws that many events.
func (l *Load) Next(n int) []Message {
	all := make([]Message, 0, n)
	for range n {
		all = append(all, l.one())
	}
	return all
}

func (l *Load) one() Message {
	l.drawn++
	if len(l.before) > 0 && l.random.IntN(20) == 0 {
		return l.before[l.random.IntN(len(l.before))]
	}
	among := len(l.keys)
	if l.random.IntN(3) > 0 {
		among = min(among, 200) // a few have long stories, however many there are
	}
	key := l.keys[l.random.IntN(among)]
	m := l.event(key, l.advance(key))
	switch l.random.IntN(100) {
	case 0:
		m.Data = m.Data[:len(m.Data)/2]
	case 1:
		m.Subject = strings.Replace(m.Subject, "jobs.t-", "jobs.x-", 1)
	case 2:
		m.Data = []byte(strings.Replace(string(m.Data), `"action":"`, `"action":"no-`, 1))
	}
	if len(l.before) < 300 {
		l.before = append(l.before, m)
	} else {
		l.before[l.random.IntN(len(l.before))] = m
	}
	return m
}

// advance takes the resource's job a step further, or begins the next one.
func (l *Load) advance(key sm.Key) *job {
	j := l.running[key]
	if j == nil || j.phase.End() {
		j = &job{id: fmt.Sprint("j-", l.drawn), action: l.action(key.Kind), phase: sm.PhaseAccepted}
		l.running[key] = j
		return j
	}
	switch n := l.random.IntN(10); {
	case j.phase == sm.PhaseAccepted:
		j.phase = sm.PhaseStarted
	case n < 4:
		j.phase = sm.PhaseProgressed
	case n < 7:
		j.phase = sm.PhaseFailed
	case n < 9:
		j.phase = sm.PhaseSucceeded
	default:
		j.phase = sm.PhaseCancelled
	}
	return j
}

// action is one that the kind has; a deletion is rare.
func (l *Load) action(kind sm.Kind) sm.Action {
	for {
		a := sm.Actions[l.random.IntN(len(sm.Actions))]
		if sm.Allowed(kind, a) && (a != sm.ActDelete || l.random.IntN(10) == 0) {
			return a
		}
	}
}

// event is the message of a job's phase.
func (l *Load) event(key sm.Key, j *job) Message {
	id := fmt.Sprint("e-", l.drawn)
	data := map[string]any{
		"job":      map[string]any{"id": j.id, "action": j.action.String()},
		"resource": l.resource(key),
	}
	if l.random.IntN(3) == 0 {
		data["progress"] = l.random.IntN(101)
	}
	if key.Kind == sm.Backup && l.random.IntN(2) == 0 {
		data["provider"] = []string{"dfw", "ord"}[l.random.IntN(2)]
	}
	attempt := j.phase == sm.PhaseProgressed && l.random.IntN(4) == 0
	warned := j.phase == sm.PhaseCancelled && l.random.IntN(2) == 0
	if j.phase == sm.PhaseFailed || attempt || warned {
		data["fault"] = map[string]any{"code": []int{404, 500, 503}[l.random.IntN(3)], "message": fmt.Sprintf("host %d has failed", l.random.IntN(50)),
			"details": strings.Repeat("Traceback ", l.random.IntN(40))}
	}
	text, err := json.Marshal(map[string]any{"specversion": "1.0", "type": "io.faultd.v1.job." + j.phase.String(), "source": l.source, "id": id,
		"time": time.Now().Add(-time.Duration(l.random.IntN(2000)) * time.Millisecond).UTC().Format(time.RFC3339Nano), "data": data})
	if err != nil {
		panic(err) // nothing in it cannot be JSON
	}
	return Message{Subject: "jobs." + key.Tenant + "." + key.Kind.String() + "." + key.ID + "." + j.phase.String(), Data: text, ID: l.source + "/" + id}
}

func (l *Load) resource(key sm.Key) map[string]any {
	r := map[string]any{"kind": key.Kind.String(), "id": key.ID, "tenant_id": key.Tenant}
	if l.random.IntN(5) == 0 {
		r["name"] = fmt.Sprint("name-", l.random.IntN(10))
	}
	if l.random.IntN(5) == 0 {
		r["attributes"] = map[string]any{"hostId": fmt.Sprint("h-", l.random.IntN(20))}
	}
	return r
}
