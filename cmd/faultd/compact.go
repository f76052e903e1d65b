package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"faultd/statemachine"
	"faultd/storage"
)

func newCompact() *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{
		Use:   "compact",
		Short: "Make the file of the store of a daemon that is not running smaller",
		Long: "Write the store in a data directory at rest anew, without the pages that are free in its file. The new file is verified\n" +
			"before it takes the place of the old one, and needs room beside it. Whatever interrupts it leaves the store as it was.\n\n" + environmentNote,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return compact(cmd.Context(), dataDir, cmd.OutOrStdout(), newProgress(cmd.ErrOrStderr(), 0, time.Now()))
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "./data", "directory of the store")
	return cmd
}

func compact(ctx context.Context, dataDir string, stdout io.Writer, bar *progress) error {
	path := filepath.Join(dataDir, "faultd.db")
	before, after, err := storage.Compact(ctx, storage.Options{Path: path, Step: steps()}, func(done, total int64) {
		bar.showBytes(done, total, time.Now())
	})
	bar.end()
	switch {
	case err == nil:
		fmt.Fprintf(stdout, "%s had %s and has %s\n", path, storage.Bytes(uint64(before)), storage.Bytes(uint64(after)))
		return nil
	case errors.Is(err, os.ErrNotExist), errors.Is(err, storage.ErrInUse), errors.Is(err, statemachine.ErrFull), ctx.Err() != nil:
		return err
	default:
		return storeError{err}
	}
}
