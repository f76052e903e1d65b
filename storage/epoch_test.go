package storage_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	sm "faultd/statemachine"
	"faultd/storage"
	"faultd/testdata/scenarios"
)

// story is a log that was told by several streams, one after the other, and what it must come to.
type story struct {
	epochs   []*chapter
	model    *model
	tellings []sm.Telling
	gaps     []sm.Gap
	rejected []uint64
}

// chapter is what one of the streams held.
type chapter struct {
	at      sm.Position // behind all that it held
	behind  uint64
	entries []sm.Entry // by ordinal
	gaps    []sm.Gap
}

// drawStory cuts a log into epochs. Some messages are rejected, and some are gone before they are read.
func drawStory(rt *rapid.T, n int) *story {
	s := &story{model: newModel(nil)}
	rest := entries(scenarios.Log(rt, n))
	for next := uint64(1); len(rest) > 0; next = s.epochs[len(s.epochs)-1].at.Ordinal() + 1 {
		c := &chapter{behind: rapid.Uint64Range(0, 1000).Draw(rt, "behind")}
		if len(s.epochs) == 0 {
			c.behind = 0
		}
		// A stream that is restored from a copy has the creation time that it had.
		c.at = sm.Position{Stream: "JOBS", Epoch: sm.Time(rapid.IntRange(1, 3).Draw(rt, "epoch")), First: rapid.SampledFrom([]uint64{1, 7, 500}).Draw(rt, "first")}
		c.at.Base = max(next, c.at.First) - c.at.First
		c.at.Sequence = c.at.First - 1
		held := rapid.IntRange(0, len(rest)).Draw(rt, "held")
		for i := range rest[:held] {
			s.drawGap(rt, c)
			s.take(c, &rest[i], rapid.IntRange(0, 9).Draw(rt, "rejected") == 0)
		}
		s.drawGap(rt, c)
		rest = rest[held:]
		s.epochs = append(s.epochs, c)
	}
	return s
}

func (s *story) drawGap(rt *rapid.T, c *chapter) {
	if rapid.IntRange(0, 7).Draw(rt, "gap") > 0 {
		return
	}
	n := rapid.Uint64Range(1, 5).Draw(rt, "missing")
	c.gaps = append(c.gaps, sm.Gap{Epoch: c.at.Epoch, From: c.at.Sequence + 1, To: c.at.Sequence + n, Cause: "drawn", Noticed: 5})
	s.gaps = append(s.gaps, c.gaps[len(c.gaps)-1])
	c.at.Sequence += n
	c.at.StreamTime, c.at.Digest = 0, 0
}

func (s *story) take(c *chapter, e *sm.Entry, rejected bool) {
	c.at.Sequence++
	c.at.StreamTime, c.at.Digest = e.StreamTime, e.ID
	e.Sequence = c.at.Ordinal()
	if e.Fault != nil {
		f := *e.Fault
		f.Sequence, e.Fault = e.Sequence, &f
	}
	if rejected {
		e.Reason = sm.Malformed
		s.model.counters.Count(e.Reason, 0)
		s.rejected = append(s.rejected, e.Sequence)
	} else {
		was, is := s.model.take(e.Event)
		s.tellings = append(s.tellings, tell(e.Event, was, is, c.at, c.behind)...)
	}
	c.entries = append(c.entries, *e)
}

// read applies a chapter in batches, each with the gaps before its end, and closes the store now and then.
func (c *chapter) read(rt *rapid.T, tb testing.TB, path string, db *storage.DB) *storage.DB {
	entries, gaps := c.entries, c.gaps
	for len(entries) > 0 || len(gaps) > 0 {
		n := rapid.IntRange(0, len(entries)).Draw(rt, "batch")
		to := c.at
		if n < len(entries) { // else all that is left, what is gone behind the last message too
			to.Sequence = entries[n].Sequence - 1 - c.at.Base
			to.StreamTime, to.Digest = 0, 0
		}
		passed := 0
		for passed < len(gaps) && gaps[passed].To <= to.Sequence {
			passed++
		}
		if _, _, err := db.Apply(entries[:n], to, gaps[:passed]...); err != nil {
			tb.Fatal(err)
		}
		entries, gaps = entries[n:], gaps[passed:]
		if rapid.IntRange(0, 3).Draw(rt, "restart") == 0 {
			_ = db.Close()
			db = open(tb, path)
		}
	}
	return db
}

