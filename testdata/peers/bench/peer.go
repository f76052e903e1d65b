package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.etcd.io/bbolt"
)

// peerConfig is what a peer is told.
type peerConfig struct {
	URL    string
	Events int    // the first of the stream
	Dir    string // for files
}

// peerAnswer is how long it took.
type peerAnswer struct{ Seconds float64 }

// batchOf is how many messages the peers commit together.
const batchOf = 1000

// sink is where a peer puts messages.
type sink struct {
	take  func(jetstream.Msg) error
	flush func() error // all that was taken is durable, or acknowledged, when it returns
}

// peer reads the stream as well as nats.go can, an ordered consumer with large pulls, into a sink. The time that opening
// takes does not count.
func peer(open func(peerConfig, jetstream.JetStream) (sink, error)) func(context.Context, []byte) (any, error) {
	return role(func(ctx context.Context, c peerConfig) (any, error) {
		conn, err := nats.Connect(c.URL)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(4000))
		if err != nil {
			return nil, err
		}
		to, err := open(c, js)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if err := pour(ctx, js, c.Events, to.take); err != nil {
			return nil, err
		}
		if err := to.flush(); err != nil {
			return nil, err
		}
		return peerAnswer{time.Since(began).Seconds()}, nil
	})
}

// pour hands the first n messages over.
func pour(ctx context.Context, js jetstream.JetStream, n int, take func(jetstream.Msg) error) error {
	source, err := js.OrderedConsumer(ctx, stream.Name, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return err
	}
	done, seen := make(chan error, 1), 0
	reading, err := source.Consume(func(m jetstream.Msg) {
		if seen == n {
			return
		}
		err := take(m)
		if seen++; seen == n || err != nil {
			seen = n
			done <- err
		}
	}, jetstream.PullMaxMessages(5000))
	if err != nil {
		return err
	}
	defer reading.Stop()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drain does nothing with what it reads: so fast is jetstream's own way of reading a stream in order.
func drain(peerConfig, jetstream.JetStream) (sink, error) {
	return sink{func(jetstream.Msg) error { return nil }, func() error { return nil }}, nil
}

// The bucket, and the stream that it is.
const (
	bucketName   = "RESOURCES"
	bucketStream = "KV_" + bucketName
)

// keyValue keeps the newest event of each resource in a bucket, without waiting for each put.
func keyValue(c peerConfig, js jetstream.JetStream) (sink, error) {
	if _, err := js.CreateKeyValue(context.Background(), jetstream.KeyValueConfig{Bucket: bucketName, Storage: jetstream.FileStorage}); err != nil {
		return sink{}, err
	}
	take := func(m jetstream.Msg) error {
		key := strings.TrimPrefix(m.Subject(), "jobs.")
		_, err := js.PublishAsync("$KV."+bucketName+"."+key[:strings.LastIndexByte(key, '.')], m.Data(), jetstream.WithStallWait(20*time.Second))
		return err
	}
	return sink{take, func() error { <-js.PublishAsyncComplete(); return nil }}, nil
}

// event is what a peer reads of one.
type event struct {
	Type string
	Data struct {
		Job      struct{ ID, Action string }
		Resource struct {
			Kind       string
			ID         string
			Tenant     string `json:"tenant_id"`
			Name       string
			Attributes json.RawMessage
		}
		Progress int
		Fault    json.RawMessage `json:",omitempty"`
	}
}

func parse(m jetstream.Msg) (e event, status string, err error) {
	if err = json.Unmarshal(m.Data(), &e); err != nil {
		return e, "", err
	}
	switch phase := e.Type[strings.LastIndexByte(e.Type, '.')+1:]; phase {
	case "succeeded":
		return e, "ACTIVE", nil
	case "failed":
		return e, "ERROR", nil
	default:
		return e, "BUILD", nil
	}
}

// naiveBolt keeps each resource as JSON at its id.
func naiveBolt(c peerConfig, _ jetstream.JetStream) (sink, error) {
	db, err := bbolt.Open(filepath.Join(c.Dir, "naive.db"), 0o600, nil)
	if err != nil {
		return sink{}, err
	}
	bucket := []byte("resources")
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(bucket); return err }); err != nil {
		return sink{}, err
	}
	var batch []jetstream.Msg
	flush := func() error {
		defer func() { batch = batch[:0] }()
		return db.Update(func(tx *bbolt.Tx) error {
			for _, m := range batch {
				if err := putNaively(tx.Bucket(bucket), m); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return sink{collect(&batch, flush), flush}, nil
}

func putNaively(bucket *bbolt.Bucket, m jetstream.Msg) error {
	e, status, err := parse(m)
	if err != nil {
		return err
	}
	record, err := json.Marshal(struct {
		Status string
		Event  *event
	}{status, &e})
	if err != nil {
		return fmt.Errorf("resource %s: %w", e.Data.Resource.ID, err)
	}
	return bucket.Put([]byte(e.Data.Resource.ID), record)
}

// collect makes batches of messages.
func collect(batch *[]jetstream.Msg, flush func() error) func(jetstream.Msg) error {
	return func(m jetstream.Msg) error {
		if *batch = append(*batch, m); len(*batch) < batchOf {
			return nil
		}
		return flush()
	}
}
