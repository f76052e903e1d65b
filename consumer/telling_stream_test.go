package consumer_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"faultd/consumer"
	"faultd/testdata/campaign"
)

// makeFaults makes the stream as somebody else would.
func (b *bench) makeFaults(cfg jetstream.StreamConfig) jetstream.Stream {
	b.Helper()
	cfg.Name = "FAULTS"
	s, err := b.js.CreateStream(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func TestTelling_MakesTheStream(t *testing.T) {
	b, store := newBench(t), newStore(t)
	b.run(store, tell(store), func(cfg *consumer.Config) { cfg.FaultsMaxBytes = 123_456 })
	b.faults(0)
	stream, err := b.js.Stream(t.Context(), "FAULTS")
	if err != nil {
		t.Fatal(err)
	}
	if c := stream.CachedInfo().Config; !slices.Equal(c.Subjects, []string{"faults.>"}) || c.Storage != jetstream.FileStorage || !c.AllowAtomicPublish ||
		c.MaxBytes != 123_456 || c.MaxAge != 0 || c.MaxMsgs != -1 || c.Discard != jetstream.DiscardOld {
		t.Errorf("made %+v", c)
	}
}

// A stream that is there is taken as it is, with batches or without.
func TestTelling_StreamOfAnother(t *testing.T) {
	for _, batches := range []bool{true, false} {
		t.Run(fmt.Sprint("batches ", batches), func(t *testing.T) {
			b, store := newBench(t), newStore(t)
			before := b.makeFaults(jetstream.StreamConfig{Subjects: []string{"faults.>", "more"}, AllowAtomicPublish: batches, MaxMsgs: 5000}).CachedInfo().Config
			r := b.run(store, tell(store))
			r.await(consumer.Ready, 0)
			b.publishLoad(1, 500)
			b.awaitTold(store)
			if model := b.checkFaults(); len(model.Tellings) < 20 {
				t.Errorf("only %d rows", len(model.Tellings))
			}
			after, err := b.js.Stream(t.Context(), "FAULTS")
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(after.CachedInfo().Config) != fmt.Sprint(before) {
				t.Errorf("altered to %+v from %+v", after.CachedInfo().Config, before)
			}
		})
	}
}

// Batches may be taken from the stream while it is written to.
func TestTelling_BatchesTaken(t *testing.T) {
	b, store := newBench(t), newStore(t)
	box := &gate{store, make(chan struct{})}
	r := b.run(store, tell(box))
	r.await(consumer.Ready, 0)
	b.faults(0)
	r.await(consumer.Ready, b.publishLines(failing("s1", 1), healing("s1", 2), failing("s1", 3)))
	stream, err := b.js.Stream(t.Context(), "FAULTS")
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.AllowAtomicPublish = false
	if _, err := b.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	close(box.open)
	for _, m := range b.faults(3) {
		if m.Header.Get("Nats-Batch-Id") != "" {
			t.Errorf("message %d claims to be of a batch: %v", m.Sequence, m.Header)
		}
	}
	b.checkFaults()
}

// What keeps faults from being told stops nothing else, is said once, and is over when it is mended.
func TestTelling_LacksSubject(t *testing.T) {
	b, store := newBench(t), newStore(t)
	b.makeFaults(jetstream.StreamConfig{Subjects: []string{"faults.t2.>"}, AllowAtomicPublish: true})
	var log logText
	r := b.run(store, tell(store), func(cfg *consumer.Config) { cfg.Logger = zerolog.New(&log) })
	r.await(consumer.Ready, 0)
	r.await(consumer.Ready, b.publishLines(failing("s1", 1), healing("s1", 2)))
	if rows, oldest := store.OutboxState(); rows != 2 || oldest == 0 {
		t.Errorf("%d rows are to be told, the oldest of %d; want both", rows, oldest)
	}
	b.faults(0)
	time.Sleep(200 * time.Millisecond) // for several tries
	if _, err := b.js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: "FAULTS", Subjects: []string{"faults.>"}, AllowAtomicPublish: true}); err != nil {
		t.Fatal(err)
	}
	b.awaitTold(store)
	b.checkFaults()
	r.stop()
	if text := log.String(); strings.Count(text, "faults are not told") != 1 || strings.Count(text, "faults are told again") != 1 || !strings.Contains(text, "nats stream edit FAULTS") {
		t.Errorf("not one line each:\n%s", text)
	}
}

// Where the stream takes some and no more, the others stay to be told.
func TestTelling_StreamFull(t *testing.T) {
	b, store := newBench(t), newStore(t)
	cfg := jetstream.StreamConfig{Name: "FAULTS", Subjects: []string{"faults.>"}, MaxMsgs: 2, Discard: jetstream.DiscardNew}
	b.makeFaults(cfg)
	box := &gate{store, make(chan struct{})}
	r := b.run(store, tell(box))
	r.await(consumer.Ready, 0)
	r.await(consumer.Ready, b.publishLines(failing("s1", 1), healing("s1", 2), failing("s1", 3), healing("s1", 4)))
	close(box.open) // all four are one batch
	b.faults(2)
	b.await("two rows", func() bool { rows, _ := store.OutboxState(); return rows == 2 })
	time.Sleep(200 * time.Millisecond) // for several tries
	if rows, _ := store.OutboxState(); rows != 2 {
		t.Errorf("%d rows are to be told, want 2", rows)
	}
	cfg.MaxMsgs = -1
	if _, err := b.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	b.faults(4)
	b.checkFaults()
}

