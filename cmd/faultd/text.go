package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

// newColumns aligns what is written with tabs between the cells; Flush prints it.
func newColumns(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// line writes the cells of one line. Their text comes from producers: nothing in it may move the cursor,
// break the line or the column.
func line(t *tabwriter.Writer, cells ...string) {
	for i := range cells {
		cells[i] = printable(cells[i])
	}
	fmt.Fprintln(t, strings.Join(cells, "\t"))
}

// printable shows control characters as spaces, and invalid UTF-8 as what it is.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != utf8.RuneError && (unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control)) {
			return ' '
		}
		return r
	}, s)
}

// shorten cuts a text to so many runes, an ellipsis among them.
func shorten(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:limit-1]) + "…"
}

// instant is a time with its age, "-" if it is not known.
func instant(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	if now.Before(t) {
		return clock(t)
	}
	return fmt.Sprintf("%s (%s ago)", clock(t), age(now.Sub(t)))
}

// clock is a time as RFC 3339 has it, in UTC and whole seconds.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// age is a length of time in its largest unit.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d < 2*365*day:
		return fmt.Sprintf("%dd", d/day)
	default:
		return fmt.Sprintf("%dy", d/(365*day))
	}
}

// orDash is the text, or "-" where a column would be empty.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// verdict is a fault in one cell, "-" for none.
func verdict(f *fault, limit int) string {
	if f == nil {
		return "-"
	}
	return shorten(fmt.Sprintf("%d %s", f.Code, f.Message), limit)
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// isTerminal tells whether somebody sits in front of w, as far as its kind of file tells.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
