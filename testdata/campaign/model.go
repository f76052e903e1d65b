package campaign

import (
	"context"
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer"
	sm "faultd/statemachine"
)

// Model is what the log says, by a map.
type Model struct {
	Resources map[sm.Key]sm.Resource
	History   map[sm.Key]int // lines ever
	Counters  sm.Counters
	Position  sm.Position // but for its digest
	Epochs    []sm.Position
	Tellings  []sm.Telling // oldest first

	Lost, Twice int // what the checks found

	byID    map[sm.Key][]sm.Key // resources by kind and id
	digests map[uint64]uint64   // of the epoch's messages, by sequence
}

// NewModel is one of an empty log.
func NewModel() *Model {
	return &Model{Resources: map[sm.Key]sm.Resource{}, History: map[sm.Key]int{}, byID: map[sm.Key][]sm.Key{}, digests: map[uint64]uint64{}}
}

// ReadModel reads the whole stream.
func ReadModel(t testing.TB, url, stream string) *Model {
	t.Helper()
	m := NewModel()
	m.Read(t, url, stream)
	return m
}

// Read reads what the stream has beyond what the model knows. A stream that was made anew is another epoch, and is
// read from its beginning. What was read before must be in the stream still, or must have been taken away on
// purpose: read it before it is.
func (m *Model) Read(t testing.TB, url, stream string) {
	t.Helper()
	conn, err := nats.Connect(url, nats.Timeout(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	info, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatalf("looking at stream %s: %v", stream, err)
	}
	state := info.CachedInfo()
	m.begin(stream, sm.At(state.Created), max(state.State.FirstSeq, 1))
	eachMessage(t, info, m.Position.Sequence+1, m.Apply)
}

// begin begins an epoch, where the stream is another one.
func (m *Model) begin(stream string, epoch sm.Time, first uint64) {
	p := &m.Position
	if p.Stream == stream && p.Epoch == epoch {
		return
	}
	next := sm.Position{Stream: stream, Epoch: epoch, First: first, Sequence: first - 1}
	if p.Stream != "" {
		m.Epochs = append(m.Epochs, *p)
		next.Base = max(p.Base+p.Sequence+1, first) - first
	}
	*p = next
	clear(m.digests)
}

// eachMessage hands over every message that a stream has from start on.
func eachMessage(t testing.TB, stream jetstream.Stream, start uint64, take func(consumer.Message)) {
	t.Helper()
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := info.State.LastSeq
	if info.State.Msgs == 0 || last < start {
		return
	}
	for tries := 0; ; tries++ {
		start, err = someMessages(t, stream, start, last, take)
		if err == nil {
			return
		}
		if tries == 5 {
			t.Fatalf("reading stream %s: %v", info.Config.Name, err)
		}
	}
}

// someMessages hands messages over until there are no more up to last, or until none comes: a cluster that was disturbed
// may lose a request. It returns where to go on.
func someMessages(t testing.TB, stream jetstream.Stream, start, last uint64, take func(consumer.Message)) (uint64, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	source, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: start,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute})
	if err != nil {
		return start, err
	}
	messages, err := source.Messages(jetstream.PullMaxMessages(5000))
	if err != nil {
		return start, err
	}
	defer messages.Stop()
	for n := uint64(1); ; n++ {
		msg, err := messages.Next(jetstream.NextMaxWait(5 * time.Second))
		if err != nil {
			return start, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		if meta.Sequence.Consumer != n {
			return start, fmt.Errorf("delivery %d came as number %d", meta.Sequence.Consumer, n)
		}
		take(consumer.Message{Subject: msg.Subject(), Header: msg.Headers(), Data: msg.Data(), Sequence: meta.Sequence.Stream, StreamTime: sm.At(meta.Timestamp)})
		start = meta.Sequence.Stream + 1
		if meta.NumPending == 0 || meta.Sequence.Stream >= last {
			return start, nil
		}
	}
}

// Apply takes the epoch's next message.
func (m *Model) Apply(msg consumer.Message) {
	m.digests[msg.Sequence] = digest(msg.Subject, msg.Data)
	m.Position.Sequence, m.Position.StreamTime = msg.Sequence, msg.StreamTime
	msg.Sequence += m.Position.Base
	e := consumer.Decode(msg)
	reason := e.Reason
	if reason == 0 {
		reason = m.decide(e.Event)
	}
	m.Counters.Count(reason, e.Unknown)
}

func (m *Model) decide(e sm.Event) sm.Reason {
	if e.Tenant == "" || e.Job == "" {
		var known []sm.Resource
		for _, key := range m.byID[sm.Key{Kind: e.Kind, ID: e.Key.ID}] {
			if e.Tenant == "" || e.Tenant == key.Tenant {
				known = append(known, m.Resources[key])
			}
		}
		var reason sm.Reason
		if e, reason = sm.Resolve(e, known); reason != 0 {
			return reason
		}
	}
	was := m.Resources[e.Key]
	is, outcome := sm.Apply(was, e)
	if was.Status == 0 && is.Status != 0 {
		nameless := sm.Key{Kind: e.Kind, ID: e.Key.ID}
		m.byID[nameless] = append(m.byID[nameless], e.Key)
	}
	if is.Status != 0 {
		m.Resources[e.Key] = is
	}
	if outcome.Transition != nil {
		m.History[e.Key]++
		m.tell(&was, &is, &e, outcome.Transition.From)
	}
	return outcome.Reason
}

// tell notes what the event has to have told to the outside.
func (m *Model) tell(was, is *sm.Resource, e *sm.Event, from sm.Status) {
	t := sm.Telling{Ordinal: e.Sequence, Epoch: m.Position.Epoch, Sequence: m.Position.Sequence, StreamTime: e.StreamTime, Time: e.Time,
		Previous: from, Resource: *is}
	switch {
	case is.Status == sm.Error && (was.Status != sm.Error || !sameFault(was.Fault, is.Fault)):
		t.Raised, t.Fault = true, is.Fault
	case was.Status == sm.Error && is.Status != sm.Error:
		t.Fault = was.Fault
	default:
		return
	}
	m.Tellings = append(m.Tellings, t)
}

func sameFault(f, g *sm.Fault) bool { return f.Sequence == g.Sequence && f.Summary == g.Summary }

// CheckAcknowledged looks up every message of the ledger in what was read of the stream.
func (m *Model) CheckAcknowledged(t testing.TB, l *Ledger) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	missing, first := 0, uint64(0)
	for sequence, want := range l.acked {
		if m.digests[sequence] != want {
			if missing++; missing == 1 || sequence < first {
				first = sequence
			}
		}
	}
	if missing > 0 {
		m.Lost += missing
		t.Errorf("%d messages were acknowledged and are not in the stream, such as that with sequence %d; it ends at %d", missing, first, m.Position.Sequence)
	}
}

// digest stands for a message.
func digest(subject string, data []byte) uint64 {
	h := fnv.New64a()
	h.Write([]byte(subject))
	h.Write([]byte{0})
	h.Write(data)
	return h.Sum64()
}