func (s *story) check(tb testing.TB, db *storage.DB) {
	tb.Helper()
	s.model.check(tb, db)
	sameTellings(tb, untold(tb, db, 5), s.tellings)
	if got := db.Gaps(); !slices.Equal(got, s.gaps) {
		tb.Fatalf("the gaps are %+v, not %+v", got, s.gaps)
	}
	var all []sm.Position
	for _, c := range s.epochs {
		all = append(all, c.at)
	}
	if got := append(db.Epochs(), db.Position()); !slices.Equal(got, all) {
		tb.Fatalf("the epochs are %+v, not %+v", got, all)
	}
	rows, err := db.Rejected(0, 1000)
	if err != nil {
		tb.Fatal(err)
	}
	var rejected []uint64
	for _, r := range rows {
		rejected = append(rejected, r.Sequence)
	}
	slices.Reverse(rejected)
	if !slices.Equal(rejected, s.rejected) {
		tb.Fatalf("rejected are %v, not %v", rejected, s.rejected)
	}
}

func TestEpochs_AgreeWithTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawStory(rt, 60)
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		path := filepath.Join(dir, "faultd.db")
		db := open(t, path)
		for i, c := range s.epochs {
			if i > 0 || c.at.Sequence < c.at.First { // nothing tells a store of its first epoch if that is empty
				if err := db.NewEpoch("JOBS", c.at.Epoch, c.at.First, c.behind); err != nil {
					rt.Fatal(err)
				}
			}
			db = c.read(rt, t, path, db)
		}
		s.check(t, db)
		_ = db.Close()
		if report, err := storage.Check(path); err != nil || len(report.Problems) > 0 {
			rt.Fatalf("the store is not as it should be: %v %v", report.Problems, err)
		}
		db = open(t, path)
		s.check(t, db)
		_ = db.Close()
	})
}

// shared are the records of a store that a log read again must leave as they are: all but what counts messages and
// what says which were read.
func shared(tb testing.TB, path string) map[string]string {
	all := contents(tb, path)
	maps.DeleteFunc(all, func(k, _ string) bool { return strings.HasPrefix(k, "meta ") || strings.HasPrefix(k, "epochs ") })
	return all
}

func TestNewEpoch_TheSameLogAgainChangesCountersAlone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := scenarios.Log(rt, 80)
		later := rapid.SampledFrom([]sm.Time{0, 1e12}).Draw(rt, "later") // of a copy of the stream, or published again
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		path := filepath.Join(dir, "faultd.db")
		db := open(t, path)
		apply(t, db, entries(log))
		once := db.Counters()
		_ = db.Close()
		before := shared(t, path)
		db = open(t, path)
		if err := db.NewEpoch("JOBS", 2, 1, 7); err != nil {
			rt.Fatal(err)
		}
		to := db.Position()
		to.Sequence = uint64(len(log))
		if _, _, err := db.Apply(entries(again(log, to.Base, later)), to); err != nil {
			rt.Fatal(err)
		}
		twice := db.Counters()
		_ = db.Close()
		if twice.Received != 2*once.Received || twice.Applied != once.Applied {
			rt.Fatalf("counters are %+v, and were %+v", twice, once)
		}
		if after := shared(t, path); !maps.Equal(after, before) {
			rt.Fatalf("records are\n%q\nand were\n%q", after, before)
		}
	})
}

// again is a log with other sequences, which the stream took later.
func again(log []sm.Event, base uint64, later sm.Time) []sm.Event {
	log = slices.Clone(log)
	for i := range log {
		log[i].Sequence += base
		log[i].StreamTime += later
		if f := log[i].Fault; f != nil {
			c := *f
			c.Sequence = log[i].Sequence
			log[i].Fault = &c
		}
	}
	return log
}

