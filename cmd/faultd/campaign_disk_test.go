//go:build campaign

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// disk is a file system of a test's own: ext4 in a file, or one in memory.
type disk struct {
	dir     string   // where it is mounted
	source  []string // what mount takes
	image   string   // empty: it is in memory
	mounted bool
}

// newDisk makes an ext4 of that size in a file, and mounts it until the test ends.
func newDisk(t testing.TB, size int64) *disk {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk")
	file, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	tool(t, "mkfs.ext4", "-q", "-F", "-m", "0", image)
	return mounted(t, &disk{image: image, source: []string{"-t", "ext4", "-o", "loop", image}})
}

// newMemoryDisk makes a file system of that size in memory, and mounts it until the test ends.
func newMemoryDisk(t testing.TB, size int64) *disk {
	t.Helper()
	return mounted(t, &disk{source: []string{"-t", "tmpfs", "-o", fmt.Sprint("size=", size), "tmpfs"}})
}

func mounted(t testing.TB, d *disk) *disk {
	t.Helper()
	d.dir = t.TempDir()
	t.Cleanup(func() { d.unmount(t) })
	d.mount(t)
	return d
}

// tool runs a program of the system, for half a minute at most.
func tool(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := try(name, args...); err != nil {
		t.Fatalf("%s %s: %v\n%s\nThis campaign needs root on Linux, loop devices, mount and e2fsprogs.", name, strings.Join(args, " "), err, out)
	}
}

func try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

func (d *disk) mount(t testing.TB) {
	t.Helper()
	tool(t, "mount", append(append([]string{}, d.source...), d.dir)...)
	d.mounted = true
}

// unmount takes the file system away; the loop device goes with it. A process that has just ended may hold it for a moment.
func (d *disk) unmount(t testing.TB) {
	t.Helper()
	if !d.mounted {
		return
	}
	d.mounted = false
	var out string
	var err error
	for range 100 {
		if out, err = try("umount", d.dir); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	_, _ = try("umount", "-l", d.dir)
	t.Errorf("%s did not let go of its file system: %v\n%s", d.dir, err, out)
}

// cut takes the power from the disk: nothing that is not on it yet will be.
func (d *disk) cut(t testing.TB) {
	t.Helper()
	dir, err := os.Open(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	const shutdown, noLogFlush = 0x8004587d, 2 // of ext4
	how := uint32(noLogFlush)
	if _, _, failed := syscall.Syscall(syscall.SYS_IOCTL, dir.Fd(), shutdown, uintptr(unsafe.Pointer(&how))); failed != 0 {
		t.Fatalf("shutting the file system down: %v", failed)
	}
}
