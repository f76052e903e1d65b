package api

import (
	"bytes"
	"iter"
)

// The functions here look into JSON that the decoder of events has found to be valid and left without spaces. They
// never read beyond its end, were it otherwise.

// members yields the names, as they are written, and the values of an object.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := 1; i < len(object) && object[i] == '"'; {
			colon := skipString(object, i)
			end := skipValue(object, colon+1)
			if end > len(object) || !yield(object[i+1:colon-1], object[colon+1:end]) {
				return
			}
			i = end + 1
		}
	}
}

// valueOf is the value of a member of an object, nil where there is none.
func valueOf(object []byte, name string) (found []byte) {
	for n, value := range members(object) {
		if string(n) == name {
			found = value
			break
		}
	}
	return found
}

// elements yields the values of an array.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := 1; i < len(array)-1; {
			end := skipValue(array, i)
			if end > len(array) || !yield(array[i:end]) {
				return
			}
			i = end + 1
		}
	}
}

// skipString returns the place behind the string that begins at i.
func skipString(b []byte, i int) int {
	if end := bytes.IndexByte(b[i+1:], '"'); end >= 0 && bytes.IndexByte(b[i+1:i+1+end], '\\') < 0 {
		return i + end + 2 // without escapes, as nearly all are
	}
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b) + 1
}

// skipValue returns the place behind the value that begins at i, beyond the end of b where there is none.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
		case ',':
			if depth == 0 {
				return i
			}
			i++
			continue
		default:
			i++
			continue
		}
		if depth == 0 {
			return i
		}
	}
	return i
}
