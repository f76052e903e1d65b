package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A job that fails tells one fault, and its recovery that it is over, whatever becomes of the process between.
func TestServe_TellsFaultsOnce(t *testing.T) {
	binary, dir := buildBinary(t), t.TempDir()
	httpAddr, natsAddr := freeAddr(t), freeAddr(t)
	d := &running{http: "http://" + httpAddr, nats: "nats://" + natsAddr}
	event := func(n int, phase, more string) {
		t.Helper()
		d.publishEvents(t, fmt.Sprintf(`{"specversion":"1.0","type":"io.faultd.v1.job.%s","source":"test","id":"%d","time":"2026-11-21T02:00:0%dZ",`+
			`"data":{"job":{"id":"b-%d","action":"rebuild"},"resource":{"kind":"server","id":"s-1","tenant_id":"1234"}%s}}`, phase, n, n, n, more))
	}
	process := startBinary(t, binary, dir, httpAddr, natsAddr)
	crash := func() {
		t.Helper()
		if err := process.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = process.Wait()
		process = startBinary(t, binary, dir, httpAddr, natsAddr)
		d.ask(t, "wait")
	}
	event(1, "failed", `,"fault":{"code":404,"message":"no image"}`)
	raised := d.told(t, 1)[0]
	crash()
	event(2, "succeeded", "")
	d.told(t, 2)
	crash()
	event(3, "started", "")
	all := d.told(t, 2)
	if all[0].ID != raised.ID || all[0].Type != "io.faultd.v1.fault.raised" || all[1].Type != "io.faultd.v1.fault.cleared" {
		t.Errorf("told %+v, the first of all was %+v", all, raised)
	}
	var server any
	d.get(t, "/v1/resources/server/s-1", &server)
	if is := all[0].Data.Resource; is["status"] != "ERROR" || is["id"] != "s-1" || is["diagnosis"] == nil || is["fault"] == nil || server.(map[string]any)["status"] != "REBUILD" {
		t.Errorf("told of %v, which is %v now", is, server)
	}
}

// publishEvents publishes events, and returns when the daemon has applied them.
func (d *running) publishEvents(t testing.TB, lines string) {
	t.Helper()
	d.publish(t, writeFile(t, t.TempDir()+"/events.jsonl", lines+"\n"))
}

// toldEvent is a message of FAULTS.
type toldEvent struct {
	ID, Type string
	Data     struct{ Resource map[string]any }
}

// told reads FAULTS when it has that many messages and all that is to be told is.
func (d *running) told(t testing.TB, n uint64) (all []toldEvent) {
	t.Helper()
	js := d.jetStream(t)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		stream, err := js.Stream(t.Context(), "FAULTS")
		if err == nil && stream.CachedInfo().State.Msgs >= n {
			if has := stream.CachedInfo().State.Msgs; has > n {
				t.Fatalf("%d messages are in FAULTS, want %d", has, n)
			}
			for sequence := range n {
				m, err := stream.GetMsg(t.Context(), sequence+1)
				if err != nil {
					t.Fatal(err)
				}
				var event toldEvent
				if err := json.Unmarshal(m.Data, &event); err != nil {
					t.Fatalf("%v in %s", err, m.Data)
				}
				all = append(all, event)
			}
			return all
		}
		if time.Now().After(end) {
			t.Fatalf("FAULTS has not become %d messages: %v", n, err)
		}
	}
}

func (d *running) jetStream(t testing.TB) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(d.nats)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
