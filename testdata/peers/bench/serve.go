package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"faultd/api"
	"faultd/consumer"
	sm "faultd/statemachine"
	"faultd/storage"
)

// serveConfig is what a serving process is told.
type serveConfig struct {
	Path string // of the store
	URL  string // of the nats-server
}

// serving is what such a process says, on its first line: where it serves.
type serving struct {
	API      string
	Constant string // the same addresses with constant bytes, and /usage
}

// usage is what a serving process has used so far.
type usage struct {
	Mallocs  uint64
	Bytes    uint64
	CPU      time.Duration
	Position sm.Position
}

// serve wires a store, a consumer and the API as the daemon does. Beside them, in the same process, so that it has the
// same garbage collector and the same load, is a handler of constant bytes.
func serve(ctx context.Context, c serveConfig) (any, error) {
	debug.SetMemoryLimit(1 << 30) // as the daemon has it, like the next, where so little is alive
	debug.SetGCPercent(1000)
	store, err := storage.Open(storage.Options{Path: c.Path, Retention: retention, MinFree: 256 << 20})
	if err != nil {
		return nil, err
	}
	defer store.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	source := consumer.New(consumer.Config{Store: store, Watched: store, URL: c.URL, OnRewind: consumer.NewEpochAtRewind, Registerer: registry,
		Outbox: store, RenderFault: api.RenderFault,
		Render: func(r *sm.Resource) []byte { return api.Render(r, r.Fault != nil && store.SharedVault(r)) }})
	health := func() api.Health {
		s := source.Status()
		return api.Health{State: s.State.String(), Reasons: s.Reasons, Lag: s.Lag}
	}
	handler := api.New(api.Config{Store: store, Health: health, Registry: registry, Done: ctx.Done(), Retention: retention, Machine: sm.Version})
	var at serving
	if at.API, err = listen(handler); err != nil {
		return nil, err
	}
	if at.Constant, err = listen(&constant{api: handler, store: store}); err != nil {
		return nil, err
	}
	if err := json.NewEncoder(os.Stdout).Encode(at); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // whoever started this ends it by closing its input, also by dying
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return struct{}{}, source.Run(ctx)
}

// listen serves a handler as the daemon would, until the process ends.
func listen(handler http.Handler) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() { _ = api.NewServer(l.Addr().String(), handler).Serve(l) }()
	return l.Addr().String(), nil
}

func usageOf(store *storage.DB) usage {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	var of syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &of)
	return usage{memory.Mallocs, memory.TotalAlloc, time.Duration(of.Utime.Nano() + of.Stime.Nano()), store.Position()}
}

// constant answers each request as the API answered the first of its kind.
type constant struct {
	api   http.Handler
	store *storage.DB
	known sync.Map // of *httptest.ResponseRecorder, by path
}

func (c *constant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.RequestURI == "/usage" {
		_ = json.NewEncoder(w).Encode(usageOf(c.store)) // a client that has gone gets no answer
		return
	}
	known, ok := c.known.Load(r.RequestURI)
	if !ok {
		first := httptest.NewRecorder()
		c.api.ServeHTTP(first, r)
		known, _ = c.known.LoadOrStore(r.RequestURI, first)
	}
	answer := known.(*httptest.ResponseRecorder)
	head := w.Header()
	for name, values := range answer.Header() {
		head[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}
