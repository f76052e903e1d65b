package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	sm "faultd/statemachine"
)

// layout is the version of the bucket tree and its records; a file of another one is not opened.
const layout = 1

// lockTimeout is how long Open waits for another process to let go of the file.
const lockTimeout = 2 * time.Second

var (
	// ErrInUse is returned when another process has the file open.
	ErrInUse = errors.New("the store is in use by another process")
	// ErrLayout is returned when the file was written by a version of faultd that this one cannot read.
	ErrLayout = errors.New("the store has another layout")
	// ErrBroken is returned when a commit failed before, so that what the file holds is not known.
	ErrBroken = errors.New("a commit failed, what it left behind is not known")
)

var (
	bucketMeta     = []byte("meta")
	bucketTenants  = []byte("tenants")
	bucketIDs      = []byte("ids")
	bucketHot      = []byte("hot")
	bucketCold     = []byte("cold")
	bucketJobs     = []byte("jobs")
	bucketHistory  = []byte("history")
	bucketFaults   = []byte("faults")
	bucketLists    = []byte("lists")
	bucketErrors   = []byte("errors")
	bucketCounts   = []byte("counts")
	bucketRejected = []byte("rejected")

	bucketAges       = []byte("ages")
	bucketUnfinished = []byte("unfinished")
	bucketRelations  = []byte("relations")
	bucketMessages   = []byte("messages")

	bucketGroups       = []byte("groups")
	bucketMembers      = []byte("members")
	bucketGroupTenants = []byte("grouptenants")
	bucketShared       = []byte("shared")
	bucketValues       = []byte("values")

	buckets = [][]byte{bucketMeta, bucketTenants, bucketIDs, bucketHot, bucketCold, bucketJobs, bucketHistory,
		bucketFaults, bucketLists, bucketErrors, bucketCounts, bucketRejected, bucketAges, bucketUnfinished, bucketRelations, bucketMessages,
		bucketGroups, bucketMembers, bucketGroupTenants, bucketShared, bucketValues}

	keyLayout   = []byte("layout")
	keyPosition = []byte("position")
	keyCounters = []byte("counters")
	keyNext     = []byte("next")
	keyHash     = []byte("hash")
	keyClock    = []byte("clock")
)

// Options say where the store is.
type Options struct {
	Path   string // of the file; its directory must exist
	Logger zerolog.Logger
	// Retention is how long deleted resources and history are kept, in stream time; 0 is for ever. It is part of
	// the policy: replicas of one log have equal states only if it is the same for all.
	Retention time.Duration
}

// DB is an open store. Its methods may be called by any number of goroutines, but [DB.Apply] by one at a time.
type DB struct {
	bolt      *bbolt.DB
	log       zerolog.Logger
	retention sm.Time

	// Owned by the goroutine that applies.
	next    uint64            // the number of the next resource
	tenants map[string]uint32 // tenant numbers that are committed
	clock   sm.Time           // the largest stream time that was applied
	broken  error

	mu        sync.RWMutex // guards what follows: the committed state that readers need beside the file
	position  sm.Position
	counters  sm.Counters
	hash      uint64 // of the state, see table.hashed
	counts    map[countKey]uint64
	feed      feed
	pending   []sm.Pending  // see [DB.Pending]
	changed   chan struct{} // closed at the next commit
	closeOnce sync.Once
}

// countKey is a place in the counts: tenant number 0 counts all tenants.
type countKey struct {
	tenant uint32
	kind   sm.Kind
	status sm.Status
}

// Open opens the store, or creates it where there is no file. It returns [ErrInUse] or [ErrLayout], wrapped.
func Open(o Options) (*DB, error) {
	if _, err := os.Stat(o.Path); errors.Is(err, os.ErrNotExist) {
		if err := create(o.Path); err != nil {
			return nil, fmt.Errorf("creating the store %s: %w", o.Path, err)
		}
	}
	bolt, err := open(o.Path)
	if err != nil {
		return nil, err
	}
	db := &DB{bolt: bolt, log: o.Logger, retention: sm.Time(o.Retention), changed: make(chan struct{})}
	err = bolt.View(db.load)
	if err == nil {
		err = db.loadPending()
	}
	if err != nil {
		_ = bolt.Close()
		return nil, fmt.Errorf("opening the store %s: %w", o.Path, err)
	}
	db.feed.start(db.position.Sequence)
	return db, nil
}

