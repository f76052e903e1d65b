package storage

import (
	"encoding/binary"
)

// errShort is returned when a record ends before its last field.
var errShort = corrupt("record is cut short")

// encoder appends fields to a record: numbers as varints, texts with their length before them.
type encoder struct{ b []byte }

func (e *encoder) byte(v byte)    { e.b = append(e.b, v) }
func (e *encoder) uint(v uint64)  { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) int(v int64)    { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) fixed(v uint64) { e.b = binary.BigEndian.AppendUint64(e.b, v) }
func (e *encoder) text(s string)  { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) bytes(s []byte) { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) bool(v bool)    { e.byte(bit(v)) }

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// decoder takes fields off a record. The first field that is not there sets err, and all after it are zero.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.b, d.err = nil, errShort
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if v := d.take(1); len(v) == 1 {
		return v[0]
	}
	return 0
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errShort
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errShort
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) fixed() uint64 {
	if v := d.take(8); len(v) == 8 {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (d *decoder) text() string  { return string(d.take(d.uint())) }
func (d *decoder) bytes() []byte { return append([]byte(nil), d.take(d.uint())...) }
func (d *decoder) bool() bool    { return d.byte() != 0 }

// count is the length of a list, of which each member takes at least one byte.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.b, d.err = nil, errShort
		return 0
	}
	return int(n)
}
