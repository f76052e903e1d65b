package alert

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"faultd/statemachine"
)

// ErrUnknownHook is returned when no hook has that name.
var ErrUnknownHook = errors.New("no such hook")

// ErrNotConnected is returned when something is asked that the server must answer, and there is no connection to it.
var ErrNotConnected = errors.New("no connection to NATS")

// Store is where it stands what is in ERROR. Its methods may be called by several goroutines.
type Store interface {
	// Faults returns what is in ERROR now, of a tenant or, empty, of all, behind a marker that may be nil, at most limit.
	// [statemachine.ErrUnknownMarker] says that the marker is gone.
	Faults(tenant string, marker *statemachine.Key, limit int) ([]statemachine.Resource, error)
}

// Config is what an [Alerter] needs. Its zero value is of use to read the stream on this machine and to send nothing.
type Config struct {
	URL         string        // of the NATS server, several with commas; empty: nats://127.0.0.1:4222
	Credentials string        // path of a credentials file; empty: none
	Options     []nats.Option // further ones, such as for TLS

	Hooks []Hook // [Alerter.SetHooks] replaces them

	// Store says what stays in ERROR, for Alertmanager and for what is told again. Nil: neither is done.
	Store Store
	// Current tells whether the store has caught up with the job stream; what it holds is told only then. Nil: always.
	Current func() bool
	Render  func(*statemachine.Resource) []byte // how a resource stands in an event, a JSON object; required with a store

	// Replica names this process in the leases. No two processes of one name may run at a time; one that is started under the name
	// of one that has ended takes over its leases at once, and not after ten seconds. Empty: host, process id and a random part.
	Replica string
	Version string // of the program, for the requests' User-Agent

	Logger     zerolog.Logger        // the zero Logger writes nothing
	Registerer prometheus.Registerer // nil: no metrics
	Step       func(name string)     // told of each step that a test may end the process at; nil: nobody is

	pace *pace // nil: [defaultPace]; tests hurry
}

func (cfg Config) withDefaults() Config {
	cfg.URL = cmp.Or(cfg.URL, nats.DefaultURL)
	cfg.Replica = cmp.Or(cfg.Replica, replicaName())
	if cfg.Step == nil {
		cfg.Step = func(string) {}
	}
	if cfg.Current == nil {
		cfg.Current = func() bool { return true }
	}
	if cfg.pace == nil {
		cfg.pace = &defaultPace
	}
	return cfg
}

func replicaName() string {
	host, _ := os.Hostname()
	random := make([]byte, 4)
	_, _ = rand.Read(random)
	return fmt.Sprintf("%s-%d-%s", cmp.Or(host, "unknown"), os.Getpid(), hex.EncodeToString(random))
}

// Alerter sends what is told on the stream of faults to the hooks. All methods may be called by any goroutine.
type Alerter struct {
	cfg     Config
	id      string // of this process in the leases
	log     zerolog.Logger
	metrics *metrics
	changed chan struct{} // holds a token when hooks has changed

	mu      sync.Mutex // guards what follows
	hooks   []Hook     // as the file has them
	link    *link      // nil while Run is not running
	workers map[string]*worker
}

// New returns an alerter, which does nothing before [Alerter.Run].
func New(cfg Config) *Alerter {
	cfg = cfg.withDefaults()
	a := &Alerter{cfg: cfg, id: replicaName(), log: cfg.Logger.With().Str("component", "hooks").Logger(), hooks: cfg.Hooks,
		changed: make(chan struct{}, 1), workers: map[string]*worker{}}
	a.metrics = newMetrics(a)
	return a
}

// Run sends until the context ends; requests that are under way then have five seconds to end. Nothing that goes wrong
// ends it but an error of the configuration. It is called once.
func (a *Alerter) Run(ctx context.Context) error {
	if err := a.metrics.register(a.cfg.Registerer); err != nil {
		return err
	}
	l, err := a.connect()
	if err != nil {
		return err
	}
	defer l.Close()
	a.mu.Lock()
	a.link = l
	a.mu.Unlock()
	for ctx.Err() == nil {
		a.reconcile(ctx, l)
		select {
		case <-ctx.Done():
		case <-a.changed:
		}
	}
	a.stop(a.workers)
	_ = l.FlushTimeout(time.Second) // what was acknowledged last
	return nil
}

// SetHooks replaces the hooks. What has not changed goes on undisturbed; what is no longer there stops, and goes on where it was
// when it comes back.
func (a *Alerter) SetHooks(hooks []Hook) {
	a.mu.Lock()
	a.hooks = hooks
	a.mu.Unlock()
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// reconcile stops the workers of hooks that are gone or have changed, and then starts those that are missing. Only Run's
// goroutine changes the map of workers.
func (a *Alerter) reconcile(ctx context.Context, l *link) {
	a.mu.Lock()
	hooks := a.hooks
	a.mu.Unlock()
	stays := map[string]*Hook{}
	for i := range hooks {
		stays[hooks[i].Name] = &hooks[i]
	}
	leaving := map[string]*worker{}
	for name, w := range a.workers {
		if h := stays[name]; h == nil || h.Digest != w.hook.Digest {
			leaving[name] = w
		}
	}
	a.stop(leaving)
	a.mu.Lock()
	defer a.mu.Unlock()
	for name := range leaving {
		delete(a.workers, name)
	}
	for name, h := range stays {
		if a.workers[name] == nil {
			w := a.newWorker(h, l)
			within, cancel := context.WithCancel(ctx)
			w.cancel = cancel
			a.workers[name] = w
			go w.run(within)
		}
	}
}

// stop ends workers, all at once, and waits for them.
func (a *Alerter) stop(workers map[string]*worker) {
	for _, w := range workers {
		w.cancel()
	}
	for _, w := range workers {
		<-w.done
	}
}
