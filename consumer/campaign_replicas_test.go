//go:build campaign

package consumer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats-server/v2/server/archive"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/api"
	"faultd/consumer"
	"faultd/statemachine"
	"faultd/storage"
	"faultd/testdata/campaign"
)

// Three replicas read one stream, each in batches of its own size and with restarts at moments of its own, while events
// come. Wherever two of them have stood at the same position, their states have had the same hash; in the end all of
// them are what the log says, and what they have told, all three, stands in FAULTS once.
func TestCampaign_Replicas(t *testing.T) {
	seeds := campaign.Seeds(t, "replicas", campaign.Count(t, "replicas", 10, 300))
	result, begun := campaign.Result{Campaign: "replicas", Seed: seeds[0]}, time.Now()
	var sum replicated
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { replicate(t, seed, &result, &sum) })
		if t.Failed() {
			break
		}
	}
	result.Seconds = time.Since(begun).Seconds()
	result.Note = fmt.Sprintf("%d seeds; %d commits, %d positions that two replicas or more have stood at, %d deleted resources let go, %d tellings",
		len(seeds), sum.commits, sum.common, sum.expired, sum.tellings)
	if sum.common < 20*len(seeds) || sum.expired < len(seeds) || sum.tellings < 20*len(seeds) {
		t.Errorf("too little was seen: %s", result.Note)
	}
	result.Report(t)
}

// replicated is what was seen of replicas.
type replicated struct{ commits, common, expired, tellings int }

func replicate(t *testing.T, seed uint64, result *campaign.Result, sum *replicated) {
	random := rand.New(rand.NewPCG(seed, 0))
	load := campaign.NewLoad(random, 60+random.IntN(300))
	retention := time.Duration(random.IntN(4)) * 5 * time.Minute // 0 is for ever
	b := newBench(t)
	b.makeOldStream(withDeletions(random, load.Next(100+random.IntN(300))), time.Duration(1+random.IntN(5))*time.Hour)

	hashes := &hashes{at: map[uint64]uint64{}}
	goal := make(chan uint64)
	var replicas sync.WaitGroup
	paths := [3]string{}
	for i := range paths {
		paths[i] = filepath.Join(t.TempDir(), "faultd.db")
		r := &replica{TB: t, path: paths[i], url: b.server.URL(), retention: retention, hashes: hashes, random: rand.New(rand.NewPCG(seed, uint64(i+1)))}
		replicas.Go(func() { r.live(goal) })
	}
	var ledger campaign.Ledger
	publishChunks(t, &ledger, b.server.URL(), load.Next(300+random.IntN(400)), random)
	last := b.stream().CachedInfo().State.LastSeq
	for range paths {
		goal <- last
	}
	replicas.Wait()
	if t.Failed() {
		return
	}

	model := &mortal{Model: campaign.NewModel(), retention: statemachine.Time(retention), newest: map[statemachine.Key]statemachine.Time{}}
	model.read(b)
	for _, path := range paths {
		model.Check(t, path)
	}
	model.CheckFaults(t, b.server.URL())
	result.Operations += int(last)
	result.Faults += hashes.restarts
	result.Lost += model.Lost
	result.Twice += model.Twice
	sum.commits += hashes.commits
	sum.common += hashes.common
	sum.expired += model.expired
	sum.tellings += len(model.Tellings)
}

// withDeletions deletes a resource behind every tenth event or so.
func withDeletions(random *rand.Rand, events []campaign.Message) (all []campaign.Message) {
	for i, event := range events {
		all = append(all, event)
		if random.IntN(10) > 0 {
			continue
		}
		part := strings.Split(event.Subject, ".") // jobs, tenant, kind, id, phase
		part[4] = "succeeded"
		all = append(all, campaign.Message{Subject: strings.Join(part, "."),
			Data: fmt.Appendf(nil, `{"specversion":"1.0","type":"io.faultd.v1.job.succeeded","source":"campaign","id":"d-%d","time":%q,`+
				`"data":{"job":{"id":"d-%d","action":"delete"},"resource":{"kind":%q,"id":%q,"tenant_id":%q}}}`,
				i, time.Now().UTC().Format(time.RFC3339Nano), i, part[2], part[3], part[1])})
	}
	return all
}

