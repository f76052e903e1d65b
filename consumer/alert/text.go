package alert

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable is a text on one line without what steers a terminal or a log, or turns the direction in which it is read.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), steers(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// steers tells of what no one sees: marks of direction and of byte order, and tags. Joiners stay, since languages
// need them.
func steers(r rune) bool {
	switch {
	case r == 0x061C, r == 0x200E, r == 0x200F, 0x202A <= r && r <= 0x202E, 0x2066 <= r && r <= 0x2069:
		return true
	case r == 0xFEFF, 0xFFF9 <= r && r <= 0xFFFB, 0xE0000 <= r && r <= 0xE0FFF:
		return true
	}
	return false
}

// isName tells whether a text can be a tenant's or a resource's id, or an event's: it needs no quoting anywhere.
func isName(s string) bool {
	const longest = 128
	return s != "" && len(s) <= longest && strings.IndexFunc(s, func(r rune) bool { return !isNameRune(r) }) < 0
}

func isNameRune(r rune) bool {
	return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || r == '-' || r == '_'
}
