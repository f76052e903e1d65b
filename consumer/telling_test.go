package consumer_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"faultd/api"
	"faultd/consumer"
	"faultd/statemachine"
	"faultd/testdata/campaign"
)

// tell has a consumer tell what the outbox holds.
func tell(box consumer.Outbox) func(*consumer.Config) {
	return func(cfg *consumer.Config) {
		cfg.Outbox, cfg.RenderFault = box, api.RenderFault
		cfg.RenderDiagnosis = func(t *statemachine.Telling) []byte {
			return api.RenderDiagnosis(&t.Resource, t.Action, t.Fault, false)
		}
		cfg.Render = func(r *statemachine.Resource) []byte { return api.Render(r, false) }
	}
}

// publishLines publishes events and returns the sequence of the last.
func (b *bench) publishLines(all ...string) uint64 {
	b.Helper()
	r, err := consumer.Publish(b.Context(), b.js.Conn(), strings.NewReader(strings.Join(all, "\n")+"\n"), consumer.PublishOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return r.Sequence
}

// failing is the event by which the nth job of a server fails, healing the one by which it succeeds.
func failing(server string, n int) string {
	return ending(server, n, "failed", `,"fault":{"code":404,"message":"no image <b>","details":"d & e"}`)
}

func healing(server string, n int) string { return ending(server, n, "succeeded", "") }

func ending(server string, n int, phase, more string) string {
	return fmt.Sprintf(`{"specversion":"1.0","type":"io.faultd.v1.job.%s","source":"test","id":"%s-%d-%s","time":"2026-11-21T02:%02d:%02dZ",`+
		`"data":{"job":{"id":"%s-%d","action":"rebuild"},"resource":{"kind":"server","id":"%s","tenant_id":"t1"}%s}}`,
		phase, server, n, phase, n/60%60, n%60, server, n, server, more)
}

// message is one of FAULTS.
type message struct {
	*jetstream.RawStreamMsg
	event struct {
		SpecVersion, Type, Source, ID, Time, Subject string
		Data                                         struct {
			Resource, Fault json.RawMessage
			Previous        string `json:"previous_status"`
			Action          string
			Diagnosis       json.RawMessage
			Cut             []string
		}
	}
}

// faults reads all of FAULTS once it has that many messages.
func (b *bench) faults(n uint64) (all []message) {
	b.Helper()
	var state jetstream.StreamState
	b.await(fmt.Sprintf("%d messages in FAULTS", n), func() bool {
		stream, err := b.js.Stream(b.Context(), "FAULTS")
		if err != nil {
			return false
		}
		state = stream.CachedInfo().State
		return state.Msgs >= n
	})
	if state.Msgs != n {
		b.Fatalf("FAULTS has %d messages, want %d", state.Msgs, n)
	}
	stream, err := b.js.Stream(b.Context(), "FAULTS")
	if err != nil {
		b.Fatal(err)
	}
	for sequence := max(state.FirstSeq, 1); sequence <= state.LastSeq; sequence++ {
		m := message{}
		if m.RawStreamMsg, err = stream.GetMsg(b.Context(), sequence); err != nil {
			b.Fatal(err)
		}
		if err := json.Unmarshal(m.Data, &m.event); err != nil {
			b.Fatalf("%v in %s", err, m.Data)
		}
		all = append(all, m)
	}
	return all
}

func (b *bench) await(what string, is func() bool) {
	b.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("waited for %s", what)
		}
	}
}

// awaitTold waits until the outbox is empty.
func (b *bench) awaitTold(box consumer.Outbox) {
	b.Helper()
	b.await("an empty outbox", func() bool { rows, _ := box.OutboxState(); return rows == 0 })
}

// checkFaults compares FAULTS with what the job stream has to have told.
func (b *bench) checkFaults() *campaign.Model {
	b.Helper()
	m := campaign.ReadModel(b, b.server.URL(), "JOBS")
	m.CheckFaults(b, b.server.URL())
	return m
}

// gate is an outbox that shows nothing before it is open.
type gate struct {
	*recorder
	open chan struct{}
}

func (g *gate) shut() bool {
	select {
	case <-g.open:
		return false
	default:
		return true
	}
}

