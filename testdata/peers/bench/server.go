package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer"
)

// build builds the programs that are measured.
func (b *bench) build() error {
	b.daemon, b.nats = filepath.Join(b.dir, "faultd"), filepath.Join(b.dir, "natsserver")
	for path, from := range map[string]string{b.daemon: "./cmd/faultd", b.nats: "./testdata/natsserver"} {
		out, err := exec.CommandContext(b.ctx, "go", "build", "-C", b.root, "-trimpath", "-o", path, from).CombinedOutput()
		if err != nil {
			return fmt.Errorf("building %s: %w\n%s", from, err, out)
		}
	}
	return nil
}

// server is a nats-server in a process of its own, with files, and a connection to it.
type server struct {
	ctx  context.Context
	dir  string
	url  string
	cmd  *exec.Cmd
	said bytes.Buffer
	conn *nats.Conn
	js   jetstream.JetStream
}

// startServer starts a nats-server that writes through to the disk as it does by default: every two minutes.
func (b *bench) startServer() (*server, error) {
	s := &server{ctx: b.ctx, dir: filepath.Join(b.dir, "server")}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s.url = "nats://" + address
	config := filepath.Join(s.dir, "server.conf")
	text := fmt.Sprintf("listen: %q\nlogfile: %q\njetstream: {store_dir: %q, max_file_store: 40GB, max_memory_store: 256MB}\n",
		address, filepath.Join(s.dir, "server.log"), filepath.Join(s.dir, "streams"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(b.nats, config)
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.connect(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) connect() (err error) {
	if s.conn, err = nats.Connect(s.url, nats.RetryOnFailedConnect(true), nats.MaxReconnects(200), nats.ReconnectWait(20*time.Millisecond)); err != nil {
		return err
	}
	if s.js, err = jetstream.New(s.conn, jetstream.WithDefaultTimeout(20*time.Second)); err != nil {
		return err
	}
	for {
		if _, err = s.js.AccountInfo(s.ctx); err == nil || s.ctx.Err() != nil || s.conn.IsClosed() {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// stop ends the server and removes its files.
func (s *server) stop() {
	if s.conn != nil {
		s.conn.Close()
	}
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.dir)
}

// stream is what faultd would make.
var stream = jetstream.StreamConfig{Name: "JOBS", Subjects: consumer.Subjects, Storage: jetstream.FileStorage, AllowAtomicPublish: true}

// fill makes the stream anew and publishes a load to it.
func (s *server) fill(l *load) (jetstream.Stream, error) {
	if err := s.remove(stream.Name); err != nil {
		return nil, err
	}
	made, err := s.js.CreateStream(s.ctx, stream)
	if err != nil {
		return nil, err
	}
	done, err := consumer.Publish(s.ctx, s.conn, l.lines(), consumer.PublishOptions{})
	switch {
	case err != nil:
		return nil, fmt.Errorf("filling the stream: %w", err)
	case done.Messages != l.events() || done.Duplicates > 0:
		return nil, fmt.Errorf("%d events were published, %d of them twice, and not %d", done.Messages, done.Duplicates, l.events())
	}
	return made, nil
}

// remove removes a stream, if it is there.
func (s *server) remove(name string) error {
	err := s.js.DeleteStream(s.ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return err
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
