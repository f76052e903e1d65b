package consumer

import (
	"context"
	"fmt"
)

// confirm returns when the last message of a batch is on the server's disk as surely as the server makes it, or an error
// if that cannot be told: then nothing of it is applied, and the next session reads it again. Else a power cut could
// leave the store ahead of the stream.
//
// A server with sync_interval "always" hands a message out when it is synced, but for those of an atomic batch: they can
// be read one by one while the batch is being written, and are synced together at its end. In nats-server 2.15
// (stream.go, processJetStreamAtomicBatchMsg) the stream's isolateMu is held from the first write of a batch to the
// return of the sync (FlushAllPending); a message is read by STREAM.MSG.GET under the same lock (jetstream_api.go,
// jsMsgGetRequest), and every other message is written under it. So that request answers only when the batch is synced,
// and behind a message of something else no batch can be open: it is the last message alone that may have to be
// confirmed. A stream of several replicas hands out what a quorum has in its log, synced, and answers at once.
//
// What was read may be deleted by now, so the request is for that message or the next. That none is found proves nothing:
// a server that is being stopped answers so too.
//
// A write or sync that failed is not told by that answer. The server then refuses all further messages of the stream, hands
// out those of the batch all the same, and writes them anew, with other times, when it starts again. The embedded server can
// be asked.
func (c *Consumer) confirm(ctx context.Context, stream source, b *batch) error {
	if err := c.synced(ctx, stream, b); err != nil {
		return err
	}
	if err := c.cfg.Unwritten(); err != nil {
		return fmt.Errorf("%w: what was read may not be on the server's disk: %w", errBroken, err)
	}
	return nil
}

// synced returns when no atomic batch is being written that the last message is of.
func (c *Consumer) synced(ctx context.Context, stream source, b *batch) error {
	if len(b.last.Header[headerBatch]) == 0 {
		return nil
	}
	m, err := stream.messageFrom(ctx, b.last.sequence)
	if err == nil && m == nil {
		err = fmt.Errorf("message %d of %s has gone", b.last.sequence, c.cfg.Stream)
	}
	if err != nil {
		return fmt.Errorf("%w: confirming an atomic batch: %w", errBroken, err)
	}
	return nil
}
