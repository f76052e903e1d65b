package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	sm "faultd/statemachine"
)

func newShow() *cobra.Command {
	var c client
	var tenant string
	output := oneOf("table", "json")
	cmd := &cobra.Command{
		Use:     "show KIND ID",
		Short:   "Show a resource: its status, its fault, and how it came to it",
		Example: "  faultd show server 52415800-8b69-11e0-9b19-734f0000ffff",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, ok := sm.ParseKind(args[0]); !ok {
				return usagef("%q is no kind of resource; the kinds are %s", args[0], join(sm.Kinds, ", "))
			}
			return show(cmd.Context(), cmd.OutOrStdout(), &c, args[0], args[1], tenant, output.value)
		},
	}
	c.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&tenant, "tenant", "", "the tenant, where two have a resource of this id")
	cmd.Flags().VarP(&output, "output", "o", "how to print it")
	return cmd
}

func show(ctx context.Context, w io.Writer, c *client, kind, id, tenant, output string) error {
	query := url.Values{}
	if tenant != "" {
		query.Set("tenant", tenant)
	}
	path := "v1/resources/" + kind + "/" + url.PathEscape(id)
	var whole json.RawMessage
	var past struct {
		History []json.RawMessage `json:"history"`
		Cut     int               `json:"cut"` // how many older lines are gone
	}
	if err := c.get(ctx, path, query, &whole); err != nil {
		return err
	}
	if err := c.get(ctx, path+"/history", query, &past); err != nil {
		return err
	}
	if output == "json" {
		return printJSON(w, map[string]any{"resource": whole, "history": past.History, "cut": past.Cut})
	}
	var r resource
	if err := json.Unmarshal(whole, &r); err != nil {
		return fmt.Errorf("reading the resource: %w", err)
	}
	rows := make([]row, len(past.History))
	for i, raw := range past.History {
		if err := json.Unmarshal(raw, &rows[i]); err != nil {
			return fmt.Errorf("reading the history: %w", err)
		}
	}
	return printOne(w, &r, rows, past.Cut, time.Now())
}

func printOne(w io.Writer, r *resource, history []row, cut int, now time.Time) error {
	t := newColumns(w)
	line(t, strings.ToUpper(r.Kind), r.ID)
	line(t, "Status", fmt.Sprintf("%s, %d%%, since %s", r.Status, r.Progress, instant(since(history, r.Created), now)))
	printFault(t, "Fault", r.Fault, now)
	printDiagnosis(t, r.Diagnosis)
	printFault(t, "Warning", r.Warning, now)
	printJob(t, r.Job, now)
	for _, a := range r.Attempts {
		line(t, fmt.Sprintf("Attempt %d", a.Number), "failed: "+verdict(a.Fault, 100))
	}
	line(t, "Tenant", r.Tenant)
	line(t, "User", orDash(r.User))
	line(t, "Name", orDash(r.Name))
	line(t, "Created", instant(r.Created, now))
	line(t, "Updated", instant(r.Updated, now))
	line(t, "Attributes", orDash(string(r.Extra)))
	if err := t.Flush(); err != nil {
		return err
	}
	return printHistory(w, history, cut)
}

// since is when the resource came to its status, by the clock of the producer.
func since(newestFirst []row, created time.Time) time.Time {
	for _, h := range newestFirst {
		if h.From != h.To {
			return h.Time
		}
	}
	return created
}

func printFault(t *tabwriter.Writer, name string, f *fault, now time.Time) {
	if f == nil {
		return
	}
	line(t, name, verdict(f, 1000))
	if f.Details != "" {
		line(t, "  details", shorten(f.Details, 1000))
	}
	if f.Reason != "" {
		line(t, "  reason", f.Reason)
	}
	if f.ErrorCode != "" {
		line(t, "  error code", f.ErrorCode)
	}
	line(t, "  at", instant(f.Created, now))
}

func printDiagnosis(t *tabwriter.Writer, d *diagnosis) {
	if d == nil {
		return
	}
	line(t, "Cause", d.Cause)
	line(t, "  advice", d.Advice)
	if d.Remark != "" {
		line(t, "  remark", d.Remark)
	}
	again := "does not help by itself"
	if d.Retry {
		again = "can help"
	}
	line(t, "  retry", again)
}

func printJob(t *tabwriter.Writer, j *job, now time.Time) {
	if j == nil {
		return
	}
	line(t, "Job", strings.TrimSpace(fmt.Sprintf("%s %s, %s  %s", j.Action, j.ID, j.Phase, j.RequestID)))
	line(t, "  started", instant(j.Started, now))
	line(t, "  ended", instant(j.Ended, now))
}

func printHistory(w io.Writer, history []row, cut int) error {
	fmt.Fprintf(w, "\nHistory, the newest first\n")
	t := newColumns(w)
	line(t, "TIME", "FROM", "TO", "ACTION", "JOB", "FAULT")
	for _, h := range history {
		line(t, clock(h.Time), h.From, h.To, h.Job.Action, h.Job.ID, verdict(h.Fault, 60))
	}
	if err := t.Flush(); err != nil || cut == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "%d older lines are no longer kept.\n", cut)
	return err
}
