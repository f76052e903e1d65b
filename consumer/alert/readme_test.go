package alert

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// follow is what the README tells those to write who speak NATS, line by line.
func follow(ctx context.Context, nc *nats.Conn, handle func(subject string, event []byte)) error {
	js, _ := jetstream.New(nc)
	c, err := js.CreateOrUpdateConsumer(ctx, "FAULTS", jetstream.ConsumerConfig{
		Durable: "mine", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1, // one after the other, so that they stay in order
		FilterSubject: "faults.1234.server.>"})
	if err != nil {
		return err
	}
	_, err = c.Consume(func(m jetstream.Msg) {
		handle(m.Subject(), m.Data()) // yours; it drops an id that it has handled before
		_ = m.Ack()
	})
	return err
}

func TestREADME_Follow(t *testing.T) {
	const subject, another = "faults.1234.server.s1.raised", "faults.1235.server.s1.raised"
	r, told := newRig(t), make(chan string, 10)
	for _, s := range []string{subject, another, subject} {
		if _, err := r.js.Publish(t.Context(), s, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	nc, err := nats.Connect(r.url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := follow(t.Context(), nc, func(s string, _ []byte) { told <- s }); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if s := <-told; s != subject {
			t.Errorf("it is told of %s", s)
		}
	}
}

// The README has the lines of the function above.
func TestREADME_HasFollow(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(source), "event []byte)) error {\n")
	body, _, _ = strings.Cut(body, "}\n\nfunc ")
	lines := strings.ReplaceAll("\n"+body, "\n\t", "\n")
	if !strings.Contains(string(readme), "```go"+lines+"```\n") {
		t.Errorf("README.md does not have\n%s", lines)
	}
}
