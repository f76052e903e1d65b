package alert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// ErrAddress is returned when a hook's address is one that is not dialled.
var ErrAddress = errors.New("this address is not dialled")

// reach says who can be behind an address.
type reach int

const (
	public  reach = iota
	private       // this host or its network: only where the hook says allow_private
	never         // what gives away credentials to whoever can ask, and what is nobody's
)

// special are the addresses that are not public; the first match counts.
var special = []struct {
	prefix netip.Prefix
	reach  reach
}{
	// Clouds' metadata and control services outside of the link-local range.
	{netip.MustParsePrefix("100.100.100.200/32"), never}, // Alibaba
	{netip.MustParsePrefix("168.63.129.16/32"), never},   // Azure
	{netip.MustParsePrefix("192.0.0.192/32"), never},     // Oracle
	{netip.MustParsePrefix("fd00:ec2::/32"), never},      // Amazon
	{netip.MustParsePrefix("fd20:ce::/32"), never},       // Google
	{netip.MustParsePrefix("fd00:42::42/128"), never},    // Scaleway
	{netip.MustParsePrefix("169.254.0.0/16"), never},     // link-local, nearly all metadata services
	{netip.MustParsePrefix("fe80::/10"), never},
	{netip.MustParsePrefix("0.0.0.0/8"), never},
	{netip.MustParsePrefix("224.0.0.0/4"), never}, // multicast
	{netip.MustParsePrefix("240.0.0.0/4"), never}, // reserved, broadcast
	{netip.MustParsePrefix("ff00::/8"), never},
	{netip.MustParsePrefix("::/128"), never},

	{netip.MustParsePrefix("127.0.0.0/8"), private},
	{netip.MustParsePrefix("10.0.0.0/8"), private},
	{netip.MustParsePrefix("172.16.0.0/12"), private},
	{netip.MustParsePrefix("192.168.0.0/16"), private},
	{netip.MustParsePrefix("100.64.0.0/10"), private}, // shared by a carrier's customers
	{netip.MustParsePrefix("192.0.0.0/24"), private},
	{netip.MustParsePrefix("192.0.2.0/24"), private}, // documentation, like the next two
	{netip.MustParsePrefix("198.51.100.0/24"), private},
	{netip.MustParsePrefix("203.0.113.0/24"), private},
	{netip.MustParsePrefix("198.18.0.0/15"), private}, // benchmarks
	{netip.MustParsePrefix("192.88.99.0/24"), private},
	{netip.MustParsePrefix("0.0.0.0/0"), public},

	{netip.MustParsePrefix("2001:db8::/32"), private}, // documentation
	{netip.MustParsePrefix("3fff::/20"), private},     // documentation
	{netip.MustParsePrefix("2001::/23"), private},     // protocol assignments, Teredo
	{netip.MustParsePrefix("2000::/3"), public},
	{netip.MustParsePrefix("64:ff9b::/96"), public}, // what it embeds counts, as in all forms below
	{netip.MustParsePrefix("::/0"), private},
}

// reachOf is the reach of an address and of every IPv4 address that its form may carry, the narrowest of them.
func reachOf(ip netip.Addr) reach {
	ip = ip.WithZone("").Unmap()
	worst := private
	for _, s := range special {
		if s.prefix.Contains(ip) {
			worst = s.reach
			break
		}
	}
	for _, inner := range embedded(ip) {
		worst = max(worst, reachOf(inner))
	}
	return worst
}

// embedded are the IPv4 addresses that something on the way may translate an IPv6 address to.
func embedded(ip netip.Addr) []netip.Addr {
	if !ip.Is6() {
		return nil
	}
	b := ip.As16()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	within := func(prefix string) bool { return netip.MustParsePrefix(prefix).Contains(ip) }
	switch {
	case ip == netip.IPv6Loopback():
		return nil
	case within("::/96"), within("::ffff:0:0:0/96"), within("64:ff9b::/96"): // compatible; translated; NAT64
		return []netip.Addr{at(12)}
	case within("64:ff9b:1::/48"): // a network's own NAT64: /96, or /48 with the eight bits in the middle left out
		if short := [4]byte{b[6], b[7], b[9], b[10]}; short != [4]byte{} {
			return []netip.Addr{at(12), netip.AddrFrom4(short)}
		}
		return []netip.Addr{at(12)}
	case within("2002::/16"): // 6to4
		return []netip.Addr{at(2)}
	case within("2001::/32"): // Teredo: the server, and the client with its bits turned
		return []netip.Addr{at(4), netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})}
	case b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // ISATAP
		return []netip.Addr{at(12)}
	}
	return nil
}

// checkAddress tells why an address is not dialled, or nil.
func checkAddress(ip netip.Addr, allowPrivate bool) error {
	switch reachOf(ip) {
	case never:
		return fmt.Errorf("%s: %w: it is link-local, a cloud's metadata service, or no host's", ip, ErrAddress)
	case private:
		if !allowPrivate {
			return fmt.Errorf("%s: %w: it is private; if the receiver is there, say allow_private: true", ip, ErrAddress)
		}
	}
	return nil
}

// guard returns what a dialer asks about each address once names are resolved: nothing can change it any more.
func guard(allowPrivate bool) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, network, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || network != "tcp4" && network != "tcp6" {
			return fmt.Errorf("%w: it is no address of TCP", ErrAddress)
		}
		return checkAddress(to.Addr(), allowPrivate)
	}
}

const (
	connectWithin  = 5 * time.Second
	requestWithin  = 15 * time.Second
	maxHeaderBytes = 16 << 10 // of an answer
	maxConnections = 32       // to a host
)

// newTransport is a transport for one hook: nobody else's connections, proxies or addresses.
func newTransport(h *Hook) *http.Transport {
	dialer := &net.Dialer{Timeout: connectWithin, KeepAlive: 30 * time.Second, ControlContext: guard(h.AllowPrivate)}
	return &http.Transport{
		Proxy:                  nil, // not the environment's: it would dial for us, unguarded
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    connectWithin,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
		MaxConnsPerHost:        maxConnections,
		MaxIdleConnsPerHost:    maxConnections,
		IdleConnTimeout:        30 * time.Second,
	}
}