func TestNewEpoch_NumbersGoOn(t *testing.T) {
	for name, c := range map[string]struct {
		old         sm.Position
		first, base uint64
		ordinal     uint64
	}{
		"made anew":                {sm.Position{First: 1, Sequence: 100}, 1, 100, 100},
		"of which much is gone":    {sm.Position{First: 1, Sequence: 100}, 60, 41, 100},
		"begins beyond the old":    {sm.Position{First: 1, Sequence: 100}, 500, 0, 499},
		"in the old one's middle":  {sm.Position{First: 1, Sequence: 100}, 101, 0, 100},
		"without a first message":  {sm.Position{First: 1, Sequence: 100}, 0, 100, 100},
		"of a store that is empty": {sm.Position{}, 30, 0, 29},
	} {
		t.Run(name, func(t *testing.T) {
			path := temp(t)
			db := open(t, path)
			if c.old.Sequence > 0 {
				c.old.Stream, c.old.Epoch = "JOBS", 1
				if _, _, err := db.Apply(nil, c.old); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.NewEpoch("JOBS", 2, c.first, 0); err != nil {
				t.Fatal(err)
			}
			_ = db.Close()
			db = open(t, path)
			first := max(c.first, 1)
			want := sm.Position{Stream: "JOBS", Epoch: 2, Base: c.base, First: first, Sequence: first - 1}
			if got := db.Position(); got != want || got.Ordinal() != c.ordinal {
				t.Errorf("the position is %+v, %d, not %+v, %d", got, got.Ordinal(), want, c.ordinal)
			}
			if c.old.Sequence > 0 != (len(db.Epochs()) == 1) {
				t.Errorf("the epochs that ended are %+v", db.Epochs())
			}
		})
	}
}

func TestNewEpoch_FollowersGoOn(t *testing.T) {
	db := open(t, temp(t))
	apply(t, db, entries([]sm.Event{ev(1, sm.Server, "a", sm.ActBuild, "b", sm.PhaseStarted)}))
	changed := db.Changed()
	if err := db.NewEpoch("JOBS", 2, 1, 0); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("the new epoch was not announced")
	}
	to := db.Position()
	to.Sequence++
	if _, _, err := db.Apply(entries([]sm.Event{ev(2, sm.Server, "a", sm.ActBuild, "b", sm.PhaseFailed)}), to); err != nil {
		t.Fatal(err)
	}
	if rows, ok := db.Changes(1); !ok || len(rows) != 1 || rows[0].Sequence != 2 {
		t.Errorf("behind 1 are %+v, %v", rows, ok)
	}
	if rows, ok := db.Changes(2); !ok || len(rows) != 0 {
		t.Errorf("behind the position are %+v, %v", rows, ok)
	}
}

// readGaps begins an epoch and reads it in one batch: of each three messages two are gone.
func readGaps(t *testing.T, db *storage.DB, epoch sm.Time, n int) {
	t.Helper()
	if err := db.NewEpoch("JOBS", epoch, 1, 0); err != nil {
		t.Fatal(err)
	}
	var batch []sm.Event
	var gaps []sm.Gap
	to := db.Position()
	for range n {
		to.Sequence += 3
		batch = append(batch, ev(int(to.Ordinal()), sm.Server, "a", sm.ActReboot, fmt.Sprint("j-", to.Sequence), sm.PhaseStarted))
		gaps = append(gaps, sm.Gap{Epoch: epoch, From: to.Sequence - 2, To: to.Sequence - 1, Cause: fmt.Sprint("cause ", to.Sequence)})
	}
	if _, _, err := db.Apply(entries(batch), to, gaps...); err != nil {
		t.Fatal(err)
	}
}

func TestGaps_TheOldestOfAnEpochBecomeOne(t *testing.T) {
	path := temp(t)
	db := open(t, path)
	readGaps(t, db, 1, 1)
	readGaps(t, db, 2, 699)
	readGaps(t, db, 3, 500)
	gaps := db.Gaps()
	if len(gaps) != 1000 {
		t.Fatalf("%d gaps are kept", len(gaps))
	}
	if alone := gaps[0]; alone.Epoch != 1 || alone.To != 2 || alone.Cause != "cause 3" {
		t.Errorf("the only one of its epoch is %+v", alone)
	}
	joined := gaps[1]
	if joined.Epoch != 2 || joined.From != 1 || joined.To != 3*201-1 || joined.Missing != 402 || !strings.Contains(joined.Cause, "402 messages") || !strings.Contains(joined.Cause, "cause 603") {
		t.Errorf("the oldest of the next is %+v", joined)
	}
	if behind := gaps[2]; behind.From != 604 || behind.To != 605 || behind.Missing != 0 || behind.Cause != "cause 606" {
		t.Errorf("behind it is %+v", behind)
	}
	if newest := gaps[999]; newest.Epoch != 3 || newest.To != 1499 {
		t.Errorf("the newest is %+v", newest)
	}
	_ = db.Close()
	if report, err := storage.Check(path); err != nil || len(report.Problems) > 0 || report.Counters.Received != 1200 {
		t.Errorf("%d messages were received, %v, %v", report.Counters.Received, report.Problems, err)
	}
	if db = open(t, path); !slices.Equal(db.Gaps(), gaps) {
		t.Error("after a restart the gaps are others")
	}
}

