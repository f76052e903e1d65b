//go:build campaign

package disk_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"pgregory.net/rapid"

	sm "faultd/statemachine"
	"faultd/testdata/scenarios"
)

// retention is so short that something expires in a script.
const retention = 3 * time.Minute

// storeFile is the store's name in its directory.
const storeFile = "faultd.db"

// action is one thing that is done with a store.
type action struct {
	name    string // apply, epoch, told, compact, snapshot or reopen
	entries []sm.Entry
	gaps    []sm.Gap
	to      sm.Position // of apply, epoch
	behind  uint64      // of epoch
	told    uint64      // ordinal of told
}

// script draws what is done with a store in its life: that many commits, and what happens between them.
func script(seed uint64, commits int) (all []action) {
	d := drawer{rng: rand.New(rand.NewPCG(seed, 1)), at: sm.Position{Stream: "JOBS", Epoch: 1, First: 1}}
	for made := 0; made < commits; made++ {
		all = append(all, d.apply())
		if d.rng.IntN(3) == 0 {
			all = append(all, action{name: "told", told: d.at.Ordinal() - min(d.at.Ordinal(), uint64(d.rng.IntN(30)))})
		}
		switch made {
		case commits / 4:
			all = append(all, action{name: "snapshot"})
		case commits / 3:
			all = append(all, action{name: "reopen"})
		case commits / 2:
			all = append(all, action{name: "compact"})
		case commits * 2 / 3:
			all = append(all, d.epoch())
		}
	}
	return all
}

// growingScript draws a life of nothing but commits that are so large that the file must grow in its middle.
func growingScript(seed uint64) (all []action) {
	d := drawer{rng: rand.New(rand.NewPCG(seed, 1)), at: sm.Position{Stream: "JOBS", Epoch: 1, First: 1}}
	for range 12 {
		a := d.apply()
		for range 450 {
			d.at.Sequence++
			a.entries = append(a.entries, d.malformed(d.at.StreamTime, sm.MaxRejected-200))
		}
		a.to = d.at
		all = append(all, a)
	}
	return all
}

// drawer draws a script.
type drawer struct {
	rng  *rand.Rand
	at   sm.Position
	log  []sm.Event // drawn and not taken yet
	drew int
}

func (d *drawer) apply() action {
	a := action{name: "apply"}
	if d.rng.IntN(10) == 0 {
		gone := uint64(1 + d.rng.IntN(5))
		a.gaps = []sm.Gap{{Epoch: d.at.Epoch, From: d.at.Sequence + 1, To: d.at.Sequence + gone, Cause: "purged", Noticed: 1}}
		d.at.Sequence += gone
	}
	for range 1 + d.rng.IntN(1+d.rng.IntN(25)) {
		a.entries = append(a.entries, d.entry())
	}
	a.to = d.at
	return a
}

func (d *drawer) entry() sm.Entry {
	e := d.event()
	d.at.Sequence++
	d.at.StreamTime = e.StreamTime
	d.at.Digest = e.ID
	if d.rng.IntN(12) == 0 {
		return d.malformed(e.StreamTime, d.rng.IntN(2000))
	}
	e.Sequence = d.at.Ordinal()
	if e.Fault != nil {
		fault := *e.Fault
		fault.Sequence = e.Sequence
		if d.rng.IntN(8) == 0 { // on pages of its own
			fault.Details = strings.Repeat("x", 5000+d.rng.IntN(5000))
		}
		e.Fault = &fault
	}
	return sm.Entry{Event: e, Subject: "jobs.x", Raw: []byte("{}")}
}

// malformed is the message at the drawer's position, of that many bytes.
func (d *drawer) malformed(when sm.Time, size int) sm.Entry {
	e := sm.Event{Sequence: d.at.Ordinal(), StreamTime: when}
	return sm.Entry{Event: e, Reason: sm.Malformed, Detail: "it is cut short", Subject: "jobs.x", Raw: []byte(strings.Repeat("{", size))}
}

// event takes the next of the random logs, whose resources are others in each log.
func (d *drawer) event() sm.Event {
	for len(d.log) == 0 {
		d.drew++
		d.log = rapid.Custom(func(t *rapid.T) []sm.Event { return scenarios.Log(t, 150) }).Example(int(d.rng.Uint32()))
	}
	e := d.log[0]
	d.log = d.log[1:]
	e.Key.ID = fmt.Sprintf("%s-%d", e.Key.ID, d.drew%3)
	e.Job = fmt.Sprintf("%s-%d", e.Job, d.drew)
	e.ID += uint64(d.drew)
	lag := e.StreamTime - e.Time
	e.StreamTime = max(d.at.StreamTime, e.StreamTime) + 2e9
	e.Time = e.StreamTime - lag
	return e
}

func (d *drawer) epoch() action {
	first := uint64(1 + d.rng.IntN(20))
	ends := d.at
	d.at = sm.Position{Stream: "JOBS", Epoch: ends.Epoch + 1, First: first, Sequence: first - 1, Base: max(ends.Ordinal()+1, first) - first}
	return action{name: "epoch", to: d.at, behind: uint64(d.rng.IntN(100))}
}
