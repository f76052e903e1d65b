//go:build campaign || packages

package disk_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"faultd/peers/disk"
)

func TestMain(m *testing.M) {
	disk.Main()
	os.Exit(m.Run())
}

func TestRootDisk_MappedFileSeesWrites(t *testing.T) {
	v := disk.Start(t).Volume(t, "a")
	f, err := os.OpenFile(filepath.Join(v.Dir, "f"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(4 * 4096); err != nil {
		t.Fatal(err)
	}
	mapped, err := syscall.Mmap(int(f.Fd()), 0, 4*4096, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(mapped)
	for i := range 400 {
		at, data := int64(i*37%4*4096+i), bytes.Repeat([]byte{byte(i)}, 100)
		if _, err := f.WriteAt(data, at); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(mapped[at:at+100], data) {
			t.Fatalf("write %d is not seen in the mapping", i)
		}
	}
}

func TestRootDisk_RecordsInOrder(t *testing.T) {
	v := disk.Start(t).Volume(t, "a")
	v.Fail(t, disk.Fault{Kind: disk.Sync, N: 2, Errno: syscall.EIO})
	path := filepath.Join(v.Dir, "f.new")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, wrote := f.WriteAt([]byte("abc"), 10)
	if err := errors.Join(wrote, f.Truncate(100), f.Sync()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Fdatasync(int(f.Fd())); !errors.Is(err, syscall.EIO) {
		t.Errorf("the second sync ended with %v", err)
	}
	dir, err := os.Open(v.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), os.Rename(path, filepath.Join(v.Dir, "f")), dir.Sync(), dir.Close(), os.Remove(filepath.Join(v.Dir, "f"))); err != nil {
		t.Fatal(err)
	}
	var kinds []disk.Kind
	for _, op := range v.Ops(t) {
		kinds = append(kinds, op.Kind)
	}
	want := []disk.Kind{disk.Create, disk.Write, disk.Truncate, disk.Sync, disk.Sync, disk.Rename, disk.SyncDir, disk.Remove}
	if !slices.Equal(kinds, want) || v.Hit(t) != 5 {
		t.Errorf("recorded were %v, not %v; hit: %v", kinds, want, v.Hit(t))
	}
}

func TestRootDisk_Faults(t *testing.T) {
	d := disk.Start(t)
	for name, c := range map[string]struct {
		fault   disk.Fault
		content string
	}{
		"Lost":      {disk.Fault{Kind: disk.Write, N: 2, Errno: syscall.EIO, How: disk.Lost}, "aaaa"},
		"Torn":      {disk.Fault{Kind: disk.Write, N: 2, Errno: syscall.ENOSPC, How: disk.Torn}, "bbaa"},
		"Done":      {disk.Fault{Kind: disk.Write, N: 2, Errno: syscall.EIO, How: disk.Done}, "bbbb"},
		"Truncate":  {disk.Fault{Kind: disk.Truncate, N: 1, Errno: syscall.ENOSPC}, "bbbb"},
		"Truncated": {disk.Fault{Kind: disk.Truncate, N: 1, Errno: syscall.EIO, How: disk.Done}, "bb"},
	} {
		t.Run(name, func(t *testing.T) {
			v := d.Volume(t, name)
			path := filepath.Join(v.Dir, "f")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			v.Fail(t, c.fault)
			_, first := f.WriteAt([]byte("aaaa"), 0)
			_, second := f.WriteAt([]byte("bbbb"), 0)
			var third error
			if c.fault.Kind == disk.Truncate {
				third = f.Truncate(2)
			}
			if err := errors.Join(first, second, third); !errors.Is(err, c.fault.Errno) {
				t.Errorf("it ended with %v", err)
			}
			if got, err := os.ReadFile(path); string(got) != c.content || err != nil {
				t.Errorf("it holds %q, not %q (%v)", got, c.content, err)
			}
		})
	}
}

func TestRootDisk_BboltReadsWhatItWrote(t *testing.T) {
	v := disk.Start(t).Volume(t, "a")
	db, err := bbolt.Open(filepath.Join(v.Dir, "db"), 0o600, &bbolt.Options{InitialMmapSize: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	value := func(i, k int) []byte { return bytes.Repeat([]byte{byte(i), byte(k)}, 50) }
	for i := range 50 {
		if err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			for k := range 200 {
				err = errors.Join(err, b.Put([]byte{byte(k)}, value(i, k)))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := db.View(func(tx *bbolt.Tx) error {
			for k := range 200 {
				if got := tx.Bucket([]byte("b")).Get([]byte{byte(k)}); !bytes.Equal(got, value(i, k)) {
					t.Fatalf("in round %d key %d has another value", i, k)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}
