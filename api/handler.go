package api

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	sm "faultd/statemachine"
)

// Store is what the API reads. Every method may be called by any number of goroutines, sees committed batches
// whole or not at all, and returns values of which nobody changes what they refer to.
type Store interface {
	// Resource returns [sm.ErrNotFound] where there is none.
	Resource(key sm.Key) (sm.Resource, error)
	// Recent is Resource for what needs no reading, and false for all else.
	Recent(key sm.Key) (sm.Resource, bool)
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
	// Messages returns the transitions that brought a fault, the newest first, those before a sequence, or from the
	// newest for 0; the tenant "" stands for all.
	Messages(tenant string, before uint64, limit int) ([]sm.Change, error)
	// Rejected returns the newest first, those before a sequence, or from the newest for 0.
	Rejected(before uint64, limit int) ([]sm.Rejection, error)
	// NewestExport is the newest COMPLETED export of a backup, or false where there is none.
	NewestExport(tenant, backupID string) (sm.Resource, bool, error)
	// SharedVault tells whether another agent on another host writes to the resource's vault.
	SharedVault(r *sm.Resource) bool
	// Groups returns the groups of faults behind the one with that fingerprint, or from the first for "". It returns
	// [sm.ErrUnknownMarker].
	Groups(marker string, limit int) ([]sm.Group, error)
	// Snapshot makes a copy of one committed state under a name that is free, verifies it, and returns its position. It
	// returns [sm.ErrFull] where there is no room.
	Snapshot(ctx context.Context, path string) (sm.Position, error)
	Position() sm.Position
	// State is the position with the counters up to it, and the hash of all that the log came to.
	State() (p sm.Position, n sm.Counters, hash uint64)
	// Gaps are the runs of messages that were gone before they were read, and Epochs those that ended, both oldest first.
	Gaps() []sm.Gap
	Epochs() []sm.Position
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

	Tokens []Token // that are taken; nil: whoever reaches the API is an administrator
	Limits Limits

	Retention  time.Duration // how long the store keeps history; 0: for ever
	Machine    string        // version of the rules; with Retention it is the policy, under which alone state hashes compare
	MaxStreams int           // followers of /v1/stream at a time; 0: DefaultMaxStreams
	ReadLimit  time.Duration // how long backup management may read for an answer; 0: DefaultReadLimit
	Spool      string        // directory in which snapshots are made that are served; "": none is
	Hooks      Hooks         // nil: there are none
}

// Handler is the whole API. It may serve any number of requests at a time.
type Handler struct {
	store      Store
	health     func() Health
	log        zerolog.Logger
	done       <-chan struct{}
	retention  time.Duration // 0: for ever
	machine    string        // version of the rules
	identify   func(*http.Request) (caller, error)
	tokens     atomic.Pointer[[]Token] // what byToken looks at
	gate       gate
	metrics    *metrics
	told       atomic.Pointer[toldPosition]
	bodies     sync.Pool         // of *[]byte: of answers with one resource
	mounts     map[string]*mount // by the first segment of a path
	nowhere    *mount            // of all other paths
	streams    chan struct{}     // holds a token for each stream that is open
	heartbeat  time.Duration     // between two signs of life on a quiet stream
	writeLimit time.Duration     // how long one write to a stream may take
	readLimit  time.Duration     // how long backup management may read for an answer
	spool      string            // directory for snapshots, or ""
	copying    chan struct{}     // holds a token while a snapshot is made and sent
	hooks      Hooks             // nil: there are none
	sameOrigin *http.CrossOriginProtection
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
	if c.ReadLimit == 0 {
		c.ReadLimit = DefaultReadLimit
	}
	h := &Handler{
		store: c.Store, health: c.Health, log: c.Logger, done: c.Done, retention: c.Retention, machine: c.Machine,
		identify: everyone, gate: newGate(c.Limits), metrics: newMetrics(c.Registry, c.Store),
		streams: make(chan struct{}, c.MaxStreams), heartbeat: 15 * time.Second, writeLimit: 10 * time.Second, readLimit: c.ReadLimit,
		spool: c.Spool, copying: make(chan struct{}, 1), hooks: c.Hooks, sameOrigin: http.NewCrossOriginProtection(),
	}
	if c.Tokens != nil {
		h.identify = h.byToken
		h.SetTokens(c.Tokens)
	}
	h.mount(c.Registry)
	return h
}

// mount is one dialect and where it is spoken.
type mount struct {
	name      string // as a metric's label
	fault     dialect
	faultXML  dialect                            // the same where the answer is XML; nil: the mount speaks JSON alone
	types     []string                           // of which the mount chooses that of every answer; nil: each route says what it serves
	serve     func(c *call, path []string) error // path is what lies below the mount
	requestID string                             // a further header that tells the request's id, or ""
	unlimited bool                               // no limit on requests holds here
	seconds   prometheus.Observer
	answered  sync.Map // [prometheus.Counter] by status
}

func (h *Handler) mount(registry *prometheus.Registry) {
	h.mounts = map[string]*mount{
		"":                  {name: "page", fault: ownFault, serve: alone(page, everybody)},
		"livez":             {name: "livez", fault: ownFault, serve: alone(livez, everybody), unlimited: true},
		"readyz":            {name: "readyz", fault: ownFault, serve: alone(readyz, everybody), unlimited: true},
		"metrics":           {name: "metrics", fault: ownFault, serve: alone(scrape(registry), allTenants)},
		"openapi.json":      {name: "openapi", fault: ownFault, serve: alone(openAPI, everybody)},
		"v1":                {name: "v1", fault: ownFault, serve: serveOwn},
		"compute":           {name: "compute", fault: computeFault, faultXML: computeFaultXML, types: computeTypes, serve: serveCompute, requestID: "X-Compute-Request-Id"},
		"volume":            {name: "volume", fault: volumeFault, faultXML: volumeFaultXML, types: volumeTypes, serve: serveVolume},
		"cloud-backup":      {name: "cloud-backup", fault: cloudBackupFault, serve: serveCloudBackup},
		"backup-management": {name: "backup-management", fault: managementFault, serve: serveManagement},
	}
	h.nowhere = &mount{name: "none", fault: ownFault, serve: func(*call, []string) error { return notFound }}
	h.nowhere.seconds = h.metrics.seconds.WithLabelValues(h.nowhere.name)
	for _, m := range h.mounts {
		m.seconds = h.metrics.seconds.WithLabelValues(m.name)
	}
}

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
	c.caller, c.denied = h.identify(r)
	c.announce()
	if m.types != nil {
		c.chooseType(path[1:])
	}
	err := h.gate.enter(c)
	if err == nil {
		err = c.unlessDenied(m.serve(c, path[1:]))
	}
	if err != nil {
		c.fail(err)
	}
}
