package consumer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"
)

// PublishOptions say how to publish.
type PublishOptions struct {
	Stream   string                   // the stream that must take the messages; empty: JOBS
	Rate     int                      // messages a second at most; 0: as many as go
	Progress func(done PublishResult) // called after each acknowledgement of a batch; nil: not at all
}

// PublishResult counts what the server has acknowledged.
type PublishResult struct {
	Messages   int    // lines that are in the stream, duplicates among them
	Duplicates int    // messages whose Nats-Msg-Id the stream knew: they are in it once
	Bytes      int64  // of the source, up to the end of the last of these lines
	Sequence   uint64 // of the newest message in the stream, 0 before the first
}

// LineError is returned when a line of the source cannot be published. All lines before it are in the stream.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

func (e *LineError) Unwrap() error { return e.Err }

// The bounds of an atomic batch: the server takes 1,000 messages in one, and may hold 128 MiB that it has not
// stored yet.
const (
	publishMessages = 1000
	publishBytes    = 8 << 20
)

// Publish sends the events of a JSON Lines source, one a line ([Line]), and waits for the acknowledgement of
// every one. It sends them in order, in atomic batches where the server has them. Blank lines count and say
// nothing. It stops at the first line that is no event ([LineError]), at the first message that the server
// refuses, and when the context ends; the result counts what was acknowledged by then. A context that ends does
// not interrupt a read from the source.
func Publish(ctx context.Context, nc *nats.Conn, source io.Reader, opts PublishOptions) (PublishResult, error) {
	p, err := newPublisher(nc, opts)
	if err != nil {
		return PublishResult{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the reading
	lines := make(chan line, 2*publishMessages)
	go readLines(ctx, source, int(nc.MaxPayload()), lines)
	for {
		batch, end := p.collect(ctx, lines)
		if len(batch) > 0 {
			if err := p.send(ctx, batch); err != nil {
				return p.result, err
			}
		}
		if errors.Is(end, io.EOF) {
			return p.result, nil
		}
		if end != nil {
			return p.result, end
		}
	}
}

// line is a message to publish, or why there is none.
type line struct {
	msg    *nats.Msg
	size   int
	number int
	end    int64 // where in the source it ended
	err    error // io.EOF at the end of the source
}

// readLines reads the source until its end, its first bad line or the context's end. No line may be longer than
// the server's limit for a message.
func readLines(ctx context.Context, source io.Reader, limit int, to chan<- line) {
	in := bufio.NewScanner(source)
	in.Buffer(make([]byte, 64<<10), limit+2)
	var end int64
	in.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		n, token, err := bufio.ScanLines(data, atEOF)
		end += int64(n)
		return n, token, err
	})
	send := func(l line) bool {
		select {
		case to <- l:
			return l.err == nil
		case <-ctx.Done():
			return false
		}
	}
	number := 1
	for ; in.Scan(); number++ {
		if text := bytes.TrimSpace(in.Bytes()); len(text) > 0 && !send(parseLine(bytes.Clone(text), number, end, limit)) {
			return
		}
	}
	err := in.Err()
	switch {
	case err == nil:
		err = io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		err = &LineError{number, tooLong(limit)}
	default:
		err = fmt.Errorf("reading what to publish: %w", err)
	}
	send(line{err: err})
}

func parseLine(text []byte, number int, end int64, limit int) line {
	m, err := Line(text)
	if err != nil {
		return line{err: &LineError{number, err}}
	}
	msg := &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
	if msg.Header == nil {
		msg.Header = nats.Header{}
	}
	l := line{msg: msg, size: msg.Size(), number: number, end: end}
	if l.size+batchHeaderBytes > limit {
		return line{err: &LineError{number, tooLong(limit)}}
	}
	return l
}

func tooLong(limit int) error {
	return fmt.Errorf("longer than the %d bytes that the server takes as one message", limit)
}

// collect returns the next batch, of one line at least, unless what ends the publishing comes first. It takes
// what is there: a source that is slow is not waited for.
func (p *publisher) collect(ctx context.Context, lines <-chan line) (batch []line, end error) {
	var bytes int
	var patience <-chan time.Time
	for len(batch) < p.most && bytes < publishBytes {
		var l line
		select {
		case l = <-lines:
		case <-ctx.Done():
			return batch, ctx.Err()
		case <-patience:
			return batch, nil
		}
		if l.err != nil {
			return batch, l.err
		}
		if len(batch) == 0 {
			patience = time.After(2 * time.Millisecond)
		}
		batch = append(batch, l)
		bytes += l.size
	}
	return batch, nil
}
