package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"faultd/consumer"
)

const (
	readResources = 1_000_000
	fewResources  = 10_000
	readFor       = 0.5    // seconds
	readLoad      = 20_000 // events a second
)

// target is what is asked for.
type target struct {
	name  string
	paths []string
	few   bool // also asked where there are few resources
}

// targets are of a store with so many resources.
func targets(resources int) []target {
	servers, backups := sample(resources, 0), sample(resources, 7)
	each := func(numbers []int, format func(tenant, id string) string) (paths []string) {
		for _, n := range numbers {
			paths = append(paths, format(tenant(n), uuid(n)))
		}
		return paths
	}
	return []target{
		{name: "get=v1", paths: each(servers, func(t, id string) string { return "/v1/resources/server/" + id + "?tenant=" + t })},
		{name: "get=compute", paths: each(servers, func(t, id string) string { return "/compute/v2.1/" + t + "/servers/" + id })},
		{name: "get=compute-xml", paths: each(servers, func(t, id string) string { return "/compute/v2.1/" + t + "/servers/" + id + ".xml" })},
		{name: "get=volume", paths: each(backups, func(t, id string) string { return "/volume/v3/" + t + "/backups/" + id })},
		{name: "get=cloud-backup", paths: each(backups, func(t, id string) string { return "/cloud-backup/v2/" + t + "/backups/" + id })},
		{name: "get=management", paths: each(backups, func(t, id string) string { return "/backup-management/v1/orgs/" + t + "/clouds/cloud-1/backups/" + id })},
		{name: "page=v1-errors", paths: []string{"/v1/resources?status=ERROR&limit=100"}, few: true},
		{name: "page=compute-errors", paths: []string{"/compute/v2.1/servers/detail?status=ERROR&limit=100"}, few: true},
		{name: "summary", paths: []string{"/v1/summary"}},
		{name: "groups", paths: []string{"/v1/faults/groups"}},
	}
}

