package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"faultd/api"
	"faultd/consumer"
	"faultd/consumer/embedded"
)

// settings are what the flags of serve say.
type settings struct {
	dataDir  string
	httpAddr string

	tokens       string // file; empty: everyone is an administrator
	limits       api.Limits
	tlsCert      string // files, like the two below; empty: no TLS
	tlsKey       string
	tlsClientCA  string
	insecureHTTP bool // beyond loopback without TLS

	hooks string // file; empty: no faults are sent to anybody

	natsURL   string // empty: the embedded server
	natsCreds string
	natsAddr  string // of the embedded server, like natsSync
	natsSync  string

	stream   string
	maxAge   time.Duration
	maxBytes int64 // 0: by the free disk, like the next

	faultsMaxBytes int64

	onGap    choice
	onRewind choice

	deadlines deadlineFlag
	retention time.Duration // of deleted resources and of history; 0 is for ever

	maxSize  size // of the store's file; 0: any
	minFree  size // that must be free beside it
	memory   size // 0: no limit
	snapshot keeping

	logLevel  choice
	logFormat choice
}

func newServe() *cobra.Command {
	s := settings{minFree: 256 << 20, memory: defaultMemory, logLevel: choice{"info", []string{"debug", "info", "warn", "error"}}, logFormat: oneOf("json", "console"),
		onGap: oneOf("stop", "continue"), onRewind: oneOf("stop", "new-epoch")}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long:  "Run the daemon: apply the job events of a stream and serve what is known of the resources.\n\n" + environmentNote,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.check(); err != nil {
				return err
			}
			s.limits.Rate = s.rate(cmd.Flags().Changed("rate-limit"))
			limitMemory(s.memory, cmd.Flags().Changed("memory-limit"), os.LookupEnv)
			paceGarbage(s.heapGoal(), os.LookupEnv)
			return serve(cmd.Context(), &s, cmd.ErrOrStderr())
		},
	}
	s.addFlags(cmd.Flags())
	return cmd
}

// heapGoal is for [paceGarbage].
func (s *settings) heapGoal() uint64 {
	if s.natsURL == "" {
		return heapGoalWithServer
	}
	return heapGoal
}

