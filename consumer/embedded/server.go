// Package embedded runs a nats-server inside the process, for an installation of one machine. It listens on
// loopback only, since whoever reaches it may publish.
package embedded

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
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
	Logger   zerolog.Logger // the zero Logger writes nothing
}

// Server is a running nats-server. Its methods may be called by any goroutine.
type Server struct {
	cfg  Config // with the address that it has
	log  zerolog.Logger
	free func(dir string) (uint64, error) // tests tell others

	stop     func()
	stopping chan struct{} // closed by stop
	ended    chan struct{} // closed when the server has ended

	mu      sync.Mutex // guards what follows
	current *instance
	trouble error
}

// Start starts a server and returns when it takes connections. Restoring large streams after a crash may take
// a while; the log tells. One process at a time may use a StoreDir. Where its file system becomes full, the server is
// started again once there is room: see [Server.Err].
func Start(cfg Config) (*Server, error) { return startWith(cfg, freeSpace) }

func startWith(cfg Config, free func(string) (uint64, error)) (*Server, error) {
	first, err := launch(cfg)
	if err != nil {
		return nil, err
	}
	cfg.Addr = first.nats.Addr().String()
	stopping := make(chan struct{})
	s := &Server{cfg: cfg, log: first.log.log, free: free, current: first, stopping: stopping, ended: make(chan struct{}),
		stop: sync.OnceFunc(func() { close(stopping) })}
	go s.tend(first)
	return s, nil
}

// instance is one nats-server: after a standstill another one follows.
type instance struct {
	nats *server.Server
	log  *logger
}

// launch starts a nats-server. No other may run on its directory.
func launch(cfg Config) (*instance, error) {
	opts, err := options(cfg)
	if err != nil {
		return nil, fmt.Errorf("embedded nats-server: %w", err)
	}
	if err := mend(cfg.StoreDir); err != nil {
		return nil, fmt.Errorf("embedded nats-server: %w", err)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("embedded nats-server: %w", err)
	}
	is, level := &instance{s, newLogger(cfg.Logger)}, cfg.Logger.GetLevel()
	s.SetLoggerV2(is.log, level <= zerolog.DebugLevel, level <= zerolog.TraceLevel, false)
	s.Start()
	// The server reports what keeps it from starting as a fatal line of its log, and then hangs about.
	if fatal := is.log.fatal(); fatal != "" || !s.ReadyForConnections(readyWithin) {
		is.end()
		return nil, startError(fatal, net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port)))
	}
	return is, nil
}

// end ends the server, with everything that it acknowledged on disk, and returns when it has ended.
func (is *instance) end() {
	is.nats.Shutdown()
	is.nats.WaitForShutdown()
}

// URL is where clients in this machine reach the server.
func (s *Server) URL() string { return "nats://" + s.cfg.Addr }

// Stop ends the server, with everything that it acknowledged on disk, and returns when it has ended or has
// not within ten seconds.
func (s *Server) Stop() error {
	s.stop()
	select {
	case <-s.ended:
		return nil
	case <-time.After(stopWithin):
		return fmt.Errorf("embedded nats-server: has not stopped within %s", stopWithin)
	}
}

// StreamBytes is how large the stream of jobs in this server should be allowed to become: 10 GiB, or a quarter of
// what is free on the disk if that is less. A stream's limit is reserved when the stream is created.
func (s *Server) StreamBytes() int64 { return s.share(10<<30, 4) }

// FaultsBytes is that for the stream of faults: 1 GiB, or a tenth.
func (s *Server) FaultsBytes() int64 { return s.share(1<<30, 10) }

// share is that many bytes, or the free disk's part if that is less.
func (s *Server) share(most, part uint64) int64 {
	free, err := s.free(s.cfg.StoreDir)
	if err != nil {
		return int64(most)
	}
	return int64(min(most, free/part))
}

// freeSpace is what a file system has left for those who are not its administrator.
func freeSpace(dir string) (uint64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	return uint64(fs.Bavail) * uint64(fs.Bsize), nil //nolint:unconvert // both have other types on other platforms
}

// noLimit is what all streams together may take as far as the server is concerned: they have limits of their own, and the
// disk is what it is. The server's own limit, three quarters of what is free when it starts and of what they take, would be
// less than they take where it starts on a disk that is nearly full, and it would take nothing then, room or not.
const noLimit = 1 << 60

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
		JetStreamMaxStore: noLimit,
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
