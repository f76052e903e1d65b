// Command bench measures faultd from end to end, beside what one would put together in its place: peers, contents and
// rounds of both in turn, so that their ratios hold on whatever machine and whatever else that does.
//
// Each figure prints its medians, and -out writes every run as a line that benchstat reads. Nothing is asserted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == "child" {
		os.Exit(child(os.Args[2], os.Args[3]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// figure is a part that can be run by itself.
type figure struct {
	name    string
	about   string
	measure func(*bench) error
}

var figures = []figure{
	{"ingest", "a stream into a store, and into what one would put together in its place", (*bench).ingest},
	{"freshness", "from publishing to the API", (*bench).freshness},
	{"scale", "the ingest, with ever more in the store; its size, its memory, its start", (*bench).scaling},
	{"reads", "requests, beside a handler of constant bytes", (*bench).reads},
	{"alone", "the parts by themselves, as testing.B measures them", (*bench).alone},
}

// options are the flags.
type options struct {
	run    string  // which figures
	rounds int     // runs of each contestant
	scale  float64 // of all numbers of events, resources and seconds
	out    string  // file for benchstat; empty: none
	dir    string  // in which a directory for everything is made; empty: that of temporary files
	root   string  // of the repository
	show   string  // file of an earlier run that is shown, instead of another run
}

func (o *options) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.run, "run", "", "which figures, a regular expression; empty: all")
	flags.IntVar(&o.rounds, "rounds", 5, "how often each is measured; figures are medians")
	flags.Float64Var(&o.scale, "scale", 1, "by what all counts and durations are multiplied, for a trial")
	flags.StringVar(&o.out, "out", "", "file to write every run to, as benchstat reads it, where those of figures that -run leaves out stay; empty: none")
	flags.StringVar(&o.dir, "dir", "", "directory on the disk that is measured; empty: that of temporary files")
	flags.StringVar(&o.root, "root", "../..", "root of the repository")
	flags.StringVar(&o.show, "show", "", "file that -out has written, to show instead of measuring anything")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "bench [flags], with the figures")
		for _, f := range figures {
			fmt.Fprintf(stderr, "  %-10s %s\n", f.name, f.about)
		}
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || o.rounds < 1 || o.scale <= 0 {
		return fmt.Errorf("there are no arguments beside flags, and -rounds and -scale are above 0")
	}
	return nil
}

// bench is one run of the program.
type bench struct {
	options
	ctx     context.Context
	dir     string // everything is in there
	daemon  string // path of the program
	nats    string
	stores  []int // numbers of resources of the stores that are made
	results results
	log     io.Writer
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	b := &bench{ctx: ctx, log: stderr}
	err := b.parse(args, stderr)
	switch {
	case err != nil:
	case b.show != "":
		err = b.results.load(b.show)
	default:
		err = b.measure()
	}
	b.results.print(stdout)
	b.results.summarize(stdout)
	if b.out != "" && len(b.results.runs) > 0 {
		err = errors.Join(err, b.write())
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// write writes the results. What an earlier run had of figures that are not asked for stays.
func (b *bench) write() error {
	if b.options.run != "" {
		if err := b.results.keep(b.out); err != nil {
			return err
		}
	}
	return b.results.write(b.out)
}

// measure runs the figures that are asked for, one after the other.
func (b *bench) measure() (err error) {
	wanted, err := regexp.Compile(b.run)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	if b.dir, err = os.MkdirTemp(b.options.dir, "faultd-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.build(); err != nil {
		return err
	}
	for _, f := range figures {
		if !wanted.MatchString(f.name) {
			continue
		}
		syscall.Sync() // what one figure has left to write is not to be the next one's
		began := time.Now()
		if err := f.measure(b); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		b.say("%s took %s", f.name, time.Since(began).Round(time.Second))
	}
	return nil
}

// say tells how far it is.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.log, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

// count is n at the scale that was asked for.
func (b *bench) count(n int) int { return max(1, int(float64(n)*b.scale)) }

// seconds is that long at the scale, half a second at least.
func (b *bench) seconds(n float64) time.Duration {
	return max(time.Duration(n*b.scale*float64(time.Second)), 500*time.Millisecond)
}
