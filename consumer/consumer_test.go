package consumer_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"faultd/consumer"
	"faultd/statemachine"
)

func TestRun_MakesStream(t *testing.T) {
	b := newBench(t)
	r := b.run(newStore(t))
	r.await(consumer.Ready, 0)
	cfg := b.stream().CachedInfo().Config
	if !slices.Equal(cfg.Subjects, consumer.Subjects) || cfg.Storage != jetstream.FileStorage || !cfg.AllowAtomicPublish ||
		cfg.MaxAge != 7*24*time.Hour || cfg.MaxBytes != 1<<30 || cfg.Retention != jetstream.LimitsPolicy {
		t.Fatalf("made as %+v", cfg)
	}

	b.publish(1, 11)
	r.await(consumer.Ready, 10)
	r.wantOnce(1, 11)
	info := b.stream().CachedInfo()
	pos := r.store.Position()
	if pos.Stream != "JOBS" || pos.Epoch != statemachine.At(info.Created) || pos.First != 1 || pos.Digest == 0 ||
		pos.StreamTime != statemachine.At(info.State.LastTime) {
		t.Fatalf("position %+v, stream %+v", pos, info.State)
	}
}

func TestRun_LeavesStreamAlone(t *testing.T) {
	b := newBench(t)
	_, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "JOBS", Subjects: append([]string{"more.*"}, consumer.Subjects...), MaxMsgs: 77})
	if err != nil {
		t.Fatal(err)
	}
	was := b.stream().CachedInfo().Config
	b.run(newStore(t)).await(consumer.Ready, 0)
	if is := b.stream().CachedInfo().Config; !reflect.DeepEqual(is, was) {
		t.Fatalf("was %+v, is %+v", was, is)
	}
}

func TestRun_StreamLacksSubject(t *testing.T) {
	b := newBench(t)
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}}); err != nil {
		t.Fatal(err)
	}
	r := b.run(newStore(t))
	if err := r.end(); !errors.Is(err, consumer.ErrSubjects) || !strings.Contains(err.Error(), "openstack.>") {
		t.Fatalf("got %v", err)
	}
	if s := r.Status(); s.State != consumer.Failed {
		t.Fatalf("state %s", s.State)
	}
}

func TestRun_FreshStoreBeginsAtFirstMessage(t *testing.T) {
	b := newBench(t)
	stream := b.makeStream()
	b.publish(1, 11)
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(5)); err != nil {
		t.Fatal(err)
	}
	r := b.run(newStore(t))
	r.await(consumer.Ready, 10)
	r.wantOnce(5, 11)
	if first := r.store.Position().First; first != 5 {
		t.Fatalf("first is %d, want 5", first)
	}
}

func TestRun_ContinuesBehindPosition(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	store := newStore(t)
	for n := range 5 {
		r := b.run(store)
		b.publish(n*100+1, n*100+51)
		r.await(consumer.Ready, uint64(n*100+50))
		r.stop()
		b.publish(n*100+51, n*100+101)
	}
	r := b.run(store)
	r.await(consumer.Ready, 500)
	r.wantOnce(1, 501)
}

func TestRun_ServerRestarts(t *testing.T) {
	b := newBench(t)
	r := b.run(newStore(t))
	r.await(consumer.Ready, 0)
	b.publish(1, 101)
	r.await(consumer.Ready, 100)
	for n := uint64(1); n < 4; n++ {
		b.stop()
		if s := r.await(consumer.Disconnected, n*100); len(s.Reasons) != 1 {
			t.Fatalf("no reason in %+v", s)
		}
		b.start()
		b.publish(int(n)*100+1, int(n)*100+101)
		r.await(consumer.Ready, n*100+100)
	}
	r.wantOnce(1, 401)
}

func TestRun_ServerComesLate(t *testing.T) {
	b := newBench(t)
	b.stop()
	b.config.Addr = freeAddress(t)
	r := b.run(newStore(t), func(c *consumer.Config) { c.URL = "nats://" + b.config.Addr })
	r.await(consumer.Disconnected, 0)
	b.start()
	r.await(consumer.Ready, 0)
}

func TestRun_ConsumerDeleted(t *testing.T) {
	b := newBench(t)
	r := b.run(newStore(t))
	r.await(consumer.Ready, 0)
	b.publish(1, 11)
	r.await(consumer.Ready, 10)
	for name := range b.stream().ConsumerNames(t.Context()).Name() {
		if err := b.js.DeleteConsumer(t.Context(), "JOBS", name); err != nil {
			t.Fatal(err)
		}
	}
	b.publish(11, 21)
	r.await(consumer.Ready, 20)
	r.wantOnce(1, 21)
}

func TestRun_StoreFails(t *testing.T) {
	b := newBench(t)
	store := newStore(t)
	broken := errors.New("disk on fire")
	store.before = func(batch []statemachine.Entry) error {
		if batch[len(batch)-1].Sequence > 10 {
			return broken
		}
		return nil
	}
	r := b.run(store)
	r.await(consumer.Ready, 0)
	b.publish(1, 11)
	r.await(consumer.Ready, 10)
	b.publish(11, 21)
	if err := r.end(); !errors.Is(err, consumer.ErrStore) || !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	if s := r.Status(); s.State != consumer.Failed {
		t.Fatalf("state %s", s.State)
	}
	r.wantOnce(1, 11)
}

