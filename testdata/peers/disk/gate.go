package disk

import (
	"context"
	"fmt"
	"path"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
)

// slowly is how long a write before a shut gate takes.
const slowly = 10 * time.Millisecond

// gate is what some files of a disk must pass to be synced. Its exported methods have the form that net/rpc wants.
type gate struct {
	files string // pattern of [path.Match], below the mount point

	mu      sync.Mutex    // guards what follows
	opened  chan struct{} // closed when the gate opens; nil while it is open
	waiting int           // syncs
}

// Shut makes syncs wait and writes slow.
func (g *gate) Shut(struct{}, *struct{}) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
	return nil
}

// Open lets all go that wait, and whatever comes.
func (g *gate) Open(struct{}, *struct{}) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
	return nil
}

// Waiting tells how many syncs wait.
func (g *gate) Waiting(_ struct{}, n *int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	*n = g.waiting
	return nil
}

// before is closed when the gate is open for the file; nil if it is.
func (g *gate) before(file *gatedNode) <-chan struct{} {
	if fits, err := path.Match(g.files, file.Path(nil)); err != nil || !fits {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}

func (g *gate) await(opened <-chan struct{}) {
	g.wait(1)
	<-opened
	g.wait(-1)
}

func (g *gate) wait(more int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting += more
}

// root is that of a disk which passes everything on to the directory behind it.
func (g *gate) root(backing string) (fs.InodeEmbedder, error) {
	root, err := fs.NewLoopbackRoot(backing)
	if err != nil {
		return nil, fmt.Errorf("looking at the directory behind the disk: %w", err)
	}
	return &gatedNode{root.(*fs.LoopbackNode), g}, nil
}

// gatedNode is a directory or a file of a disk with a gate.
type gatedNode struct {
	*fs.LoopbackNode
	gate *gate
}

// WrapChild implements [fs.NodeWrapChilder].
func (n *gatedNode) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	return &gatedNode{child.(*fs.LoopbackNode), n.gate}
}

func (n *gatedNode) Write(ctx context.Context, h fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	if n.gate.before(n) != nil {
		time.Sleep(slowly)
	}
	return h.(fs.FileWriter).Write(ctx, data, offset)
}

func (n *gatedNode) Fsync(ctx context.Context, h fs.FileHandle, flags uint32) syscall.Errno {
	if opened := n.gate.before(n); opened != nil {
		n.gate.await(opened)
	}
	if f, ok := h.(fs.FileFsyncer); ok {
		return f.Fsync(ctx, flags)
	}
	return 0
}

// Gate is before some files of a mounted disk: while it is shut their syncs wait, and their writes are slow.
type Gate struct{ disk *Disk }

// StartGated mounts a disk in a directory for the time of the test, with a gate, open, before the files whose paths below
// the directory match a pattern of [path.Match].
func StartGated(t testing.TB, dir, files string) *Gate {
	t.Helper()
	g := &Gate{start(t, dir, gatedBy+"="+files)}
	g.Waiting(t) // it answers when it is mounted
	return g
}

// Shut shuts the gate until it is opened, at the test's end if not before.
func (g *Gate) Shut(t testing.TB) {
	t.Helper()
	t.Cleanup(func() { g.Open(t) })
	g.disk.call(t, "Shut", struct{}{}, new(struct{}))
}

// Waiting is how many syncs wait before the gate.
func (g *Gate) Waiting(t testing.TB) (n int) {
	t.Helper()
	g.disk.call(t, "Waiting", struct{}{}, &n)
	return n
}

// Open opens the gate; it may be open.
func (g *Gate) Open(t testing.TB) {
	t.Helper()
	g.disk.call(t, "Open", struct{}{}, new(struct{}))
}
