package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func newWait() *cobra.Command {
	var c client
	var sequence uint64
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "Wait until a daemon is ready, and has applied the stream up to a sequence",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), timeout, errWaited)
			defer cancel()
			return wait(ctx, &c, sequence)
		},
	}
	c.addFlags(cmd.Flags())
	cmd.Flags().Uint64Var(&sequence, "sequence", 0, "sequence to wait for, such as publish prints")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait at most")
	return cmd
}

// errWaited is returned when the time to wait is over.
var errWaited = errors.New("not within --timeout")

// wait asks until the daemon is as it should be. What is wrong with the question ends it at once.
func wait(ctx context.Context, c *client, sequence uint64) error {
	const pause = 100 * time.Millisecond
	for {
		missing := c.behind(ctx, sequence)
		var usage usageError
		if missing == nil || errors.As(missing, &usage) {
			return missing
		}
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, errWaited) {
				return cause
			}
			return fmt.Errorf("%w: %w", missing, errWaited)
		case <-time.After(pause):
		}
	}
}

// behind says what the daemon still lacks, nil for nothing.
func (c *client) behind(ctx context.Context, sequence uint64) error {
	var health struct{}
	if err := c.get(ctx, "readyz", nil, &health); err != nil {
		return err
	}
	if sequence == 0 {
		return nil
	}
	// Whoever may read anything may ask this: the daemon answers when it is there.
	var summary struct{}
	return c.get(ctx, "v1/summary", url.Values{"min_position": {strconv.FormatUint(sequence, 10)}, "wait": {"0"}}, &summary)
}
