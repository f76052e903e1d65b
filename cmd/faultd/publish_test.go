package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"faultd/consumer"
)

func TestPublish_BadLine(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	d.ask(t, "wait")
	file := filepath.Join(t.TempDir(), "events.jsonl")
	first, _, _ := strings.Cut(read(t, sample), "\n")
	if err := os.WriteFile(file, []byte(first+"\nno event\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := faultd(t, "publish", "--nats-url", d.nats, file)
	if r.code != exitFailed || !strings.Contains(r.stderr, "line 2") || !strings.Contains(r.stdout, "published 1 events") {
		t.Errorf("exit code %d, want %d:\n%s%s", r.code, exitFailed, r.stdout, r.stderr)
	}
	if r := faultd(t, "publish", "--nats-url", d.nats, file+".gone"); r.code != exitFailed {
		t.Errorf("exit code %d without the file, want %d", r.code, exitFailed)
	}
}

func TestPublish_NobodyThere(t *testing.T) {
	r := faultd(t, "publish", "--nats-url", "nats://me:secret@127.0.0.1:1", sample)
	if r.code != exitFailed || !strings.Contains(r.stderr, "no NATS server") || strings.Contains(r.stderr, "secret") {
		t.Errorf("exit code %d:\n%s", r.code, r.stderr)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestProgress(t *testing.T) {
	began := time.Unix(0, 0)
	at := func(seconds float64) time.Time { return began.Add(time.Duration(seconds * float64(time.Second))) }
	show := func(p *progress) {
		p.show(consumer.PublishResult{Messages: 10, Bytes: 100}, at(0.05))
		p.show(consumer.PublishResult{Messages: 200, Bytes: 250}, at(2))
		p.show(consumer.PublishResult{Messages: 400, Bytes: 500}, at(2.5))
		p.show(consumer.PublishResult{Messages: 800, Bytes: 1000}, at(2.51))
		p.end()
	}
	var lines, drawn, endless strings.Builder
	show(&progress{out: &lines, size: 1000, began: began, shown: began})
	show(&progress{out: &drawn, terminal: true, size: 1000, began: began, shown: began})
	show(&progress{out: &endless, began: began, shown: began})

	if want := "[#######.......................]  25%  200 events, 100/s, 6s left\n"; lines.String() != want {
		t.Errorf("lines\n%q, want\n%q", lines.String(), want)
	}
	if want := "200 events, 100/s\n"; endless.String() != want {
		t.Errorf("of unknown size\n%q, want\n%q", endless.String(), want)
	}
	if got := strings.Split(drawn.String(), "\r"); len(got) != 4 || !strings.Contains(got[2], " 50%") || !strings.Contains(got[3], "100%  800 events, 318/s") ||
		!strings.HasSuffix(got[3], " \n") {
		t.Errorf("drawn %q", got)
	}
}

func TestProgress_Total(t *testing.T) {
	p := progress{began: time.Unix(0, 0)}
	got := p.total(consumer.PublishResult{Messages: 141, Duplicates: 3, Sequence: 512}, "JOBS", time.Unix(2, 0))
	if want := "published 141 events in 2s, 70/s; the stream knew 3 of them already; up to sequence 512 of JOBS"; got != want {
		t.Errorf("total\n%s, want\n%s", got, want)
	}
}
