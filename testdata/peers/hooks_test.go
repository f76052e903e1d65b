package peers

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// writePrivate writes a file that only its owner may read, and returns its path.
func writePrivate(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeEvents writes a file of events, each a line, and returns its path.
func writeEvents(t testing.TB, events ...string) string {
	t.Helper()
	text := ""
	for _, e := range events {
		text += e + "\n"
	}
	return writePrivate(t, filepath.Join(t.TempDir(), "events.jsonl"), text)
}

// follows waits until a hook follows the stream of faults: what is told from then on is told to it.
func (d *served) follows(t testing.TB, hook string) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(d.NATS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "hook "+hook+" follows the stream of faults", func(ctx context.Context) bool {
		_, err := js.Consumer(ctx, "FAULTS", "hook-"+hook)
		return err == nil
	})
	return js
}

// eventually waits until something is so, for two minutes at most.
func eventually(t testing.TB, what string, is func(context.Context) bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		so := is(ctx)
		cancel()
		if so {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
