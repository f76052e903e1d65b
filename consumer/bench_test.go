package consumer_test

import (
	"fmt"
	"strings"
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

// BenchmarkIngest reads a stream into a store until all of it is durable, and, in the same run, into an empty handler:
// what there is to reach. Their ratio is what counts.
func BenchmarkIngest(b *testing.B) {
	t := newBench(b)
	t.fill(benchEvents)
	var drained, ingested time.Duration
	for b.Loop() {
		drained += t.drain()
		ingested += t.ingest()
	}
	rate := func(d time.Duration) float64 { return float64(benchEvents) * float64(b.N) / d.Seconds() }
	b.ReportMetric(rate(drained), "drained/s")
	b.ReportMetric(rate(ingested), "ingested/s")
	b.ReportMetric(drained.Seconds()/ingested.Seconds(), "of-drain")
}

// drain reads the stream and does nothing.
func (b *bench) drain() time.Duration {
	source, err := b.js.OrderedConsumer(b.Context(), "JOBS", jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		b.Fatal(err)
	}
	start, done, n := time.Now(), make(chan struct{}), 0
	reading, err := source.Consume(func(jetstream.Msg) {
		if n++; n == benchEvents {
			close(done)
		}
	}, jetstream.PullMaxMessagesWithBytesLimit(5000, 24<<20))
	if err != nil {
		b.Fatal(err)
	}
	<-done
	reading.Stop()
	return time.Since(start)
}

// ingest reads the stream into a new store.
func (b *bench) ingest() time.Duration {
	store := newStore(b)
	start, r := time.Now(), b.run(store)
	for store.Position().Sequence < benchEvents {
		time.Sleep(time.Millisecond)
	}
	took := time.Since(start)
	r.stop()
	if c := store.Counters(); c.Applied != benchEvents {
		b.Fatalf("%+v", c)
	}
	_ = store.Close()
	return took
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
