package consumer

import (
	"time"

	"faultd/statemachine"
)

// parseRFC3339 parses a time strictly by RFC 3339, which the time package does not: that takes a comma for a point
// and an hour of one digit. A leap second is no time that our clocks can tell.
func parseRFC3339(b []byte) (t time.Time, ok bool) {
	if len(b) < len("2006-01-02T15:04:05Z") || b[4] != '-' || b[7] != '-' || b[10]|0x20 != 't' || b[13] != ':' || b[16] != ':' {
		return t, false
	}
	century, year, month, day := twoDigits(b), twoDigits(b[2:]), twoDigits(b[5:]), twoDigits(b[8:])
	hour, minute, second := twoDigits(b[11:]), twoDigits(b[14:]), twoDigits(b[17:])
	if century < 0 || year < 0 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 ||
		minute < 0 || minute > 59 || second < 0 || second > 59 {
		return t, false
	}
	nanoseconds, rest := fraction(b[19:])
	offset, ok := zoneOffset(rest)
	t = time.Date(century*100+year, time.Month(month), day, hour, minute, second, nanoseconds, time.UTC)
	if t.Day() != day { // the month has no such day
		return t, false
	}
	return t.Add(-offset), ok
}

// twoDigits is the number that b begins with, negative if that is not two digits.
func twoDigits(b []byte) int {
	if !isDigit(b[0]) || !isDigit(b[1]) {
		return -1
	}
	return int(b[0]-'0')*10 + int(b[1]-'0')
}

// fraction reads a fraction of a second, if b begins with one; what is finer than nanoseconds is dropped.
func fraction(b []byte) (nanoseconds int, rest []byte) {
	if b[0] != '.' {
		return 0, b
	}
	i := 1
	for scale := 100_000_000; i < len(b) && isDigit(b[i]); i++ {
		nanoseconds += int(b[i]-'0') * scale
		scale /= 10
	}
	if i == 1 {
		return 0, nil // a point and nothing behind it
	}
	return nanoseconds, b[i:]
}

// zoneOffset reads the zone that ends a time: Z or +hh:mm.
func zoneOffset(b []byte) (offset time.Duration, ok bool) {
	switch {
	case len(b) == 1:
		return 0, b[0]|0x20 == 'z'
	case len(b) != len("+00:00") || b[0] != '+' && b[0] != '-' || b[3] != ':':
		return 0, false
	}
	hour, minute := twoDigits(b[1:]), twoDigits(b[4:])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 {
		return 0, false
	}
	offset = time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
	if b[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// instant is the Time of t, and whether it lies in the years that a Time can tell.
func instant(t time.Time) (statemachine.Time, bool) {
	if y := t.UTC().Year(); y < 1970 || y > 2261 {
		return 0, false
	}
	return statemachine.Time(t.UnixNano()), true
}
