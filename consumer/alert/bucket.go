package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// Bucket is the JetStream key-value bucket of the hooks. Its keys, with NAME for a hook's and ID for a message's:
//
//	lease.NAME      which replica sends, see [lease]
//	state.NAME      how far it is, see [report]
//	disabled.NAME   that the receiver is gone for good
//	try.NAME.ID     a message that is kept for another try, see [record]
//	dead.NAME.ID    a message that was given up
const Bucket = "FAULTD_HOOKS"

// faultsStream is the stream that faults are told on.
const faultsStream = "FAULTS"

// bucket is the bucket, which it makes where it is not there, whoever has deleted it. Any goroutine may use it.
type bucket struct {
	js  jetstream.JetStream
	log zerolog.Logger

	mu sync.Mutex
	kv jetstream.KeyValue // nil: it has to be looked for
}

// open finds the bucket or makes it, with as many replicas as the stream of faults has.
func (b *bucket) open(ctx context.Context) (jetstream.KeyValue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kv != nil {
		return b.kv, nil
	}
	kv, err := b.js.KeyValue(ctx, Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = b.create(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("looking for bucket %s: %w", Bucket, err)
	}
	b.kv = kv
	return kv, nil
}

func (b *bucket) create(ctx context.Context) (jetstream.KeyValue, error) {
	replicas := 1
	if s, err := b.js.Stream(ctx, faultsStream); err == nil {
		replicas = max(s.CachedInfo().Config.Replicas, 1)
	}
	kv, err := b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: Bucket, Description: "what the alert hooks of faultd have to remember", Storage: jetstream.FileStorage, Replicas: replicas,
	})
	if errors.Is(err, jetstream.ErrBucketExists) {
		return b.js.KeyValue(ctx, Bucket) // another replica was faster
	}
	if err == nil {
		b.log.Info().Str("bucket", Bucket).Msg("bucket made")
	}
	return kv, err
}

// with does something with the bucket, once more where the bucket has gone meanwhile.
func (b *bucket) with(ctx context.Context, do func(context.Context, jetstream.KeyValue) error) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for again := true; ; again = false {
		kv, err := b.open(ctx)
		if err != nil {
			return err
		}
		if err = do(ctx, kv); !missing(err) {
			return err
		}
		b.mu.Lock()
		b.kv = nil
		b.mu.Unlock()
		if !again {
			return err
		}
	}
}

// missing tells whether an error says that there is no such stream.
func missing(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, jetstream.ErrStreamNotFound) ||
		errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, nats.ErrNoResponders)
}

// get returns a value and its revision; nil and 0 where there is none.
func (b *bucket) get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	err = b.with(ctx, func(ctx context.Context, kv jetstream.KeyValue) error {
		value, revision = nil, 0
		entry, err := kv.Get(ctx, key)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil
		}
		if err == nil {
			value, revision = entry.Value(), entry.Revision()
		}
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reading %s of bucket %s: %w", key, Bucket, err)
	}
	return value, revision, nil
}

// put writes a value, whatever was there.
func (b *bucket) put(ctx context.Context, key string, value []byte) error {
	err := b.with(ctx, func(ctx context.Context, kv jetstream.KeyValue) error {
		_, err := kv.Put(ctx, key, value)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing %s to bucket %s: %w", key, Bucket, err)
	}
	return nil
}

// errTaken is returned when somebody else has written a key.
var errTaken = errors.New("somebody else has written it")

// swap writes a value in the place of that of a revision, 0 for none, and returns its own revision. [errTaken] is one of the
// errors.
func (b *bucket) swap(ctx context.Context, key string, value []byte, revision uint64) (own uint64, err error) {
	err = b.with(ctx, func(ctx context.Context, kv jetstream.KeyValue) error {
		own, err = kv.Update(ctx, key, value, revision)
		return err
	})
	var refused *jetstream.APIError
	if errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
		err = errTaken
	}
	if err != nil {
		return 0, fmt.Errorf("writing %s to bucket %s: %w", key, Bucket, err)
	}
	return own, nil
}

// remove takes a key out. Unlike the bucket's own way of deleting it leaves nothing behind: keys with a message's id
// never come again.
func (b *bucket) remove(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	stream, err := b.js.Stream(ctx, "KV_"+Bucket)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject("$KV."+Bucket+"."+key))
	}
	if err != nil && !missing(err) {
		return fmt.Errorf("removing %s from bucket %s: %w", key, Bucket, err)
	}
	return nil
}

// each goes through the values whose keys match a pattern, in the order in which they were written, from a revision on, 0 for the
// first, until it is told that it is enough.
func (b *bucket) each(ctx context.Context, pattern string, from uint64, see func(key string, value []byte, revision uint64) (more bool)) error {
	kv, err := b.open(ctx)
	if err != nil {
		return err
	}
	options := []jetstream.WatchOpt{jetstream.IgnoreDeletes()}
	if from > 0 {
		options = append(options, jetstream.ResumeFromRevision(from))
	}
	watcher, err := kv.Watch(ctx, pattern, options...)
	if missing(err) {
		b.mu.Lock()
		b.kv = nil
		b.mu.Unlock()
		return nil // with the bucket all of it is gone
	}
	if err != nil {
		return fmt.Errorf("reading %s of bucket %s: %w", pattern, Bucket, err)
	}
	defer func() { _ = watcher.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("reading %s of bucket %s: %w", pattern, Bucket, ctx.Err())
		case entry, open := <-watcher.Updates():
			if !open || entry == nil || !see(entry.Key(), entry.Value(), entry.Revision()) {
				return nil
			}
		}
	}
}

// count is how many keys match a pattern.
func (b *bucket) count(ctx context.Context, pattern string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	stream, err := b.js.Stream(ctx, "KV_"+Bucket)
	if missing(err) {
		return 0, nil
	}
	if err == nil {
		var info *jetstream.StreamInfo
		if info, err = stream.Info(ctx, jetstream.WithSubjectFilter("$KV."+Bucket+"."+pattern)); err == nil {
			return uint64(len(info.State.Subjects)), nil
		}
	}
	return 0, fmt.Errorf("counting %s of bucket %s: %w", pattern, Bucket, err)
}

// plainBytes is up to which size a value is kept as it is.
const plainBytes = 16 << 10

// pack encodes a value; a large one is compressed, since the server takes no message above its max_payload.
func pack(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil || len(plain) <= plainBytes {
		return plain, err
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return w.EncodeAll(plain, nil), nil
}

// unpack is the reverse of [pack].
func unpack(value []byte, v any) error {
	if len(value) > 0 && value[0] != '{' {
		r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBytes))
		if err != nil {
			return err
		}
		defer r.Close()
		if value, err = r.DecodeAll(value, nil); err != nil {
			return err
		}
	}
	return json.Unmarshal(value, v)
}
