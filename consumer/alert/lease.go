package alert

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// lease says who sends. It is taken and kept by revision: of two who write at the same time one fails. Who holds it counts from
// before each renewal was sent; who waits for it counts from when it first saw the revision that stands there. So no two clocks
// need to agree, and the one gives up before the other takes over.
type lease struct {
	bucket *bucket
	pace   *pace
	key    string
	me     owner

	mu       sync.Mutex // guards what follows
	revision uint64     // of what is known to stand there
	until    time.Time  // zero: it is not held
}

// owner is the lease's value.
type owner struct {
	ID      string `json:"id"`      // of the process; empty: nobody
	Replica string `json:"replica"` // one process at a time has this name: another one of the name is its predecessor
}

// errLost is returned when somebody else has the lease.
var errLost = errors.New("another replica sends now")

// errExpired is returned when the lease could not be renewed in time.
var errExpired = errors.New("the lease could not be renewed: NATS does not answer; who sends is decided anew once it does")

// held tells whether the lease is held at this moment.
func (l *lease) held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.until)
}

// acquire returns when the lease is taken or the context ends. Who has it meanwhile, or what is wrong, is told.
func (l *lease) acquire(ctx context.Context, tell func(holder string, err error)) error {
	var seen uint64
	var since time.Time
	for ctx.Err() == nil {
		value, revision, err := l.bucket.get(ctx, l.key)
		if err == nil {
			var holder owner
			_ = json.Unmarshal(value, &holder) // what is not understood is nobody's
			if revision != seen || since.IsZero() {
				seen, since = revision, time.Now()
			}
			if holder.ID == "" || holder.Replica == l.me.Replica || time.Since(since) >= l.pace.lease {
				if err = l.take(ctx, revision); err == nil {
					return nil
				}
			} else {
				tell(holder.Replica, nil)
			}
		}
		if err != nil && !errors.Is(err, errTaken) {
			tell("", err)
		}
		pause(ctx, l.pace.look/2+rand.N(l.pace.look))
	}
	return ctx.Err()
}

func (l *lease) take(ctx context.Context, revision uint64) error {
	value, err := json.Marshal(l.me)
	if err != nil {
		return err
	}
	sent := time.Now()
	own, err := l.bucket.swap(ctx, l.key, value, revision)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revision, l.until = own, sent.Add(l.pace.lease)
	return nil
}

// keep renews the lease until the context ends, or until it is lost, which its error says.
func (l *lease) keep(ctx context.Context) error {
	for {
		pause(ctx, l.pace.renew)
		if ctx.Err() != nil {
			return nil
		}
		l.mu.Lock()
		revision, until := l.revision, l.until
		l.mu.Unlock()
		within, cancel := context.WithDeadline(ctx, until)
		err := l.renew(within, revision)
		cancel()
		if errors.Is(err, errLost) {
			l.drop()
			return errLost
		}
		if !l.held() {
			return errExpired
		}
	}
}

// renew writes the lease anew. An earlier renewal may have been stored without an answer, and the bucket may have been
// made anew: then the revision is another, and only what stands there tells whose it is.
func (l *lease) renew(ctx context.Context, revision uint64) error {
	err := l.take(ctx, revision)
	if !errors.Is(err, errTaken) {
		return err
	}
	value, revision, err := l.bucket.get(ctx, l.key)
	if err != nil {
		return err
	}
	var holder owner
	if value != nil && (json.Unmarshal(value, &holder) != nil || holder.ID != l.me.ID) {
		return errLost
	}
	return l.take(ctx, revision)
}

func (l *lease) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
}

// release lets another replica take the lease at once.
func (l *lease) release(ctx context.Context) {
	if !l.held() {
		return
	}
	l.drop()
	value, _ := json.Marshal(owner{})
	_, _ = l.bucket.swap(ctx, l.key, value, l.revision) // without an answer it runs out by itself
}
