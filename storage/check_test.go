package storage_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	sm "faultd/statemachine"
	"faultd/storage"
)

func TestCheck_FindsWhatWasTamperedWith(t *testing.T) {
	for name, c := range map[string]struct {
		bucket string
		change func(b *bbolt.Bucket, k, v []byte) error
		says   string
	}{
		"a record changed": {"cold", func(b *bbolt.Bucket, k, v []byte) error {
			return b.Put(k, []byte(strings.Replace(string(v), "sample", "simple", 1)))
		}, "of cold (server a of tenant number 1) does not fit"},
		"a record of the log's changed": {"meta", func(b *bbolt.Bucket, _, _ []byte) error {
			return b.Put([]byte("position"), b.Get([]byte("counters")))
		}, "position) does not fit"},
		"a record of another time": {"cold", func(b *bbolt.Bucket, k, v []byte) error {
			return b.Put(k, sealed("cold", k, []byte(strings.Replace(string(v), "sample", "simple", 1))))
		}, "state hash"},
		"a record gone":      {"faults", func(b *bbolt.Bucket, k, _ []byte) error { return b.Delete(k) }, "a record is missing"},
		"a record cut short": {"hot", func(b *bbolt.Bucket, k, v []byte) error { return b.Put(k, sealed("hot", k, v[:3+4])) }, "cut short"},
		"a list entry gone":  {"lists", func(b *bbolt.Bucket, k, _ []byte) error { return b.Delete(k) }, "not in the list"},
		"a list entry more": {"lists", func(b *bbolt.Bucket, k, _ []byte) error {
			k = append(k[:len(k)-1:len(k)-1], 77)
			return b.Put(k, sealed("lists", k, make([]byte, 2+4)))
		}, "places"},
		"an error forgotten": {"errors", func(b *bbolt.Bucket, k, _ []byte) error { return b.Delete(k) }, "not among what is in ERROR"},
		"a list too long": {"lists", func(b *bbolt.Bucket, k, _ []byte) error {
			return b.Put(k, sealed("lists", k, []byte{0, 1, 0, 2, 0, 3, 0, 0, 0, 0}))
		}, "3 servers are counted"},
		"an id astray": {"ids", func(b *bbolt.Bucket, k, _ []byte) error { return b.Put(k, sealed("ids", k, nine)) }, "its id leads to 9"},
	} {
		t.Run(name, func(t *testing.T) {
			path := temp(t)
			db := open(t, path)
			e := ev(1, sm.Server, "a", sm.ActBuild, "b", sm.PhaseFailed)
			e.Name = "sample"
			apply(t, db, entries([]sm.Event{e}))
			_ = db.Close()
			if r, err := storage.Check(path); err != nil || len(r.Problems) > 0 || r.Resources != 1 {
				t.Fatalf("before: %+v, %v", r, err)
			}
			tamper(t, path, c.bucket, c.change)
			r, err := storage.Check(path)
			if err != nil || !strings.Contains(strings.Join(r.Problems, "\n"), c.says) {
				t.Errorf("%q, %v", r.Problems, err)
			}
		})
	}
}

// nine is a number as a record, with room for its checksum.
var nine = []byte{0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0}

// sealed puts the checksum that fits to the end of a record in place of the one that it has.
func sealed(bucket string, key, record []byte) []byte {
	value := record[: len(record)-4 : len(record)-4]
	return binary.BigEndian.AppendUint32(value, uint32(storage.Sum(bucket, key, value)))
}

// tamper changes the first record of a bucket behind the store's back.
func tamper(t *testing.T, path, bucket string, change func(b *bbolt.Bucket, k, v []byte) error) {
	t.Helper()
	bolt, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer bolt.Close()
	if err := bolt.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		k, v := b.Cursor().First()
		return change(b, append([]byte(nil), k...), append([]byte(nil), v...))
	}); err != nil {
		t.Fatal(err)
	}
}
