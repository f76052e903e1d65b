package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// value is a measurement in a unit, which is a ratio where it begins with x-: to the peer of that name, in the same round,
// and above 1 where faultd does better.
type value struct {
	amount float64
	unit   string
}

// result is what one run of one contestant came to.
type result struct {
	name   string
	values []value
}

// results are all runs, in the order in which they were measured.
type results struct{ runs []result }

func (r *results) add(name string, values ...value) {
	r.runs = append(r.runs, result{name, values})
}

// better tells benchstat which direction is; other units it knows, or they are better lower.
var better = []string{"events/s", "req/s", "x-drain", "x-sqlite", "x-kv", "x-bbolt", "x-constant", "x-cpu-constant", "x-100k", "x-10k"}

// write writes the form that benchstat reads: one line a run.
func (r *results) write(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	fmt.Fprintf(out, "goos: %s\ngoarch: %s\ncpu: %s\ncores: %d\n", runtime.GOOS, runtime.GOARCH, processor(), runtime.NumCPU())
	for _, unit := range better {
		fmt.Fprintf(out, "Unit %s better=higher\n", unit)
	}
	for _, run := range r.runs {
		fmt.Fprintf(out, "Benchmark%s 1", run.name)
		for _, v := range run.values {
			fmt.Fprintf(out, " %s %s", strconv.FormatFloat(v.amount, 'g', 6, 64), v.unit)
		}
		fmt.Fprintln(out)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return file.Close()
}

// keep puts those of an earlier run before these, of what was not measured now.
func (r *results) keep(file string) error {
	var all results
	if err := all.load(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all.runs = slices.DeleteFunc(all.runs, func(old result) bool {
		return slices.ContainsFunc(r.runs, func(now result) bool { return now.name == old.name })
	})
	r.runs = append(all.runs, r.runs...)
	return nil
}

// addLine takes a line of that form, if it is a run's.
func (r *results) addLine(line string) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
		return
	}
	run := result{name: strings.TrimPrefix(fields[0], "Benchmark")}
	if name, ok := strings.CutSuffix(run.name, "-"+strconv.Itoa(runtime.NumCPU())); ok {
		run.name = name // package testing appends how many processors there are
	}
	for i := 2; i+1 < len(fields); i += 2 {
		if amount, err := strconv.ParseFloat(fields[i], 64); err == nil {
			run.values = append(run.values, value{amount, fields[i+1]})
		}
	}
	r.runs = append(r.runs, run)
}

// processor is the model, as testing says it.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(info)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH
}

// row is one figure: all runs of a contestant in one unit.
type row struct {
	name, unit string
	amounts    []float64
}

// rows are in the order of the contestants' first runs.
func (r *results) rows() (rows []*row) {
	known := map[[2]string]*row{}
	for _, run := range r.runs {
		for _, v := range run.values {
			key := [2]string{run.name, v.unit}
			if known[key] == nil {
				known[key] = &row{name: run.name, unit: v.unit}
				rows = append(rows, known[key])
			}
			known[key].amounts = append(known[key].amounts, v.amount)
		}
	}
	place := map[string]int{}
	for i, r := range slices.Backward(rows) {
		place[r.name] = i
	}
	slices.SortStableFunc(rows, func(a, b *row) int { return place[a.name] - place[b.name] })
	return rows
}

// print prints medians for people.
func (r *results) print(w io.Writer) {
	rows := r.rows()
	if len(rows) == 0 {
		return
	}
	long := 0
	for _, row := range rows {
		long = max(long, len(row.name))
	}
	fmt.Fprintf(w, "%-*s %12s %-15s %12s %12s %4s\n", long, "", "median", "", "least", "most", "runs")
	last := ""
	for _, row := range rows {
		name := row.name
		if name == last {
			name = ""
		}
		last = row.name
		fmt.Fprintf(w, "%-*s %12s %-15s %12s %12s %4d\n", long, name, short(median(row.amounts)), row.unit,
			short(slices.Min(row.amounts)), short(slices.Max(row.amounts)), len(row.amounts))
	}
}

func median(amounts []float64) float64 {
	sorted := slices.Sorted(slices.Values(amounts))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// short is a number with as many digits as mean something.
func short(v float64) string {
	switch {
	case v >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}