// publishChunks publishes some events at a time, with moments of silence.
func publishChunks(t *testing.T, ledger *campaign.Ledger, url string, all []campaign.Message, random *rand.Rand) {
	t.Helper()
	for len(all) > 0 {
		n := min(1+random.IntN(200), len(all))
		if err := ledger.PublishAll(t.Context(), url, "JOBS", all[:n]); err != nil {
			t.Fatal(err)
		}
		all = all[n:]
		time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
	}
}

// makeOldStream makes a stream of events that came over that time until now: a server gives every message that it is
// sent the present time, but those of a backup keep theirs.
func (b *bench) makeOldStream(events []campaign.Message, over time.Duration) {
	b.Helper()
	state := server.StreamState{Msgs: uint64(len(events)), FirstSeq: 1, LastSeq: uint64(len(events))}
	request, err := json.Marshal(map[string]any{"state": state,
		"config": jetstream.StreamConfig{Name: "JOBS", Subjects: consumer.Subjects, AllowAtomicPublish: true, MaxBytes: 1 << 30}})
	if err != nil {
		b.Fatal(err)
	}
	deliver := b.ask("$JS.API.STREAM.RESTORE.JOBS", request).Deliver
	backup := b.backup(state, events, over)
	for part := range slices.Chunk(backup, 1<<17) {
		b.ask(deliver, part)
	}
	b.ask(deliver, nil)
}

type answer struct {
	Deliver string              `json:"deliver_subject"`
	Error   *jetstream.APIError `json:"error"`
}

func (b *bench) ask(subject string, data []byte) (a answer) {
	b.Helper()
	msg, err := b.js.Conn().Request(subject, data, patience)
	if err == nil && len(msg.Data) > 0 {
		err = json.Unmarshal(msg.Data, &a)
	}
	if err != nil || a.Error != nil {
		b.Fatalf("%s: %v, %v", subject, err, a.Error)
	}
	return a
}

// backup is a stream as the server backs it up.
func (b *bench) backup(state server.StreamState, events []campaign.Message, over time.Duration) []byte {
	b.Helper()
	var out bytes.Buffer
	compressed := s2.NewWriter(&out)
	w := archive.NewWriter(compressed)
	write := func(h archive.Header, data []byte) {
		h.PayloadSize = int64(len(data))
		if err := w.WriteHeader(&h); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			b.Fatal(err)
		}
	}
	text, err := json.Marshal(state)
	if err != nil {
		b.Fatal(err)
	}
	write(archive.Header{Name: "state.json"}, text)
	at, step := time.Now().Add(-over), over/time.Duration(len(events)+1)
	for i, event := range events {
		at = at.Add(step)
		write(archive.Header{Name: event.Subject, Timestamp: at.UnixNano(), Sequence: uint64(i + 1)}, event.Data)
	}
	write(archive.Header{}, nil)
	if err := errors.Join(w.Close(), compressed.Close()); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// hashes are the hashes that the replicas have had, by position.
type hashes struct {
	mu       sync.Mutex // guards what follows
	at       map[uint64]uint64
	common   int
	commits  int
	restarts int
}

func (h *hashes) note(t testing.TB, position, hash uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.commits++
	was, known := h.at[position]
	switch {
	case !known:
		h.at[position] = hash
	case was == hash:
		h.common++
	default:
		t.Errorf("at position %d one replica has the state %016x, another %016x", position, was, hash)
	}
}

// replica is a consumer with its store, begun again and again.
type replica struct {
	testing.TB
	path, url string
	retention time.Duration
	hashes    *hashes
	random    *rand.Rand
}

// noting is a store that notes its hash behind every commit.
type noting struct {
	*storage.DB
	replica *replica
}

