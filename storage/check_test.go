package storage_test

import (
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
			return b.Put(k, append([]byte(strings.Replace(string(v), "sample", "simple", 1)), 0))
		}, "state hash"},
		"a record gone":      {"faults", func(b *bbolt.Bucket, k, _ []byte) error { return b.Delete(k) }, "a record is missing"},
		"a record cut short": {"hot", func(b *bbolt.Bucket, k, v []byte) error { return b.Put(k, v[:3]) }, "cut short"},
		"a list entry gone":  {"lists", func(b *bbolt.Bucket, k, _ []byte) error { return b.Delete(k) }, "not in the list"},
		"a list entry more": {"lists", func(b *bbolt.Bucket, k, _ []byte) error {
			return b.Put(append(k[:len(k)-1:len(k)-1], 77), nil)
		}, "places"},
		"an error forgotten": {"errors", func(b *bbolt.Bucket, k, _ []byte) error { return b.Delete(k) }, "not among what is in ERROR"},
		"a count wrong":      {"counts", func(b *bbolt.Bucket, k, _ []byte) error { return b.Put(k, []byte{0, 0, 0, 0, 0, 0, 0, 9}) }, "9 servers are counted"},
		"an id astray":       {"ids", func(b *bbolt.Bucket, k, _ []byte) error { return b.Put(k, []byte{0, 0, 0, 0, 0, 0, 0, 9}) }, "its id leads to 9"},
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
