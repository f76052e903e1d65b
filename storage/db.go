package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	sm "faultd/statemachine"
)

// layout is the version of the bucket tree and its records; a file of another one is not opened.
const layout = 3

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

	bucketOutbox = []byte("outbox")
	bucketEpochs = []byte("epochs")
	bucketGaps   = []byte("gaps")

	buckets = [][]byte{bucketMeta, bucketTenants, bucketIDs, bucketHot, bucketCold, bucketJobs, bucketHistory,
		bucketFaults, bucketLists, bucketErrors, bucketRejected, bucketAges, bucketUnfinished, bucketRelations, bucketMessages,
		bucketGroups, bucketMembers, bucketGroupTenants, bucketShared, bucketValues, bucketOutbox, bucketEpochs, bucketGaps}

	keyLayout   = []byte("layout")
	keyPosition = []byte("position")
	keyCounters = []byte("counters")
	keyNext     = []byte("next")
	keyHash     = []byte("hash")
	keyClock    = []byte("clock")
	keyBehind   = []byte("behind")
)

// Options say where the store is.
type Options struct {
	Path   string // of the file; its directory must exist
	Logger zerolog.Logger
	// Retention is how long deleted resources and history are kept, in stream time, up to the next full minute; 0 is for ever. It is part of
	// the policy: replicas of one log have equal states only if it is the same for all.
	Retention time.Duration
	// MaxSize is how large the file may become, in bytes; 0 is no limit. bbolt grows in steps of 16 MiB, so that less than
	// 32 MiB is not kept to.
	MaxSize int64
	// MinFree is how many bytes must be free on the file system before a batch is applied; 0 is none.
	MinFree uint64
	// Step is called with the name of the point that was reached, by the goroutine that reached it; nil in production.
	// Tests end the process there.
	Step func(name string)
}

// DB is an open store. Its methods may be called by any number of goroutines, but [DB.Apply] and [DB.NewEpoch] by one at a time.
type DB struct {
	file   sync.RWMutex // guards bolt, ending and closed: whoever uses the file holds it for reading, who opens it anew for writing
	bolt   *bbolt.DB
	ending chan struct{} // closed when those who copy the file must let go of it
	closed bool
	stuck  atomic.Bool // bbolt panicked with its locks held: nobody may call it again

	reusable  sync.Pool // of *tables
	options   Options
	log       zerolog.Logger
	retention sm.Time
	copying   chan struct{}     // holds a token while a copy is made
	step      func(name string) // never nil

	// Owned by the goroutine that applies.
	next   uint64  // the number of the next resource
	clock  sm.Time // the largest stream time that was applied
	broken error
	room   room

	mu        sync.RWMutex // guards what follows: the committed state that readers need beside the file
	position  sm.Position
	counters  sm.Counters
	hash      uint64 // of the state, see table.hashed
	counts    map[countKey]uint64
	tenants   map[string]uint32 // tenant numbers that are committed
	epochs    []sm.Position     // that ended
	gaps      []gap
	behind    uint64 // see [DB.NewEpoch]
	feed      feed
	pending   map[pendingKey]sm.Pending // see [DB.Pending]
	changed   chan struct{}             // closed at the next commit
	closeOnce sync.Once

	outbox outbox
	recent recent
}

// countKey is a place in the counts: tenant number 0 counts all tenants.
type countKey struct {
	tenant uint32
	kind   sm.Kind
	status sm.Status
}

