package campaign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Ledger remembers what a stream has acknowledged. Any number of goroutines may use it.
type Ledger struct {
	mu    sync.Mutex
	acked map[uint64]uint64 // digests of messages, by their sequence
	total int
	deaf  bool
}

// Len is how many messages were acknowledged ever.
func (l *Ledger) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// Deafen has the ledger hear of no acknowledgement any more, until the next [Ledger.Publish]: what a machine says when its
// power has gone is never heard.
func (l *Ledger) Deafen() { l.setDeaf(true) }

func (l *Ledger) setDeaf(deaf bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaf = deaf
}

// Forget forgets what was acknowledged: the stream is to be made anew.
func (l *Ledger) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked = nil
}

func (l *Ledger) add(first uint64, batch []Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deaf {
		return
	}
	if l.acked == nil {
		l.acked = map[uint64]uint64{}
	}
	for i := range batch {
		l.acked[first+uint64(i)] = digest(batch[i].Subject, batch[i].Data)
	}
	l.total += len(batch)
}

// Publish publishes to the stream, in atomic batches and singly, until the context ends. Whatever the server does, it tries
// again, with the same events as long as they are not acknowledged; those that are stand in the ledger. It waits for
// the pause between two batches.
func (l *Ledger) Publish(ctx context.Context, url, stream string, load *Load, random *rand.Rand, pause time.Duration) {
	var batch []Message
	l.setDeaf(false)
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.ReconnectWait(5*time.Millisecond),
		nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		return
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncTimeout(time.Second))
	if err != nil {
		return
	}
	defer l.settle(conn, js, stream, load)
	for ctx.Err() == nil {
		if len(batch) == 0 {
			batch = load.Next(1 + random.IntN([]int{10, 100, 100, 1000}[random.IntN(4)]))
		}
		within, cancel := context.WithTimeout(ctx, time.Second)
		n, _ := l.send(within, js, stream, batch, random.IntN(3) > 0)
		cancel()
		batch = batch[n:]
		wait := pause
		if n == 0 {
			wait = 5 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// settle returns when nothing that was published is on its way any more: whoever reads the stream then reads it all.
func (l *Ledger) settle(conn *nats.Conn, js jetstream.JetStream, stream string, load *Load) {
	if !conn.IsConnected() || conn.FlushTimeout(5*time.Second) != nil {
		return // there is no server
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = l.sendSingly(ctx, js, stream, load.Next(1))
}

// PublishAll publishes the events, each until it is acknowledged, in atomic batches of at most a thousand.
func (l *Ledger) PublishAll(ctx context.Context, url, stream string, all []Message) error {
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	for len(all) > 0 {
		within, cancel := context.WithTimeout(ctx, 2*time.Second)
		n, err := l.send(within, js, stream, all[:min(len(all), 1000)], true)
		cancel()
		if all = all[n:]; err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d events are not published: %w", len(all), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// send publishes a batch, and returns how many of its first messages were acknowledged.
func (l *Ledger) send(ctx context.Context, js jetstream.JetStream, stream string, batch []Message, atomic bool) (int, error) {
	if atomic && len(batch) > 1 {
		return l.sendBatch(ctx, js.Conn(), stream, batch)
	}
	return l.sendSingly(ctx, js, stream, batch)
}

func (l *Ledger) sendBatch(ctx context.Context, conn *nats.Conn, stream string, batch []Message) (int, error) {
	id := nuid.Next()
	for i := range batch {
		msg := &nats.Msg{Subject: batch[i].Subject, Data: batch[i].Data, Header: nats.Header{}}
		msg.Header.Set("Nats-Batch-Id", id)
		msg.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		last := i == len(batch)-1
		if last {
			msg.Header.Set("Nats-Batch-Commit", "1")
		}
		if i > 0 && !last {
			if err := conn.PublishMsg(msg); err != nil {
				return 0, err
			}
			continue
		}
		answer, err := conn.RequestMsgWithContext(ctx, msg)
		if err != nil {
			return 0, err
		}
		if !last && len(answer.Data) == 0 {
			continue
		}
		return l.batchAcked(answer.Data, id, stream, batch)
	}
	return 0, nil // a batch has a last message
}

// batchAcked reads the answer to a batch's last message, or a refusal of its first.
func (l *Ledger) batchAcked(answer []byte, id, stream string, batch []Message) (int, error) {
	var ack struct {
		Stream   string              `json:"stream"`
		Sequence uint64              `json:"seq"`
		Batch    string              `json:"batch"`
		Count    int                 `json:"count"`
		Error    *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(answer, &ack); {
	case err != nil:
		return 0, err
	case ack.Error != nil:
		return 0, ack.Error
	case ack.Stream != stream || ack.Batch != id || ack.Count != len(batch):
		return 0, fmt.Errorf("the answer to a batch is %s", answer)
	}
	l.add(ack.Sequence+1-uint64(len(batch)), batch)
	return len(batch), nil
}

// sendSingly publishes messages that are stored one by one; some have a Nats-Msg-Id.
func (l *Ledger) sendSingly(ctx context.Context, js jetstream.JetStream, stream string, batch []Message) (int, error) {
	known := map[string]bool{}
	acks := make([]jetstream.PubAckFuture, 0, len(batch))
	for i := range batch {
		msg := &nats.Msg{Subject: batch[i].Subject, Data: batch[i].Data, Header: nats.Header{}}
		if digest(batch[i].ID, nil)%3 == 0 && !known[batch[i].ID] {
			known[batch[i].ID] = true
			msg.Header.Set("Nats-Msg-Id", batch[i].ID)
		}
		ack, err := js.PublishMsgAsync(msg, jetstream.WithExpectStream(stream))
		if err != nil {
			break
		}
		acks = append(acks, ack)
	}
	for i, ack := range acks {
		select {
		case a := <-ack.Ok():
			l.add(a.Sequence, batch[i:i+1]) // of a duplicate, the first one's
		case err := <-ack.Err():
			return i, err
		case <-ctx.Done():
			return i, ctx.Err()
		}
	}
	if len(acks) < len(batch) {
		return len(acks), errors.New("the connection takes no more messages")
	}
	return len(acks), nil
}
