package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// pageLimit is the most that the daemon answers at once.
const pageLimit = 1000

// filter is which resources to list; an empty field filters nothing.
type filter struct {
	kind, tenant, changesSince string
	status, code               []string
	limit                      int
}

func newList() *cobra.Command {
	var c client
	var f filter
	output := oneOf("table", "json")
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List resources, the newest first",
		Example: "  faultd list --status ERROR\n  faultd list --kind server --tenant 1234 --code 404,500",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.limit < 1 {
				return usagef("--limit must be 1 or more")
			}
			return list(cmd.Context(), cmd.OutOrStdout(), &c, f, output.value)
		},
	}
	flags := cmd.Flags()
	c.addFlags(flags)
	flags.StringVar(&f.kind, "kind", "", "only this kind of resource")
	flags.StringVar(&f.tenant, "tenant", "", "only resources of this tenant")
	flags.StringSliceVar(&f.status, "status", nil, "only resources in one of these statuses")
	flags.StringSliceVar(&f.code, "code", nil, "only resources whose fault has one of these codes")
	flags.StringVar(&f.changesSince, "changes-since", "", "only what changed since this time (RFC 3339), deleted resources too")
	flags.IntVar(&f.limit, "limit", 100, "at most so many")
	flags.VarP(&output, "output", "o", "how to print them")
	return cmd
}

func (f filter) query() url.Values {
	// One more than asked for tells whether there are more.
	query := url.Values{"limit": {strconv.Itoa(min(f.limit+1, pageLimit))}}
	for name, value := range map[string]string{"kind": f.kind, "tenant": f.tenant, "changes-since": f.changesSince} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for _, s := range f.status {
		query.Add("status", s)
	}
	for _, c := range f.code {
		query.Add("code", c)
	}
	return query
}

func list(ctx context.Context, w io.Writer, c *client, f filter, output string) error {
	found, more, err := collect(ctx, c, "v1/resources", f.query(), f.limit)
	if err != nil {
		return err
	}
	if output == "json" {
		return printJSON(w, map[string]any{"resources": found})
	}
	return printResources(w, found, more, time.Now())
}

// collect follows the links from page to page of a list until it has as many members as were asked for, and tells
// whether there are more.
func collect(ctx context.Context, c *client, path string, query url.Values, limit int) (found []json.RawMessage, more bool, err error) {
	found = []json.RawMessage{}
	for {
		var page struct { // one of the lists
			Resources []json.RawMessage `json:"resources"`
			Groups    []json.RawMessage `json:"groups"`
			Dead      []json.RawMessage `json:"dead"`
			Links     []link            `json:"links"`
		}
		if err := c.get(ctx, path, query, &page); err != nil {
			return nil, false, err
		}
		members := slices.Concat(page.Resources, page.Groups, page.Dead)
		found = append(found, members...)
		if len(found) > limit {
			return found[:limit], true, nil
		}
		path, query = next(page.Links), nil
		if path == "" || len(members) == 0 {
			return found, false, nil
		}
	}
}

func printResources(w io.Writer, found []json.RawMessage, more bool, now time.Time) error {
	t := newColumns(w)
	line(t, "KIND", "ID", "TENANT", "NAME", "STATUS", "PROGRESS", "UPDATED", "FAULT")
	for _, raw := range found {
		var r resource
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("reading a resource of the answer: %w", err)
		}
		line(t, r.Kind, r.ID, r.Tenant, orDash(shorten(r.Name, 24)), r.Status, fmt.Sprintf("%d%%", r.Progress),
			instant(r.Updated, now), verdict(r.Fault, 60))
	}
	if err := t.Flush(); err != nil || !more {
		return err
	}
	_, err := fmt.Fprintf(w, "There are more: these are the first %d (--limit).\n", len(found))
	return err
}
