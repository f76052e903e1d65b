package main

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"faultd/storage"
)

// size is a flag's value that is a number of bytes, such as 512MiB.
type size int64

// units are those in which a size is given, the longer names first.
var units = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"B", 1}}

func (s *size) String() string {
	for i := len(units) - 2; i >= 0; i-- {
		if u := units[i]; *s != 0 && int64(*s)%u.bytes == 0 {
			return strconv.FormatInt(int64(*s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(*s), 10)
}

// Type is what the help shows in the place of the value.
func (s *size) Type() string { return "size" }

// Set takes a whole number with one of the units behind it, or without one, which are bytes.
func (s *size) Set(text string) error {
	digits, unit := text, int64(1)
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			digits, unit = number, u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || digits[0] == '+' || int64(n) > math.MaxInt64/unit {
		return errors.New("must be a whole number of bytes, or of KiB, MiB, GiB or TiB, such as 512MiB")
	}
	*s = size(int64(n) * unit)
	return nil
}

// bytes is the size for people.
func (s size) bytes() string { return storage.Bytes(uint64(s)) }
