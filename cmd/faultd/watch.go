package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// watcher prints the transitions that a daemon streams.
type watcher struct {
	client
	kinds, statuses []string // empty: all
	output          string
	out, notes      io.Writer

	last    string // id of the last event, from which a new connection goes on
	pause   time.Duration
	greeted bool
}

// The pauses before a lost connection is tried again: the first, and the longest to which it doubles.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 10 * time.Second
)

func newWatch() *cobra.Command {
	w := watcher{pause: firstPause}
	output := oneOf("table", "json")
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Follow what happens to resources, as it happens",
		Long:  "Follow what happens to resources, as it happens. A lost connection is taken up where it was.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w.output, w.out, w.notes = output.value, cmd.OutOrStdout(), cmd.ErrOrStderr()
			return w.follow(cmd.Context())
		},
	}
	flags := cmd.Flags()
	w.addFlags(flags)
	flags.StringSliceVar(&w.kinds, "kind", nil, "only these kinds of resources")
	flags.StringSliceVar(&w.statuses, "status", nil, "only what comes to one of these statuses")
	flags.VarP(&output, "output", "o", "how to print it: JSON is one object a line")
	return cmd
}

// follow reads one connection after the other until ctx ends. It gives up if the first one fails, or if the
// daemon refuses.
func (w *watcher) follow(ctx context.Context) error {
	for {
		err := w.connect(ctx)
		var refused *refusal
		var usage usageError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !w.greeted, errors.As(err, &usage), errors.As(err, &refused) && refused.status < 500:
			return err
		}
		fmt.Fprintf(w.notes, "faultd: %s; trying again\n", printable(err.Error()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(w.pause):
			w.pause = min(2*w.pause, longestPause)
		}
	}
}

func (w *watcher) connect(ctx context.Context) error {
	header := http.Header{"Accept": {"text/event-stream"}}
	if w.last != "" {
		header.Set("Last-Event-ID", w.last)
	}
	answer, err := w.open(ctx, "v1/stream", nil, header)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if !w.greeted {
		w.greeted = true
		w.heading()
	}
	w.pause = firstPause
	return w.read(answer.Body)
}

// message is one server-sent event.
type message struct {
	id    string
	event string
	data  []byte
}

// read takes the events of one connection until that ends; it never ends without an error.
func (w *watcher) read(body io.Reader) error {
	lines := bufio.NewReader(body)
	var m message
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("the stream ended: %w", err) // an event without its empty line is not complete
		}
		text = bytes.TrimRight(text, "\r\n")
		if len(text) > 0 {
			m.field(text)
			continue
		}
		if err := w.take(m); err != nil {
			return err
		}
		if m.id != "" {
			w.last = m.id // only now: an event that broke off comes again
		}
		m = message{}
	}
}

// field takes one line of an event; a line that begins with a colon is a comment that keeps the connection alive.
func (m *message) field(text []byte) {
	name, value, _ := bytes.Cut(text, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "id":
		m.id = string(value)
	case "event":
		m.event = string(value)
	case "data":
		if m.data != nil {
			m.data = append(m.data, '\n')
		}
		m.data = append(m.data, value...)
	}
}

func (w *watcher) take(m message) error {
	switch m.event {
	case "reset":
		fmt.Fprintln(w.notes, "faultd: what happened in between is no longer kept; going on from now")
		return nil
	case "transition":
		return w.print(m.data)
	default:
		return nil
	}
}

func (w *watcher) print(data []byte) error {
	var r row
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("reading an event of the stream: %w", err)
	}
	if !among(w.kinds, r.Kind) || !among(w.statuses, r.To) {
		return nil
	}
	var err error
	if w.output == "json" {
		_, err = fmt.Fprintf(w.out, "%s\n", bytes.ReplaceAll(data, []byte("\n"), nil))
	} else {
		w.line(clock(r.Time), r.Kind, r.ID, r.Tenant, r.From+" > "+r.To, r.Job.Action, verdict(r.Fault, 80))
	}
	return err
}

func among(list []string, s string) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(x string) bool { return strings.EqualFold(x, s) })
}

func (w *watcher) heading() {
	if w.output == "table" {
		w.line("TIME", "KIND", "ID", "TENANT", "STATUS", "ACTION", "FAULT")
	}
}

// line prints with fixed widths: what is still to come cannot be measured.
func (w *watcher) line(cells ...string) {
	for i, width := range []int{20, 9, 36, 16, 22, 10, 0} {
		fmt.Fprintf(w.out, "%-*s", width, printable(cells[i]))
		if width > 0 {
			fmt.Fprint(w.out, "  ")
		}
	}
	fmt.Fprintln(w.out)
}
