// Package campaign is what the campaigns share: how often and with which seed they run, the load, the model that the
// store and the stream FAULTS are compared with, and the daemon as a process.
//
// A campaign is a test with the build tag campaign. It breaks something many times while events come, and shows in
// the end that nothing was lost, nothing was counted or told twice, and nothing was silent.
package campaign

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed seeds
var seeds embed.FS

// Count is how often a campaign breaks something: short, or full where $CAMPAIGN is "full", or the number in
// $CAMPAIGN_NAME.
func Count(t testing.TB, name string, short, full int) int {
	t.Helper()
	if text := os.Getenv("CAMPAIGN_" + strings.ToUpper(name)); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("CAMPAIGN_%s is %q, which is no count", strings.ToUpper(name), text)
		}
		return n
	}
	if os.Getenv("CAMPAIGN") == "full" {
		return full
	}
	return short
}

// Seed is the seed of a campaign of one round: $CAMPAIGN_SEED, else one by the clock. It is logged.
func Seed(t testing.TB, name string) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("CAMPAIGN_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("CAMPAIGN_SEED is %q, which is no seed", text)
		}
	}
	t.Logf("%s: seed %d", name, seed)
	return seed
}

// Seeds are the seeds of a campaign of several rounds: those that failed once and were kept in seeds/NAME, one a line,
// and then [Seed] and the numbers behind it, as many as are asked for.
func Seeds(t testing.TB, name string, rounds int) []uint64 {
	t.Helper()
	all := keptSeeds(t, name)
	for next := Seed(t, name); len(all) < rounds; next++ {
		all = append(all, next)
	}
	return all[:rounds]
}

// keptSeeds are none where the seed is given.
func keptSeeds(t testing.TB, name string) (all []uint64) {
	t.Helper()
	text, err := fs.ReadFile(seeds, "seeds/"+name)
	if err != nil || os.Getenv("CAMPAIGN_SEED") != "" {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		seed, err := strconv.ParseUint(line, 10, 64)
		if err != nil {
			t.Fatalf("seeds/%s: %v", name, err)
		}
		all = append(all, seed)
	}
	return all
}

// Result is what a campaign came to.
type Result struct {
	Campaign   string  `json:"campaign"`
	Seed       uint64  `json:"seed"`
	Operations int     `json:"operations"` // events that were published, or commits, or whatever was broken into
	Faults     int     `json:"faults"`     // that were injected and hit
	Lost       int     `json:"lost"`       // messages, acknowledged events and tellings
	Twice      int     `json:"twice"`
	Seconds    float64 `json:"seconds"`
	Note       string  `json:"note,omitempty"`
}

// Report prints the result as one line of JSON, appends it to the file $CAMPAIGN_OUT if that is set, and fails the
// test if anything was lost or counted twice, or if nothing was really tried.
func (r Result) Report(t testing.TB) {
	t.Helper()
	r.Seconds = float64(int(r.Seconds*10)) / 10
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s\n", line)
	if path := os.Getenv("CAMPAIGN_OUT"); path != "" {
		if err := appendLine(path, line); err != nil {
			t.Errorf("keeping the result: %v", err)
		}
	}
	if r.Lost != 0 || r.Twice != 0 {
		t.Errorf("%s: %d lost, %d twice; the seed is %d", r.Campaign, r.Lost, r.Twice, r.Seed)
	}
	if r.Faults == 0 || r.Operations == 0 {
		t.Errorf("%s: %d faults in %d operations show nothing", r.Campaign, r.Faults, r.Operations)
	}
}

func appendLine(path string, line []byte) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}