func TestApply_GoesOnFromThePositionAlone(t *testing.T) {
	is := sm.Position{Stream: "JOBS", Epoch: 1, First: 1, Sequence: 5}
	at := func(change func(*sm.Position)) sm.Position {
		p := is
		p.Sequence = 8
		change(&p)
		return p
	}
	event := func(n int) sm.Event { return ev(n, sm.Server, "a", sm.ActBuild, "b", sm.PhaseFailed) }
	for name, c := range map[string]struct {
		log  []sm.Event
		to   sm.Position
		gaps []sm.Gap
	}{
		"a message twice":          {[]sm.Event{event(5)}, at(func(*sm.Position) {}), nil},
		"one before another":       {[]sm.Event{event(7), event(6)}, at(func(*sm.Position) {}), nil},
		"a message beyond":         {[]sm.Event{event(9)}, at(func(*sm.Position) {}), nil},
		"back":                     {nil, at(func(p *sm.Position) { p.Sequence = 4 }), nil},
		"another stream":           {nil, at(func(p *sm.Position) { p.Stream = "OTHER" }), nil},
		"another epoch":            {nil, at(func(p *sm.Position) { p.Epoch = 2 }), nil},
		"another base":             {nil, at(func(p *sm.Position) { p.Base = 1 }), nil},
		"another first message":    {nil, at(func(p *sm.Position) { p.First = 2 }), nil},
		"a gap that was passed":    {nil, at(func(*sm.Position) {}), []sm.Gap{{From: 5, To: 6}}},
		"a gap beyond":             {nil, at(func(*sm.Position) {}), []sm.Gap{{From: 8, To: 9}}},
		"a gap that is the inside": {nil, at(func(*sm.Position) {}), []sm.Gap{{From: 7, To: 6}}},
	} {
		t.Run(name, func(t *testing.T) {
			path := temp(t)
			db := open(t, path)
			if _, _, err := db.Apply(nil, is); err != nil {
				t.Fatal(err)
			}
			if _, _, err := db.Apply(entries(c.log), c.to, c.gaps...); err == nil || errors.Is(err, storage.ErrBroken) {
				t.Errorf("it was applied: %v", err)
			}
			if err := db.NewEpoch("JOBS", 3, 1, 0); !errors.Is(err, storage.ErrBroken) {
				t.Errorf("behind it a new epoch: %v", err)
			}
			_ = db.Close()
			db = open(t, path)
			if rows, _ := db.OutboxState(); db.Position() != is || db.Counters().Received != 0 || len(db.Gaps()) != 0 || rows != 0 {
				t.Errorf("left are %+v, %+v, %v, %d rows", db.Position(), db.Counters(), db.Gaps(), rows)
			}
		})
	}
}

func TestStep_NamesThePoints(t *testing.T) {
	var steps []string
	o := storage.Options{Path: temp(t), Step: func(name string) { steps = append(steps, name) }}
	for range 2 {
		db, err := storage.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		apply(t, db, entries([]sm.Event{ev(int(db.Position().Sequence)+1, sm.Server, "a", sm.ActBuild, "b", sm.PhaseStarted)}))
		_ = db.Close()
	}
	want := []string{"create", "open", "begin", "put", "committed", "open", "begin", "put", "committed"}
	if !slices.Equal(steps, want) {
		t.Errorf("the steps are %v", steps)
	}
}

func TestCheck_EpochsAndGapsBalance(t *testing.T) {
	for bucket, says := range map[string]string{"gaps": "of which 0 were gone", "epochs": "epoch that has not read it"} {
		t.Run(bucket, func(t *testing.T) {
			path := temp(t)
			db := open(t, path)
			gap := sm.Gap{Epoch: 1, From: 2, To: 3}
			to := sm.Position{Stream: "JOBS", Epoch: 1, First: 1, Sequence: 3}
			if _, _, err := db.Apply(entries([]sm.Event{ev(1, sm.Server, "a", sm.ActBuild, "b", sm.PhaseFailed)}), to, gap); err != nil {
				t.Fatal(err)
			}
			if err := db.NewEpoch("JOBS", 2, 1, 0); err != nil {
				t.Fatal(err)
			}
			_ = db.Close()
			if r, err := storage.Check(path); err != nil || len(r.Problems) > 0 {
				t.Fatalf("before: %q, %v", r.Problems, err)
			}
			tamper(t, path, bucket, func(b *bbolt.Bucket, k, _ []byte) error { return b.Delete(k) })
			r, err := storage.Check(path)
			if err != nil || !strings.Contains(strings.Join(r.Problems, "\n"), says) {
				t.Errorf("%q, %v", r.Problems, err)
			}
		})
	}
}

func TestOpen_TheLayoutBefore(t *testing.T) {
	path := temp(t)
	bolt, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = bolt.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("meta"))
		if err != nil {
			return err
		}
		return b.Put([]byte("layout"), []byte{0, 0, 0, 0, 0, 0, 0, 1})
	})
	if err := errors.Join(err, bolt.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Open(storage.Options{Path: path}); !errors.Is(err, storage.ErrLayout) || !strings.Contains(err.Error(), "begin with a new data directory") {
		t.Errorf("a store of layout 1: %v", err)
	}
}
