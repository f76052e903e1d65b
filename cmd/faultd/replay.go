package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newReplay() *cobra.Command {
	var c client
	var p publishing
	output := oneOf("table", "json")
	cmd := &cobra.Command{
		Use:   "replay SEQUENCE…",
		Short: "Publish rejected events again",
		Long: "Publish rejected events again, by the sequences under which /v1/rejected lists them. Each is published as it was, to its " +
			"subject, at the end of the stream: it is worth the while once the daemon has become one that accepts it. What is in the stream " +
			"no longer is taken from what the daemon kept, the first 4 KiB without headers, if that is all of it.",
		Example: "  faultd replay 4711 4712",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sequences := make([]uint64, len(args))
			for i, arg := range args {
				n, err := strconv.ParseUint(arg, 10, 63)
				if err != nil || n == 0 {
					return usagef("%q is no sequence: it is a number from 1, as /v1/rejected shows it", arg)
				}
				sequences[i] = n
			}
			return replayAll(cmd.Context(), cmd.OutOrStdout(), &c, &p, sequences, output.value)
		},
	}
	flags := cmd.Flags()
	c.addFlags(flags)
	flags.StringVar(&p.url, "nats-url", nats.DefaultURL, "NATS servers to publish to")
	flags.StringVar(&p.creds, "nats-creds", "", "file of credentials for them")
	flags.VarP(&output, "output", "o", "how to print what was done")
	return cmd
}

// rejected is a message as /v1/rejected shows it.
type rejected struct {
	Sequence uint64 `json:"sequence"`
	Subject  string `json:"subject"`
	Size     int    `json:"size"` // of all of it
	Data     []byte `json:"data"` // its beginning
}

// replayed is what became of one.
type replayed struct {
	Sequence  uint64 `json:"sequence"`
	Subject   string `json:"subject,omitempty"`
	From      string `json:"from,omitempty"`      // stream, or kept
	Published uint64 `json:"published,omitempty"` // the sequence that it has now
	Error     string `json:"error,omitempty"`     // why it was not published
}

// replayer publishes rejected messages again.
type replayer struct {
	daemon *client
	js     jetstream.JetStream
	stream string
	base   uint64 // what is added to the stream's sequences in the daemon's numbers
}

func replayAll(ctx context.Context, w io.Writer, c *client, p *publishing, sequences []uint64, output string) error {
	var position struct {
		Stream   string `json:"stream"`
		Sequence uint64 `json:"sequence"` // in that stream
		Ordinal  uint64 `json:"ordinal"`  // the same, as the daemon numbers its messages
	}
	if err := c.get(ctx, "v1/position", nil, &position); err != nil {
		return err
	}
	if position.Stream == "" {
		return errors.New("the daemon has applied nothing yet, so it has rejected nothing")
	}
	nc, err := p.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(10*time.Second))
	if err != nil {
		return err
	}
	r := &replayer{daemon: c, js: js, stream: position.Stream, base: position.Ordinal - position.Sequence}
	done, failed := make([]replayed, 0, len(sequences)), 0
	for _, sequence := range sequences {
		one := replayed{Sequence: sequence}
		if err := r.replay(ctx, &one); err != nil {
			if ctx.Err() != nil {
				break
			}
			one.Error = err.Error()
			failed++
		}
		done = append(done, one)
	}
	if err := printReplayed(w, done, output); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failed > 0:
		return fmt.Errorf("%d of %d messages were not published again", failed, len(sequences))
	default:
		return nil
	}
}

// replay publishes one message and notes what it did. After an error it is not published, unless that says so.
func (r *replayer) replay(ctx context.Context, one *replayed) error {
	kept, err := r.rejected(ctx, one.Sequence)
	if err != nil {
		return err
	}
	one.Subject = kept.Subject
	m, err := r.message(ctx, kept)
	switch {
	case err != nil:
		return err
	case m != nil:
		one.From = "stream"
	case len(kept.Data) < kept.Size:
		return fmt.Errorf("the stream has it no longer, and of its %d bytes only the first %d are kept", kept.Size, len(kept.Data))
	default:
		one.From, m = "kept", &nats.Msg{Subject: kept.Subject, Data: kept.Data}
	}
	ack, err := r.js.PublishMsg(ctx, m, jetstream.WithExpectStream(r.stream))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no acknowledgement in time, so it may be in the stream again or not: %w", err)
	case err != nil:
		return fmt.Errorf("publishing it: %w", err)
	case ack.Duplicate:
		return fmt.Errorf("the stream took it for message %d, which it has: nothing was added", ack.Sequence)
	}
	one.Published = ack.Sequence
	return nil
}

// rejected asks the daemon for a message that it rejected.
func (r *replayer) rejected(ctx context.Context, sequence uint64) (rejected, error) {
	var page struct {
		Rejected []rejected `json:"rejected"`
	}
	query := url.Values{"marker": {strconv.FormatUint(sequence+1, 10)}, "limit": {"1"}}
	if err := r.daemon.get(ctx, "v1/rejected", query, &page); err != nil {
		return rejected{}, err
	}
	i := slices.IndexFunc(page.Rejected, func(m rejected) bool { return m.Sequence == sequence })
	if i < 0 {
		return rejected{}, errors.New("it is none of the rejected messages that the daemon has kept")
	}
	return page.Rejected[i], nil
}

// message is the message as it stands in the stream, or nil where it is gone or another one has its place. What NATS
// itself reads in its headers is left out: above all the id by which it would be known, and dropped.
func (r *replayer) message(ctx context.Context, kept rejected) (*nats.Msg, error) {
	if kept.Sequence <= r.base {
		return nil, nil // of a stream that is no more
	}
	stream, err := r.js.Stream(ctx, r.stream)
	if err != nil {
		return nil, fmt.Errorf("looking for stream %s: %w", r.stream, err)
	}
	is, err := stream.GetMsg(ctx, kept.Sequence-r.base)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading it in stream %s: %w", r.stream, err)
	case is.Subject != kept.Subject || len(is.Data) != kept.Size || !bytes.HasPrefix(is.Data, kept.Data):
		return nil, nil
	}
	m := &nats.Msg{Subject: is.Subject, Header: nats.Header{}, Data: is.Data}
	for name, values := range is.Header {
		if !strings.HasPrefix(strings.ToLower(name), "nats-") {
			m.Header[name] = values
		}
	}
	return m, nil
}

func printReplayed(w io.Writer, done []replayed, output string) error {
	if output == "json" {
		return printJSON(w, map[string]any{"replayed": done})
	}
	t := newColumns(w)
	line(t, "SEQUENCE", "SUBJECT", "FROM", "RESULT")
	for _, one := range done {
		result := "not published: " + one.Error
		if one.Error == "" {
			result = fmt.Sprintf("published again, it is message %d now", one.Published)
		}
		line(t, strconv.FormatUint(one.Sequence, 10), orDash(one.Subject), orDash(one.From), result)
	}
	return t.Flush()
}
