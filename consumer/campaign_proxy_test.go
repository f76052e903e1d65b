//go:build campaign

package consumer_test

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// weather is what the network between a client and a server does.
type weather int

const (
	fair     weather = iota
	latency          // everything comes late
	halfOpen         // what is sent is taken and never arrives
	reset            // connections are torn down after some bytes
	hole             // connections fall silent after some bytes, both ways and for ever
	sliced           // everything comes in pieces of 1 to 100 bytes
	weathers
)

var weatherNames = [weathers]string{"fair", "latency", "half-open", "reset", "black hole", "slices"}

func (w weather) String() string { return weatherNames[w] }

// proxy stands between clients and a server, and is the network.
type proxy struct {
	listener    net.Listener
	server      string
	now         atomic.Int64           // the present weather
	hits        [weathers]atomic.Int64 // pieces that met it
	connections atomic.Int64

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	open   map[*link]bool
}

// link is a connection through the proxy.
type link struct {
	*proxy
	near, far net.Conn
	left      atomic.Int64 // bytes until a hole or a reset, where there is one
	silent    atomic.Bool  // it fell into a hole
}

func newProxy(t testing.TB, server string, seed uint64) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, server: server, random: rand.New(rand.NewPCG(seed, 1)), open: map[*link]bool{}}
	go p.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

// number draws one from low to high.
func (p *proxy) number(low, high int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return low + p.random.IntN(high-low+1)
}

// turn changes the weather, for connections that stand as for new ones.
func (p *proxy) turn(to weather) {
	p.now.Store(int64(to))
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.open {
		l.left.Store(int64(p.random.IntN(1 << 15)))
	}
}

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = near.Close()
			continue
		}
		p.connections.Add(1)
		l := &link{proxy: p, near: near, far: far}
		p.mu.Lock()
		l.left.Store(int64(p.random.IntN(1 << 12)))
		p.open[l] = true
		p.mu.Unlock()
		go l.pump(far, near)
		go l.pump(near, far)
	}
}

// cut closes every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.open {
		_, _ = l.near.Close(), l.far.Close()
	}
}

// pump carries bytes one way until either end is closed.
func (l *link) pump(to, from net.Conn) {
	defer l.close()
	buffer := make([]byte, 1<<15)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !l.carry(to, buffer[:n]) || err != nil {
			return
		}
	}
}

// carry hands bytes on as the weather is, and tells whether the connection goes on.
func (l *link) carry(to net.Conn, data []byte) bool {
	now := weather(l.now.Load())
	if l.silent.Load() {
		return true
	}
	l.hits[now].Add(1)
	switch now {
	case latency:
		time.Sleep(time.Duration(l.number(1, 40)) * time.Millisecond)
	case halfOpen:
		l.silent.Store(true) // what was swallowed is gone, so the rest makes no sense
		return true
	case reset, hole:
		left := l.left.Add(-int64(len(data)))
		if left > 0 {
			break
		}
		data = data[:max(len(data)+int(left), 0)]
		_, _ = to.Write(data)
		l.silent.Store(true)
		return now == hole
	case sliced:
		return l.slice(to, data)
	}
	_, err := to.Write(data)
	return err == nil
}

func (l *link) slice(to net.Conn, data []byte) bool {
	for len(data) > 0 {
		n := min(l.number(1, 100), len(data))
		if _, err := to.Write(data[:n]); err != nil {
			return false
		}
		data = data[n:]
	}
	return true
}

// close tears both sides down, with a reset where the weather is so.
func (l *link) close() {
	if weather(l.now.Load()) == reset {
		for _, side := range []net.Conn{l.near, l.far} {
			_ = side.(*net.TCPConn).SetLinger(0)
		}
	}
	_, _ = l.near.Close(), l.far.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, l)
}
