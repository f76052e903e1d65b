//go:build campaign

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"faultd/statemachine"
	"faultd/storage"
	"faultd/testdata/campaign"
)

// natsFault is something that happens to a cluster of nats-servers while events come.
type natsFault struct {
	name  string
	short bool // it is part of the short campaign
	// strike does it, sees the daemon through, and returns how often it has hit.
	strike func(*siege) int
}

// Three nats-servers are killed, stopped, damaged, rewound, and turned against the daemon. In the end its store is what
// the streams held, but for what it has said that it missed, and FAULTS has every telling once.
func TestCampaign_NATS(t *testing.T) {
	rounds := campaign.Count(t, "nats", 1, 3)
	seed := campaign.Seed(t, "nats")
	result, begun := campaign.Result{Campaign: "nats", Seed: seed}, time.Now()
	daemon, server := campaign.BuildBinary(t), buildServer(t)
	var struck []string
	for round := range rounds {
		for i, fault := range natsFaults {
			only := os.Getenv("CAMPAIGN_NATS_FAULT") // names, by comma
			if only != "" && !slices.Contains(strings.Split(only, ","), fault.name) || only == "" && rounds == 1 && !fault.short {
				continue
			}
			hits := 0
			t.Run(fmt.Sprintf("%s/%d", fault.name, round), func(t *testing.T) {
				s := newSiege(t, daemon, server, seed+uint64(round*len(natsFaults)+i), round)
				hits = s.run(fault)
				s.sum(&result)
				if hits == 0 && !t.Failed() {
					t.Error("it has not hit")
				}
			})
			result.Faults += hits
			struck = append(struck, fmt.Sprintf("%s %d", fault.name, hits))
		}
	}
	result.Seconds = time.Since(begun).Seconds()
	result.Note = "hits: " + strings.Join(struck, ", ")
	result.Report(t)
}

// siege is a round: a cluster, a daemon, what is published, and the model of what came.
type siege struct {
	*cluster
	round   int
	random  *rand.Rand
	daemon  *campaign.Daemon
	process *campaign.Process
	load    *campaign.Load
	ledger  *campaign.Ledger
	model   *campaign.Model
	quiet   func() // ends the publishing, and returns when it has ended
	gaps    [][2]uint64
	vague   bool // FAULTS has lost some of what was told
	total   int  // events that were acknowledged and are forgotten

	mu     sync.Mutex // guards what follows
	seen   map[string]bool
	states []string // that the daemon was in since the strike began, with the time and the reasons
}

func newSiege(t *testing.T, daemon, server string, seed uint64, round int) *siege {
	t.Helper()
	c := newCluster(t, server, everything)
	random := rand.New(rand.NewPCG(seed, 0))
	s := &siege{cluster: c, round: round, random: random, load: campaign.NewLoad(random, 300), ledger: &campaign.Ledger{}, model: campaign.NewModel(),
		quiet: func() {}, seen: map[string]bool{}}
	s.daemon = &campaign.Daemon{Binary: daemon, Dir: t.TempDir(), HTTP: campaign.FreeAddr(t), Args: []string{"--nats-url", c.url(daemonLogin)}}
	t.Cleanup(func() {
		s.quiet()
		if s.process != nil {
			s.process.Kill()
			if t.Failed() {
				t.Logf("seed %d; the log of the daemon ends:\n%s", seed, s.process.Log())
			}
		}
	})
	return s
}

// run makes the streams, has them filled, strikes, and verifies what came of it.
func (s *siege) run(fault natsFault) (hits int) {
	s.Helper()
	s.makeStreams()
	s.serve()
	s.ready()
	s.publish()
	s.more(1000)
	watching, stop := context.WithCancel(context.Background())
	var watcher sync.WaitGroup
	watcher.Go(func() { s.watch(watching) })
	hits = fault.strike(s)
	stop()
	watcher.Wait()
	s.Logf("the daemon's states:\n%s", strings.Join(s.states, "\n"))
	s.more(500)
	s.verify()
	return hits
}

