package consumer_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer"
	"faultd/consumer/embedded"
)

// The figures are events a second over a stream of so many; what counts is their ratio in one run.
const benchEvents = 200_000

// benchLine is an event of 440 bytes: ten for each resource, of 2,000 jobs at a time.
func benchLine(n int) (subject, data string) {
	const width = 2_000
	phases := [...]string{"accepted", "started", "progressed", "progressed", "progressed", "progressed", "progressed", "progressed", "progressed", "succeeded"}
	resource, step := n/(10*width)*width+n%width, n/width%10
	id := fmt.Sprintf("52415800-8b69-11e0-9b19-%012d", resource)
	progress := ""
	if phases[step] == "progressed" {
		progress = fmt.Sprintf(`,"progress":%d`, step*10)
	}
	head := fmt.Sprintf(`{"specversion":"1.0","type":"io.faultd.v1.job.%s","source":"bench","id":"%d","time":"2026-11-21T02:00:00Z",`+
		`"data":{"job":{"id":"job-%d","action":"build"},"resource":{"kind":"server","id":"%s","tenant_id":"tenant-%d","name":"server-%d","attributes":{"hostId":"`,
		phases[step], n, resource, id, resource%100, resource)
	tail := `"}}` + progress + `}}`
	pad := strings.Repeat("e", max(440-len(head)-len(tail), 0))
	return fmt.Sprintf("jobs.tenant-%d.server.%s.%s", resource%100, id, phases[step]), head + pad + tail
}

// fill makes a stream of events that wait to be read.
func (b *bench) fill(n int) {
	b.Helper()
	b.makeStream()
	js, err := jetstream.New(b.js.Conn(), jetstream.WithPublishAsyncMaxPending(4_000))
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		subject, data := benchLine(i)
		if _, err := js.PublishAsync(subject, []byte(data), jetstream.WithStallWait(patience)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	if got := b.stream().CachedInfo().State.Msgs; got != uint64(n) {
		b.Fatalf("%d messages in the stream, want %d", got, n)
	}
}

// BenchmarkDrain_Empty reads the stream and does nothing: what there is to reach.
func BenchmarkDrain_Empty(b *testing.B) {
	t := newBench(b)
	t.fill(benchEvents)
	for b.Loop() {
		source, err := t.js.OrderedConsumer(b.Context(), "JOBS", jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
		if err != nil {
			b.Fatal(err)
		}
		var n atomic.Int64
		done := make(chan struct{})
		reading, err := source.Consume(func(jetstream.Msg) {
			if n.Add(1) == benchEvents {
				close(done)
			}
		}, jetstream.PullMaxMessagesWithBytesLimit(5000, 24<<20))
		if err != nil {
			b.Fatal(err)
		}
		<-done
		reading.Stop()
	}
	perSecond(b, benchEvents)
}

// BenchmarkIngest reads the same stream into a store until all of it is durable.
func BenchmarkIngest(b *testing.B) {
	t := newBench(b)
	t.fill(benchEvents)
	var batches int
	for b.Loop() {
		b.StopTimer()
		store := newStore(b)
		b.StartTimer()
		r := t.run(store)
		for store.Position().Sequence < benchEvents {
			time.Sleep(time.Millisecond)
		}
		b.StopTimer()
		r.stop()
		if c := store.Counters(); c.Applied != benchEvents {
			b.Fatalf("%+v", c)
		}
		batches += len(store.batches)
		_ = store.Close()
		b.StartTimer()
	}
	perSecond(b, benchEvents)
	b.ReportMetric(float64(batches)/float64(b.N), "commits/op")
}

// BenchmarkPublish publishes to a stream where every acknowledged message is on disk.
func BenchmarkPublish(b *testing.B) {
	t := newBench(b)
	t.stop()
	t.config.Sync = embedded.SyncAlways
	t.start()
	var text strings.Builder
	for i := range benchEvents {
		_, data := benchLine(i)
		text.WriteString(data)
		text.WriteByte('\n')
	}
	for b.Loop() {
		b.StopTimer()
		t.makeStream()
		b.StartTimer()
		r, err := t.publishText(text.String(), consumer.PublishOptions{})
		if err != nil || r.Messages != benchEvents || r.Duplicates != 0 {
			b.Fatalf("%+v %v", r, err)
		}
		b.StopTimer()
		t.deleteStream()
		b.StartTimer()
	}
	perSecond(b, benchEvents)
}

func perSecond(b *testing.B, events int) {
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
