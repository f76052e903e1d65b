package api

import (
	"crypto/sha256"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what clients can ask of the API, each by itself and all together.
type Limits struct {
	// Rate is how many requests a second each token may make, and each address that shows none; 0: any number.
	Rate float64
	// Burst is how many it may make at once after a pause; 0: as many as in two seconds.
	Burst int
	// InFlight is how many requests are answered at a time, streams apart; 0: DefaultInFlight.
	InFlight int
}

// DefaultInFlight is how many requests are answered at a time if nothing else is said.
const DefaultInFlight = 256

const (
	maxURL    = 16 << 10 // bytes of a request's target: any id that clients send, with room for a marker
	maxHeader = 16 << 10 // bytes of all its header fields
	// maxLimiters is how many clients of a kind are known at least; twice as many are known at most.
	maxLimiters = 10_000
)

// gate lets requests in, as many as the limits allow. Health checks pass it by: they cost nothing, and a daemon that
// is busy is not to be restarted for that.
type gate struct {
	slots     chan struct{} // holds a token for each request that is being answered
	byToken   *limiters[[sha256.Size]byte]
	byAddress *limiters[netip.Prefix]
}

func newGate(l Limits) gate {
	if l.InFlight == 0 {
		l.InFlight = DefaultInFlight
	}
	if l.Burst == 0 {
		l.Burst = max(1, int(2*l.Rate))
	}
	g := gate{slots: make(chan struct{}, l.InFlight)}
	if l.Rate > 0 {
		g.byToken = newLimiters[[sha256.Size]byte](l)
		g.byAddress = newLimiters[netip.Prefix](l)
	}
	return g
}

// enter lets a request in or says why not. Who is let in leaves.
func (g *gate) enter(c *call) error {
	if c.mount.unlimited {
		return nil
	}
	if wait := g.wait(c); wait > 0 {
		return &problem{status: http.StatusTooManyRequests, message: "Too many requests were made in a short time.", retry: wait}
	}
	if err := oversized(c.r); err != nil {
		return err
	}
	select {
	case g.slots <- struct{}{}:
		c.inside = true
		return nil
	default:
		return busy
	}
}

// leave makes room for another request. It may be called again.
func (g *gate) leave(c *call) {
	if c.inside {
		c.inside = false
		<-g.slots
	}
}

// wait is how long the client has to wait until it may make this request, 0 if it may now.
func (g *gate) wait(c *call) time.Duration {
	switch {
	case g.byAddress == nil:
		return 0
	case c.caller.token != nil:
		return g.byToken.wait(c.caller.token.SHA256, c.began)
	default:
		return g.byAddress.wait(network(c.r.RemoteAddr), c.began)
	}
}

// network is what stands for one client among addresses: an IPv4 address, or the /64 that every IPv6 host has for
// itself. What is no address counts as one.
func network(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := at.Addr().Unmap().WithZone(""), 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits) // fails for other numbers of bits only
	return p
}

// oversized refuses a target and header fields that are larger than any client of these APIs has use for. What is
// larger still, [NewServer] does not read.
func oversized(r *http.Request) error {
	if len(r.RequestURI) > maxURL {
		return longURL
	}
	size := 0
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	if size > maxHeader {
		return longHeader
	}
	return nil
}

// limiters are the limits of the clients that were seen last. When as many are known as may be, those that have not
// come since the time before are forgotten; who comes again begins anew, which is no loss for a client that was away.
type limiters[K comparable] struct {
	rate  rate.Limit
	burst int
	most  int // of each of the maps

	mu            sync.Mutex // guards the maps
	recent, older map[K]*rate.Limiter
}

func newLimiters[K comparable](l Limits) *limiters[K] {
	return &limiters[K]{rate: rate.Limit(l.Rate), burst: l.Burst, most: maxLimiters, recent: map[K]*rate.Limiter{}}
}

// wait is how long that client has to wait for its next request; a request that has to wait is not counted.
func (ls *limiters[K]) wait(client K, now time.Time) time.Duration {
	r := ls.of(client).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (ls *limiters[K]) of(client K) *rate.Limiter {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.recent[client]
	if l != nil {
		return l
	}
	if l = ls.older[client]; l == nil {
		l = rate.NewLimiter(ls.rate, ls.burst)
	}
	if len(ls.recent) == ls.most {
		ls.older, ls.recent = ls.recent, make(map[K]*rate.Limiter)
	}
	ls.recent[client] = l
	return l
}
