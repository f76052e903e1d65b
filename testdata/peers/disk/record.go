package disk

import (
	"sync"
	"syscall"
)

// Kind is what an operation does.
type Kind uint8

// The operations that change what would be on the platters, or make it certain that they do.
const (
	Create   Kind = iota + 1 // of the file Name
	Write                    // of Data at Offset
	Truncate                 // to Size, also to a larger one
	Sync                     // fsync or fdatasync of a file
	Rename                   // of Name to To
	Remove                   // of Name
	SyncDir                  // fsync of the volume's directory
)

func (k Kind) String() string {
	return [...]string{"", "create", "write", "truncate", "sync", "rename", "remove", "syncdir"}[k]
}

// Op is one operation on a volume.
type Op struct {
	Kind         Kind
	File         uint64 // the same number as long as the file lives, whatever its name
	Name, To     string // in the volume's directory
	Offset, Size int64
	Data         []byte        // that was written, which may be less than was asked for if it failed
	Failed       syscall.Errno // that was injected
}

// How is what an operation does that fails.
type How uint8

// An error says nothing about what was done.
const (
	Lost How = iota // nothing
	Torn            // a write writes its first half; others do nothing
	Done            // everything
)

// Fault makes one operation fail.
type Fault struct {
	Kind  Kind // 0: any
	N     int  // the how manieth of its kind from now on, from 1
	Errno syscall.Errno
	How   How
	// Dead: from then on nothing is done any more until another fault is set, as if the process had been killed.
	Dead bool
}

// volume is the record of one volume, and what is to fail on it.
type volume struct {
	mu    sync.Mutex // held while an operation is done, so that the record has the order of the deeds
	ops   []Op
	fault Fault // N counts down; 0 is no fault, or one that was hit
	hit   int   // operations that were recorded when it was hit, and that one; 0: not yet
	dead  bool
}

// do does an operation and records it. act does it really: of a write only the given number of bytes.
func (v *volume) do(op Op, act func(size int) syscall.Errno) syscall.Errno {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.dead {
		return syscall.EIO
	}
	size := len(op.Data)
	failed := v.fails(op.Kind)
	if failed != 0 && v.fault.How != Done {
		size /= 2
		if v.fault.How == Lost || op.Kind != Write {
			size = -1
		}
	}
	if size >= 0 {
		if errno := act(size); errno != 0 {
			return errno
		}
	}
	if op.Failed = failed; op.Kind == Write {
		op.Data = append([]byte(nil), op.Data[:max(size, 0)]...)
	}
	if size >= 0 || op.Kind == Sync || op.Kind == SyncDir {
		v.ops = append(v.ops, op)
	}
	return failed
}

// fails counts the operation, and returns the error that it shall have.
func (v *volume) fails(k Kind) syscall.Errno {
	if v.fault.N == 0 || v.fault.Kind != k && v.fault.Kind != 0 {
		return 0
	}
	if v.fault.N--; v.fault.N > 0 {
		return 0
	}
	v.hit, v.dead = len(v.ops)+1, v.fault.Dead
	return v.fault.Errno
}
