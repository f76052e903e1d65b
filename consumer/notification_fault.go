package consumer

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"

	"faultd/statemachine"
)

// novaFault is the fault that a notification of Nova carries. What Nova says of an exception may show internals,
// so all of it goes into the details; the tenant is told the exception's class in words, or failing that what.
func (n *notice) novaFault(failing string) *statemachine.Fault {
	exception := n.body.object("fault") // versioned
	if exception == nil {
		exception = n.body.object("reason") // versioned, by the conductor
	}
	class := className(exception.string("exception"))
	text, trace := exception.string("exception_message"), exception.string("traceback")
	if class == "" && text == "" { // legacy
		trace = cmp.Or(n.body.string("exception"), n.body.string("reason"))
		class, text = reprClass(trace), n.body.string("message")
	}
	f := &statemachine.Fault{Code: n.faultCode(), Message: cmp.Or(inWords(class), failing), Reason: class}
	if f.Code == 500 { // else the details are for the tenant too
		text = joinLines(text, trace)
	}
	f.Details = statemachine.Clip(text, statemachine.MaxDetails)
	return f
}

// faultCode is the code that a legacy notification carries, 500 where there is none, as in every versioned one.
func (n *notice) faultCode() int {
	for _, path := range [][]string{{"code"}, {"exception", "kwargs", "code"}} {
		if f, ok := n.body.number(path...); ok && f == float64(int(f)) && isCode(int(f)) {
			return int(f)
		}
	}
	return 500
}

// joinLines puts two texts under each other, of which each may be empty.
func joinLines(a, b string) string {
	if a == "" || b == "" || a == b {
		return cmp.Or(a, b)
	}
	return a + "\n" + b
}

// className is the bare name of an exception's class, empty for what cannot be one.
func className(s string) string {
	s = s[strings.LastIndexByte(s, '.')+1:]
	s = strings.TrimSuffix(s, "_Remote") // added on the way through oslo.messaging
	word := func(r rune) bool { return r == '_' || r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) }
	if s == "" || len(s) > maxName || unicode.IsDigit(rune(s[0])) || strings.TrimFunc(s, word) != "" {
		return ""
	}
	return s
}

// reprClass is the class of an exception in Python's notation: NoValidHost('…',).
func reprClass(repr string) string {
	name, _, ok := strings.Cut(repr, "(")
	if !ok {
		return ""
	}
	return className(name)
}

// inWords turns a class's name into a sentence's begin: NoValidHost is "No valid host". Runs of capitals stay as
// they are.
func inWords(class string) string {
	var out strings.Builder
	for i := range len(class) {
		c := class[i]
		upper := 'A' <= c && c <= 'Z'
		nextLower := i+1 < len(class) && 'a' <= class[i+1] && class[i+1] <= 'z'
		prevLower := i > 0 && (class[i-1] < 'A' || 'Z' < class[i-1])
		switch {
		case c == '_':
			out.WriteByte(' ')
			continue
		case upper && i > 0 && class[i-1] != '_' && (prevLower || nextLower):
			out.WriteByte(' ')
		}
		if i == 0 {
			c = byte(unicode.ToUpper(rune(c)))
		} else if upper && nextLower {
			c |= 0x20
		}
		out.WriteByte(c)
	}
	return out.String()
}
