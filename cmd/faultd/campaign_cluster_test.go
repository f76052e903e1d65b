//go:build campaign

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/consumer"
	"faultd/testdata/campaign"
)

// cluster is three nats-servers in processes of their own, with streams of three replicas.
type cluster struct {
	testing.TB
	binary string
	dir    string
	nodes  []*node
	access string // the part of the configuration that says who may do what
	conn   *nats.Conn
	js     jetstream.JetStream
}

// node is one of the servers. Its files are in the cluster's directory, under its name.
type node struct {
	name    string
	clients string // the address for them
	routes  string // and for the other servers
	process *exec.Cmd
}

const (
	adminLogin  = "admin:admin"
	daemonLogin = "faultd:faultd"
)

// everything lets the daemon do all that an administrator may.
const everything = `authorization: {users: [{user: admin, password: admin}, {user: faultd, password: faultd}]}`

// denied forbids the daemon something: what is a part of the server's configuration.
func denied(what string) string {
	return `authorization: {users: [{user: admin, password: admin}, {user: faultd, password: faultd, permissions: {` + what + `}}]}`
}

// buildServer builds the program that a node is.
func buildServer(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "natsserver")
	if out, err := exec.Command("go", "build", "-o", path, "faultd/testdata/natsserver").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// newCluster starts three servers; options are those of the administrator's connection.
