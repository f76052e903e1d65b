package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"faultd/storage"
)

func newSnapshot() *cobra.Command {
	var c client
	cmd := &cobra.Command{
		Use:   "snapshot FILE",
		Short: "Take a verified copy of the store of a running daemon",
		Long: "Take a copy of the store of a running daemon, of one committed position. It is verified before it gets its name. To restore\n" +
			"it, stop the daemon, put the copy in the place of faultd.db in the data directory, and start it again: it goes on\n" +
			"behind the copy's position.\n\n" + environmentNote,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.snapshot(cmd.Context(), args[0], cmd.OutOrStdout(), newProgress(cmd.ErrOrStderr(), 0, time.Now()))
		},
	}
	c.addFlags(cmd.Flags())
	return cmd
}

// snapshot downloads a copy of the store into a file that does not exist yet.
func (c *client) snapshot(ctx context.Context, path string, stdout io.Writer, bar *progress) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return usagef("%s exists, and is not written over", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return fmt.Errorf("making a file for the copy: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	err = c.download(ctx, f, bar)
	bar.end()
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	report, err := verified(f.Name())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("naming the copy: %w", err)
	}
	fmt.Fprintf(stdout, "%s is the store at %s/%d: %d resources, state hash %016x\n", path, report.Position.Stream, report.Position.Sequence,
		report.Resources, report.Hash)
	return syncDir(filepath.Dir(path))
}

// download writes what the daemon sends into a file, through to the disk.
func (c *client) download(ctx context.Context, f *os.File, bar *progress) error {
	answer, err := c.open(ctx, "v1/snapshot", nil, http.Header{"Accept": {"application/octet-stream"}})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	size, done := answer.ContentLength, int64(0)
	_, err = io.Copy(f, io.TeeReader(answer.Body, writerFunc(func(b []byte) (int, error) {
		done += int64(len(b))
		bar.showBytes(done, size, time.Now())
		return len(b), nil
	})))
	if err != nil {
		return fmt.Errorf("taking the copy: %w", err)
	}
	return f.Sync()
}

// verified checks a copy.
func verified(path string) (storage.Report, error) {
	r, err := storage.Check(path)
	if err != nil {
		return r, storeError{fmt.Errorf("verifying the copy: %w", err)}
	}
	if len(r.Problems) > 0 {
		return r, storeError{fmt.Errorf("the copy is damaged and not kept: %s, and %d more problems; take another one, and if that is "+
			"damaged too run faultd check on the store itself", r.Problems[0], len(r.Problems)-1)}
	}
	return r, nil
}