func (g *gate) Outbox(after uint64, limit int) ([]statemachine.Telling, error) {
	if g.shut() {
		return nil, nil
	}
	return g.recorder.Outbox(after, limit)
}

func (g *gate) Changed() <-chan struct{} {
	if g.shut() {
		return g.open
	}
	return g.recorder.Changed()
}

// forgetful is an outbox whose process dies before it could note what was told.
type forgetful struct{ *recorder }

func (forgetful) Told(uint64) {}

// logText is a log, which a connection's goroutines still write when Run has returned.
type logText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestTelling_RaisedAndCleared(t *testing.T) {
	b, store := newBench(t), newStore(t)
	r := b.run(store, tell(store))
	r.await(consumer.Ready, 0)
	b.publishLines(ending("s1", 1, "started", ""), failing("s1", 1), failing("s1", 2), healing("s1", 3))
	all := b.faults(3)
	model := b.checkFaults()

	for i, want := range []struct{ what, previous string }{{"raised", "REBUILD"}, {"raised", "ERROR"}, {"cleared", "ERROR"}} {
		m, row := all[i], model.Tellings[i]
		if e := m.event; m.Subject != "faults.t1.server.s1."+want.what || e.Type != "io.faultd.v1.fault."+want.what || e.SpecVersion != "1.0" ||
			e.Source != "faultd" || e.ID != campaign.TellingID(&row) || e.Time != fmt.Sprintf("2026-11-21T02:00:0%dZ", i+1) ||
			e.Subject != "t1/server/s1" || e.Data.Previous != want.previous || e.Data.Cut != nil {
			t.Errorf("message %d on %s: %s", i, m.Subject, m.Data)
		}
		if !bytes.Equal(m.event.Data.Resource, api.Render(&row.Resource, false)) || !bytes.Equal(m.event.Data.Fault, api.RenderFault(row.Fault)) {
			t.Errorf("message %d: %s", i, m.Data)
		}
		position := fmt.Sprintf("JOBS/%s/%d", row.Epoch.Std().Format(time.RFC3339Nano), i+2)
		if m.Header.Get("Faultd-Position") != position || m.Header.Get("Faultd-Stream-Time") != row.StreamTime.Std().Format(time.RFC3339Nano) ||
			m.Header.Get("Content-Type") != "application/cloudevents+json" || m.Header.Get("Nats-Msg-Id") != "" {
			t.Errorf("message %d: headers %v, want position %s", i, m.Header, position)
		}
	}
	// What was cleared is told with what the resource showed of it before, and does no longer.
	var before struct{ Diagnosis json.RawMessage }
	if err := json.Unmarshal(all[1].event.Data.Resource, &before); err != nil || len(before.Diagnosis) == 0 {
		t.Fatalf("%s: %v", all[1].Data, err)
	}
	if d := all[2].event.Data; d.Action != "rebuild" || !bytes.Equal(d.Diagnosis, before.Diagnosis) {
		t.Errorf("cleared: %s and %s, it was %s", d.Action, d.Diagnosis, before.Diagnosis)
	}
	if d := all[0].event.Data; d.Action != "" || d.Diagnosis != nil {
		t.Errorf("raised: %s and %s", d.Action, d.Diagnosis)
	}
	b.awaitTold(store)
}

// publishLoad publishes that many events of all kinds.
func (b *bench) publishLoad(seed uint64, n int) {
	b.Helper()
	load := campaign.NewLoad(rand.New(rand.NewPCG(seed, 0)), 40)
	if err := new(campaign.Ledger).PublishAll(b.Context(), b.server.URL(), "JOBS", load.Next(n)); err != nil {
		b.Fatal(err)
	}
}

// A process that ends between the acknowledgement and noting it tells nothing twice.
func TestTelling_DiesBeforeItNotes(t *testing.T) {
	b, store := newBench(t), newStore(t)
	r := b.run(store, tell(forgetful{store}))
	r.await(consumer.Ready, 0)
	for round := range uint64(4) {
		b.publishLoad(round, 100)
		r.await(consumer.Ready, (round+1)*100)
		rows, _ := store.OutboxState()
		b.faults(rows)
		r.stop()
		r = b.run(store, tell(forgetful{store}))
	}
	r.stop()
	b.run(store, tell(store))
	b.awaitTold(store)
	b.checkFaults()
}

