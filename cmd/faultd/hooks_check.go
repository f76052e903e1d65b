package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"faultd/consumer/alert"
)

func newHooksCheck() *cobra.Command {
	output := oneOf("table", "json")
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Verify a file of hooks, and show how it is understood; no daemon is asked and nothing is sent",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return checkHooks(cmd.OutOrStdout(), args[0], output.value)
		},
	}
	cmd.Flags().VarP(&output, "output", "o", "how to print what is understood")
	return cmd
}

// readHook is an entry of a file of hooks as it was understood; nothing in it is secret.
type readHook struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`
	Targets []string `json:"targets"`
	Match   string   `json:"match"`
	Groups  string   `json:"groups"`
	Options []string `json:"options"`
}

// checkHooks prints what a file of hooks says, or all that is wrong with it, which is an error too.
func checkHooks(w io.Writer, file, output string) error {
	hooks, err := alert.Load(file)
	var report struct {
		Hooks    []readHook `json:"hooks"`
		Problems []string   `json:"problems"`
	}
	report.Hooks, report.Problems = make([]readHook, len(hooks)), []string{}
	for i := range hooks {
		report.Hooks[i] = readHookOf(&hooks[i])
	}
	if err != nil {
		report.Problems = strings.Split(err.Error(), "\n")
		err = fmt.Errorf("%s: %s; faultd serve --hooks would not take it", file, howMany(len(report.Problems), "problem"))
	}
	if output == "json" {
		return cmp.Or(printJSON(w, report), err)
	}
	return cmp.Or(printHooksFile(w, report.Hooks, report.Problems), err)
}

func printHooksFile(w io.Writer, hooks []readHook, problems []string) error {
	for _, p := range problems {
		if _, err := fmt.Fprintln(w, printable(p)); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return nil
	}
	t := newColumns(w)
	line(t, "NAME", "KIND", "MATCH", "GROUPS", "OPTIONS", "TARGETS")
	for _, h := range hooks {
		line(t, h.Name, h.Kind, h.Match, h.Groups, orDash(strings.Join(h.Options, ", ")), strings.Join(h.Targets, ", "))
	}
	return t.Flush()
}

func readHookOf(h *alert.Hook) readHook {
	return readHook{Name: h.Name, Kind: string(h.Kind), Targets: h.Targets(), Match: matchText(&h.Match), Groups: groupText(h), Options: optionTexts(h)}
}

// matchText says which events a hook wants.
func matchText(m *alert.Match) string {
	var codes []string
	for _, c := range m.Codes {
		switch {
		case c.From == c.To:
			codes = append(codes, fmt.Sprint(c.From))
		default:
			codes = append(codes, fmt.Sprintf("%dxx", c.From/100))
		}
	}
	var parts []string
	for _, p := range []struct {
		name string
		of   []string
	}{{"kind", m.Kinds}, {"tenant", m.Tenants}, {"code", codes}, {"cause", m.Causes}, {"action", m.Actions}} {
		if len(p.of) > 0 {
			parts = append(parts, p.name+" "+strings.Join(p.of, "|"))
		}
	}
	if m.Raised != m.Cleared {
		parts = append(parts, map[bool]string{true: "raised", false: "cleared"}[m.Raised]+" alone")
	}
	return cmp.Or(strings.Join(parts, ", "), "everything")
}

// groupText says what a hook is told together.
func groupText(h *alert.Hook) string {
	if len(h.GroupBy) == 0 {
		return "-"
	}
	text := "by " + strings.Join(h.GroupBy, "+")
	if h.GroupWait > 0 {
		text += ", first after " + h.GroupWait.String()
	}
	return text + ", then every " + h.GroupInterval.String()
}

func optionTexts(h *alert.Hook) []string {
	texts := []string{}
	for _, o := range []struct {
		text string
		is   time.Duration
	}{{"in ERROR for ", h.MinErrorFor}, {"again after ", h.RenotifyAfter}} {
		if o.is > 0 {
			texts = append(texts, o.text+o.is.String())
		}
	}
	if h.Kind == alert.Webhook && len(h.Secrets) > 1 {
		texts = append(texts, "two secrets")
	}
	if h.AllowPrivate {
		texts = append(texts, "private addresses")
	}
	if h.AllowHTTP {
		texts = append(texts, "plain http")
	}
	return texts
}
