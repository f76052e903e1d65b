package statemachine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// fingerprintVersion is the version of the algorithm, of which [Template] is a part. Stores keep fingerprints: a
// change that gives any fault another one needs the next version.
const fingerprintVersion = "1"

// Fingerprint groups faults that are one failure: those with the same kind, action, code and reason whose
// messages have the same [Template]. It is the algorithm's version, a colon and 16 hex digits.
func Fingerprint(k Kind, a Action, f *Fault) string {
	var buf [MaxTemplate + 256]byte
	all := buf[:0]
	for _, part := range []string{fingerprintVersion, k.String(), a.String(), strconv.Itoa(f.Code), f.Reason, Template(f.Message)} {
		all = binary.AppendUvarint(all, uint64(len(part))) // so that no two lists of parts are the same bytes
		all = append(all, part...)
	}
	sum := sha256.Sum256(all)
	return fingerprintVersion + ":" + hex.EncodeToString(sum[:8])
}

// MaxTemplate is how long a template may be in bytes. Only what fits counts for a fingerprint.
const MaxTemplate = 1 << 10

// What stands in a template for what was taken out.
const (
	markID     = "<id>"
	markNumber = "<n>"
	markIP     = "<ip>"
	markMAC    = "<mac>"
	markTime   = "<time>"
)

var quotedIDs = map[byte]string{'\'': "'" + markID + "'", '"': `"` + markID + `"`, '`': "`" + markID + "`"}

// Template is a message with what differs between two occurrences of one failure taken out: ids, numbers, sizes,
// addresses, times, and names in quotes that hold a digit. Runs of white space are one space, a list of
// ids or addresses is one of them. What has no digit stays, and no digit stays: so the template of a template is itself.
func Template(message string) string {
	t := template{in: message, out: make([]byte, 0, min(len(message), MaxTemplate))}
	for t.at < len(t.in) && !t.full {
		t.step()
	}
	return strings.TrimRight(string(t.out), " ")
}

// template is a message on its way to a template. It is read once, from left to right: each look ahead is bounded
// or stays within a word that is read only once more.
type template struct {
	in   string
	at   int
	out  []byte
	full bool
}

// step takes what begins at t.at.
func (t *template) step() {
	s := t.in[t.at:]
	switch c := s[0]; {
	case isSpace(c):
		if n := len(t.out); n > 0 && t.out[n-1] != ' ' {
			t.put(" ")
		}
		t.at++
	case c == '\'' || c == '"' || c == '`':
		if n := quotedName(s); n > 0 && t.opens() {
			t.put(quotedIDs[c])
			t.at += n
		} else {
			t.copy(1)
		}
	case isWord(c) || strings.HasPrefix(s, "::") && t.fresh():
		if n, mark := t.variable(s); n > 0 {
			if mark == markID || mark == markIP {
				t.unlist(mark)
			}
			t.put(mark)
			t.at += n
		} else {
			t.word()
		}
	default:
		_, n := utf8.DecodeRuneInString(s)
		t.copy(n)
	}
}

// fresh tells whether an address that begins with colons can begin here.
func (t *template) fresh() bool {
	return t.at == 0 || !isWord(t.in[t.at-1]) && t.in[t.at-1] != ':'
}

// opens tells whether the quote at t.at begins something: within a word it is an apostrophe, but for Python's u'…'.
func (t *template) opens() bool {
	before := t.in[:t.at]
	if before == "" || !isWord(before[len(before)-1]) {
		return true
	}
	prefix := before[len(before)-1]
	return (prefix == 'u' || prefix == 'b') && (len(before) == 1 || !isWord(before[len(before)-2]))
}

// variable is the length of what begins a word and differs from one occurrence to the next, and its mark.
func (t *template) variable(s string) (n int, mark string) {
	if t.at == 0 || !isToken(t.in[t.at-1]) {
		if n := token(s); n > 0 {
			return n, markID
		}
	}
	if n := instant(s); n > 0 {
		return n, markTime
	}
	if n := uuid(s); n > 0 {
		return n, markID
	}
	if n, mark := colons(s); n > 0 {
		return n, mark
	}
	if n := ipv4(s); n > 0 {
		return n, markIP
	}
	return number(s)
}

// word takes a run of letters and digits that is nothing as a whole: each number in it is one. It takes a colon
// where that is all there is.
func (t *template) word() {
	s := t.in[t.at:]
	end := t.at + max(run(s, isWord), 1)
	for t.at < end && !t.full {
		if n := run(t.in[t.at:end], isDigit); n > 0 {
			t.put(markNumber)
			t.at += n
			continue
		}
		t.copy(max(run(t.in[t.at:end], isLetter), 1))
	}
}

