package disk

import (
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Sector is what a disk writes whole or not at all, in bytes.
const Sector = 512

// Crash is what would be on the platters if the power failed after some of a volume's operations. What a sync has
// confirmed is there. Of the rest anything may be: the whole, nothing, some writes and not those before them, some
// sectors of a write; a name is there or gone as the directory was synced, whatever was synced of the file.
//
// What was done before a sync that failed may be lost for good: the system takes it as written from then on, shows it
// to all who read, and later syncs pass over it.
type Crash struct {
	ops     []Op
	rng     *rand.Rand
	At      int // operations that were done
	files   map[uint64]*file
	names   map[string]uint64 // as the directory was synced last
	renamed []Op              // since
}

// file is a file's content as it was synced last, and what was done to it since.
type file struct {
	content
	since []Op
}

// content is a file's: what lies behind data, up to size, are zeros that were never written.
type content struct {
	data []byte
	size int64
}

// NewCrash begins before the first operation. The seed decides what a failed sync loses.
func NewCrash(ops []Op, seed uint64) *Crash {
	return &Crash{ops: ops, rng: rand.New(rand.NewPCG(seed, 0)), files: map[uint64]*file{}, names: map[string]uint64{}}
}

// Next lets one more operation be done.
func (c *Crash) Next() {
	op := c.ops[c.At]
	c.At++
	switch op.Kind {
	case Create:
		c.files[op.File] = &file{}
		c.renamed = append(c.renamed, op)
	case Rename, Remove:
		c.renamed = append(c.renamed, op)
	case Write, Truncate:
		f := c.files[op.File]
		f.since = append(f.since, op)
	case Sync:
		c.sync(c.files[op.File], op.Failed != 0)
	case SyncDir:
		if op.Failed == 0 {
			c.names, c.renamed = names(c.names, c.renamed, everything), nil
		}
	}
}

func (c *Crash) sync(f *file, failed bool) {
	if !failed {
		f.apply(f.since, everything)
		f.since = nil
		return
	}
	if c.rng.IntN(2) == 0 {
		return // and what was written will be tried again
	}
	kept := f.since[:0:0]
	for i, op := range f.since {
		switch {
		case op.Kind == Truncate:
			kept = append(kept, op)
		case c.rng.IntN(2) == 0:
			f.apply(f.since[i:i+1], everything)
		}
	}
	f.since = kept
}

// Unsynced is how many operations could be lost by now.
func (c *Crash) Unsynced() int {
	n := len(c.renamed)
	for _, f := range c.files {
		n += len(f.since)
	}
	return n
}

// lot decides what of an operation reached the disk; it is asked once a sector of a write, else once.
type lot func() bool

func everything() bool { return true }

func names(synced map[string]uint64, since []Op, drawn lot) map[string]uint64 {
	now, really := clone(synced), clone(synced)
	for _, op := range since {
		file := op.File
		if op.Kind != Create {
			file = really[op.Name]
		}
		rename(really, op, file)
		if drawn() {
			rename(now, op, file)
		}
	}
	return now
}

func clone(m map[string]uint64) map[string]uint64 {
	c := make(map[string]uint64, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

func rename(names map[string]uint64, op Op, file uint64) {
	switch op.Kind {
	case Create:
		names[op.Name] = file
	case Rename:
		if names[op.Name] == file {
			delete(names, op.Name)
		}
		names[op.To] = file
	case Remove:
		if names[op.Name] == file {
			delete(names, op.Name)
		}
	}
}

// apply does operations, or what of them is drawn.
func (c *content) apply(since []Op, drawn lot) {
	for _, op := range since {
		if op.Kind == Truncate {
			if drawn() {
				c.size, c.data = op.Size, c.data[:min(int64(len(c.data)), op.Size)]
			}
			continue
		}
		for done := 0; done < len(op.Data); {
			// Sectors are those of the disk: a write may begin in the middle of one.
			n := min(len(op.Data)-done, Sector-int(op.Offset+int64(done))%Sector)
			if drawn() {
				c.write(op.Data[done:done+n], op.Offset+int64(done))
			}
			done += n
		}
	}
}

func (c *content) write(data []byte, offset int64) {
	end := offset + int64(len(data))
	if more := end - int64(len(c.data)); more > 0 {
		c.data = append(c.data, make([]byte, more)...)
	}
	copy(c.data[offset:], data)
	c.size = max(c.size, end)
}

// Image is the files of a disk after a power cut, by name.
type Image map[string]content

// Whole is the image in which nothing was lost: what a process sees after another was killed.
func (c *Crash) Whole() Image {
	return c.image(func() lot { return everything })
}

// Random draws an image.
func (c *Crash) Random(rng *rand.Rand) Image {
	odds := []float64{0, 0.1, 0.5, 0.9, 1}[rng.IntN(5)]
	sectors := func() bool { return rng.Float64() < odds }
	if rng.IntN(2) == 0 {
		return c.image(func() lot { return sectors })
	}
	return c.image(func() lot { // operations whole
		all := sectors()
		return func() bool { return all }
	})
}

// image draws a lot for each operation.
func (c *Crash) image(draw func() lot) Image {
	var dirOps []bool
	for range c.renamed {
		dirOps = append(dirOps, draw()())
	}
	made := Image{}
	for name, number := range names(c.names, c.renamed, func() bool { is := dirOps[0]; dirOps = dirOps[1:]; return is }) {
		f := c.files[number]
		if f == nil {
			continue
		}
		is := content{append([]byte(nil), f.data...), f.size}
		for i := range f.since {
			is.apply(f.since[i:i+1], draw())
		}
		made[name] = is
	}
	return made
}

// Has is whether a file is there.
func (i Image) Has(name string) bool { _, ok := i[name]; return ok }

// Write makes the files in an empty directory.
func (i Image) Write(dir string) error {
	for name, is := range i {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, is.data, 0o600); err != nil {
			return err
		}
		if err := os.Truncate(path, is.size); err != nil {
			return err
		}
	}
	return nil
}
