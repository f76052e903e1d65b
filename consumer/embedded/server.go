// Package embedded runs a nats-server inside the process, for an installation of one machine. It listens on
// loopback only, since whoever reaches it may publish.
package embedded

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// SyncAlways is the [Config.Sync] with which every acknowledged message survives a power cut.
const SyncAlways = "always"

const (
	readyWithin = 10 * time.Second // to listen, once the streams are restored
	stopWithin  = 10 * time.Second
)

// ErrNotLoopback is returned when the server is told to listen beyond loopback.
var ErrNotLoopback = errors.New("the embedded nats-server asks nobody for a password, so it listens on loopback only")

// Config is what an embedded server needs.
type Config struct {
	StoreDir string         // where the streams live; required, made if absent
	Addr     string         // host:port, empty: 127.0.0.1:4222; port 0: one that is free
	Sync     string         // when streams are written through: [SyncAlways] (empty too), or every so often, like "2m"
	MaxStore int64          // bytes that all streams together may reserve; 0: three quarters of what is free and theirs
	Logger   zerolog.Logger // the zero Logger writes nothing
}

// Server is a running nats-server.
type Server struct {
	nats *server.Server
	url  string
	dir  string
}

// Start starts a server and returns when it takes connections. Restoring large streams after a crash may take
// a while; the log tells. One process at a time may use a StoreDir.
func Start(cfg Config) (*Server, error) {
	opts, err := options(cfg)
	if err != nil {
		return nil, fmt.Errorf("embedded nats-server: %w", err)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("embedded nats-server: %w", err)
	}
	log := &logger{log: cfg.Logger.With().Str("component", "nats-server").Logger()}
	level := cfg.Logger.GetLevel()
	s.SetLoggerV2(log, level <= zerolog.DebugLevel, level <= zerolog.TraceLevel, false)
	s.Start()
	// The server reports what keeps it from starting as a fatal line of its log, and then hangs about.
	if fatal := log.fatal(); fatal != "" || !s.ReadyForConnections(readyWithin) {
		s.Shutdown()
		return nil, startError(fatal, net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port)))
	}
	return &Server{nats: s, url: "nats://" + s.Addr().String(), dir: opts.StoreDir}, nil
}

// URL is where clients in this machine reach the server.
func (s *Server) URL() string { return s.url }

// Stop ends the server, with everything that it acknowledged on disk, and returns when it has ended or has
// not within ten seconds.
func (s *Server) Stop() error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
	}()
	select {
	case <-ended:
		return nil
	case <-time.After(stopWithin):
		return fmt.Errorf("embedded nats-server: has not stopped within %s", stopWithin)
	}
}

// StreamBytes is how large a stream in this server should be allowed to become: 10 GiB, or a quarter of what
// is free on the disk if that is less. A stream's limit is reserved when the stream is created.
func (s *Server) StreamBytes() int64 {
	const most = 10 << 30
	var fs syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &fs); err != nil {
		return most
	}
	return min(most, int64(fs.Bavail)*int64(fs.Bsize)/4) //nolint:unconvert // Bsize has another type on other platforms
}

func options(cfg Config) (*server.Options, error) {
	if cfg.StoreDir == "" {
		return nil, errors.New("no directory is given for its streams")
	}
	host, port, err := listen(cfg.Addr)
	if err != nil {
		return nil, err
	}
	opts := &server.Options{
		ServerName:        "faultd",
		Host:              host,
		Port:              port,
		NoSigs:            true, // else it would end the process at a signal
		JetStream:         true,
		StoreDir:          cfg.StoreDir,
		JetStreamMaxStore: cfg.MaxStore,
	}
	if cfg.Sync == "" || cfg.Sync == SyncAlways {
		opts.SyncAlways = true
		return opts, nil
	}
	if opts.SyncInterval, err = time.ParseDuration(cfg.Sync); err != nil || opts.SyncInterval <= 0 {
		return nil, fmt.Errorf("sync %q is neither %q nor a duration like \"2m\"", cfg.Sync, SyncAlways)
	}
	return opts, nil
}

// listen takes an address apart and refuses one that is not loopback.
func listen(addr string) (host string, port int, err error) {
	if addr == "" {
		addr = "127.0.0.1:4222"
	}
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("address to listen on: %w", err)
	}
	n, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("address to listen on: port %q is no number from 0 to 65535", portText)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", 0, fmt.Errorf("address to listen on: %s: %w; for other machines run a nats-server of its own and name it with --nats-url",
			addr, ErrNotLoopback)
	}
	if n == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, int(n), nil
}

func startError(fatal, addr string) error {
	switch {
	case fatal == "":
		return fmt.Errorf("embedded nats-server: does not take connections on %s after %s", addr, readyWithin)
	case strings.Contains(fatal, syscall.EADDRINUSE.Error()):
		return fmt.Errorf("embedded nats-server: %s is taken, perhaps by another faultd or nats-server: choose a free one with --nats-addr, or use that server with --nats-url: %w",
			addr, syscall.EADDRINUSE)
	default:
		return fmt.Errorf("embedded nats-server: %s", fatal)
	}
}
