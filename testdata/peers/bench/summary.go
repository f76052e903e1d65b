package main

import (
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// quoted are the figures that the README quotes: what they are, of which contestant, and in which units. A * in a name
// stands for each that there is.
var quoted = []struct {
	about, name string
	units       []string
}{
	{"ingest, events a second", "Ingest/faultd", []string{"events/s"}},
	{"… of what an empty handler reads (times)", "Ingest/faultd", []string{"x-drain"}},
	{"… of SQLite, one upsert a message, 1,000 a commit (times)", "Ingest/faultd", []string{"x-sqlite"}},
	{"… of a JetStream KV bucket, asynchronous puts (times)", "Ingest/faultd", []string{"x-kv"}},
	{"… of bbolt, JSON at a UUID, 1,000 a commit (times)", "Ingest/faultd", []string{"x-bbolt"}},
	{"ingest into a store of 1 M and of 5 M resources, of that into one of 100,000 (times)", "Scale/resources=[15]M", []string{"x-100k"}},
	{"file of 1 M and of 5 M resources, MiB", "Scale/resources=[15]M", []string{"MiB-file"}},
	{"memory meanwhile (without page cache), MiB", "Scale/resources=[15]M", []string{"MiB-memory"}},
	{"open, and start to ready, at 1 M, ms", "Scale/resources=1M", []string{"ms-open", "ms-ready"}},
	{"open, and start to ready, at 5 M, ms", "Scale/resources=5M", []string{"ms-open", "ms-ready"}},
	{"published to visible at 500 a second, every message on the disk: p50, p99, p99.9, ms", "Freshness/sync=always/rate=500", percentiles},
	{"… at 2,000 a second", "Freshness/sync=always/rate=2000", percentiles},
	{"… at 5,000 a second, a stream with default sync", "Freshness/sync=2m/rate=5000", percentiles},
	{"… at 20,000 a second, a stream with default sync", "Freshness/sync=2m/rate=20000", percentiles},
	{"GET of a resource, requests a second (v1, compute, compute XML, volume, cloud-backup, backup-management)", "Read/get=*", []string{"req/s"}},
	{"… of a handler of constant bytes (times)", "Read/get=*", []string{"x-constant"}},
	{"… during an ingest of 20,000 events a second (times)", "ReadLoaded/get=*", []string{"x-constant"}},
	{"… allocations", "Read/get=*", []string{"allocs/req"}},
	{"page of 100 in ERROR among 1 M, of that among 10,000 (v1, compute; times)", "Read/page=*", []string{"x-10k"}},
}

var percentiles = []string{"p50-ms", "p99-ms", "p99.9-ms"}

// summarize prints those that were measured, as a table in Markdown.
func (r *results) summarize(w io.Writer) {
	rows, begun := r.rows(), false
	for _, q := range quoted {
		var amounts []string
		for _, row := range rows {
			for _, unit := range q.units {
				if row.unit == unit && matched(q.name, row.name) {
					amounts = append(amounts, short(median(row.amounts)))
				}
			}
		}
		if len(amounts) == 0 {
			continue
		}
		if !begun {
			fmt.Fprint(w, "| | median |\n|---|---|\n")
			begun = true
		}
		fmt.Fprintf(w, "| %s | %s |\n", q.about, strings.Join(amounts, ", "))
	}
}

func matched(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// load reads what write has written.
func (r *results) load(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		r.addLine(line)
	}
	return nil
}
