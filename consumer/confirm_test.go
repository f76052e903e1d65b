package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"faultd/consumer/embedded"
)

func TestConfirm(t *testing.T) {
	conn, _ := connected(t)
	stream := makeSource(t, conn)
	c := New(Config{Stream: "S"})
	asked, err := conn.SubscribeSync("$JS.API.STREAM.MSG.GET.S")
	if err != nil {
		t.Fatal(err)
	}
	publish := func() {
		t.Helper()
		if _, err := conn.Request("jobs.a", []byte("{}"), answerWithin); err != nil {
			t.Fatal(err)
		}
	}
	publish()
	publish()
	batched := nats.Header{headerBatch: {"id"}}
	of := func(sequence uint64, h nats.Header) *batch {
		return &batch{last: received{sequence: sequence, Message: Message{Header: h}}}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, step := range []struct {
		name   string
		before func() error
		ctx    context.Context
		batch  *batch
		want   error
		asks   bool
	}{
		{"no batch", nil, t.Context(), of(2, nil), nil, false},
		{"it is there", nil, t.Context(), of(2, batched), nil, true},
		{"a later one is there", func() error { return stream.DeleteMsg(t.Context(), 1) }, t.Context(), of(1, batched), nil, true},
		{"nothing is there", func() error { return stream.Purge(t.Context()) }, t.Context(), of(2, batched), errBroken, true},
		{"no answer", nil, ended, of(2, batched), errBroken, true},
	} {
		if step.before != nil {
			if err := step.before(); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.confirm(step.ctx, stream, step.batch); !errors.Is(err, step.want) || step.want == nil && err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
		if n, _, _ := asked.Pending(); (n > 0) != step.asks && step.ctx.Err() == nil {
			t.Errorf("%s: %d requests", step.name, n)
		}
		for n, _, _ := asked.Pending(); n > 0; n-- {
			if _, err := asked.NextMsg(answerWithin); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What confirm rests on: a message of an atomic batch is handed out before the batch is acknowledged, and the request
// answers when it is. A server that changes this fails here.
func TestConfirm_WaitsForTheWholeBatch(t *testing.T) {
	server, err := embedded.Start(embedded.Config{StoreDir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	conn, err := connect(Config{URL: server.URL()}.withDefaults(), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn.Conn)
	if err != nil {
		t.Fatal(err)
	}
	found, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "JOBS", Subjects: Subjects, AllowAtomicPublish: true})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := newPublisher(conn.Conn, PublishOptions{})
	if err != nil {
		t.Fatal(err)
	}
	looks := lookAtBatches(t, source{found, conn.Conn}, writer)
	var early, waited int
	for n := range 10 {
		lines := make([]line, publishMessages)
		for i := range lines {
			text := fmt.Sprintf(`{"specversion":"1.0","type":"io.faultd.v1.job.started","source":"test","id":"%d-%d",`+
				`"data":{"resource":{"kind":"server","id":"s","tenant_id":"t","name":"%020000d"}}}`, n, i, 0)
			lines[i] = parseLine([]byte(text), i+1, 0, 1<<20)
		}
		if left, err := writer.sendBatch(t.Context(), lines); err != nil || len(left) > 0 {
			t.Fatalf("%d messages are left: %v", len(left), err)
		}
		looks.acknowledged.Add(publishMessages)
		l := <-looks.done
		early += l.early
		waited += l.waited
	}
	if early == 0 {
		t.Error("no message was handed out before its batch was acknowledged: there is nothing to confirm any more")
	}
	if waited == 0 { // the acknowledgement's way to the publisher may be longer than the answer's
		t.Errorf("of %d batches that were open none was acknowledged when it was confirmed", early)
	}
}

// batchLooks tell of the first messages of batches.
type batchLooks struct {
	acknowledged atomic.Uint64 // messages
	done         chan batchLook
}

// batchLook is 1 for what was so and 0 for what was not.
type batchLook struct {
	early  int // the batch was not acknowledged when its first message came
	waited int // but was, give or take the way of the acknowledgement, when that was confirmed
}

// lookAtBatches confirms the first message of each batch as it comes.
func lookAtBatches(t *testing.T, stream source, writer *publisher) *batchLooks {
	t.Helper()
	looks, c := &batchLooks{done: make(chan batchLook, 1)}, New(Config{})
	reader, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy})
	if err != nil {
		t.Fatal(err)
	}
	reading, err := reader.Consume(func(m jetstream.Msg) {
		meta, err := m.Metadata()
		if err != nil || meta.Sequence.Stream%publishMessages != 1 {
			return
		}
		var l batchLook
		if looks.acknowledged.Load() < meta.Sequence.Stream {
			l.early = 1
		}
		b := &batch{last: received{sequence: meta.Sequence.Stream, Message: Message{Header: m.Headers()}}}
		if err := errors.Join(c.confirm(t.Context(), stream, b), writer.nc.Flush()); err != nil {
			t.Error(err)
		}
		if looks.acknowledged.Load() >= meta.Sequence.Stream {
			l.waited = l.early
		}
		looks.done <- l
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reading.Stop)
	return looks
}
