package disk

import (
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// mountedAt names the environment's variable that makes a program a disk; backedBy the directory behind it; gatedBy, on a
// disk that records nothing and has a gate, the files behind that.
const (
	mountedAt = "FAULTD_TEST_DISK"
	backedBy  = "FAULTD_TEST_DISK_BACKING"
	gatedBy   = "FAULTD_TEST_DISK_GATED"
)

// Main is to be called first of all by the TestMain of whoever starts disks: where the process is to be a disk it
// serves until its standard input ends, and does not return.
func Main() {
	if mountPoint := os.Getenv(mountedAt); mountPoint != "" {
		if err := serve(mountPoint, os.Getenv(backedBy), os.Getenv(gatedBy)); err != nil {
			fmt.Fprintln(os.Stderr, "the disk:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func serve(mountPoint, backing, gated string) error {
	defer os.RemoveAll(backing)
	// A test that is interrupted takes its pipe with it, and only then is the disk to go.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	t, g := &tree{backing: backing, volumes: map[string]*volume{}}, &gate{files: gated}
	var root fs.InodeEmbedder = &node{tree: t}
	var asked any = &Control{t}
	if gated != "" {
		var err error
		if root, err = g.root(backing); err != nil {
			return err
		}
		asked = g
	}
	forever := time.Hour // nobody changes the directory behind it
	server, err := fs.Mount(mountPoint, root, &fs.Options{
		AttrTimeout: &forever, EntryTimeout: &forever,
		MountOptions: fuse.MountOptions{
			DirectMountStrict: true, // mount(2), as root: no fusermount
			// What was written stays in the cache, where the mapping finds it, and no look at the file's time drops it.
			ExplicitDataCacheControl: true,
			DisableXAttrs:            true,
			DisabledCapabilities:     fuse.CAP_PASSTHROUGH, // what is written comes by here
			FsName:                   "faultd-test-disk",
		},
	})
	if err != nil {
		return fmt.Errorf("mounting needs root and /dev/fuse: %w", err)
	}
	control := rpc.NewServer()
	if err := control.RegisterName("Disk", asked); err != nil {
		return err
	}
	control.ServeConn(stdio{os.Stdin, os.Stdout})
	_ = g.Open(struct{}{}, nil) // for what waits there still
	if server.Unmount() != nil {
		// Something is open still, in a test that failed.
		return syscall.Unmount(mountPoint, syscall.MNT_DETACH)
	}
	return nil
}

// stdio is a connection over two pipes.
type stdio struct {
	io.Reader
	io.WriteCloser
}

// Control is what a disk can be asked over its pipes. Its exported methods have the form that net/rpc wants.
type Control struct{ tree *tree }

// Count tells how many operations are recorded.
func (c *Control) Count(name string, n *int) error {
	v := c.tree.volume(name)
	v.mu.Lock()
	defer v.mu.Unlock()
	*n = len(v.ops)
	return nil
}

// Ops tells the operations that are recorded.
func (c *Control) Ops(name string, ops *[]Op) error {
	v := c.tree.volume(name)
	v.mu.Lock()
	defer v.mu.Unlock()
	*ops = v.ops
	return nil
}

// Injection is a fault on a volume.
type Injection struct {
	Volume string
	Fault  Fault
}

// Fail sets the fault of a volume.
func (c *Control) Fail(in Injection, _ *struct{}) error {
	v := c.tree.volume(in.Volume)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fault, v.hit, v.dead = in.Fault, 0, false
	return nil
}

// Hit tells when the fault was met.
func (c *Control) Hit(name string, hit *int) error {
	v := c.tree.volume(name)
	v.mu.Lock()
	defer v.mu.Unlock()
	*hit = v.hit
	return nil
}

// Disk is a mounted file system.
type Disk struct {
	dir     string
	control *rpc.Client
}

// Start mounts a disk for the time of the test. The data lie in memory.
func Start(t testing.TB) *Disk {
	t.Helper()
	d := start(t, t.TempDir())
	d.call(t, "Count", "", new(int)) // it answers when it is mounted
	return d
}

func start(t testing.TB, dir string, env ...string) *Disk {
	t.Helper()
	for _, needed := range []string{"/dev/fuse", "/dev/shm"} {
		if _, err := os.Stat(needed); err != nil {
			t.Fatalf("a recording disk needs Linux, root, /dev/fuse and /dev/shm: %v", err)
		}
	}
	backing, err := os.MkdirTemp("/dev/shm", "faultd-disk-")
	if err != nil {
		t.Fatal(err)
	}
	d := &Disk{dir: dir}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), mountedAt+"="+d.dir, backedBy+"="+backing), env...)
	cmd.Stderr = os.Stderr
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		_ = os.RemoveAll(backing)
		t.Fatal(err)
	}
	d.control = rpc.NewClient(stdio{out, in})
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the disk ended with %v", err)
		}
	})
	return d
}

func (d *Disk) call(t testing.TB, method string, in, out any) {
	t.Helper()
	if err := d.control.Call("Disk."+method, in, out); err != nil {
		t.Fatalf("asking the disk for %s: %v", method, err)
	}
}

// Volume is a directory of a disk.
type Volume struct {
	Dir  string
	disk *Disk
	name string
}

// Volume makes an empty volume of a name that no other has.
func (d *Disk) Volume(t testing.TB, name string) *Volume {
	t.Helper()
	v := &Volume{Dir: filepath.Join(d.dir, name), disk: d, name: name}
	if err := os.Mkdir(v.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return v
}

// Count is how many operations were recorded so far.
func (v *Volume) Count(t testing.TB) (n int) {
	t.Helper()
	v.disk.call(t, "Count", v.name, &n)
	return n
}

// Ops are the operations that were recorded, in order.
func (v *Volume) Ops(t testing.TB) (ops []Op) {
	t.Helper()
	v.disk.call(t, "Ops", v.name, &ops)
	return ops
}

// Fail makes an operation fail; the zero Fault makes none fail.
func (v *Volume) Fail(t testing.TB, f Fault) {
	t.Helper()
	v.disk.call(t, "Fail", Injection{v.name, f}, new(struct{}))
}

// Hit is how many operations were recorded when the fault that was set last was met, with that one; 0 if it was not.
func (v *Volume) Hit(t testing.TB) (hit int) {
	t.Helper()
	v.disk.call(t, "Hit", v.name, &hit)
	return hit
}

// Remove removes the volume, its files and its record.
func (v *Volume) Remove(t testing.TB) {
	t.Helper()
	v.Fail(t, Fault{})
	if err := os.RemoveAll(v.Dir); err != nil {
		t.Fatal(err)
	}
}
