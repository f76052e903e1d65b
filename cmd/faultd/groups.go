package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func newGroups() *cobra.Command {
	var c client
	var limit int
	output := oneOf("table", "json")
	cmd := &cobra.Command{
		Use:   "groups",
		Short: "List failures: the faults that are alike, and what their resources share",
		Long: "List failures: faults of one kind, action, code and message are one, whatever ids and numbers stand in them. Those with " +
			"most resources in ERROR come first. SHARED is what their resources have in common more often than others.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit must be 1 or more")
			}
			return groups(cmd.Context(), cmd.OutOrStdout(), &c, limit, output.value)
		},
	}
	flags := cmd.Flags()
	c.addFlags(flags)
	flags.IntVar(&limit, "limit", 100, "at most so many")
	flags.VarP(&output, "output", "o", "how to print them")
	return cmd
}

func groups(ctx context.Context, w io.Writer, c *client, limit int, output string) error {
	query := url.Values{"limit": {strconv.Itoa(min(limit+1, pageLimit))}} // one more tells whether there are more
	found, more, err := collect(ctx, c, "v1/faults/groups", query, limit)
	if err != nil {
		return err
	}
	if output == "json" {
		return printJSON(w, map[string]any{"groups": found})
	}
	return printGroups(w, found, more)
}

func printGroups(w io.Writer, found []json.RawMessage, more bool) error {
	t := newColumns(w)
	line(t, "ACTIVE", "TOTAL", "CAUSE", "KIND", "ACTION", "CODE", "MESSAGE", "SHARED")
	for _, raw := range found {
		var g faultGroup
		if err := json.Unmarshal(raw, &g); err != nil {
			return fmt.Errorf("reading a group of the answer: %w", err)
		}
		line(t, fmt.Sprint(g.Active), fmt.Sprint(g.Total), g.Cause, g.Kind, g.Action, strconv.Itoa(g.Code), shorten(g.Message, 60), shareText(g.Shared))
	}
	if err := t.Flush(); err != nil || !more {
		return err
	}
	_, err := fmt.Fprintf(w, "There are more: these are the first %d (--limit).\n", len(found))
	return err
}

// shareText is what a group's resources share in one cell, the most telling first.
func shareText(shared []share) string {
	texts := make([]string, len(shared))
	for i, s := range shared {
		texts[i] = fmt.Sprintf("%d of %d: %s %s", s.Count, s.Of, s.Attribute, shorten(s.Value, 40))
	}
	return orDash(strings.Join(texts, ", "))
}
