package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"faultd/consumer"
)

// publishing is what the flags of publish say.
type publishing struct {
	url, creds, stream string
	rate               int // events a second, 0: as many as go
}

func newPublish() *cobra.Command {
	var p publishing
	cmd := &cobra.Command{
		Use:   "publish FILE|-",
		Short: "Publish events from a file, one a line",
		Long: "Publish events from a file, or from standard input for -, one JSON object a line: a CloudEvent or an " +
			"OpenStack notification. Every one is acknowledged by the server. Publishing a file again does no harm.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.rate < 0 {
				return usagef("--rate must be 0 or more")
			}
			source, size, err := openSource(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			defer source.Close()
			return p.publish(cmd.Context(), source, size, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&p.url, "nats-url", nats.DefaultURL, "NATS servers to publish to")
	flags.StringVar(&p.creds, "nats-creds", "", "file of credentials for them")
	flags.StringVar(&p.stream, "stream", "JOBS", "stream that must take the events")
	flags.IntVar(&p.rate, "rate", 0, "events a second at most; 0: as many as go")
	return cmd
}

// openSource opens what to publish, and tells its size in bytes, 0 if nobody can know.
func openSource(name string, stdin io.Reader) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(stdin), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, fmt.Errorf("opening what to publish: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("opening what to publish: %w", err), f.Close())
	}
	if !info.Mode().IsRegular() {
		return f, 0, nil
	}
	return f, info.Size(), nil
}

func (p *publishing) publish(ctx context.Context, source io.Reader, size int64, stdout, stderr io.Writer) error {
	nc, err := p.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	bar := newProgress(stderr, size, time.Now())
	done, err := consumer.Publish(ctx, nc, source, consumer.PublishOptions{Stream: p.stream, Rate: p.rate,
		Progress: func(done consumer.PublishResult) { bar.show(done, time.Now()) }})
	bar.end()
	fmt.Fprintln(stdout, bar.total(done, p.stream, time.Now()))
	var wrong *consumer.LineError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%w; what stands before that line is published, the rest is not", err)
	}
	return err
}

func (p *publishing) connect() (*nats.Conn, error) {
	if err := checkAddresses("--nats-url", p.url); err != nil {
		return nil, err
	}
	options := []nats.Option{nats.Name("faultd publish")}
	if p.creds != "" {
		options = append(options, nats.UserCredentials(p.creds))
	}
	nc, err := nats.Connect(p.url, options...)
	if err != nil {
		return nil, fmt.Errorf("no NATS server takes events at %s: %w; is 'faultd serve' running, or another one meant (--nats-url)?", redacted(p.url), err)
	}
	return nc, nil
}
