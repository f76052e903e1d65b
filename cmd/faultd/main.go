// Command faultd follows the jobs of a cloud control plane, keeps one record for each resource, and shows the
// fault of what failed. Its sub-commands run the daemon, feed it and ask it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"faultd/consumer"
)

// The exit codes. They are part of the command's interface.
const (
	exitDone   = 0 // done, or stopped by a signal
	exitFailed = 1
	exitUsage  = 2
	exitStore  = 4 // the store failed: a restart alone will not help
)

// version is set when a release is built.
var version string

func main() {
	// A second signal changes nothing: Ctrl-C and a supervisor may both send one.
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// run is the whole program: args[0] is its name. A signal arrives as the end of ctx. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args[1:])
	root.SetOut(stdout)
	root.SetErr(stderr)
	understood := false // the command line is; what goes wrong from there on is no question of usage
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		err := fromEnvironment(cmd.Flags(), os.LookupEnv)
		understood = err == nil
		return err
	}
	err := root.ExecuteContext(ctx)
	code := exitCode(err, ctx.Err() != nil)
	if err != nil && !understood {
		code = exitUsage
	}
	if code == exitDone {
		return code
	}
	words := []string{"faultd: " + printable(err.Error())}
	if code == exitUsage {
		words = append(words, "'faultd --help', and --help behind a command, say what there is.")
	}
	lastWords(stderr, words...)
	return code
}

// usageError is an error that another command line would not have met.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// storeError is an error of the store.
type storeError struct{ error }

func (e storeError) Unwrap() error { return e.error }

// exitCode is the code for the error that a command returned. That a command was cut short by a signal is no error.
func exitCode(err error, signalled bool) int {
	var usage usageError
	var store storeError
	switch {
	case err == nil, signalled && errors.Is(err, context.Canceled):
		return exitDone
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &store), errors.Is(err, consumer.ErrStore):
		return exitStore
	default:
		return exitFailed
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "faultd",
		Short:         "Follows the jobs of a cloud control plane and shows the fault of what failed",
		Long:          "faultd follows the jobs of a cloud control plane and shows the fault of what failed.\n\n" + environmentNote,
		Version:       versionText(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintln(cmd.ErrOrStderr(), cmd.UsageString())
			return usagef("a command is missing")
		},
	}
	root.SetVersionTemplate("faultd {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newServe(), newPublish(), newList(), newShow(), newGroups(), newWatch(), newCheck(), newCompact(), newSnapshot(), newWait(), newStates(), newToken(), newReplay(), newHooks())
	return root
}

// versionText is the version that the build was given, else the one that the Go tool recorded.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	return info.Main.Version
}