// A store that fails while it is told to stop has failed all the same.
func TestRun_StoreFailsWhileStopping(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	b.publish(1, 11)
	store := newStore(t)
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	store.before = func([]statemachine.Entry) error {
		entered <- struct{}{}
		<-leave
		return errors.New("disk on fire")
	}
	r := b.run(store)
	<-entered
	r.cancel()
	r.await(consumer.Draining, 0)
	close(leave)
	if err := r.end(); !errors.Is(err, consumer.ErrStore) {
		t.Fatalf("got %v", err)
	}
}

func TestRun_CatchingUp(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	b.publish(1, 101)
	store := newStore(t)
	leave := make(chan struct{})
	store.before = func([]statemachine.Entry) error {
		<-leave
		return nil
	}
	r := b.run(store)
	s := r.await(consumer.CatchingUp, 0)
	if s.Lag != 100 || len(s.Reasons) != 1 || !strings.Contains(s.Reasons[0], "100 messages of JOBS") {
		t.Errorf("%+v", s)
	}
	close(leave)
	if s := r.await(consumer.Ready, 100); s.Lag != 0 || len(s.Reasons) != 0 {
		t.Errorf("%+v", s)
	}
}

// What was read when the signal came is committed before Run returns.
func TestRun_StopCommitsWhatWasRead(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	b.publish(1, 101)
	store := newStore(t)
	entered, leave := make(chan struct{}, 100), make(chan struct{})
	store.before = func([]statemachine.Entry) error {
		entered <- struct{}{}
		<-leave
		return nil
	}
	r := b.run(store)
	<-entered
	r.cancel()
	r.await(consumer.Draining, 0)
	close(leave)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	n := store.Position().Sequence
	if n == 0 {
		t.Fatal("the batch in hand was not committed")
	}
	r.wantOnce(1, n+1)
	if s := r.Status(); s.State != consumer.Draining {
		t.Fatalf("state %s", s.State)
	}
}

func TestRun_BatchLimits(t *testing.T) {
	for name, limit := range map[string]func(*consumer.Config){
		"events":    func(c *consumer.Config) { c.BatchEvents = 7 },
		"bytes":     func(c *consumer.Config) { c.BatchBytes = 7 * len(line(1)) },
		"one event": func(c *consumer.Config) { c.BatchBytes = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.makeStream()
			b.publish(1, 501)
			r := b.run(newStore(t), limit)
			r.await(consumer.Ready, 500)
			r.stop()
			r.wantOnce(1, 501)
			if largest := slices.Max(r.store.batches); largest > 7 || name == "one event" && largest != 1 {
				t.Fatalf("batches %v", r.store.batches)
			}
		})
	}
}

// A message of the stream is one, whatever its headers look like: nobody who may publish can pass himself off as the server.
func TestRun_MessagesThatLookLikeTheServers(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	for _, status := range []string{"100", "404", "408", "409", "503"} {
		m := nats.NewMsg("jobs.t1.server.s1.started")
		m.Header = nats.Header{"Status": {status}, "Description": {"Consumer Deleted"}, "Nats-Pending-Messages": {"5000"}}
		if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	b.publish(1, 11)
	r := b.run(newStore(t))
	r.await(consumer.Ready, 15)
	r.wantOnce(1, 16)
	if c := r.store.Counters(); c.Rejected != 5 {
		t.Errorf("%d rejected", c.Rejected)
	}
}

func TestRun_BadMessagesArePartOfTheLog(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	for _, data := range []string{"", "{", line(1), strings.Repeat("x", 300<<10), "\xff"} {
		if _, err := b.js.Publish(t.Context(), "jobs.t1.server.s1.started", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	r := b.run(newStore(t))
	r.await(consumer.Ready, 5)
	r.wantOnce(1, 6)
	if c := r.store.Counters(); c.Applied != 1 || c.Rejected != 4 {
		t.Fatalf("%+v", c)
	}
}

func TestMetrics(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	b.publish(1, 11)
	registry := prometheus.NewPedanticRegistry()
	r := b.run(newStore(t), func(c *consumer.Config) { c.Registerer = registry })
	r.await(consumer.Ready, 10)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			values[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
		}
	}
	for key, want := range map[string]float64{
		"faultd_events_total applied ":           10,
		"faultd_events_total rejected malformed": 0,
		"faultd_lag_messages":                    0,
		"faultd_position":                        10,
		"faultd_state READY":                     1,
		"faultd_state GAP":                       0,
		"faultd_batch_events":                    10,
	} {
		if got, ok := values[key]; !ok || got != want {
			t.Errorf("%s is %v (there: %v), want %v", key, got, ok, want)
		}
	}
	if values["faultd_commit_seconds"] <= 0 || values["faultd_apply_seconds"] <= 0 {
		t.Errorf("no times: %v", values)
	}
}