// Who reads a long backlog pauses between what it tells, and tells of all of it.
func TestTelling_FarBehind(t *testing.T) {
	b, store := newBench(t), newStore(t)
	r := b.run(store, tell(store))
	r.await(consumer.Ready, 0)
	r.stop()
	b.publishLoad(1, 60_000)
	r = b.run(store, tell(store), func(cfg *consumer.Config) { cfg.BatchEvents = 500 })
	r.await(consumer.Ready, 60_000)
	b.awaitTold(store)
	b.checkFaults()
}

func TestTelling_ServerRestarts(t *testing.T) {
	b, store := newBench(t), newStore(t)
	r := b.run(store, tell(store))
	r.await(consumer.Ready, 0)
	for round := range uint64(3) {
		b.publishLoad(round, 200)
		b.stop()
		b.start()
		b.await("a connection", func() bool { return r.Status().State == consumer.Ready })
	}
	r.await(consumer.Ready, 600)
	b.awaitTold(store)
	b.checkFaults()
}

// Three replicas of one log, stopped and started, one of them far behind: the list is told as one would tell it.
func TestTelling_Replicas(t *testing.T) {
	b := newBench(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	slow := &gate{newStore(t), make(chan struct{})}
	stores := []*recorder{newStore(t), newStore(t), slow.recorder}
	boxes := []consumer.Outbox{stores[0], stores[1], slow}
	replicas := make([]*running, len(stores))
	start := func(i int) {
		replicas[i] = b.run(stores[i], tell(boxes[i]), func(cfg *consumer.Config) { cfg.BatchEvents = 1 + random.IntN(100) })
	}
	for i := range replicas {
		start(i)
	}
	replicas[0].await(consumer.Ready, 0)
	for round := range uint64(12) {
		b.publishLoad(seed+round, 150)
		i := random.IntN(len(replicas))
		replicas[i].stop()
		start(i)
	}
	for i, r := range replicas[:2] {
		r.await(consumer.Ready, 12*150)
		b.awaitTold(stores[i])
	}
	close(slow.open)
	b.awaitTold(slow)
	model := b.checkFaults()
	if len(model.Tellings) < 100 {
		t.Errorf("only %d rows", len(model.Tellings))
	}

	fresh := newStore(t)
	b.run(fresh, tell(fresh)).await(consumer.Ready, 12*150)
	b.awaitTold(fresh)
	b.faults(uint64(len(model.Tellings)))
}

// What was committed is told although the job stream can be read no further.
func TestTelling_InGap(t *testing.T) {
	b, store := newBench(t), newStore(t)
	silent := b.run(store, tell(&gate{store, make(chan struct{})}))
	silent.await(consumer.Ready, 0)
	last := b.publishLines(failing("s1", 1), healing("s1", 2))
	silent.await(consumer.Ready, last)
	silent.stop()
	b.publish(0, 10)
	if err := b.stream().Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := b.run(store, tell(store))
	r.await(consumer.Gap, last)
	b.faults(2)
}

func TestTelling_Metrics(t *testing.T) {
	b, store := newBench(t), newStore(t)
	box := &gate{store, make(chan struct{})}
	registry := prometheus.NewRegistry()
	r := b.run(store, tell(box), func(cfg *consumer.Config) {
		cfg.Registerer, cfg.Now = registry, func() time.Time { return time.Now().Add(time.Hour) }
	})
	r.await(consumer.Ready, 0)
	r.await(consumer.Ready, b.publishLines(failing("s1", 1), healing("s1", 2)))
	if m := gathered(t, registry); m["faultd_outbox_rows"] != 2 || m["faultd_outbox_oldest_seconds"] < 3600 || m["faultd_outbox_oldest_seconds"] > 3700 ||
		m["faultd_outbox_told_total self"] != 0 {
		t.Errorf("before it is told: %v", m)
	}
	close(box.open)
	b.awaitTold(box)
	b.await("the count", func() bool { return gathered(t, registry)["faultd_outbox_told_total self"] == 2 })
	if m := gathered(t, registry); m["faultd_outbox_rows"] != 0 || m["faultd_outbox_oldest_seconds"] != 0 || m["faultd_outbox_failures_total"] != 0 {
		t.Errorf("when it is told: %v", m)
	}
}

// gathered is the value of each outbox metric, by its name and label.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values
}
