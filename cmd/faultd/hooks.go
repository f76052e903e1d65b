package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// newHooks is the command of the alert hooks: without another word it lists them.
func newHooks() *cobra.Command {
	cmd := newHooksList("hooks")
	cmd.Long = "Alert hooks tell others of faults: each entry into ERROR, and each recovery, is sent to every hook that wants it. They stand in a\n" +
		"file that faultd serve --hooks names. Without another word this lists them; the commands are for administrators.\n\n" + environmentNote
	cmd.Example = "  faultd hooks check hooks.yaml\n  faultd hooks test pager\n  faultd hooks dead pager\n  faultd hooks redeliver pager\n  faultd hooks replay pager --since 2h"
	cmd.AddCommand(newHooksList("list"), newHooksCheck(), newHooksTest(), newHooksDead(), newHooksRedeliver(), newHooksReplay())
	return cmd
}

func newHooksList(use string) *cobra.Command {
	var c client
	output := oneOf("table", "json")
	cmd := &cobra.Command{
		Use:   use,
		Short: "List the alert hooks, how they are, and what they have not delivered",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listHooks(cmd.Context(), cmd.OutOrStdout(), &c, output.value)
		},
	}
	c.addFlags(cmd.Flags())
	cmd.Flags().VarP(&output, "output", "o", "how to print them")
	return cmd
}

func listHooks(ctx context.Context, w io.Writer, c *client, output string) error {
	var found struct {
		Hooks []json.RawMessage `json:"hooks"`
	}
	if err := c.get(ctx, "v1/hooks", nil, &found); err != nil {
		return err
	}
	switch {
	case output == "json":
		return printJSON(w, found)
	case len(found.Hooks) == 0:
		_, err := fmt.Fprintln(w, "There are no hooks: faultd serve --hooks FILE names some.")
		return err
	}
	return printHooks(w, found.Hooks, time.Now())
}

func printHooks(w io.Writer, found []json.RawMessage, now time.Time) error {
	t := newColumns(w)
	line(t, "NAME", "KIND", "STATE", "HOLDER", "PENDING", "RETRYING", "DEAD", "LAST SUCCESS", "LAST ERROR", "TARGETS")
	for _, raw := range found {
		var h hook
		if err := json.Unmarshal(raw, &h); err != nil {
			return fmt.Errorf("reading a hook of the answer: %w", err)
		}
		state, failed := h.State, "-"
		if h.Reason != "" {
			state += ": " + shorten(h.Reason, 60)
		}
		if h.Error != nil {
			failed = instant(h.Error.Time, now) + " " + shorten(h.Error.Message, 60)
		}
		line(t, h.Name, h.Kind, state, orDash(h.Holder), fmt.Sprint(h.Pending), fmt.Sprint(h.Retrying), fmt.Sprint(h.Dead),
			instant(h.Succeeded, now), failed, orDash(strings.Join(h.Targets, ", ")))
	}
	return t.Flush()
}

func newHooksDead() *cobra.Command {
	var c client
	var limit int
	output := oneOf("table", "json")
	cmd := &cobra.Command{
		Use:   "dead NAME",
		Short: "List what a hook has given up delivering, the oldest first",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return usagef("--limit must be 1 or more")
			}
			return listDead(cmd.Context(), cmd.OutOrStdout(), &c, args[0], limit, output.value)
		},
	}
	c.addFlags(cmd.Flags())
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many")
	cmd.Flags().VarP(&output, "output", "o", "how to print them")
	return cmd
}

func listDead(ctx context.Context, w io.Writer, c *client, name string, limit int, output string) error {
	query := url.Values{"limit": {strconv.Itoa(min(limit+1, pageLimit))}} // one more tells whether there are more
	found, more, err := collect(ctx, c, hookPath(name, "dead"), query, limit)
	if err != nil {
		return err
	}
	if output == "json" {
		return printJSON(w, map[string]any{"dead": found})
	}
	return printDead(w, found, more, time.Now())
}

