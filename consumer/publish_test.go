package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer"
)

func (b *bench) publishText(text string, opts consumer.PublishOptions) (consumer.PublishResult, error) {
	return consumer.Publish(b.Context(), b.js.Conn(), strings.NewReader(text), opts)
}

// wantEvents checks that the stream holds the events in the order of their numbers, and nothing else.
func (b *bench) wantEvents(numbers ...int) {
	b.Helper()
	stream := b.stream()
	if n := stream.CachedInfo().State.Msgs; n != uint64(len(numbers)) {
		b.Fatalf("%d messages in the stream, want %d", n, len(numbers))
	}
	for i, n := range numbers {
		m, err := stream.GetMsg(b.Context(), uint64(i+1))
		if err != nil {
			b.Fatal(err)
		}
		if string(m.Data) != line(n) {
			b.Fatalf("message %d is %s, want number %d", i+1, m.Data, n)
		}
	}
}

func count(from, to int) (all []int) {
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}

func TestPublish_InOrder(t *testing.T) {
	for name, make := range map[string]func(*bench){
		"in batches": func(b *bench) { b.makeStream() },
		"singly, where the stream refuses batches": func(b *bench) {
			if _, err := b.js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "JOBS", Subjects: consumer.Subjects}); err != nil {
				b.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			make(b)
			text := lines(1, 3501)
			var done consumer.PublishResult
			r, err := b.publishText(text, consumer.PublishOptions{Progress: func(r consumer.PublishResult) {
				if r.Messages <= done.Messages || r.Bytes <= done.Bytes {
					t.Errorf("progress from %+v to %+v", done, r)
				}
				done = r
			}})
			if err != nil {
				t.Fatal(err)
			}
			want := consumer.PublishResult{Messages: 3500, Bytes: int64(len(text)), Sequence: 3500}
			if r != want || done != want {
				t.Fatalf("result %+v, progress %+v, want %+v", r, done, want)
			}
			b.wantEvents(count(1, 3501)...)
		})
	}
}

func TestPublish_ReallyInBatches(t *testing.T) {
	b := newBench(t)
	stream := b.makeStream()
	b.publish(1, 1501)
	ids := map[string]int{}
	for n := range 1500 {
		m, err := stream.GetMsg(t.Context(), uint64(n+1))
		if err != nil {
			t.Fatal(err)
		}
		ids[m.Header.Get("Nats-Batch-Id")]++
	}
	if ids[""] > 2 || len(ids) > 100 {
		t.Fatalf("messages by batch: %v", ids)
	}
}

func TestPublish_DuplicatesCountOnce(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	b.publish(1, 101)
	r, err := b.publishText(lines(51, 1201), consumer.PublishOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Messages != 1150 || r.Duplicates != 50 || r.Sequence != 1200 {
		t.Fatalf("result %+v", r)
	}
	b.wantEvents(count(1, 1201)...)
}

func TestPublish_DuplicateInOneBatch(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	r, err := b.publishText(lines(1, 11)+lines(5, 6), consumer.PublishOptions{})
	if err != nil || r.Messages != 11 || r.Duplicates != 1 {
		t.Fatalf("%+v %v", r, err)
	}
	b.wantEvents(count(1, 11)...)
}

func TestPublish_BadLine(t *testing.T) {
	long := `{"x":"` + strings.Repeat("x", 2<<20) + `"}`
	for name, bad := range map[string]string{"not JSON": "{", "no event": "{}", "far too long": long, "too long": long[:1<<20-20]} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.makeStream()
			r, err := b.publishText(lines(1, 1201)+"\n  \n"+bad+"\n"+lines(1201, 1301), consumer.PublishOptions{})
			var le *consumer.LineError
			if !errors.As(err, &le) || le.Line != 1203 || !strings.Contains(err.Error(), "line 1203: ") {
				t.Fatalf("got %v", err)
			}
			if r.Messages != 1200 {
				t.Fatalf("result %+v", r)
			}
			b.wantEvents(count(1, 1201)...)
		})
	}
}

func TestPublish_BlankLinesAndNoLastNewline(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	text := "\n" + lines(1, 3) + " \r\n" + line(3) + "\r\n\n" + line(4)
	r, err := b.publishText(text, consumer.PublishOptions{})
	if err != nil || r.Messages != 4 || r.Bytes != int64(len(text)) {
		t.Fatalf("%+v %v", r, err)
	}
	b.wantEvents(1, 2, 3, 4)
	if r, err := b.publishText("", consumer.PublishOptions{}); err != nil || r != (consumer.PublishResult{}) {
		t.Fatalf("an empty source: %+v %v", r, err)
	}
}

func TestPublish_NoStream(t *testing.T) {
	b := newBench(t)
	for _, n := range []int{2, 11} {
		r, err := b.publishText(lines(1, n), consumer.PublishOptions{})
		if err == nil || !strings.Contains(err.Error(), "no stream takes subject jobs.t1.server.s1.started") || r.Messages != 0 {
			t.Fatalf("%+v %v", r, err)
		}
	}
}

func TestPublish_OtherStreamHasTheSubject(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	for _, n := range []int{2, 11} {
		r, err := b.publishText(lines(1, n), consumer.PublishOptions{Stream: "OTHER"})
		if err == nil || !strings.Contains(err.Error(), "expected stream does not match") || r.Messages != 0 {
			t.Fatalf("%+v %v", r, err)
		}
	}
	b.wantEvents()
}

func TestPublish_SourceFails(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	broken := errors.New("broken pipe")
	source := io.MultiReader(strings.NewReader(lines(1, 11)), iotest.ErrReader(broken))
	r, err := consumer.Publish(t.Context(), b.js.Conn(), source, consumer.PublishOptions{})
	if !errors.Is(err, broken) || r.Messages != 10 {
		t.Fatalf("%+v %v", r, err)
	}
}

func TestPublish_ContextEnds(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	ctx, cancel := context.WithCancel(t.Context())
	source, feed := io.Pipe() // never ends
	defer feed.Close()
	go fmt.Fprint(feed, lines(1, 11))
	r, err := consumer.Publish(ctx, b.js.Conn(), source, consumer.PublishOptions{Progress: func(r consumer.PublishResult) {
		if r.Messages == 10 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || r.Messages != 10 {
		t.Fatalf("%+v %v", r, err)
	}
	b.wantEvents(count(1, 11)...)
}

// At a rate of 100 a second no batch holds more than a twentieth of that.
func TestPublish_RateBoundsBatches(t *testing.T) {
	b := newBench(t)
	b.makeStream()
	var was, most int
	r, err := b.publishText(lines(1, 31), consumer.PublishOptions{Rate: 100, Progress: func(r consumer.PublishResult) {
		was, most = r.Messages, max(most, r.Messages-was)
	}})
	if err != nil || r.Messages != 30 || most > 5 {
		t.Fatalf("%+v %v, %d at once", r, err, most)
	}
}

func TestConnect_NobodyThere(t *testing.T) {
	_, err := consumer.Connect("nats://"+freeAddress(t), "")
	if err == nil || !strings.Contains(err.Error(), "start faultd serve") {
		t.Fatalf("got %v", err)
	}
}