func (s *settings) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVar(&s.dataDir, "data-dir", "./data", "directory of the store and of the embedded server's streams; made if absent")
	flags.StringVar(&s.httpAddr, "http-addr", "127.0.0.1:8080", "address to serve HTTP on, a loopback one unless there are --tokens; port 0 takes a free one")
	flags.StringVar(&s.tokens, "tokens", "", "file of the tokens that are taken, mode 0600, read again on SIGHUP; empty: everyone is served as an administrator")
	flags.Float64Var(&s.limits.Rate, "rate-limit", 1000, "requests a second for each token, and for each address without one; 0: any number; without --tokens it holds only if it is given")
	flags.IntVar(&s.limits.Burst, "rate-burst", 0, "requests that each of them may make at once (default as many as in two seconds)")
	flags.IntVar(&s.limits.InFlight, "max-requests", api.DefaultInFlight, "requests that are answered at a time, streams apart")
	flags.StringVar(&s.tlsCert, "tls-cert", "", "file of the certificate chain to serve HTTPS with, read again on SIGHUP like the two below")
	flags.StringVar(&s.tlsKey, "tls-key", "", "file of its private key")
	flags.StringVar(&s.tlsClientCA, "tls-client-ca", "", "file of the authorities of clients' certificates; clients must have one then, beside their token")
	flags.BoolVar(&s.insecureHTTP, "insecure-http", false, "serve beyond loopback without TLS: tokens and answers cross the network for all to read")
	flags.StringVar(&s.hooks, "hooks", "", "file of the hooks that are told of faults, mode 0600, read again on SIGHUP; empty: there are none")
	flags.StringVar(&s.natsURL, "nats-url", "", "NATS servers to read from; empty: the embedded server")
	flags.StringVar(&s.natsCreds, "nats-creds", "", "file of credentials for --nats-url")
	flags.StringVar(&s.natsAddr, "nats-addr", "127.0.0.1:4222", "loopback address that the embedded server listens on; port 0 takes a free one")
	flags.StringVar(&s.natsSync, "nats-sync", embedded.SyncAlways, "when the embedded server writes through to the disk: always, or every so often (2m)")
	flags.StringVar(&s.stream, "stream", "JOBS", "stream of the job events; made if absent while the store is new")
	flags.DurationVar(&s.maxAge, "stream-max-age", consumer.DefaultMaxAge, "age at which messages leave a stream that is made")
	flags.Int64Var(&s.maxBytes, "stream-max-bytes", 0, "bytes beyond which messages leave a stream that is made (default 10 GiB, or a quarter of the free disk if the embedded server has less)")
	flags.Int64Var(&s.faultsMaxBytes, "faults-max-bytes", 0, "bytes beyond which messages leave the stream FAULTS, where it is made (default 1 GiB, or a tenth of the free disk if the embedded server has less)")
	flags.Var(&s.onGap, "on-gap", "what to do when messages were gone from the stream before they were read: stop, not ready, or record that and continue")
	flags.Var(&s.onRewind, "on-rewind", "what to do when the stream was made anew or ends before what was applied: stop, not ready, or read it from its first message as a new epoch")
	flags.Var(&s.deadlines, "deadline", "how long a job may be silent before it is taken for failed, as KIND.ACTION=DURATION, or attempt=DURATION after a failed attempt; 0 is never; repeatable")
	flags.DurationVar(&s.retention, "retention", 720*time.Hour, "how long deleted resources and history are kept, in the stream's time; 0 is for ever; the same for all replicas of a stream")
	flags.Var(&s.minFree, "min-free", "what must be free on the disk of the store before a batch is applied; 0: nothing is asked")
	flags.Var(&s.maxSize, "max-size", "how large the file of the store may become, 32MiB at least; 0: any size")
	flags.Var(&s.memory, "memory-limit", "memory that the process tries to stay under, 64MiB at least; 0: none; GOMEMLIMIT wins over the default")
	flags.StringVar(&s.snapshot.dir, "snapshot-dir", "", "directory in which copies of the store are kept; empty: none are made")
	flags.DurationVar(&s.snapshot.every, "snapshot-every", 24*time.Hour, "how often a copy is made")
	flags.IntVar(&s.snapshot.keep, "snapshot-keep", 7, "how many of them are kept")
	flags.Var(&s.logLevel, "log-level", "least level that is logged")
	flags.Var(&s.logFormat, "log-format", "how the log on standard error is written")
}

// deadlineFlag collects the values of --deadline; in the environment they stand with commas between them.
type deadlineFlag struct{ consumer.Deadlines }

func (d *deadlineFlag) Set(text string) error {
	for _, one := range strings.Split(text, ",") {
		if err := d.Deadlines.Set(one); err != nil {
			return err
		}
	}
	return nil
}

func (d *deadlineFlag) String() string { return "" }

func (d *deadlineFlag) Type() string { return "kind.action=duration" }

// check refuses what cannot be meant, before anything is opened.
func (s *settings) check() error {
	return errors.Join(s.checkHTTP(), s.checkTLS(), s.checkLimits(), s.checkNATS(), s.checkStream(), s.checkSizes(), s.snapshot.check())
}

func (s *settings) checkHTTP() error {
	switch inside, err := loopback(s.httpAddr); {
	case err != nil:
		return usagef("--http-addr %s: %w", s.httpAddr, err)
	case inside:
		return nil
	case s.tokens == "":
		return usagef("--http-addr %s is not a loopback address: without tokens everyone who reaches the daemon is served "+
			"as its administrator, so it listens on this machine alone; choose 127.0.0.1:PORT or [::1]:PORT, or name a file "+
			"of tokens with --tokens", s.httpAddr)
	case s.tlsCert == "" && !s.insecureHTTP:
		return usagef("--http-addr %s is not a loopback address: without TLS tokens and answers would cross the network for all to "+
			"read; give --tls-cert and --tls-key, or --insecure-http if that is meant", s.httpAddr)
	default:
		return nil
	}
}

