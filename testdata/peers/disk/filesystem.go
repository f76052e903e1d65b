package disk

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// tree is the file system: what a node needs to know of the whole.
type tree struct {
	backing string
	mu      sync.Mutex // guards volumes
	volumes map[string]*volume
}

func (t *tree) volume(name string) *volume {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.volumes[name] == nil {
		t.volumes[name] = &volume{}
	}
	return t.volumes[name]
}

// forget lets go of a record.
func (t *tree) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.volumes, name)
}

// node is the root, a volume or a file. What it does not implement is refused, so that nothing goes unrecorded.
type node struct {
	fs.Inode
	tree *tree
	vol  *volume // nil for the root
}

func (n *node) path() string { return filepath.Join(n.tree.backing, n.Path(nil)) }

func (n *node) child(ctx context.Context, name string, st *syscall.Stat_t, out *fuse.EntryOut) *fs.Inode {
	out.Attr.FromStat(st)
	vol := n.vol
	if vol == nil {
		vol = n.tree.volume(name)
	}
	return n.NewInode(ctx, &node{tree: n.tree, vol: vol}, fs.StableAttr{Mode: st.Mode, Ino: st.Ino, Gen: 1})
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	var st syscall.Stat_t
	if err := syscall.Lstat(filepath.Join(n.path(), name), &st); err != nil {
		return nil, fs.ToErrno(err)
	}
	return n.child(ctx, name, &st, out), 0
}

// Mkdir makes a volume.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if n.vol != nil {
		return nil, syscall.EPERM
	}
	if err := os.Mkdir(filepath.Join(n.path(), name), os.FileMode(mode)); err != nil {
		return nil, fs.ToErrno(err)
	}
	return n.Lookup(ctx, name, out)
}

// Rmdir ends a volume.
func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	errno := fs.ToErrno(syscall.Rmdir(filepath.Join(n.path(), name)))
	if errno == 0 {
		n.tree.forget(name)
	}
	return errno
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (made *fs.Inode, h fs.FileHandle, _ uint32, errno syscall.Errno) {
	if n.vol == nil {
		return nil, nil, 0, syscall.EPERM
	}
	path := filepath.Join(n.path(), name)
	// The file is made first, to know its number; where creating is to fail it is taken away again.
	f, err := os.OpenFile(path, int(flags)|os.O_CREATE, os.FileMode(mode))
	if err != nil {
		return nil, nil, 0, fs.ToErrno(err)
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return nil, nil, 0, fs.ToErrno(err)
	}
	kept := false
	errno = n.vol.do(Op{Kind: Create, File: st.Ino, Name: name}, func(int) syscall.Errno { kept = true; return 0 })
	if errno != 0 {
		_ = f.Close()
		if !kept {
			_ = os.Remove(path)
		}
		return nil, nil, 0, errno
	}
	return n.child(ctx, name, &st, out), &handle{f}, fuse.FOPEN_KEEP_CACHE, 0
}

func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_TRUNC != 0 {
		return nil, 0, syscall.EPERM // the kernel asks Setattr instead
	}
	f, err := os.OpenFile(n.path(), int(flags)&^syscall.O_APPEND, 0)
	if err != nil {
		return nil, 0, fs.ToErrno(err)
	}
	return &handle{f}, fuse.FOPEN_KEEP_CACHE, 0
}

func (n *node) Write(_ context.Context, h fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	errno := n.vol.do(Op{Kind: Write, File: n.StableAttr().Ino, Offset: offset, Data: data}, func(size int) syscall.Errno {
		_, err := h.(*handle).f.WriteAt(data[:size], offset)
		return fs.ToErrno(err)
	})
	if errno != 0 {
		return 0, errno
	}
	return uint32(len(data)), 0
}

func (n *node) Fsync(_ context.Context, _ fs.FileHandle, _ uint32) syscall.Errno {
	if n.vol == nil {
		return 0
	}
	op := Op{Kind: Sync, File: n.StableAttr().Ino}
	if n.IsDir() {
		op = Op{Kind: SyncDir}
	}
	return n.vol.do(op, func(int) syscall.Errno { return 0 })
}

func (n *node) Rename(_ context.Context, name string, to fs.InodeEmbedder, toName string, flags uint32) syscall.Errno {
	other, ok := to.(*node)
	if !ok || n.vol == nil || other.vol != n.vol || flags != 0 {
		return syscall.EXDEV
	}
	old, dir := n.path(), other.path()
	return n.vol.do(Op{Kind: Rename, Name: name, To: toName}, func(int) syscall.Errno {
		return fs.ToErrno(syscall.Rename(filepath.Join(old, name), filepath.Join(dir, toName)))
	})
}

func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	if n.vol == nil {
		return syscall.EPERM
	}
	path := filepath.Join(n.path(), name)
	return n.vol.do(Op{Kind: Remove, Name: name}, func(int) syscall.Errno { return fs.ToErrno(syscall.Unlink(path)) })
}

func (n *node) Getattr(_ context.Context, h fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	var st syscall.Stat_t
	var err error
	if h, ok := h.(*handle); ok {
		err = syscall.Fstat(int(h.f.Fd()), &st) // it may have no name any more
	} else {
		err = syscall.Lstat(n.path(), &st)
	}
	out.Attr.FromStat(&st)
	return fs.ToErrno(err)
}

// Setattr truncates. Of modes, owners and times nothing here depends.
func (n *node) Setattr(ctx context.Context, h fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	size, ok := in.GetSize()
	if !ok {
		return n.Getattr(ctx, h, out)
	}
	errno := n.vol.do(Op{Kind: Truncate, File: n.StableAttr().Ino, Size: int64(size)}, func(int) syscall.Errno {
		if h, ok := h.(*handle); ok {
			return fs.ToErrno(h.f.Truncate(int64(size)))
		}
		return fs.ToErrno(os.Truncate(n.path(), int64(size)))
	})
	if errno != 0 {
		return errno
	}
	return n.Getattr(ctx, h, out)
}

func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	return fs.NewLoopbackDirStream(n.path())
}

func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	var st syscall.Statfs_t
	err := syscall.Statfs(n.tree.backing, &st)
	out.FromStatfsT(&st)
	return fs.ToErrno(err)
}

// handle is an open file. It does not show its descriptor to the kernel, which would go past the record with it.
type handle struct{ f *os.File }

func (h *handle) Read(_ context.Context, into []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	return fuse.ReadResultFd(h.f.Fd(), offset, len(into)), 0
}

func (h *handle) Flush(context.Context) syscall.Errno { return 0 }

func (h *handle) Release(context.Context) syscall.Errno { return fs.ToErrno(h.f.Close()) }
