package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// watching is a watch that runs.
type watching struct {
	out, notes lockedBuffer
	cancel     context.CancelFunc
	ended      chan int
}

func startWatch(t testing.TB, url string, more ...string) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &watching{cancel: cancel, ended: make(chan int, 1)}
	go func() {
		w.ended <- run(ctx, append([]string{"faultd", "watch", "--server", url}, more...), &w.out, &w.notes)
	}()
	t.Cleanup(cancel)
	return w
}

// await returns when the text has been printed.
func (w *watching) await(t testing.TB, text string) {
	t.Helper()
	for until := time.Now().Add(time.Minute); !strings.Contains(w.out.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("watch has not printed %q:\n%s%s", text, &w.out, &w.notes)
		}
	}
}

// stop ends it as a signal does, and returns what it printed.
func (w *watching) stop(t testing.TB) (out, notes string) {
	t.Helper()
	w.cancel()
	if code := <-w.ended; code != exitDone {
		t.Errorf("exit code %d, want %d:\n%s", code, exitDone, &w.notes)
	}
	return w.out.String(), w.notes.String()
}

func TestWatch_RealDaemon(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	d.ask(t, "wait")
	table := startWatch(t, d.http, "--kind", "image", "--status", "error")
	table.await(t, "TIME") // it is connected
	d.publish(t, sample)
	table.await(t, faultyImage)
	if out, _ := table.stop(t); !strings.Contains(out, "SAVING > ERROR") || strings.Contains(out, faultyServer) || strings.Contains(out, "> ACTIVE") {
		t.Errorf("watch prints:\n%s", out)
	}
}

func TestWatch_JSON(t *testing.T) {
	url := serving(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "id: 1\nevent: transition\ndata: {\"id\":\"x\",\ndata:  \"more\":[1]}\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	w := startWatch(t, url, "-o", "json")
	w.await(t, "\n")
	if out, _ := w.stop(t); out != `{"id":"x", "more":[1]}`+"\n" {
		t.Errorf("watch prints %q", out)
	}
}

func TestWatch_TakesUpLostConnection(t *testing.T) {
	var asked []string
	url := serving(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Last-Event-ID"))
		event := func(id int) {
			fmt.Fprintf(w, "id: %d\nevent: transition\ndata: {\"kind\":\"server\",\"id\":\"s-%d\",\"time\":\"2010-08-10T12:00:00Z\",\"from\":\"BUILD\",\"to\":\"ERROR\"}\n\n", id, id)
		}
		switch len(asked) {
		case 1:
			fmt.Fprint(w, ": hello\n\n")
			event(7)
			fmt.Fprint(w, "id: 8\nevent: transition\ndata: {\"kind\":\"ser") // the connection breaks here
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3:
			event(8)
		default:
			fmt.Fprint(w, "event: reset\ndata: {}\n\n")
			event(20)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	})
	w := startWatch(t, url)
	w.await(t, "s-20 ")
	out, notes := w.stop(t)
	if want := []string{"", "7", "7", "8"}; !slices.Equal(asked, want) {
		t.Errorf("Last-Event-ID was %q, want %q", asked, want)
	}
	for _, id := range []string{"s-7 ", "s-8 ", "s-20 "} {
		if strings.Count(out, id) != 1 {
			t.Errorf("%q is not printed once:\n%s", id, out)
		}
	}
	if !strings.Contains(notes, "trying again") || !strings.Contains(notes, "no longer kept") {
		t.Errorf("it does not tell what went wrong:\n%s", notes)
	}
}

// What does not work at first is told at once; only what has worked is tried again.
func TestWatch_Refused(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusServiceUnavailable} {
		url := serving(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if r := faultd(t, "watch", "--server", url); r.code != exitFailed || !strings.Contains(r.stderr, strconv.Itoa(status)) {
			t.Errorf("exit code %d, want %d:\n%s", r.code, exitFailed, r.stderr)
		}
	}
}
