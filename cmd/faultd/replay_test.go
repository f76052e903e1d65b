package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer"
)

// listing is what a test reads of /v1/rejected.
type listing struct {
	Rejected []struct {
		Sequence               uint64
		Subject, Reason, Error string
	}
}

// What was rejected is published again as it was, and is rejected again: the bytes are the same, and so is the daemon.
func TestReplay(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	d.ask(t, "wait")
	js := d.jetStream(t)
	publish := func(data string, header nats.Header) string {
		t.Helper()
		ack, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "jobs.1234.server.s-1.started", Data: []byte(data), Header: header})
		if err != nil {
			t.Fatal(err)
		}
		return strconv.FormatUint(ack.Sequence, 10)
	}
	binary := nats.Header{"Nats-Msg-Id": {"builder/7"}, "Nats-Expected-Last-Sequence": {"1"}, "ce-specversion": {"1.0"}, "ce-type": {"io.faultd.v1.job.started"}, "ce-source": {"builder"}, "ce-id": {"7"},
		"ce-time": {"2026-11-21T02:00:00Z"}}
	structured := publish(`{"specversion":"1.0","type":"io.faultd.v1.job.started"}`, nil)
	withHeaders := publish(`{"job":{"id":"b"}}`, binary)
	gone := publish(`{"gone":1}`, nil)
	large := publish(`{"large":"`+strings.Repeat("x", 5000)+`"}`, nil)
	largeGone := publish(`{"large":"`+strings.Repeat("y", 5000)+`"}`, nil)
	d.ask(t, "wait", "--sequence", largeGone)
	stream, err := js.Stream(t.Context(), "JOBS")
	if err != nil {
		t.Fatal(err)
	}
	for _, sequence := range []uint64{3, 5} {
		if err := stream.DeleteMsg(t.Context(), sequence); err != nil {
			t.Fatal(err)
		}
	}

	r := faultd(t, "replay", structured, withHeaders, gone, large, largeGone, "99", "--server", d.http, "--nats-url", d.nats)
	if r.code != exitFailed || !strings.Contains(r.stderr, "2 of 6 messages were not published again") {
		t.Errorf("exit code %d:\n%s", r.code, r.stderr)
	}
	rows := strings.Split(strings.TrimSpace(r.stdout), "\n")
	for i, want := range []string{"SEQUENCE SUBJECT FROM RESULT", "1 jobs.1234.server.s-1.started stream published again, it is message 6 now",
		"2 jobs.1234.server.s-1.started stream published again, it is message 7 now", "3 jobs.1234.server.s-1.started kept published again, it is message 8 now",
		"4 jobs.1234.server.s-1.started stream published again, it is message 9 now",
		"5 jobs.1234.server.s-1.started - not published: the stream has it no longer, and of its 5012 bytes only the first 4096 are kept",
		"99 - - not published: it is none of the rejected messages that the daemon has kept"} {
		if i >= len(rows) || strings.Join(strings.Fields(rows[i]), " ") != strings.Join(strings.Fields(want), " ") {
			t.Fatalf("line %d is not %q:\n%s", i, want, r.stdout)
		}
	}
	d.ask(t, "wait", "--sequence", "9")
	var all listing
	d.get(t, "/v1/rejected", &all)
	if len(all.Rejected) != 9 {
		t.Fatalf("rejected %+v", all.Rejected)
	}
	slices.Reverse(all.Rejected)
	for i, was := range []int{0, 1, 2, 3} {
		now, before := all.Rejected[5+i], all.Rejected[was]
		now.Sequence = before.Sequence
		if now != before {
			t.Errorf("rejected %+v, and again %+v", before, now)
		}
	}
	again, err := stream.GetMsg(t.Context(), 7)
	if err != nil || again.Header.Get("ce-id") != "7" || len(again.Header["Nats-Msg-Id"])+len(again.Header["Nats-Expected-Last-Sequence"]) != 0 {
		t.Errorf("headers %v: %v", again.Header, err)
	}
	var position struct {
		Counters struct{ Received, Rejected int }
	}
	d.get(t, "/v1/position", &position)
	if c := position.Counters; c.Received != 9 || c.Rejected != 9 {
		t.Errorf("counters %+v", c)
	}
}

