package embedded

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/minio/highwayhash"
)

// The server writes these two when it makes a stream or a consumer, one after the other.
const (
	metaFile = "meta.inf"
	sumFile  = "meta.sum"
)

// mend writes the checksum of every stream and consumer that has none, because the process ended while it was made. The
// server passes it over when it starts; and made anew in the same place it would not get a checksum either, work, and be
// passed over with all that it took at the next start. Nothing else is touched: what is not whole stays as it is, and the
// server tells of it. No server may run on the directory.
func mend(storeDir string) error {
	for _, kind := range []struct{ name, pattern string }{
		{"stream", "jetstream/*/streams/*"},
		{"consumer", "jetstream/*/streams/*/obs/*"},
	} {
		metas, err := fs.Glob(os.DirFS(storeDir), path.Join(kind.pattern, metaFile))
		if err != nil {
			return err
		}
		for _, meta := range metas {
			if err := mendOne(storeDir, path.Dir(meta)); err != nil {
				return fmt.Errorf("completing %s %s, which was being made when the process ended: %w", kind.name, path.Base(path.Dir(meta)), err)
			}
		}
	}
	return nil
}

// mendOne completes the stream or consumer in a directory, given by its slash-separated path below storeDir.
func mendOne(storeDir, below string) error {
	if strings.Contains(below, "/.") {
		return nil // deleted, and about to be removed
	}
	dir := filepath.Join(storeDir, filepath.FromSlash(below))
	switch info, err := os.Stat(filepath.Join(dir, sumFile)); {
	case err == nil && info.Size() > 0:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	meta, err := os.ReadFile(filepath.Join(dir, metaFile))
	if err != nil {
		return err
	}
	if !whole(meta, path.Base(below)) {
		return nil // an empty one is written again by the server itself, with its checksum
	}
	sum, err := checksum(meta, below)
	if err != nil {
		return err
	}
	return writeThrough(dir, sumFile, sum)
}

// whole tells whether that is all of the description of what has that name.
func whole(meta []byte, name string) bool {
	var is struct {
		Name string `json:"name"`
	}
	return json.Unmarshal(meta, &is) == nil && is.Name == name
}

// checksum is the server's: keyed with the stream's name, or with those of stream and consumer.
func checksum(meta []byte, below string) (string, error) {
	parts := strings.Split(below, "/") // jetstream, account, streams, stream, obs, consumer
	name := parts[3]
	if len(parts) > 4 {
		name += "/" + parts[5]
	}
	key := sha256.Sum256([]byte(name))
	hash, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		return "", err
	}
	_, _ = hash.Write(meta) // a hash never fails
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// writeThrough writes a file as the server would: whole or not at all, and on the disk when it returns.
func writeThrough(dir, name, text string) error {
	temporary := filepath.Join(dir, name+".tmp")
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_SYNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(temporary, filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return syncDir(dir)
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
