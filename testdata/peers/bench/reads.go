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
	readFor       = 0.25   // seconds of a turn
	readTurns     = 4      // in a round, one after the other with what they are compared with
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
	var constant, is, among readRun
	for range readTurns {
		err := b.read(&constant, many, many.at.Constant, t.paths[:1])
		if err == nil {
			err = b.read(&is, many, many.at.API, t.paths)
		}
		if err == nil && t.few {
			err = b.read(&among, few, few.at.API, t.paths)
		}
		if err != nil {
			return err
		}
	}
	values := append(is.values(), value{is.perSecond() / constant.perSecond(), "x-constant"}, value{constant.cpuEach() / is.cpuEach(), "x-cpu-constant"})
	if t.few {
		values = append(values, value{is.perSecond() / among.perSecond(), "x-10k"})
	}
	b.results.add("Read/"+t.name, values...)
	b.results.add("ReadConstant/"+t.name, constant.values()...)
	return nil
}

// readLoaded does so during an ingest, whose allocations and processor time are not told apart from the requests'. It does not
// come evenly, so there are more turns.
func (b *bench) readLoaded(t *target, many *servingProcess) error {
	var constant, is readRun
	for range 3 * readTurns {
		err := b.read(&constant, many, many.at.Constant, t.paths[:1])
		if err == nil {
			err = b.read(&is, many, many.at.API, t.paths)
		}
		if err != nil {
			return err
		}
	}
	b.results.add("ReadLoaded/"+t.name, append(is.loaded(), value{is.perSecond() / constant.perSecond(), "x-constant"})...)
	b.results.add("ReadLoadedConstant/"+t.name, constant.loaded()...)
	return nil
}

// readRun is what requests came to, in one turn or several.
type readRun struct {
	waits                    []time.Duration // one a request
	took                     time.Duration
	cpu                      time.Duration // of the server
	mallocs, bytes, ingested uint64
}

func (r *readRun) perSecond() float64 { return float64(len(r.waits)) / r.took.Seconds() }

// cpuEach is the server's processor time a request, in microseconds.
func (r *readRun) cpuEach() float64 {
	return float64(r.cpu.Nanoseconds()) / 1000 / float64(len(r.waits))
}

func (r *readRun) p99() float64 {
	slices.Sort(r.waits)
	return float64(r.waits[len(r.waits)*99/100].Microseconds()) / 1000
}

func (r *readRun) values() []value {
	n := float64(len(r.waits))
	return []value{{r.perSecond(), "req/s"}, {r.p99(), "p99-ms"}, {r.cpuEach(), "cpu-us/req"}, {float64(r.mallocs) / n, "allocs/req"}, {float64(r.bytes) / n, "B/req"}}
}

func (r *readRun) loaded() []value {
	return []value{{r.perSecond(), "req/s"}, {r.p99(), "p99-ms"}, {float64(r.ingested) / r.took.Seconds(), "ingested/s"}}
}

// read asks an address of a process for paths, and adds what it came to.
func (b *bench) read(r *readRun, p *servingProcess, address string, paths []string) error {
	if _, err := ask(address, paths, 50*time.Millisecond); err != nil { // to warm it
		return err
	}
	before, err := p.usage()
	if err != nil {
		return err
	}
	began := time.Now()
	waits, err := ask(address, paths, b.seconds(readFor))
	took := time.Since(began)
	if err != nil {
		return err
	}
	after, err := p.usage()
	if err != nil {
		return err
	}
	r.waits, r.took, r.cpu = append(r.waits, waits...), r.took+took, r.cpu+after.CPU-before.CPU
	r.mallocs, r.bytes = r.mallocs+after.Mallocs-before.Mallocs, r.bytes+after.Bytes-before.Bytes
	r.ingested += after.Position.Ordinal() - before.Position.Ordinal()
	return nil
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
