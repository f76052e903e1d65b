package embedded_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"faultd/consumer/embedded"
)

func start(t testing.TB, cfg embedded.Config) *embedded.Server {
	t.Helper()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	s, err := embedded.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func dial(t testing.TB, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestStart_RestartKeepsStreams(t *testing.T) {
	for _, sync := range []string{"", embedded.SyncAlways, "2m"} {
		t.Run("sync "+sync, func(t *testing.T) {
			dir := t.TempDir()
			s := start(t, embedded.Config{StoreDir: dir, Sync: sync})
			js := dial(t, s.URL())
			if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, MaxBytes: s.StreamBytes()}); err != nil {
				t.Fatal(err)
			}
			if _, err := js.Publish(t.Context(), "s.1", []byte("one")); err != nil {
				t.Fatal(err)
			}
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}

			again := dial(t, start(t, embedded.Config{StoreDir: dir, Sync: sync}).URL())
			stream, err := again.Stream(t.Context(), "S")
			if err != nil {
				t.Fatal(err)
			}
			if n := stream.CachedInfo().State.Msgs; n != 1 {
				t.Fatalf("%d messages after the restart, want 1", n)
			}
		})
	}
}

// A server that starts while the disk is full must take messages when there is room: what is free then is no limit.
func TestStart_NoLimitButTheDisk(t *testing.T) {
	js := dial(t, start(t, embedded.Config{StoreDir: t.TempDir()}).URL())
	for _, name := range []string{"A", "B"} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{name}, MaxBytes: 1 << 50}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStart_Refusals(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		cfg  embedded.Config
		want string
	}{
		"no directory":    {embedded.Config{Addr: "127.0.0.1:0"}, "no directory"},
		"all addresses":   {embedded.Config{StoreDir: dir, Addr: "0.0.0.0:0"}, "loopback only"},
		"no host":         {embedded.Config{StoreDir: dir, Addr: ":4222"}, "loopback only"},
		"another machine": {embedded.Config{StoreDir: dir, Addr: "192.0.2.1:4222"}, "--nats-url"},
		"a name":          {embedded.Config{StoreDir: dir, Addr: "example.com:4222"}, "loopback only"},
		"no port":         {embedded.Config{StoreDir: dir, Addr: "127.0.0.1"}, "address to listen on"},
		"a named port":    {embedded.Config{StoreDir: dir, Addr: "127.0.0.1:nats"}, `port "nats"`},
		"sync":            {embedded.Config{StoreDir: dir, Addr: "127.0.0.1:0", Sync: "sometimes"}, `sync "sometimes"`},
		"sync never":      {embedded.Config{StoreDir: dir, Addr: "127.0.0.1:0", Sync: "0s"}, `sync "0s"`},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := embedded.Start(c.cfg)
			if err == nil {
				_ = s.Stop()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%q does not say %q", err, c.want)
			}
		})
	}
}

func TestStart_AddressTaken(t *testing.T) {
	first := start(t, embedded.Config{StoreDir: t.TempDir()})
	_, err := embedded.Start(embedded.Config{StoreDir: t.TempDir(), Addr: strings.TrimPrefix(first.URL(), "nats://")})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(fmt.Sprint(err), "--nats-addr") {
		t.Fatalf("got %v", err)
	}
}

func TestStart_StoreDirUnusable(t *testing.T) {
	if _, err := embedded.Start(embedded.Config{StoreDir: "/dev/null/nats", Addr: "127.0.0.1:0"}); err == nil {
		t.Fatal("started")
	}
}

func TestStop_Twice(t *testing.T) {
	s := start(t, embedded.Config{StoreDir: t.TempDir()})
	if err := errors.Join(s.Stop(), s.Stop()); err != nil {
		t.Fatal(err)
	}
	if _, err := nats.Connect(s.URL(), nats.Timeout(time.Second)); err == nil {
		t.Fatal("still takes connections")
	}
}

func TestLog_Levels(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(zerolog.SyncWriter(&out)).Level(zerolog.InfoLevel)
	s := start(t, embedded.Config{StoreDir: t.TempDir(), Logger: log})
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, `{"level":"info","component":"nats-server","message":"Server is ready"}`) {
		t.Errorf("no word of the server's start in %s", got)
	}
	if got := out.String(); strings.Contains(got, "Store Directory") {
		t.Errorf("the banner is not at debug: %s", got)
	}
}