func (n *noting) Apply(batch []statemachine.Entry, to statemachine.Position, gaps ...statemachine.Gap) (apply, commit time.Duration, err error) {
	apply, commit, err = n.DB.Apply(batch, to, gaps...)
	if err == nil {
		position, _, hash := n.State()
		n.replica.hashes.note(n.replica, position.Sequence, hash)
	}
	return apply, commit, err
}

// live runs one session after the other, and the last one until the goal is reached.
func (r *replica) live(goal <-chan uint64) {
	for !r.Failed() {
		length := time.Duration(20+r.random.IntN(250)) * time.Millisecond
		select {
		case last := <-goal:
			r.session(func(db *storage.DB) bool {
				rows, _ := db.OutboxState()
				return db.Position().Sequence == last && rows == 0
			})
			return
		default:
			end := time.Now().Add(length)
			r.session(func(*storage.DB) bool { return time.Now().After(end) })
		}
	}
	<-goal
}

// session opens the store, runs a consumer until that is so, ends it and closes the store.
func (r *replica) session(over func(*storage.DB) bool) {
	db, err := storage.Open(storage.Options{Path: r.path, Retention: r.retention})
	if err != nil {
		r.Error(err)
		return
	}
	defer db.Close()
	source := consumer.New(consumer.Config{Store: &noting{db, r}, Outbox: db, Render: renderForAll, RenderFault: api.RenderFault,
		URL: r.url, BatchEvents: 1 + r.random.IntN(1<<r.random.IntN(10)), BatchBytes: 1 << (8 + r.random.IntN(12)), Linger: time.Duration(r.random.IntN(5)+1) * time.Millisecond,
		CheckEvery: time.Duration(20+r.random.IntN(300)) * time.Millisecond})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- source.Run(ctx) }()
	for !over(db) && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if ctx.Err() != nil {
		r.Errorf("the replica has not come to its end: %+v at %+v", source.Status(), db.Position())
	}
	cancel()
	if err := <-done; err != nil {
		r.Error(err)
	}
	r.hashes.mu.Lock()
	defer r.hashes.mu.Unlock()
	r.hashes.restarts++
}

// renderForAll renders a resource as the daemon has it rendered for FAULTS.
func renderForAll(r *statemachine.Resource) []byte { return api.Render(r, false) }

// mortal is a model that lets go of deleted resources when their retention is over.
type mortal struct {
	*campaign.Model
	retention statemachine.Time
	clock     statemachine.Time
	newest    map[statemachine.Key]statemachine.Time // of the resources' lines of history
	expired   int
}

func (m *mortal) read(b *bench) {
	b.Helper()
	info := b.stream().CachedInfo()
	m.Position = statemachine.Position{Stream: "JOBS", Epoch: statemachine.At(info.Created), First: 1}
	source, err := b.js.OrderedConsumer(b.Context(), "JOBS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		b.Fatal(err)
	}
	for m.Position.Sequence < info.State.LastSeq {
		batch, err := source.FetchNoWait(1000)
		if err != nil {
			b.Fatal(err)
		}
		for msg := range batch.Messages() {
			meta, err := msg.Metadata()
			if err != nil {
				b.Fatal(err)
			}
			m.take(consumer.Message{Subject: msg.Subject(), Header: msg.Headers(), Data: msg.Data(), Sequence: meta.Sequence.Stream, StreamTime: statemachine.At(meta.Timestamp)})
		}
	}
}

// take lets go of what is due, and applies a message.
func (m *mortal) take(msg consumer.Message) {
	const minute = statemachine.Time(time.Minute)
	if was := m.clock; msg.StreamTime > was {
		m.clock = msg.StreamTime
		if m.retention > 0 && m.clock/minute != was/minute {
			m.expire(m.clock/minute*minute - m.retention)
		}
	}
	key := consumer.Decode(msg).Event.Key
	lines := m.History[key]
	m.Apply(msg)
	if m.History[key] > lines {
		m.newest[key] = msg.StreamTime
	}
}

func (m *mortal) expire(until statemachine.Time) {
	for key, r := range m.Resources {
		if r.Status == statemachine.Deleted && m.newest[key] <= until {
			delete(m.Resources, key)
			delete(m.History, key)
			m.expired++
		}
	}
}