// Open opens the store, or creates it where there is no file. It returns [ErrInUse], [ErrLayout] or
// [ErrCorrupt], wrapped: what is damaged in the structure of the file is found here, by reading all of it, and what is
// damaged in a record where that is read.
func Open(o Options) (*DB, error) {
	if o.Step == nil {
		o.Step = func(string) {}
	}
	if _, err := os.Stat(o.Path); errors.Is(err, os.ErrNotExist) {
		if err := create(o); err != nil {
			return nil, fmt.Errorf("creating the store %s: %w", o.Path, err)
		}
	}
	bolt, err := open(o.Path, o.MaxSize)
	if err != nil {
		return nil, err
	}
	db := newDB(bolt, o)
	_ = os.Remove(o.Path + compactSuffix) // a compaction did not come to its end
	db.step("open")
	err = db.view(db.load)
	if err == nil {
		err = db.loadPending()
	}
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("opening the store %s: %w", o.Path, err)
	}
	db.feed.start(db.position.Ordinal())
	return db, nil
}

func newDB(bolt *bbolt.DB, o Options) *DB {
	return &DB{bolt: bolt, options: o, log: o.Logger, retention: sm.Time(o.Retention), step: o.Step, changed: make(chan struct{}),
		ending: make(chan struct{}), copying: make(chan struct{}, 1), room: room{free: freeSpace}}
}

// open opens a file that has a structure which bbolt can be let read.
func open(path string, maxSize int64) (*bbolt.DB, error) {
	return openFile(path, maxSize, false, func(file *os.File) error {
		_, err := verifyStructure(file)
		return err
	})
}

// openFile opens a file, which is verified when it is locked; made is whether one is made where there is none.
func openFile(path string, maxSize int64, made bool, verify func(*os.File) error) (*bbolt.DB, error) {
	var file *os.File // bbolt's own
	options := &bbolt.Options{
		Timeout:      lockTimeout,
		FreelistType: bbolt.FreelistMapType,
		// Address space, not memory: remapping a grown file waits for all readers.
		InitialMmapSize: 16 << 30,
		MaxSize:         int(maxSize),
		OpenFile: func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
			if !made {
				flag &^= os.O_CREATE
			}
			if f, err = os.OpenFile(name, flag, mode); err != nil {
				return f, err
			}
			file = f
			if err = lock(f); err == nil {
				err = verify(f)
			}
			return f, err
		},
	}
	var bolt *bbolt.DB
	err := protect(func() (err error) {
		bolt, err = bbolt.Open(path, 0o600, options)
		return err
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%w: %s; stop the other faultd, or give this one a --data-dir of its own", ErrInUse, path)
	case err != nil:
		return nil, fmt.Errorf("opening the store %s: %w", path, err)
	case replaced(path, file):
		_ = bolt.Close()
		return nil, fmt.Errorf("%w: %s was compacted meanwhile; start again", ErrInUse, path)
	}
	return bolt, nil
}

// lock takes the lock that bbolt takes for the same open file right after.
func lock(file *os.File) error {
	for end := time.Now().Add(lockTimeout); ; time.Sleep(lockTimeout / 40) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("locking %s: %w", file.Name(), err)
		case time.Now().After(end):
			return bolterrors.ErrTimeout
		}
	}
}

// replaced tells whether another file than the open one has the name by now: who waited for the lock may hold that of
// a file that is no more.
func replaced(path string, file *os.File) bool {
	is, err := file.Stat()
	named, failed := os.Stat(path)
	return err != nil || failed != nil || !os.SameFile(is, named)
}

// errMade is returned when another process has made the store meanwhile.
var errMade = errors.New("the store was made meanwhile")

// create makes an empty store under another name and renames it when it is durable: whatever ends the
// process meanwhile, a file of the right name is a whole store. Of several processes one makes it: its lock holds until
// the file has its name, and who comes then finds that and leaves it alone.
func create(o Options) (err error) {
	temporary := o.Path + ".new"
	bolt, err := openFile(temporary, 0, true, func(f *os.File) error {
		if replaced(temporary, f) {
			return errMade
		}
		if _, err := os.Lstat(o.Path); err == nil {
			return errors.Join(errMade, os.Remove(temporary))
		}
		return f.Truncate(0) // of a process that did not come to its end
	})
	if errors.Is(err, errMade) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bolt.Close()) }()
	if err := errors.Join(bolt.Update(initialize), bolt.Sync()); err != nil {
		return err
	}
	o.Step("create")
	if err := os.Rename(temporary, o.Path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(o.Path))
}

