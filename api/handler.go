package api

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	sm "faultd/statemachine"
)

// Store is what the API reads. Every method may be called by any number of goroutines, sees committed batches
// whole or not at all, and returns values that are the caller's own.
type Store interface {
	// Resource returns [sm.ErrNotFound] where there is none.
	Resource(key sm.Key) (sm.Resource, error)
	// Find returns the resources of that kind and id of all tenants.
	Find(kind sm.Kind, id string) ([]sm.Resource, error)
	// List returns [sm.ErrUnknownMarker] for a marker outside the query's tenant.
	List(q sm.Query) ([]sm.Resource, error)
	// Faults returns what is in ERROR, the newest fault first, or [sm.ErrUnknownMarker].
	Faults(tenant string, marker *sm.Key, limit int) ([]sm.Resource, error)
	// History returns the newest transition first, and how many are no longer kept.
	History(key sm.Key) (rows []sm.Transition, cut uint64, err error)
	// Summary leaves out what is 0; the tenant "" stands for all.
	Summary(tenant string) map[sm.Kind]map[sm.Status]uint64
	// Rejected returns the newest first, those before a sequence, or from the newest for 0.
	Rejected(before uint64, limit int) ([]sm.Rejection, error)
	Position() sm.Position
	Counters() sm.Counters
	// Changed is closed at the next commit.
	Changed() <-chan struct{}
	// Changes returns transitions behind a sequence, the oldest first, or false where they are not all known.
	Changes(after uint64) (rows []sm.Change, ok bool)
}

// Health is how the daemon is.
type Health struct {
	State   string   // READY, or another of the states of /readyz
	Reasons []string // why it is not READY, and what to do
	Lag     uint64   // messages of the stream that are not applied yet
}

// ready is the state in which /readyz says yes.
const ready = "READY"

// DefaultMaxStreams is how many followers of /v1/stream are served at a time if nothing else is said.
const DefaultMaxStreams = 64

// Config is what the API is made of. Only Store is required.
type Config struct {
	Store    Store
	Health   func() Health        // nil: always READY
	Logger   zerolog.Logger       // the zero Logger writes nothing
	Registry *prometheus.Registry // nil: one of its own; a registry serves one Handler
	Done     <-chan struct{}      // closed at shutdown: streams end then; nil: never

	StateHash  func() string // nil: /v1/position has no state_hash
	MaxStreams int           // followers of /v1/stream at a time; 0: DefaultMaxStreams
}

// Handler is the whole API. It may serve any number of requests at a time.
type Handler struct {
	store      Store
	health     func() Health
	log        zerolog.Logger
	done       <-chan struct{}
	stateHash  func() string
	identify   func(*http.Request) (caller, error)
	metrics    *metrics
	mounts     map[string]*mount // by the first segment of a path
	nowhere    *mount            // of all other paths
	streams    chan struct{}     // holds a token for each stream that is open
	heartbeat  time.Duration     // between two signs of life on a quiet stream
	writeLimit time.Duration     // how long one write to a stream may take
}

// New makes the API. It panics if the registry has these metrics already.
func New(c Config) *Handler {
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Health == nil {
		c.Health = func() Health { return Health{State: ready} }
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = DefaultMaxStreams
	}
	h := &Handler{
		store: c.Store, health: c.Health, log: c.Logger, done: c.Done, stateHash: c.StateHash,
		identify: everyone, metrics: newMetrics(c.Registry, c.Store),
		streams: make(chan struct{}, c.MaxStreams), heartbeat: 15 * time.Second, writeLimit: 10 * time.Second,
	}
	h.mount(c.Registry)
	return h
}

// mount is one dialect and where it is spoken.
type mount struct {
	name      string // as a metric's label
	fault     dialect
	serve     func(c *call, path []string) error // path is what lies below the mount
	requestID string                             // a further header that tells the request's id, or ""
	seconds   prometheus.Observer
}

func (h *Handler) mount(registry *prometheus.Registry) {
	h.mounts = map[string]*mount{
		"":                  {name: "page", fault: ownFault, serve: alone(page)},
		"livez":             {name: "livez", fault: ownFault, serve: alone(livez)},
		"readyz":            {name: "readyz", fault: ownFault, serve: alone(readyz)},
		"metrics":           {name: "metrics", fault: ownFault, serve: alone(scrape(registry))},
		"openapi.json":      {name: "openapi", fault: ownFault, serve: alone(nil)},
		"v1":                {name: "v1", fault: ownFault, serve: ownRoutes.serve},
		"compute":           {name: "compute", fault: computeFault, serve: serveCompute, requestID: "X-Compute-Request-Id"},
		"volume":            {name: "volume", fault: ownFault, serve: later},
		"cloud-backup":      {name: "cloud-backup", fault: ownFault, serve: later},
		"backup-management": {name: "backup-management", fault: ownFault, serve: later},
	}
	h.nowhere = &mount{name: "none", fault: ownFault, serve: func(*call, []string) error { return notFound }}
	h.nowhere.seconds = h.metrics.seconds.WithLabelValues(h.nowhere.name)
	for _, m := range h.mounts {
		m.seconds = h.metrics.seconds.WithLabelValues(m.name)
	}
}

// later is a mount that is not served yet.
func later(*call, []string) error { return notImplemented }

// ServeHTTP answers one request, whatever it is.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := splitPath(r.URL)
	m := h.mounts[path[0]]
	if m == nil {
		m = h.nowhere
	}
	c := &call{h: h, r: r, mount: m, id: newRequestID(), began: time.Now()}
	c.w.ResponseWriter = w
	defer c.finish()
	c.announce()
	var err error
	if c.caller, err = h.identify(r); err == nil {
		err = m.serve(c, path[1:])
	}
	if err != nil {
		c.fail(err)
	}
}