// A stream that was made anew has other messages under the same sequences; the daemon's numbers go on.
func TestReplay_FormerEpoch(t *testing.T) {
	d := startDaemon(t, t.TempDir(), "--on-rewind", "new-epoch")
	d.ask(t, "wait")
	js := d.jetStream(t)
	publish := func(data string) {
		t.Helper()
		if _, err := js.Publish(t.Context(), "jobs.x", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	publish(`{"small":1}`)
	publish(`{"large":"` + strings.Repeat("x", 5000) + `"}`)
	d.ask(t, "wait", "--sequence", "2")
	if err := js.DeleteStream(t.Context(), "JOBS"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "JOBS", Subjects: consumer.Subjects}); err != nil {
		t.Fatal(err)
	}
	publish(`{"new":1}`)
	var all listing
	for end := time.Now().Add(30 * time.Second); len(all.Rejected) < 3 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		d.get(t, "/v1/rejected", &all)
	}
	if len(all.Rejected) != 3 || all.Rejected[0].Sequence != 3 {
		t.Fatalf("rejected %+v", all.Rejected)
	}
	r := faultd(t, "replay", "1", "2", "3", "-o", "json", "--server", d.http, "--nats-url", d.nats)
	var said struct{ Replayed []replayed }
	if err := json.Unmarshal([]byte(r.stdout), &said); err != nil || r.code != exitFailed || len(said.Replayed) != 3 {
		t.Fatalf("exit code %d, %v: %s%s", r.code, err, r.stdout, r.stderr)
	}
	small, large, fresh := said.Replayed[0], said.Replayed[1], said.Replayed[2]
	if small.From != "kept" || small.Published != 2 || large.Published != 0 || !strings.Contains(large.Error, "only the first 4096") ||
		fresh.From != "stream" || fresh.Published != 3 {
		t.Errorf("%+v", said.Replayed)
	}
}

func TestReplay_JSON(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	d.ask(t, "wait")
	if r := faultd(t, "replay", "1", "--server", d.http, "--nats-url", d.nats); r.code != exitFailed || !strings.Contains(r.stderr, "has rejected nothing") {
		t.Errorf("exit code %d:\n%s", r.code, r.stderr)
	}
	if _, err := d.jetStream(t).Publish(t.Context(), "jobs.x", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	d.ask(t, "wait", "--sequence", "1")
	r := faultd(t, "replay", "1", "99", "-o", "json", "--server", d.http, "--nats-url", d.nats)
	var said struct{ Replayed []replayed }
	if err := json.Unmarshal([]byte(r.stdout), &said); err != nil || r.code != exitFailed || len(said.Replayed) != 2 {
		t.Fatalf("exit code %d, %v: %s%s", r.code, err, r.stdout, r.stderr)
	}
	if one, two := said.Replayed[0], said.Replayed[1]; one != (replayed{Sequence: 1, Subject: "jobs.x", From: "stream", Published: 2}) || two.Published != 0 || two.Error == "" {
		t.Errorf("%+v, %+v", one, two)
	}
}

func TestReplay_Usage(t *testing.T) {
	for _, arg := range []string{"0", "-1", "x", "1.5", fmt.Sprint(uint64(1) << 63)} {
		if r := faultd(t, "replay", "--", arg); r.code != exitUsage || !strings.Contains(r.stderr, "sequence") {
			t.Errorf("%s: exit code %d\n%s", arg, r.code, r.stderr)
		}
	}
	if r := faultd(t, "replay"); r.code != exitUsage {
		t.Errorf("exit code %d without a sequence", r.code)
	}
	if r := faultd(t, "replay", "1", "--server", "http://127.0.0.1:1"); r.code != exitFailed || !strings.Contains(r.stderr, "faultd serve") {
		t.Errorf("exit code %d without a daemon\n%s", r.code, r.stderr)
	}
}