func newCluster(t testing.TB, binary, access string, options ...nats.Option) *cluster {
	t.Helper()
	c := &cluster{TB: t, binary: binary, dir: t.TempDir(), access: access}
	for _, name := range []string{"n1", "n2", "n3"} {
		c.nodes = append(c.nodes, &node{name: name, clients: campaign.FreeAddr(t), routes: campaign.FreeAddr(t)})
		if err := os.Mkdir(filepath.Join(c.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(c.end)
	for _, n := range c.nodes {
		c.start(n)
	}
	if options == nil {
		options = []nats.Option{nats.UserInfo("admin", "admin")}
	}
	options = append(options, nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(), nats.ReconnectWait(50*time.Millisecond),
		nats.PingInterval(time.Second), nats.MaxPingsOutstanding(2))
	var err error
	if c.conn, err = nats.Connect(c.url(""), options...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.conn.Close)
	if c.js, err = jetstream.New(c.conn, jetstream.WithDefaultTimeout(time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// end kills the servers, and shows what they logged if the test has failed.
func (c *cluster) end() {
	for _, n := range c.nodes {
		if c.runs(n) {
			c.kill(n)
		}
		if c.Failed() {
			c.Logf("end of the log of %s:\n%s", n.name, tail(filepath.Join(c.dir, n.name+".log"), 30))
		}
	}
}

// url names all servers, with a login before each.
func (c *cluster) url(login string) string {
	var all []string
	for _, n := range c.nodes {
		address := n.clients
		if login != "" {
			address = login + "@" + address
		}
		all = append(all, "nats://"+address)
	}
	return strings.Join(all, ",")
}

// configure writes the configuration of a server.
func (c *cluster) configure(n *node) {
	c.Helper()
	var routes []string
	for _, other := range c.nodes {
		routes = append(routes, `"nats://`+other.routes+`"`)
	}
	base := filepath.Join(c.dir, n.name)
	text := fmt.Sprintf("server_name: %s\nlisten: %q\nlogfile: %q\njetstream: {store_dir: %q, max_file_store: 4GB, max_memory_store: 256MB}\n"+
		"cluster: {name: campaign, listen: %q, routes: [%s]}\n%s\n",
		n.name, n.clients, base+".log", base, n.routes, strings.Join(routes, ", "), c.access)
	if err := os.WriteFile(base+".conf", []byte(text), 0o600); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) start(n *node) {
	c.Helper()
	c.configure(n)
	n.process = exec.Command(c.binary, filepath.Join(c.dir, n.name+".conf"))
	if err := n.process.Start(); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) startAll() {
	c.Helper()
	for _, n := range c.nodes {
		c.start(n)
	}
}

func (c *cluster) runs(n *node) bool { return n.process != nil && n.process.ProcessState == nil }

// kill ends a server with no word to it.
func (c *cluster) kill(n *node) {
	c.Helper()
	if err := n.process.Process.Kill(); err != nil {
		c.Error(err)
	}
	_ = n.process.Wait()
}

func (c *cluster) killAll() {
	c.Helper()
	for _, n := range c.nodes {
		if err := n.process.Process.Kill(); err != nil {
			c.Error(err)
		}
	}
	for _, n := range c.nodes {
		_ = n.process.Wait()
	}
}

// shutDown ends all servers in good order.
func (c *cluster) shutDown() {
	c.Helper()
	for _, n := range c.nodes {
		c.signal(n, syscall.SIGTERM)
	}
	for _, n := range c.nodes {
		_ = n.process.Wait()
	}
}

func (c *cluster) signal(n *node, s syscall.Signal) {
	c.Helper()
	if err := n.process.Process.Signal(s); err != nil {
		c.Fatal(err)
	}
}

// allow changes who may do what, in all servers.
func (c *cluster) allow(access string) {
	c.Helper()
	c.access = access
	for _, n := range c.nodes {
		c.configure(n)
		c.signal(n, syscall.SIGHUP)
	}
}

// until waits until something is so. Each look at it has two seconds: a request is lost where no server leads.
func until(t testing.TB, what string, is func(context.Context) bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		so := is(ctx)
		cancel()
		if so {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited a minute for this: %s", what)
		}
	}
}

// makeStreams makes both streams, as soon as the cluster can.
func (c *cluster) makeStreams() {
	c.Helper()
	c.makeJobs()
	c.makeStream(jetstream.StreamConfig{Name: "FAULTS", Subjects: []string{"faults.>"}, Replicas: 3, AllowAtomicPublish: true, AllowDirect: true, MaxBytes: 256 << 20})
}

func (c *cluster) makeJobs() {
	c.Helper()
	c.makeStream(jetstream.StreamConfig{Name: "JOBS", Subjects: consumer.Subjects, Replicas: 3, AllowAtomicPublish: true, AllowDirect: true, MaxBytes: 512 << 20})
}

func (c *cluster) makeStream(cfg jetstream.StreamConfig) {
	c.Helper()
	until(c, "stream "+cfg.Name+" can be made", func(ctx context.Context) bool {
		_, err := c.js.CreateStream(ctx, cfg)
		return err == nil || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse)
	})
	c.settled(cfg.Name)
}

// removeStream deletes a stream and waits until all know of it.
func (c *cluster) removeStream(name string) {
	c.Helper()
	until(c, "stream "+name+" is deleted", func(ctx context.Context) bool {
		err := c.js.DeleteStream(ctx, name)
		return errors.Is(err, jetstream.ErrStreamNotFound)
	})
}

// info is what the cluster tells of a stream, asked until it answers.
func (c *cluster) info(stream string) (info *jetstream.StreamInfo) {
	c.Helper()
	until(c, "stream "+stream+" is there", func(ctx context.Context) bool {
		s, err := c.js.Stream(ctx, stream)
		if err != nil {
			return false
		}
		info = s.CachedInfo()
		return info.Cluster != nil && info.Cluster.Leader != ""
	})
	return info
}

// settled waits until every replica of a stream has all of it.
func (c *cluster) settled(stream string) {
	c.Helper()
	until(c, "all replicas of "+stream+" are current", func(context.Context) bool {
		info := c.info(stream)
		for _, r := range info.Cluster.Replicas {
			if r.Offline || !r.Current {
				return false
			}
		}
		return len(info.Cluster.Replicas) == 2
	})
}

// leader is the server that leads a stream.
func (c *cluster) leader(stream string) *node {
	c.Helper()
	name := c.info(stream).Cluster.Leader
	for _, n := range c.nodes {
		if n.name == name {
			return n
		}
	}
	c.Fatalf("%s is led by %q, whom nobody knows", stream, name)
	return nil
}

// tail is the end of a text file.
func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(all[max(len(all)-lines, 0):], "\n")
}