// unlist drops the output's last mark where the next is the same and only a comma parts them.
func (t *template) unlist(mark string) {
	comma := len(bytes.TrimSuffix(t.out, []byte(" "))) - 1
	if before := comma - len(mark); before >= 0 && t.out[comma] == ',' && string(t.out[before:comma]) == mark {
		t.out = t.out[:before]
	}
}

// put adds a text to the output if it fits.
func (t *template) put(s string) {
	if len(t.out)+len(s) > MaxTemplate {
		t.full = true
		return
	}
	t.out = append(t.out, s...)
}

// copy takes n bytes as they are, as far as they fit.
func (t *template) copy(n int) {
	s := t.in[t.at : t.at+n]
	t.at += n
	if room := MaxTemplate - len(t.out); n > room {
		t.full = true
		for room > 0 && !utf8.RuneStart(s[room]) {
			room--
		}
		s = s[:room]
	}
	t.out = append(t.out, s...)
}

func isSpace(c byte) bool  { return c == ' ' || '\t' <= c && c <= '\r' }
func isLetter(c byte) bool { return isUpper(c) || isLower(c) }
func isToken(c byte) bool  { return isWord(c) || c == '-' || c == '_' }
func isHex(c byte) bool    { return isDigit(c) || 'a' <= lower(c) && lower(c) <= 'f' }

// run is how many of the first bytes are such.
func run(s string, such func(byte) bool) int {
	n := 0
	for n < len(s) && such(s[n]) {
		n++
	}
	return n
}

// ends tells whether a word ends before s[n].
func ends(s string, n int) bool { return n == len(s) || n < len(s) && !isWord(s[n]) }

func hasDigit(s string) bool { return run(s, func(c byte) bool { return !isDigit(c) }) < len(s) }

// quotedName is the length of a text in quotes without a space in it that has a digit: the name of one resource
// and no other. A sentence in quotes is none.
func quotedName(s string) int {
	const longest = 64
	for n := 1; n < min(len(s), longest); n++ {
		switch {
		case isSpace(s[n]):
			return 0
		case s[n] != s[0]:
		case hasDigit(s[1:n]) && ends(s, n+1):
			return n + 1
		default:
			return 0
		}
	}
	return 0
}

// token is the length of what only a machine can have written: a part of 16 letters and digits or more, not all of
// them hexadecimal, in which the two change places four times or more; and what dashes join to it.
func token(s string) int {
	end, found := 0, false
	for end < len(s) && isToken(s[end]) {
		n := run(s[end:], func(c byte) bool { return isWord(c) || c == '_' })
		found = found || isRandom(s[end:end+n])
		end += n + run(s[end+n:], func(c byte) bool { return c == '-' })
	}
	if !found {
		return 0
	}
	return end + run(s[end:], func(c byte) bool { return c == '=' })
}

func isRandom(s string) bool {
	changes := 0
	for i := 1; i < len(s); i++ {
		if isDigit(s[i]) && isLetter(s[i-1]) || isLetter(s[i]) && isDigit(s[i-1]) {
			changes++
		}
	}
	return len(s) >= 16 && changes >= 4 && run(s, isHex) < len(s)
}

// instant is the length of a date, a time of day or both: 2026-11-21T02:00:00.123Z.
func instant(s string) int {
	date := matched(s, "0000-00-00")
	if date == 0 {
		date = matched(s, "0000/00/00")
	}
	if date == 0 {
		return clock(s)
	}
	if date < len(s) && (s[date] == 'T' || s[date] == ' ') {
		if n := clock(s[date+1:]); n > 0 {
			return date + 1 + n
		}
	}
	if !ends(s, date) {
		return 0
	}
	return date
}

// clock is the length of a time of day, with its fraction and zone.
func clock(s string) int {
	n := matched(s, "00:00:00")
	if n == 0 {
		n = matched(s, "0:00:00")
	}
	if n == 0 {
		return 0
	}
	if n < len(s) && (s[n] == '.' || s[n] == ',') {
		if digits := run(s[n+1:], isDigit); digits > 0 {
			n += 1 + digits
		}
	}
	switch {
	case n < len(s) && s[n] == 'Z':
		n++
	case matched(s[n:], "+00:00")+matched(s[n:], "-00:00") > 0:
		n += len("+00:00")
	case matched(s[n:], "+0000")+matched(s[n:], "-0000") > 0:
		n += len("+0000")
	}
	if !ends(s, n) {
		return 0
	}
	return n
}

// matched is the pattern's length if the text begins as it does: 0 is any digit, f any hexadecimal one.
func matched(s, pattern string) int {
	if len(s) < len(pattern) {
		return 0
	}
	for i := range len(pattern) {
		switch c := pattern[i]; {
		case c == '0' && isDigit(s[i]), c == 'f' && isHex(s[i]), c == s[i]:
		default:
			return 0
		}
	}
	return len(pattern)
}

