package statemachine

import "unicode/utf8"

// The sizes in bytes beyond which a fault's texts are cut.
const (
	MaxMessage = 4 << 10
	MaxDetails = 64 << 10
)

// Clip cuts a text that is longer than limit bytes, on the border of a rune, and marks the cut with an
// ellipsis within the limit.
func Clip(s string, limit int) string {
	const mark = "…"
	if len(s) <= limit {
		return s
	}
	cut := max(limit-len(mark), 0)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + mark
}
