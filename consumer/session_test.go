package consumer

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"faultd/consumer/embedded"
	"faultd/statemachine"
)

// connected is a connection to a server of its own.
func connected(t *testing.T) (*connection, *embedded.Server) {
	t.Helper()
	s, err := embedded.Start(embedded.Config{StoreDir: t.TempDir(), Addr: "127.0.0.1:0", Sync: "2m"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	conn, err := connect(Config{URL: s.URL()}.withDefaults(), zerolog.Logger{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	<-conn.changed
	return conn, s
}

// Lost and found again before anybody looked: the session must end as if it had been seen.
func TestGuard_ConnectedAgainUnseen(t *testing.T) {
	conn, _ := connected(t)
	c := New(Config{})
	q := newQueue(c.cfg)
	signal(conn.changed)
	c.guard(t.Context(), conn, conn.Stats().Reconnects+1, q)
	if err := q.reason(); !errors.Is(err, errBroken) {
		t.Fatalf("ended with %v", err)
	}
	select {
	case <-conn.changed:
	default:
		t.Fatal("the next session is not told")
	}
}

func TestGuard_ClosedForGood(t *testing.T) {
	conn, _ := connected(t)
	c := New(Config{})
	q := newQueue(c.cfg)
	conn.Close()
	c.guard(t.Context(), conn, 0, q)
	if err := q.reason(); !errors.Is(err, errClosed) || !c.final(err) {
		t.Fatalf("ended with %v", err)
	}
}

func TestRecheck_OtherStreamEndsSession(t *testing.T) {
	conn, _ := connected(t)
	c := New(Config{Store: applied{}, Stream: "S", CheckEvery: time.Millisecond})
	q := newQueue(c.cfg)
	c.recheck(t.Context(), makeSource(t, conn), q) // the position is not this stream's
	if reason := q.reason(); reason == nil || !strings.Contains(reason.Error(), "made anew") {
		t.Fatalf("ended with %v", reason)
	}
}

// A look that fails says nothing about the stream, but many that fail say that nothing is known of it.
func TestRecheck_NoAnswerIsNoVerdict(t *testing.T) {
	conn, server := connected(t)
	stream := makeSource(t, conn)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	log := make(lineLog, 100)
	c := New(Config{Store: applied{}, Stream: "S", CheckEvery: time.Millisecond, Logger: zerolog.New(log)})
	q := newQueue(c.cfg)
	c.recheck(t.Context(), stream, q)
	if reason := q.reason(); !errors.Is(reason, errBroken) {
		t.Fatalf("ended with %v", reason)
	}
	for range blindLooks {
		if line := <-log; !strings.Contains(line, "position not checked") {
			t.Errorf("logged %s", line)
		}
	}
}

func makeSource(t *testing.T, conn *connection) source {
	t.Helper()
	js, err := jetstream.New(conn.Conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: Subjects})
	if err != nil {
		t.Fatal(err)
	}
	return source{stream, conn.Conn}
}

// One server of several may believe for a while that it leads: a new epoch waits for a second look.
func TestDoubts(t *testing.T) {
	c := New(Config{CheckEvery: time.Minute})
	if c.doubts(1, &sight{created: 1}) {
		t.Error("a stream of one server is in doubt")
	}
	if c.doubts(1, &sight{created: 2, replicated: true}) {
		t.Error("a stream made anew is in doubt")
	}
	for range 2 {
		if !c.doubts(1, &sight{created: 1, replicated: true}) {
			t.Fatal("a rewind is believed at once")
		}
	}
	c.doubted = c.doubted.Add(-5 * time.Minute)
	if c.doubts(1, &sight{created: 1, replicated: true}) {
		t.Error("a rewind is never believed")
	}
}

// lineLog holds log lines, and lets go of those that nobody waits for.
type lineLog chan string

func (l lineLog) Write(line []byte) (int, error) {
	select {
	case l <- string(line):
	default:
	}
	return len(line), nil
}

// applied is a store with a position, in which nothing else is asked for.
type applied struct{ Store }

func (applied) Position() statemachine.Position {
	return statemachine.Position{Stream: "S", Epoch: 1, First: 1, Sequence: 5, Digest: 7}
}