func uuid(s string) int {
	n := matched(s, "ffffffff-ffff-ffff-ffff-ffffffffffff")
	if n == 0 || !ends(s, n) || !hasDigit(s[:n]) {
		return 0
	}
	return n
}

// colons is the length of a MAC or IPv6 address, and its mark.
func colons(s string) (int, string) {
	const longest = len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
	n := run(s[:min(len(s), longest+2)], func(c byte) bool { return isHex(c) || c == ':' })
	if n > 2 && s[n-1] == ':' && s[n-2] != ':' {
		n-- // it ends the clause, not the address
	}
	switch {
	case !ends(s, n) || !hasDigit(s[:n]):
		return 0, ""
	case n == 17 && matched(s, "ff:ff:ff:ff:ff:ff") == n:
		return n, markMAC
	case ipv6(s[:n]):
		return n, markIP
	}
	return 0, ""
}

// ipv6 tells whether hexadecimal digits and colons are an address.
func ipv6(s string) bool {
	groups, length := 0, 0
	for i := range len(s) {
		if s[i] == ':' {
			length = 0
			continue
		}
		if length == 0 {
			groups++
		}
		if length++; length > 4 {
			return false
		}
	}
	gaps := strings.Count(s, "::")
	return gaps == 0 && groups == 8 && strings.Count(s, ":") == 7 || gaps == 1 && groups < 8 && !strings.Contains(s, ":::")
}

func ipv4(s string) int {
	n := 0
	for group := range 4 {
		digits, value := run(s[n:min(len(s), n+4)], isDigit), 0
		for _, c := range []byte(s[n : n+digits]) {
			value = 10*value + int(c-'0')
		}
		if digits == 0 || value > 255 {
			return 0
		}
		n += digits
		if group == 3 {
			break
		}
		if n == len(s) || s[n] != '.' {
			return 0
		}
		n++
	}
	if !ends(s, n) || n+1 < len(s) && s[n] == '.' && isDigit(s[n+1]) {
		return 0
	}
	return n
}

// number is the length of a number with its unit or of a short id, and its mark. Digits at one place in a word are
// neither: of compute17 the name stays.
func number(s string) (int, string) {
	n := run(s, isWord)
	switch w := s[:n]; {
	case !hasDigit(w):
		return 0, ""
	case run(w, isDigit) == n && (n < 8 || w[0] != '0'):
		return decimal(s, n), markNumber
	case isHexID(w):
		return n, markID
	case isSize(w):
		return n, markNumber
	case hasDigit(w[digitsEnd(w):]):
		return n, markID
	}
	return 0, ""
}

// decimal goes on behind a number's first n digits: groups, fraction, version, unit.
func decimal(s string, n int) int {
	for n+1 < len(s) && (s[n] == '.' || s[n] == ',') {
		more := run(s[n+1:], isWord)
		w := s[n+1 : n+1+more]
		digits := run(w, isDigit)
		if digits == 0 || digits < more && !isSize(w) {
			return n
		}
		n += 1 + more
		if digits < more {
			return n
		}
	}
	if n < len(s) && s[n] == ' ' {
		if unit := run(s[n+1:], isLetter); isByteUnit(s[n+1:n+1+unit]) && ends(s, n+1+unit) {
			n += 1 + unit
		}
	}
	return n
}

// isHexID tells whether a word that has a digit is hexadecimal and as long as an id, or a memory address. A number of
// eight digits that begins with 0 counts, as in instance-00000017.
func isHexID(w string) bool {
	if len(w) > 2 && w[0] == '0' && lower(w[1]) == 'x' {
		w = w[2:]
		return run(w, isHex) == len(w)
	}
	return len(w) >= 8 && run(w, isHex) == len(w)
}

// isSize tells whether a word is digits and a unit of size or time.
func isSize(w string) bool {
	digits := run(w, isDigit)
	if digits == 0 {
		return false
	}
	switch unit := w[digits:]; unit {
	case "B", "k", "b", "ns", "us", "ms", "s", "sec", "m", "min", "h", "d":
		return true
	default:
		return isByteUnit(unit)
	}
}

func isByteUnit(s string) bool {
	switch s {
	case "K", "M", "G", "T", "P", "kB", "KB", "MB", "GB", "TB", "PB", "KiB", "MiB", "GiB", "TiB", "PiB", "bytes":
		return true
	}
	return false
}

// digitsEnd is where the first digits of a word end.
func digitsEnd(w string) int {
	n := run(w, func(c byte) bool { return !isDigit(c) })
	return n + run(w[n:], isDigit)
}
