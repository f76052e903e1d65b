package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// parts are the benchmarks of package testing that measure one part each, by package.
var parts = []struct{ name, path, pattern string }{
	{"Consumer", "./consumer", "^BenchmarkDecode"},
	{"Statemachine", "./statemachine", "^BenchmarkApply$"},
	{"Storage", "./storage", "^Benchmark(Apply|Resource|List|Faults|History|Open)$"},
	{"Api", "./api", "^Benchmark(Get_WithoutNetwork|List_Page100)$"},
}

// alone runs them, each as often as the rest.
func (b *bench) alone() error {
	for _, p := range parts {
		cmd := exec.CommandContext(b.ctx, "go", "test", "-C", b.root, "-run", "^$", "-bench", p.pattern, "-benchmem",
			"-benchtime", b.seconds(.5).String(), "-count", strconv.Itoa(b.rounds), p.path)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("go test %s: %w\n%s", p.path, err, out)
		}
		for line := range strings.Lines(string(out)) {
			b.results.addLine(strings.Replace(line, "Benchmark", "Benchmark"+p.name+"/", 1))
		}
		b.say("alone: %s", p.path)
	}
	return nil
}
