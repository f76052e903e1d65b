package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"faultd/storage"
)

func newCheck() *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Verify the store of a daemon that is not running",
		Long: "Verify the store in a data directory at rest: the structure of the file, the state hash, every resource's records, " +
			"the lists and the counts.\n\n" + environmentNote,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return check(dataDir, cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "./data", "directory of the store")
	return cmd
}

// check prints what a check of the store found; that something is wrong with it is an error too.
func check(dataDir string, w io.Writer) error {
	path := filepath.Join(dataDir, "faultd.db")
	r, err := storage.Check(path)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, storage.ErrInUse):
		return err
	case err != nil:
		return storeError{err}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "store\t%s\n", path)
	fmt.Fprintf(table, "position\t%s/%d\n", r.Position.Stream, r.Position.Sequence)
	fmt.Fprintf(table, "messages\t%d applied, %d ignored, %d rejected\n", r.Counters.Applied, r.Counters.Ignored, r.Counters.Rejected)
	fmt.Fprintf(table, "resources\t%d\n", r.Resources)
	fmt.Fprintf(table, "records\t%d\n", r.Records)
	fmt.Fprintf(table, "state hash\t%016x\n", r.Hash)
	fmt.Fprintf(table, "problems\t%d\n", len(r.Problems))
	for _, p := range r.Problems {
		fmt.Fprintf(table, "\t%s\n", p)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(r.Problems) > 0 {
		return storeError{fmt.Errorf("the store %s is damaged: put it aside; then put a copy in its place that faultd snapshot or its schedule made, "+
			"or let faultd read the stream anew", path)}
	}
	return nil
}
