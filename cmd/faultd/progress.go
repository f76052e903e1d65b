package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"faultd/consumer"
	"faultd/storage"
)

// progress tells how far long work is, such as the publishing of a file: as a bar that is drawn anew on a terminal, elsewhere as
// a line now and then.
type progress struct {
	out      io.Writer
	terminal bool
	size     int64 // of the source in bytes, 0 if it is not known
	began    time.Time
	shown    time.Time // when something was last written
	width    int       // of what stands on the terminal
}

// How often progress is written at most.
const (
	everyDrawing = 100 * time.Millisecond
	everyLine    = time.Second
)

func newProgress(out io.Writer, size int64, now time.Time) *progress {
	return &progress{out: out, terminal: isTerminal(out), size: size, began: now, shown: now}
}

// show writes how far the publishing is.
func (p *progress) show(done consumer.PublishResult, now time.Time) {
	p.draw(done.Bytes >= p.size, func() string { return p.text(done, now) }, now)
}

// showBytes writes how far something is that is counted in bytes alone; total is not above 0 if nobody knows it.
func (p *progress) showBytes(done, total int64, now time.Time) {
	p.draw(done >= total, func() string {
		if total <= 0 {
			return storage.Bytes(uint64(done))
		}
		share := min(float64(done)/float64(total), 1)
		return fmt.Sprintf("%s %3.0f%%  %s of %s", bar(share), 100*share, storage.Bytes(uint64(done)), storage.Bytes(uint64(total)))
	}, now)
}

// draw writes how far it is, unless it has done so a moment ago. On a terminal the end is always shown.
func (p *progress) draw(whole bool, say func() string, now time.Time) {
	pause := everyLine
	if p.terminal {
		pause = everyDrawing
	}
	if now.Sub(p.shown) < pause && (!p.terminal || !whole) {
		return
	}
	p.shown = now
	text := say()
	if !p.terminal {
		fmt.Fprintln(p.out, text)
		return
	}
	fmt.Fprintf(p.out, "\r%-*s", p.width, text)
	p.width = len(text)
}

// end leaves the line of the bar.
func (p *progress) end() {
	if p.width > 0 {
		fmt.Fprintln(p.out)
	}
}

func (p *progress) text(done consumer.PublishResult, now time.Time) string {
	spent := now.Sub(p.began)
	text := fmt.Sprintf("%d events, %d/s", done.Messages, rate(done.Messages, spent))
	if p.size == 0 {
		return text
	}
	share := min(float64(done.Bytes)/float64(p.size), 1)
	text = fmt.Sprintf("%s %3.0f%%  %s", bar(share), 100*share, text)
	if share > 0 && share < 1 {
		left := time.Duration(float64(spent) * (1 - share) / share)
		text += fmt.Sprintf(", %s left", max(left.Round(time.Second), time.Second))
	}
	return text
}

func bar(share float64) string {
	const width = 30
	full := int(share * width)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}

// total is the last word. Scripts read the sequence in it, for the wait command.
func (p *progress) total(done consumer.PublishResult, stream string, now time.Time) string {
	spent := now.Sub(p.began)
	text := fmt.Sprintf("published %d events in %s, %d/s", done.Messages, spent.Round(time.Millisecond), rate(done.Messages, spent))
	if done.Duplicates > 0 {
		text += fmt.Sprintf("; the stream knew %d of them already", done.Duplicates)
	}
	if done.Sequence > 0 {
		text += fmt.Sprintf("; up to sequence %d of %s", done.Sequence, stream)
	}
	return text
}

// rate is how many a second that is.
func rate(events int, spent time.Duration) int {
	return int(float64(events) / max(spent.Seconds(), 0.001))
}
