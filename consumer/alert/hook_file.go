package alert

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// The largest files that are read, in bytes.
const (
	maxHooksFile = 1 << 20
	maxNamedFile = 16 << 10 // of a secret, or of URLs
)

// ErrFileMode is returned when others than its owner may read or write a file that holds secrets.
var ErrFileMode = errors.New("others than its owner may use the file")

// readPrivate reads a regular file of at most that many bytes that only its owner may use.
func readPrivate(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for somebody to write
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it is only read
	info, err := f.Stat()            // of what is open, not of what may stand there by now
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", path)
	case info.Mode().Perm()&^0o600 != 0:
		return nil, fmt.Errorf("%s has mode %04o: %w; chmod 600 %s", path, info.Mode().Perm(), ErrFileMode, path)
	case info.Size() > most:
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that it may have", path, info.Size(), most)
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s has more than the %d bytes that it may have", path, most)
	}
	return text, err
}