func open(path string) (*bbolt.DB, error) {
	bolt, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:      lockTimeout,
		FreelistType: bbolt.FreelistMapType,
		// Address space, not memory: remapping a grown file waits for all readers.
		InitialMmapSize: 16 << 30,
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%w: %s; stop the other faultd, or give this one a --data-dir of its own", ErrInUse, path)
	case err != nil:
		return nil, fmt.Errorf("opening the store %s: %w", path, err)
	}
	return bolt, nil
}

// create makes an empty store under another name and renames it when it is durable: whatever ends the
// process meanwhile, a file of the right name is a whole store.
func create(path string) error {
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	bolt, err := open(temporary)
	if err != nil {
		return err
	}
	if err := errors.Join(bolt.Update(initialize), bolt.Sync(), bolt.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func initialize(tx *bbolt.Tx) error {
	for _, name := range buckets {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketMeta).Put(keyLayout, binary.BigEndian.AppendUint64(nil, layout))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// load reads what is kept in memory.
func (db *DB) load(tx *bbolt.Tx) error {
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: it has no bucket %s; it is not a store of faultd, or of a newer one", ErrLayout, name)
		}
	}
	meta := tx.Bucket(bucketMeta)
	if v := meta.Get(keyLayout); len(v) != 8 || binary.BigEndian.Uint64(v) != layout {
		return fmt.Errorf("%w than %d; use the version of faultd that wrote it, or begin with a new data directory", ErrLayout, layout)
	}
	var err error
	db.next = 1
	if v := meta.Get(keyNext); len(v) == 8 {
		db.next = binary.BigEndian.Uint64(v)
	}
	if v := meta.Get(keyHash); len(v) == 8 {
		db.hash = binary.BigEndian.Uint64(v)
	}
	if v := meta.Get(keyClock); len(v) == 8 {
		db.clock = sm.Time(binary.BigEndian.Uint64(v))
	}
	if v := meta.Get(keyPosition); v != nil {
		if db.position, err = decodePosition(v); err != nil {
			return fmt.Errorf("reading the position: %w", err)
		}
	}
	if v := meta.Get(keyCounters); v != nil {
		if db.counters, err = decodeCounters(v); err != nil {
			return fmt.Errorf("reading the counters: %w", err)
		}
	}
	return db.loadTables(tx)
}

func (db *DB) loadTables(tx *bbolt.Tx) error {
	db.tenants = map[string]uint32{}
	if err := tx.Bucket(bucketTenants).ForEach(func(k, v []byte) error {
		if len(v) != 4 {
			return fmt.Errorf("tenant %q: %w", k, errShort)
		}
		db.tenants[string(k)] = binary.BigEndian.Uint32(v)
		return nil
	}); err != nil {
		return err
	}
	db.counts = map[countKey]uint64{}
	return tx.Bucket(bucketCounts).ForEach(func(k, v []byte) error {
		if len(k) != 6 || len(v) != 8 {
			return fmt.Errorf("count %x: %w", k, errShort)
		}
		key := countKey{binary.BigEndian.Uint32(k), sm.Kind(k[4]), sm.Status(k[5])}
		db.counts[key] = binary.BigEndian.Uint64(v)
		return nil
	})
}

// Close waits for readers and closes the file. It may be called more than once.
func (db *DB) Close() (err error) {
	db.closeOnce.Do(func() { err = db.bolt.Close() })
	return err
}

// Position is how far the log has been applied and committed.
func (db *DB) Position() sm.Position {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.position
}

// Counters count all messages up to [DB.Position].
func (db *DB) Counters() sm.Counters {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.counters
}

// State is the position, the counters up to it, and the hash of all that the log has made up to it: equal logs,
// however they were cut into batches, give equal hashes.
func (db *DB) State() (p sm.Position, c sm.Counters, hash uint64) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.position, db.counters, db.hash
}