func (s *settings) checkTLS() error {
	switch {
	case (s.tlsCert == "") != (s.tlsKey == ""):
		return usagef("--tls-cert and --tls-key go together")
	case s.tlsClientCA != "" && s.tlsCert == "":
		return usagef("--tls-client-ca goes with --tls-cert and --tls-key")
	default:
		return nil
	}
}

func (s *settings) checkLimits() error {
	if l := s.limits; !(l.Rate >= 0) || math.IsInf(l.Rate, 1) || l.Burst < 0 || l.InFlight < 1 {
		return usagef("--rate-limit and --rate-burst must be 0 or more, --max-requests 1 or more")
	}
	return nil
}

func (s *settings) checkNATS() error {
	if s.natsURL != "" {
		return checkAddresses("--nats-url", s.natsURL)
	}
	if s.natsCreds != "" {
		return usagef("--nats-creds goes with --nats-url: the embedded server asks for no credentials")
	}
	switch inside, err := loopback(s.natsAddr); {
	case err != nil:
		return usagef("--nats-addr %s: %w", s.natsAddr, err)
	case !inside:
		return usagef("--nats-addr %s is not a loopback address: anyone who reached the embedded server could publish; "+
			"for other machines run a nats-server of its own and name it with --nats-url", s.natsAddr)
	}
	if every, err := time.ParseDuration(s.natsSync); s.natsSync != embedded.SyncAlways && (err != nil || every <= 0) {
		return usagef("--nats-sync %q is neither %s nor a duration like 2m", s.natsSync, embedded.SyncAlways)
	}
	return nil
}

func (s *settings) checkStream() error {
	if s.stream == "" || s.maxAge <= 0 || s.maxBytes < 0 || s.faultsMaxBytes < 0 {
		return usagef("--stream must be a name, --stream-max-age more than 0, --stream-max-bytes and --faults-max-bytes 0 or more")
	}
	if s.retention < 0 || s.retention > 0 && s.retention < time.Minute {
		return usagef("--retention %s: it is 0 for ever, or a minute at least", s.retention)
	}
	return nil
}

func (s *settings) checkSizes() error {
	switch {
	case s.maxSize != 0 && s.maxSize < leastStore:
		return usagef("--max-size %s: it is 0 for any size, or %s at least, since the file grows by 16 MiB at a time", s.maxSize.bytes(), leastStore.bytes())
	case s.memory != 0 && s.memory < leastMemory:
		return usagef("--memory-limit %s: it is 0 for none, or %s at least", s.memory.bytes(), leastMemory.bytes())
	default:
		return nil
	}
}

// leastStore is the smallest limit on the store's file that can be kept to.
const leastStore = size(32 << 20)

// loopback tells whether only this machine can reach an address.
func loopback(addr string) (bool, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false, err
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback(), nil
}

// rate is the limit on requests. Without tokens whoever is on this machine may ask as much as it can take, unless a limit
// was given.
func (s *settings) rate(given bool) float64 {
	if s.tokens == "" && !given {
		return 0
	}
	return s.limits.Rate
}

// newLogger writes to w, which may lead to a terminal; the log is for machines unless the console format is chosen.
func (s *settings) newLogger(w io.Writer, terminal bool) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(s.logLevel.value)
	if err != nil {
		return zerolog.Nop(), fmt.Errorf("log level: %w", err)
	}
	if s.logFormat.value == "console" {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !terminal, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger(), nil
}

func serve(ctx context.Context, s *settings, stderr io.Writer) error {
	// Whoever reads the log may go: what is written then is lost, and the daemon stays.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	lines := newLogWriter(stderr)
	defer lines.close()
	log, err := s.newLogger(lines, isTerminal(stderr))
	if err != nil {
		return err
	}
	dog := newWatchdog(stderr)
	defer dog.off()
	if err := runDaemon(ctx, s, log, lines, dog.on); err != nil {
		return err
	}
	log.Info().Msg("stopped")
	return nil
}
