package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"faultd/api"
	sm "faultd/statemachine"
)

// asking is a request that is being answered.
type asking struct {
	answer *httptest.ResponseRecorder
	done   chan struct{}
}

// begin sends a request that may have to wait.
func (w *world) begin(ctx context.Context, target string) asking {
	a := asking{httptest.NewRecorder(), make(chan struct{})}
	go func() {
		defer close(a.done)
		w.handler.ServeHTTP(a.answer, httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil))
	}()
	return a
}

func TestMinPosition_WaitsForTheStore(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseStarted))
	for _, target := range []string{taggedServer, taggedServer + "/history", "/v1/resources", "/v1/faults", "/v1/summary", "/v1/position", "/v1/rejected"} {
		first := w.sequence
		a := w.begin(t.Context(), target+"?wait=20&min_position="+strconv.FormatUint(first+2, 10))
		b := w.begin(t.Context(), target+"?wait=20&min_position=JOBS/2026-11-21T02:00:00Z/"+strconv.FormatUint(first+2, 10))
		w.apply(event("t/server/s", sm.ActBuild, sm.PhaseProgressed)) // one commit is not enough
		w.apply(event("t/server/s", sm.ActBuild, sm.PhaseProgressed))
		for _, one := range []asking{a, b} {
			<-one.done
			if at := one.answer.Header().Get("X-Faultd-Position"); one.answer.Code != http.StatusOK || at != "JOBS/2026-11-21T02:00:00Z/"+strconv.FormatUint(first+2, 10) {
				t.Errorf("%s: %d at %s: %s", target, one.answer.Code, at, one.answer.Body)
			}
		}
	}
	a := w.begin(t.Context(), taggedServer+"?wait=20&min_position="+strconv.FormatUint(w.sequence+1, 10))
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseFailed, fault(404, "written just now", "")))
	<-a.done
	if !strings.Contains(a.answer.Body.String(), "written just now") {
		t.Errorf("one's own write is not read: %s", a.answer.Body)
	}
}

func TestMinPosition_NotInTime(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseStarted))
	for asked, status := range map[string]int{
		"1": 200, "0": 200, "JOBS/2026-11-21T02:00:00Z/1": 200, "JOBS//1": 200, "//1": 200, "/2026-11-21T02:00:00Z/1": 200,
		"2": 503, "18446744073709551615": 503, "JOBS/2026-11-21T02:00:00Z/2": 503,
		"JOBS/2026-11-21T02:00:00.000000001Z/1": 503, // a stream made anew, which the store does not follow yet
		"OTHER/2026-11-21T02:00:00Z/1":          503,
		"JOBS/2026-11-21T01:59:59Z/1":           400, // a stream that is no more
		"":                                      400, "-1": 400, "1.5": 400, "x": 400, "18446744073709551616": 400, "JOBS/1": 400, "JOBS/yesterday/1": 400, "JOBS/2026-11-21T02:00:00Z/": 400, "a/b/c/1": 400,
	} {
		answer := w.get(taggedServer + "?wait=0&min_position=" + asked)
		if answer.Code != status {
			t.Errorf("%s: %d %s, want %d", asked, answer.Code, answer.Body, status)
		}
		if at := answer.Header().Get("X-Faultd-Position"); at != "JOBS/2026-11-21T02:00:00Z/1" {
			t.Errorf("%s: at %s", asked, at)
		}
		if status != 503 {
			continue
		}
		if !strings.Contains(answer.Body.String(), "JOBS/2026-11-21T02:00:00Z/1") || !strings.Contains(answer.Body.String(), asked) ||
			answer.Header().Get("Retry-After") != "1" || answer.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v %s", asked, answer.Header(), answer.Body)
		}
	}
}

func TestMinPosition_Wait(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseStarted))
	for wait, status := range map[string]int{"0": 503, "0.01": 503, "10ms": 503, "0s": 503, "-1": 400, "-1s": 400, "21": 400, "21s": 400, "1h": 400, "": 400, "NaN": 400,
		"Inf": 400, "1e300": 400, "soon": 400} {
		if answer := w.get(taggedServer + "?min_position=2&wait=" + wait); answer.Code != status {
			t.Errorf("wait=%s: %d %s, want %d", wait, answer.Code, answer.Body, status)
		}
	}
}

// TestMinPosition_EndsWithTheClientAndTheService fails by hanging where a wait outlives whoever asked, or the service.
func TestMinPosition_EndsWithTheClientAndTheService(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseStarted))
	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	gone, stopped := w.begin(ctx, taggedServer+"?wait=20&min_position=2"), w.begin(t.Context(), taggedServer+"?wait=20&min_position=2")
	cancel()
	<-gone.done
	close(w.done)
	<-stopped.done
	if stopped.answer.Code != http.StatusServiceUnavailable || !strings.Contains(stopped.answer.Body.String(), "stopping") {
		t.Errorf("after %s: %d %s", time.Since(began), stopped.answer.Code, stopped.answer.Body)
	}
}

// TestMinPosition_LeavesRoomForOthers has more waiting requests than may be answered at a time.
func TestMinPosition_LeavesRoomForOthers(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseStarted))
	w.handler = api.New(api.Config{Store: w.db, Done: w.done, Limits: api.Limits{InFlight: 8}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	refused := make(chan struct{}, 40)
	var all []asking
	for range 40 {
		a := w.begin(ctx, taggedServer+"?wait=20&min_position=2")
		all = append(all, a)
		go func() {
			<-a.done
			refused <- struct{}{}
		}()
	}
	for range 40 - 8 {
		<-refused // whoever cannot wait is told so at once
	}
	for range 100 {
		if answer := w.get(taggedServer); answer.Code != http.StatusOK {
			t.Fatalf("with others waiting: %d %s", answer.Code, answer.Body)
		}
	}
	cancel()
	for _, a := range all {
		<-a.done
	}
}
