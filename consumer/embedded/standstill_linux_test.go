package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// standing is a server with a stream of one message that it could not write another one to.
type standing struct {
	*Server
	js     jetstream.JetStream
	stream string        // its directory
	room   atomic.Uint64 // what the file system of the streams is said to have
	log    bytes.Buffer
}

// newStanding makes one that wrote its second message to that file, in vain.
func newStanding(t *testing.T, file string) *standing {
	t.Helper()
	s := &standing{}
	dir := t.TempDir()
	s.stream = filepath.Join(dir, "jetstream", "$G", "streams", "S")
	var err error
	s.Server, err = startWith(Config{StoreDir: dir, Addr: "127.0.0.1:0", Logger: zerolog.New(zerolog.SyncWriter(&s.log)).Level(zerolog.WarnLevel)},
		func(string) (uint64, error) { return s.room.Load(), nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	conn, err := nats.Connect(s.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if s.js, err = jetstream.New(conn, jetstream.WithDefaultTimeout(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.js.Publish(t.Context(), "s.1", []byte("one")); err != nil {
		t.Fatal(err)
	}
	replaceOpen(t, filepath.Join(s.stream, "msgs", "1.blk"), file)
	if _, err := s.js.Publish(t.Context(), "s.1", []byte("two")); err == nil {
		t.Fatal("what could not be written was acknowledged")
	}
	await(t, "it says why it stores nothing", func() bool { return s.Err() != nil })
	return s
}

// replaceOpen has this process write to another file, opened for reading if it is a directory, where it has that one open.
func replaceOpen(t *testing.T, path, by string) {
	t.Helper()
	other, err := os.OpenFile(by, os.O_RDWR, 0)
	if errors.Is(err, syscall.EISDIR) {
		other, err = os.Open(by)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for fd := range 1000 {
		if has, err := os.Readlink(fmt.Sprint("/proc/self/fd/", fd)); err != nil || has != path {
			continue
		}
		if err := syscall.Dup3(int(other.Fd()), fd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("%s is not open", path)
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not yet: %s", what)
		}
	}
}

// stored publishes until that is acknowledged.
func (s *standing) stored(t *testing.T) {
	t.Helper()
	await(t, "what is published is stored", func() bool {
		_, err := s.js.Publish(t.Context(), "s.1", []byte("three"))
		return err == nil
	})
	await(t, "it says so", func() bool { return s.Err() == nil })
	stream, err := s.js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if first, err := stream.GetMsg(t.Context(), 1); err != nil || string(first.Data) != "one" {
		t.Errorf("the first message is %v, %v", first, err)
	}
}

func TestStandstill_PassesWithRoom(t *testing.T) {
	s := newStanding(t, "/dev/full")
	if err := s.Err(); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), s.cfg.StoreDir) || !strings.Contains(err.Error(), "32 MiB") {
		t.Errorf("it says %v", err)
	}
	url := s.URL()
	s.room.Store(enough - 1)
	if _, err := s.js.Publish(t.Context(), "s.1", []byte("three")); err == nil {
		t.Error("it takes messages after a write that failed: what the standstill is for is gone")
	}
	s.room.Store(enough)
	s.stored(t)
	if s.URL() != url {
		t.Errorf("it was at %s and is at %s", url, s.URL())
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(s.log.String(), `"level":"error"`); n != 1 {
		t.Errorf("%d lines of the log are errors, not 1:\n%s", n, s.log.String())
	}
}

// A server that cannot start yet is started again and again.
func TestStandstill_StartsInTheEnd(t *testing.T) {
	s := newStanding(t, "/dev/full")
	inTheWay := filepath.Join(s.stream, "meta.sum.tmp") // of the checksum, which cannot be completed
	if err := errors.Join(os.Remove(filepath.Join(s.stream, "meta.sum")), os.Mkdir(inTheWay, 0o700)); err != nil {
		t.Fatal(err)
	}
	s.room.Store(enough)
	await(t, "it says that it cannot start", func() bool { return s.Err() != nil && strings.Contains(s.Err().Error(), "meta.sum.tmp") })
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	s.stored(t)
}

// A disk that does not work is an operator's matter, whatever is free on it.
func TestStandstill_OtherErrorsStay(t *testing.T) {
	s := newStanding(t, "/dev") // no file that can be written to
	s.room.Store(enough)
	time.Sleep(2 * lookEvery)
	if err := s.Err(); err == nil || errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "start faultd again") {
		t.Errorf("it says %v", err)
	}
}

func TestStandstill_Stop(t *testing.T) {
	s := newStanding(t, "/dev/full")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := nats.Connect(s.URL()); err == nil {
		t.Error("it still takes connections")
	}
}
