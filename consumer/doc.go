// Package consumer brings the job stream to the store. It reads the stream behind the store's position, decodes
// each message ([Decode]), and hands what has come since the last commit to the store as one batch, in stream
// order; and it says at any time in which [State] that is.
//
// # How it reads
//
// One session follows another ([Consumer.Run]). Each begins by comparing the stream with the store's position
// ([check]), then reads through a consumer of its own that JetStream forgets by itself: the position in the store
// is the only one that counts, nothing is acknowledged. Whatever is odd ends the session: a broken connection, a
// message lost on the way, a deleted consumer, a denied request, messages that wait and do not come, a signal; and a
// hole, unless the operator has it recorded ([OnGap]). What had been read by then is committed, and the next session
// begins with the comparison again. So nothing is ever applied behind a stream that has not been looked at since it
// was last out of sight. A stream that is not the one that was applied so far is read from its first message, as
// another epoch, if the operator says so ([OnRewind]). JetStream's own ordered consumer is not used for that reason: it would
// carry on by itself where it believes that it was, in a stream that may have been made anew.
//
// Three goroutines share the work: nats.go's, which reads from the network; its callback, which decodes and appends
// to the batch that grows ([queue]); and the session's, which commits the batch before. In a quiet system a batch
// is one event, committed at once; under load it is what came during the last commit.
//
// # How it tells
//
// What the store's outbox holds goes to the stream [FaultsStream], by one more goroutine that lives as long as the
// connection (telling.go). The server takes each batch only behind the message that was last when it was looked at, and
// that one's headers say how far the job stream was told: so a restart or a replica repeats nothing, however late.
package consumer