// sample are numbers of resources that end with a digit and did not fail, scattered; that of backups is 7.
func sample(resources, digit int) (numbers []int) {
	for i := 0; len(numbers) < 2000; i++ {
		n := int(scatter(uint64(i))%uint64(resources))/10*10 + digit
		if !fails(n) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// reads measures requests to a process that serves a million resources, and to one that serves few: alone, and while the
// first reads 20,000 events a second.
func (b *bench) reads() error {
	runtime.GOMAXPROCS(max(runtime.NumCPU(), clients))
	defer runtime.GOMAXPROCS(runtime.NumCPU())
	s, err := b.startServer()
	if err != nil {
		return err
	}
	defer s.stop()
	if _, err := s.js.CreateStream(b.ctx, stream); err != nil {
		return err
	}
	few, err := b.startServing(s, fewResources, "few")
	if err != nil {
		return err
	}
	defer few.stop()
	many, err := b.startServing(s, readResources, "many")
	if err != nil {
		return err
	}
	defer many.stop()
	resources := whole(b.count(readResources))
	for range b.rounds {
		for _, t := range targets(resources) {
			if err := b.readAlone(&t, many, few); err != nil {
				return err
			}
		}
	}
	b.say("reads: alone is done")
	few.stop()
	return b.readsUnderLoad(s, many, resources)
}

// readsUnderLoad asks for the same while events come in.
func (b *bench) readsUnderLoad(s *server, many *servingProcess, resources int) error {
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	published := make(chan error, 1)
	go func() {
		l := load{First: whole(b.count(20_000_000)), Resources: whole(10_000_000), Steps: tenSteps}
		_, err := consumer.Publish(ctx, s.conn, l.lines(), consumer.PublishOptions{Rate: readLoad})
		published <- err
	}()
	time.Sleep(2 * time.Second)
	for range b.rounds {
		for _, t := range targets(resources) {
			if err := b.readLoaded(&t, many); err != nil {
				return err
			}
		}
	}
	cancel()
	if err := <-published; !errors.Is(err, context.Canceled) {
		return fmt.Errorf("publishing ended: %w", err)
	}
	return nil
}

// readAlone measures one target, the constant bytes, and the target among few resources, in turn.
func (b *bench) readAlone(t *target, many, few *servingProcess) error {
	constant, err := b.measureReads(many, many.at.Constant, t.paths[:1])
	if err != nil {
		return err
	}
	is, err := b.measureReads(many, many.at.API, t.paths)
	if err != nil {
		return err
	}
	values := append(is.values(), is.beside(constant)...)
	if t.few {
		among, err := b.measureReads(few, few.at.API, t.paths)
		if err != nil {
			return err
		}
		values = append(values, value{is.perSecond / among.perSecond, "x-10k"})
	}
	b.results.add("Read/"+t.name, values...)
	b.results.add("ReadConstant/"+t.name, constant.values()...)
	return nil
}

// readLoaded does so during an ingest, whose allocations and processor time are not told apart from the requests'.
func (b *bench) readLoaded(t *target, many *servingProcess) error {
	constant, err := b.measureReads(many, many.at.Constant, t.paths[:1])
	if err != nil {
		return err
	}
	is, err := b.measureReads(many, many.at.API, t.paths)
	if err != nil {
		return err
	}
	b.results.add("ReadLoaded/"+t.name, value{is.perSecond, "req/s"}, value{is.p99, "p99-ms"}, value{is.perSecond / constant.perSecond, "x-constant"},
		value{is.ingested, "ingested/s"})
	b.results.add("ReadLoadedConstant/"+t.name, value{constant.perSecond, "req/s"}, value{constant.p99, "p99-ms"}, value{constant.ingested, "ingested/s"})
	return nil
}

// readRun is what one run of requests came to.
type readRun struct {
	perSecond, p99         float64
	cpu, allocs, allocated float64 // of the server, a request: microseconds, allocations, bytes
	ingested               float64 // events a second meanwhile
}

func (r *readRun) values() []value {
	return []value{{r.perSecond, "req/s"}, {r.p99, "p99-ms"}, {r.cpu, "cpu-us/req"}, {r.allocs, "allocs/req"}, {r.allocated, "B/req"}}
}

// beside are the ratios to constant bytes: of requests a second, and of the server's processor time a request.
func (r *readRun) beside(constant *readRun) []value {
	return []value{{r.perSecond / constant.perSecond, "x-constant"}, {constant.cpu / r.cpu, "x-cpu-constant"}}
}

// measureReads asks an address of a process for paths.
func (b *bench) measureReads(p *servingProcess, address string, paths []string) (*readRun, error) {
	if _, _, err := ask(address, paths, 50*time.Millisecond); err != nil { // to warm it
		return nil, err
	}
	before, err := p.usage()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	n, waits, err := ask(address, paths, b.seconds(readFor))
	took := time.Since(began)
	if err != nil {
		return nil, err
	}
	after, err := p.usage()
	if err != nil {
		return nil, err
	}
	slices.Sort(waits)
	each := 1 / float64(n)
	return &readRun{perSecond: float64(n) / took.Seconds(), p99: float64(waits[n*99/100].Microseconds()) / 1000,
		cpu: float64((after.CPU - before.CPU).Nanoseconds()) / 1000 * each, allocs: float64(after.Mallocs-before.Mallocs) * each,
		allocated: float64(after.Bytes-before.Bytes) * each,
		ingested:  float64(after.Position.Ordinal()-before.Position.Ordinal()) / took.Seconds()}, nil
}

// servingProcess is a process in the role of serving.
type servingProcess struct {
	cmd   *exec.Cmd
	input io.Closer
	at    serving
}

// startServing starts one on a copy of a store.
func (b *bench) startServing(s *server, resources int, name string) (*servingProcess, error) {
	path := filepath.Join(b.dir, name, "faultd.db")
	if err := b.place(resources, path); err != nil {
		return nil, err
	}
	cmd, err := b.command("serve", serveConfig{Path: path, URL: s.url})
	if err != nil {
		return nil, err
	}
	p := &servingProcess{cmd: cmd}
	if p.input, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	first, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(first, &p.at)
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("the serving process: %w", err)
	}
	return p, nil
}

// stop ends it. It may be called again.
func (p *servingProcess) stop() {
	_ = p.input.Close()
	_ = p.cmd.Wait()
}

// usage asks what the process has used.
func (p *servingProcess) usage() (u usage, err error) {
	answer, err := http.Get("http://" + p.at.Constant + "/usage")
	if err != nil {
		return u, err
	}
	defer answer.Body.Close()
	return u, json.NewDecoder(answer.Body).Decode(&u)
}
