package storage

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

// ErrCorrupt is returned when the file holds something else than what was written to it. What it is about stands
// before it. After [DB.Apply] the store is broken; a read that meets it says nothing about other reads.
var ErrCorrupt = errors.New("the store is damaged: stop faultd and run `faultd check`; then put back a copy that " +
	"`faultd snapshot` or its schedule made, or put the file aside and let faultd read the stream anew")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrCorrupt)
}

// withoutAdvice is what an error says besides what to do about a damaged store.
func withoutAdvice(err error) string {
	return strings.ReplaceAll(err.Error(), ": "+ErrCorrupt.Error(), "")
}

// damaged notes damage; the first that was met is the one that is told.
func (in *access) damaged(format string, args ...any) {
	if in.damage == nil {
		in.damage = corrupt(format, args...)
	}
}

// errPanicked is a panic of bbolt's, or a fault in reading what it maps.
type errPanicked struct{ why any }

func (e errPanicked) Error() string {
	if _, fault := e.why.(interface{ Addr() uintptr }); fault {
		return fmt.Sprintf("a page could not be read, the file is shorter than it was or the disk does not give it: %v", ErrCorrupt)
	}
	return fmt.Sprintf("a page makes no sense (%v): %v", e.why, ErrCorrupt)
}

// Is makes it an [ErrCorrupt].
func (errPanicked) Is(target error) bool { return target == ErrCorrupt }

// errStuck is returned when bbolt panicked where it cannot be called again.
var errStuck = corrupt("a page that every access needs could not be read")

// protect does something with the file. bbolt believes what its pages say, and reads them where the kernel maps them: a
// damaged page makes it panic, and a page beyond the end of a truncated file is a fault of memory. Both come out as
// errors.
func protect(what func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if why := recover(); why != nil {
			err = errPanicked{why}
		}
	}()
	return what()
}