func initialize(tx *bbolt.Tx) error {
	for _, name := range buckets {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return newTables(tx).meta.put(keyLayout, numberKey(layout))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// checkLayout tells a store of another version, and a damaged one, from a file that is no store.
func checkLayout(v view) error {
	var missing []string
	for _, name := range buckets {
		if v.tx.Bucket(name) == nil {
			missing = append(missing, string(name))
		}
	}
	var found []byte
	if v.tx.Bucket(bucketMeta) != nil {
		if found = v.meta.bucket().Get(keyLayout); len(found) != 8 { // it was without a checksum before layout 2
			found = v.meta.get(keyLayout)
		}
	}
	switch {
	case v.damage != nil:
		return v.damage
	case len(found) == 8 && binary.BigEndian.Uint64(found) != layout:
		return fmt.Errorf("%w: %d, and this faultd reads %d; use the version of faultd that wrote it, or begin with a new data directory",
			ErrLayout, binary.BigEndian.Uint64(found), layout)
	case len(found) != 8 && len(missing) > 1:
		return fmt.Errorf("%w: it has no buckets %s; it is not a store of faultd", ErrLayout, strings.Join(missing, ", "))
	case len(found) != 8 || len(missing) > 0:
		return corrupt("it has no bucket %s, or does not say its layout", strings.Join(missing, ", "))
	}
	return nil
}

// load reads what is kept in memory.
func (db *DB) load(v view) error {
	if err := checkLayout(v); err != nil {
		return err
	}
	var err error
	db.next = 1
	if record := v.meta.get(keyNext); len(record) == 8 {
		db.next = binary.BigEndian.Uint64(record)
	}
	if record := v.meta.get(keyHash); len(record) == 8 {
		db.hash = binary.BigEndian.Uint64(record)
	}
	if record := v.meta.get(keyClock); len(record) == 8 {
		db.clock = sm.Time(binary.BigEndian.Uint64(record))
	}
	if record := v.meta.get(keyPosition); record != nil {
		if db.position, err = decodePosition(record); err != nil {
			return fmt.Errorf("reading the position: %w", err)
		}
	}
	if record := v.meta.get(keyCounters); record != nil {
		if db.counters, err = decodeCounters(record); err != nil {
			return fmt.Errorf("reading the counters: %w", err)
		}
	}
	if record := v.meta.get(keyBehind); len(record) == 8 {
		db.behind = binary.BigEndian.Uint64(record)
	}
	if err = db.loadEpochs(v); err != nil {
		return err
	}
	if err = db.loadOutbox(v); err != nil {
		return err
	}
	return db.loadTables(v)
}

func (db *DB) loadTables(v view) error {
	db.tenants = map[string]uint32{}
	if err := v.tenantNumbers.all(func(k, v []byte) error {
		if len(v) != 4 {
			return fmt.Errorf("tenant %q: %w", k, errShort)
		}
		db.tenants[string(k)] = binary.BigEndian.Uint32(v)
		return nil
	}); err != nil {
		return err
	}
	db.counts = map[countKey]uint64{}
	return v.lists.all(func(k, record []byte) error {
		if len(k) != 14 {
			return fmt.Errorf("list %x: %w", k, errShort)
		}
		db.counts[countKey{binary.BigEndian.Uint32(k), sm.Kind(k[4]), sm.Status(k[5])}] += uint64(chunk(record).size())
		return nil
	})
}

// Close waits for readers and closes the file. It may be called more than once.
func (db *DB) Close() (err error) {
	db.closeOnce.Do(func() {
		db.file.Lock()
		defer db.file.Unlock()
		close(db.ending)
		db.closed = true
		if !db.stuck.Load() { // else bbolt would wait for its own locks
			err = db.bolt.Close()
		}
	})
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