// serve starts the daemon, with further flags.
func (s *siege) serve(flags ...string) {
	s.Helper()
	d := *s.daemon
	d.Args = append(slices.Clone(d.Args), flags...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = d.Start(s)
}

// again ends the daemon, in good order, and starts it with further flags.
func (s *siege) again(flags ...string) {
	s.Helper()
	if err := s.process.Stop(); err != nil {
		s.Fatalf("the daemon was told to end, and ended with %v; its log:\n%s", err, s.process.Log())
	}
	s.serve(flags...)
}

func (s *siege) ready() {
	s.Helper()
	if err := s.process.AwaitReady(); err != nil {
		s.Fatal(err)
	}
}

// refuses waits until the daemon is in a state in which it stays, and checks that it says what to do.
func (s *siege) refuses(state string, says ...string) {
	s.Helper()
	if err := s.process.AwaitState(state, time.Minute); err != nil {
		s.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	is, reasons, _ := s.process.Health()
	text := strings.Join(reasons, " ")
	for _, part := range says {
		if !strings.Contains(text, part) {
			s.Errorf("%s does not say %q: %s", is, part, text)
		}
	}
	if is != state {
		s.Errorf("the daemon was %s, and is %s by itself: %s", state, is, text)
	}
}

// publish publishes until quiet is called.
func (s *siege) publish() {
	ctx, cancel := context.WithCancel(context.Background())
	ended, random := make(chan struct{}), rand.New(rand.NewPCG(s.random.Uint64(), 1))
	go func() {
		defer close(ended)
		s.ledger.Publish(ctx, s.url(adminLogin), "JOBS", s.load, random, 200*time.Millisecond)
	}()
	s.quiet = func() {
		cancel()
		<-ended
	}
}

// more waits until so many further events were acknowledged.
func (s *siege) more(events int) {
	s.Helper()
	goal := s.ledger.Len() + events
	until(s, "events are acknowledged", func(context.Context) bool { return s.ledger.Len() >= goal })
}

// still ends the publishing, has the daemon apply everything, and takes it into the model. What happens to the streams
// behind that is known to have been applied, and told, before.
func (s *siege) still() {
	s.Helper()
	s.quiet()
	s.read()
	if err := s.process.AwaitApplied(s.model.Position.Sequence, time.Minute); err != nil {
		s.Fatal(err)
	}
	s.settled("FAULTS")
	if s.vague {
		s.checkSomeFaults()
	} else {
		s.model.CheckFaults(s, s.url(adminLogin))
	}
	s.total += s.ledger.Len()
	s.ledger = &campaign.Ledger{}
}

// read takes into the model what the stream has beyond it. All that was acknowledged must be there.
func (s *siege) read() {
	s.Helper()
	s.settled("JOBS")
	s.model.Read(s, s.url(adminLogin), "JOBS")
	s.model.CheckAcknowledged(s, s.ledger)
	if s.Failed() {
		s.FailNow()
	}
}

// verify compares everything with the model, after the daemon has ended as it should.
func (s *siege) verify() {
	s.Helper()
	s.ready()
	s.still()
	if err := s.process.Stop(); err != nil {
		s.Errorf("the daemon was told to end, and ended with %v; its log:\n%s", err, s.process.Log())
	}
	path := filepath.Join(s.daemon.Dir, "faultd.db")
	s.model.Check(s, path)
	must(s, "check", "--data-dir", s.daemon.Dir)
	s.checkGaps(path)
	c := s.model.Counters
	if c.Applied < 1000 || c.Ignored == 0 || c.Rejected == 0 || len(s.model.Tellings) < 50 {
		s.Errorf("too little was tried: %d told, %+v", len(s.model.Tellings), c)
	}
}

// checkSomeFaults is for a stream FAULTS that has lost some of what was told: what it has is in the model's list, each id
// once, and nothing of the present epoch is missing.
func (s *siege) checkSomeFaults() {
	s.Helper()
	want, due := map[string]bool{}, map[string]bool{}
	for i := range s.model.Tellings {
		id := campaign.TellingID(&s.model.Tellings[i])
		want[id] = true
		if s.model.Tellings[i].Ordinal > s.model.Position.Base {
			due[id] = true
		}
	}
	told := map[string]int{}
	last := uint64(0)
	until(s, "what is due is told", func(context.Context) bool {
		last = s.told(last, func(id string) {
			if told[id]++; told[id] > 1 || !want[id] {
				s.model.Twice++
				s.Fatalf("FAULTS has %s %d times; the log tells it: %t", id, told[id], want[id])
			}
			delete(due, id)
		})
		return len(due) == 0
	})
}

// told hands over the ids in FAULTS behind a sequence, and returns the sequence of the last.
func (s *siege) told(last uint64, take func(id string)) uint64 {
	source, err := s.js.OrderedConsumer(s.Context(), "FAULTS", jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: last + 1})
	if err != nil {
		return last
	}
	batch, err := source.Fetch(10_000, jetstream.FetchMaxWait(2*time.Second))
	if err != nil {
		return last
	}
	for msg := range batch.Messages() {
		var event struct{ ID string }
		if err := json.Unmarshal(msg.Data(), &event); err != nil {
			s.Fatalf("FAULTS: %v: %s", err, msg.Data())
		}
		if meta, err := msg.Metadata(); err == nil {
			last = meta.Sequence.Stream
		}
		take(event.ID)
	}
	return last
}

// checkGaps compares the gaps that the daemon has noted with those that were made.
func (s *siege) checkGaps(path string) {
	s.Helper()
	db, err := storage.Open(storage.Options{Path: path})
	if err != nil {
		s.Fatal(err)
	}
	defer db.Close()
	var noted [][2]uint64
	for _, g := range db.Gaps() {
		noted = append(noted, [2]uint64{g.From, g.To})
		if g.Cause == "" || g.Noticed == 0 {
			s.Errorf("a gap has no cause or no time: %+v", g)
		}
	}
	if !slices.Equal(noted, s.gaps) {
		s.Errorf("the gaps noted are %v, not %v", noted, s.gaps)
	}
	if len(s.model.Epochs) != len(db.Epochs()) {
		s.Errorf("the store has ended %d epochs, the log %d", len(db.Epochs()), len(s.model.Epochs))
	}
}

// rewound tells the model that the stream's sequences begin anew though it was not made anew.
func (s *siege) rewound(first uint64) {
	p := &s.model.Position
	s.model.Epochs = append(s.model.Epochs, *p)
	*p = statemachine.Position{Stream: p.Stream, Epoch: p.Epoch, First: first, Sequence: first - 1, Base: max(p.Base+p.Sequence+1, first) - first}
}

func (s *siege) sum(total *campaign.Result) {
	total.Operations += s.total + s.ledger.Len()
	total.Lost += s.model.Lost
	total.Twice += s.model.Twice
}

// watch notes the daemon's states until the context ends.
func (s *siege) watch(ctx context.Context) {
	last, begun := "", time.Now()
	for ctx.Err() == nil {
		s.mu.Lock()
		process := s.process
		s.mu.Unlock()
		if state, reasons, _ := process.Health(); state != last {
			last = state
			s.mu.Lock()
			s.seen[state] = true
			s.states = append(s.states, fmt.Sprintf("%5.1f s: %s %s", time.Since(begun).Seconds(), state, strings.Join(reasons, " ")))
			s.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// saw tells whether the daemon was in that state since the strike began.
func (s *siege) saw(state string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[state]
}