// A stream that was deleted is made anew, and what was not told follows.
func TestTelling_StreamDeleted(t *testing.T) {
	b, store := newBench(t), newStore(t)
	r := b.run(store, tell(store))
	r.await(consumer.Ready, 0)
	b.publishLines(failing("s1", 1))
	b.faults(1)
	b.awaitTold(store)
	if err := b.js.DeleteStream(t.Context(), "FAULTS"); err != nil {
		t.Fatal(err)
	}
	b.publishLines(healing("s1", 2), failing("s1", 3))
	if all := b.faults(2); all[0].Subject != "faults.t1.server.s1.cleared" || all[1].Subject != "faults.t1.server.s1.raised" {
		t.Errorf("%s, %s", all[0].Subject, all[1].Subject)
	}
}

// A stream whose last messages were deleted still goes on behind them.
func TestTelling_LastGone(t *testing.T) {
	b, store := newBench(t), newStore(t)
	r := b.run(store, tell(store))
	r.await(consumer.Ready, 0)
	b.publishLines(failing("s1", 1), healing("s1", 2))
	b.faults(2)
	b.awaitTold(store)
	stream, err := b.js.Stream(t.Context(), "FAULTS")
	if err != nil {
		t.Fatal(err)
	}
	for n, take := range []func() error{func() error { return stream.DeleteMsg(t.Context(), 2) }, func() error { return stream.Purge(t.Context()) }} {
		r.stop()
		if err := take(); err != nil {
			t.Fatal(err)
		}
		r = b.run(store, tell(store))
		b.publishLines(failing("s1", 2*n+3), healing("s1", 2*n+4))
		b.await("what came since", func() bool {
			m, err := stream.GetLastMsgForSubject(t.Context(), ">")
			return err == nil && m.Sequence == uint64(2*n+4)
		})
		b.awaitTold(store)
	}
}

// What others write into the stream is in nobody's way.
func TestTelling_Foreign(t *testing.T) {
	b, store := newBench(t), newStore(t)
	r := b.run(store, tell(store))
	r.await(consumer.Ready, 0)
	for n := range 20 {
		b.publishLines(failing("s1", 2*n+1), healing("s1", 2*n+2))
		if _, err := b.js.Publish(t.Context(), "faults.other", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	b.awaitTold(store)
	var got, want []string
	for _, m := range b.faults(60) {
		if m.event.ID != "" {
			got = append(got, m.event.ID)
		}
	}
	model := campaign.ReadModel(b, b.server.URL(), "JOBS")
	for i := range model.Tellings {
		want = append(want, campaign.TellingID(&model.Tellings[i]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// No row is too large for the stream.
func TestTelling_Large(t *testing.T) {
	const limit = 32 << 10
	junk := func(n int) string { return strings.Repeat(`\u0001`, n) }
	b, store := newBench(t), newStore(t)
	b.makeFaults(jetstream.StreamConfig{Subjects: []string{"faults.>"}, AllowAtomicPublish: true, MaxMsgSize: limit})
	r := b.run(store, tell(store))
	r.await(consumer.Ready, 0)
	const event = `{"specversion":"1.0","type":"io.faultd.v1.job.%s","source":"s","id":"%d","time":"2026-11-21T02:00:0%[2]dZ","data":{` +
		`"job":{"id":"%s","action":"build","request_id":"%s"},"resource":{"kind":"server","id":"%s","tenant_id":"%s","user_id":"%[4]s","name":"%[4]s",` +
		`"attributes":{"a":"%[7]s"}},%s"fault":{"code":500,"message":"%s","details":"%s","reason":"%[4]s","error_code":"%[4]s"}}}`
	id, text := strings.Repeat("i", 128), junk(1000)
	line := func(phase string, n int, more string) string {
		return fmt.Sprintf(event, phase, n, junk(250), text, id, id, strings.Repeat("a", 12<<10), more, junk(4<<10), junk(20<<10))
	}
	b.publishLines(line("progressed", 1, ""), line("failed", 2, `"provider":"dfw","providers":["dfw"],`),
		ending("s1", 1, "failed", `,"fault":{"code":500,"message":"m","details":"`+strings.Repeat("d", 40<<10)+`"}`), failing("s2", 1))
	all := b.faults(3)
	for i, want := range [][]string{{"attributes", "attempts", "providers", "details", "texts"}, {"attributes", "attempts", "providers", "details"}, nil} {
		m := all[i]
		if size := len(m.Data) + len(m.Header.Get("Faultd-Position")); size > limit || !slices.Equal(m.event.Data.Cut, want) {
			t.Errorf("message %d of %d bytes is cut by %v, want %v", i, size, m.event.Data.Cut, want)
		}
		var shown struct {
			Status string
			Fault  struct {
				Code    int
				Message string
			}
		}
		if err := json.Unmarshal(m.event.Data.Resource, &shown); err != nil || shown.Status != "ERROR" || shown.Fault.Code == 0 || shown.Fault.Message == "" {
			t.Errorf("message %d shows %s", i, m.event.Data.Resource)
		}
	}
	b.awaitTold(store)
}

func TestTelling_ServerTakesTooLittle(t *testing.T) {
	b, store := newBench(t), newStore(t)
	b.makeFaults(jetstream.StreamConfig{Subjects: []string{"faults.>"}, MaxMsgSize: 1000})
	var log logText
	r := b.run(store, tell(store), func(cfg *consumer.Config) { cfg.Logger = zerolog.New(&log) })
	r.await(consumer.Ready, 0)
	r.await(consumer.Ready, b.publishLines(failing("s1", 1)))
	b.faults(0)
	if _, err := b.js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: "FAULTS", Subjects: []string{"faults.>"}}); err != nil {
		t.Fatal(err)
	}
	b.faults(1)
	r.stop()
	if !strings.Contains(log.String(), "max_payload") {
		t.Errorf("it does not say what to do:\n%s", log.String())
	}
}