func printDead(w io.Writer, found []json.RawMessage, more bool, now time.Time) error {
	t := newColumns(w)
	line(t, "ID", "OF", "ATTEMPTS", "FIRST", "LAST", "ERROR")
	for _, raw := range found {
		var m deadMessage
		if err := json.Unmarshal(raw, &m); err != nil {
			return fmt.Errorf("reading a message of the answer: %w", err)
		}
		of := orDash(m.Resource)
		if m.Count > 1 {
			of += fmt.Sprintf(" and %d more", m.Count-1)
		}
		line(t, m.ID, of, strconv.Itoa(m.Attempts), clock(m.First), instant(m.Last, now), shorten(m.Error, 60))
	}
	if err := t.Flush(); err != nil || !more {
		return err
	}
	_, err := fmt.Fprintf(w, "There are more: these are the first %d (--limit).\n", len(found))
	return err
}

// hookPath is the path of something of a hook.
func hookPath(name, what string) string { return "v1/hooks/" + url.PathEscape(name) + "/" + what }

// hookCommand is what the commands to a hook have in common: run prints what the daemon answers to a POST.
type hookCommand struct {
	client client
	output choice
}

func (h *hookCommand) addFlags(cmd *cobra.Command) {
	h.output = oneOf("table", "json")
	h.client.addFlags(cmd.Flags())
	cmd.Flags().VarP(&h.output, "output", "o", "how to print what was done")
}

// run gives the command; done says in a sentence what its answer means.
func (h *hookCommand) run(cmd *cobra.Command, name, what string, query url.Values, done func(n int) string) error {
	var answer map[string]int
	if err := h.client.post(cmd.Context(), hookPath(name, what), query, &answer); err != nil {
		return err
	}
	if h.output.value == "json" {
		return printJSON(cmd.OutOrStdout(), answer)
	}
	n := 0
	for _, n = range answer {
		break // it has one member
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), printable(done(n)))
	return err
}

func newHooksTest() *cobra.Command {
	var h hookCommand
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Send a message that says that it is a test, and tell what the receiver did",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return h.run(cmd, args[0], "test", nil, func(int) string { return args[0] + " has taken the test." })
		},
	}
	h.addFlags(cmd)
	return cmd
}

func newHooksRedeliver() *cobra.Command {
	var h hookCommand
	cmd := &cobra.Command{
		Use:   "redeliver NAME [ID]",
		Short: "Send again what a hook has given up delivering: one message, or all of its dead list",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var query url.Values
			if len(args) == 2 {
				query = url.Values{"id": {args[1]}}
			}
			return h.run(cmd, args[0], "redeliver", query, func(n int) string { return fmt.Sprintf("Sent again to %s: %s.", args[0], howMany(n, "message")) })
		},
	}
	h.addFlags(cmd)
	return cmd
}

func newHooksReplay() *cobra.Command {
	var h hookCommand
	var since string
	cmd := &cobra.Command{
		Use:   "replay NAME --since 2h",
		Short: "Tell a hook again what was told since a time, with the ids that it had",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := pastTime(since, time.Now())
			if err != nil {
				return err
			}
			query := url.Values{"since": {from.UTC().Format(time.RFC3339Nano)}}
			return h.run(cmd, args[0], "replay", query, func(n int) string { return fmt.Sprintf("Told again to %s: %s.", args[0], howMany(n, "event")) })
		},
	}
	h.addFlags(cmd)
	cmd.Flags().StringVar(&since, "since", "", "from when on: how long ago (2h), or a time such as 2026-11-21T02:00:00Z")
	return cmd
}

// pastTime reads how long ago something was, or when.
func pastTime(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.After(now) {
		return time.Time{}, usagef("--since must say how long ago, such as 2h, or be a time that is over, such as 2026-11-21T02:00:00Z")
	}
	return t, nil
}

// howMany is a number with its noun.
func howMany(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
