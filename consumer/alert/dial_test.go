package alert

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
)

func TestReachOf_Address(t *testing.T) {
	for want, list := range map[reach][]string{
		public: {
			"8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.169.0.1", "169.253.0.1", "169.255.0.1", "223.255.255.255",
			"2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2a00:1450::5efe:8.8.8.8",
		},
		private: {
			"127.0.0.1", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255",
			"192.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255", "192.88.99.1",
			"::1", "fc00::1", "fd12:3456::1", "fec0::1", "100::1", "2001:db8::1", "3fff::1", "4000::1", "::8.8.8.8", "::ffff:0:8.8.8.8",
			"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b:1::8.8.8.8", "64:ff9b:1:a00:0:100:808:808",
			"2002:a00:1::1", "2002:7f00:1::", "2002:c0a8:101::1", "2001:0:808:808:0:0:f7f7:f7f7", "2001:0:a00:1:0:0:f7f7:f7f7", "2001:0:808:808:0:0:f5ff:fffe",
			"2a00:1450::5efe:10.0.0.1", "2a00:1450::200:5efe:192.168.0.1",
		},
		never: {
			"169.254.169.254", "169.254.0.1", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.1.1",
			"240.0.0.1", "255.255.255.255", "::", "fe80::1", "febf::1", "ff02::1", "fe80::1%eth0", "fd00:ec2::254", "fd20:ce::254", "fd00:42::42",
			"::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::169.254.169.254", "::ffff:0:169.254.169.254", "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe",
			"64:ff9b:1::169.254.169.254", "64:ff9b:1:a9fe:a9:fe00::", "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe:0:0:f7f7:f7f7", "2001:0:808:808:0:0:5601:5601",
			"2a00:1450::5efe:169.254.169.254", "fd00::5efe:169.254.169.254", "64:ff9b::0.0.0.0", "64:ff9b::168.63.129.16", "::ffff:100.100.100.200", "::ffff:0.0.0.0",
		},
	} {
		for _, s := range list {
			if got := reachOf(netip.MustParseAddr(s)); got != want {
				t.Errorf("%s: %d, want %d", s, got, want)
			}
		}
	}
}

func TestCheckAddress_Private(t *testing.T) {
	for s, allowed := range map[string][2]bool{"8.8.8.8": {true, true}, "127.0.0.1": {false, true}, "::1": {false, true}, "169.254.169.254": {false, false}} {
		for i, want := range allowed {
			if err := checkAddress(netip.MustParseAddr(s), i == 1); (err == nil) != want || err != nil && !errors.Is(err, ErrAddress) {
				t.Errorf("%s, allow_private %v: %v", s, i == 1, err)
			}
		}
	}
}

func TestGuard_AfterResolving(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"localhost", "127.0.0.1", "[::ffff:127.0.0.1]"} {
		for _, allowed := range []bool{false, true} {
			d := net.Dialer{ControlContext: guard(allowed)}
			conn, err := d.DialContext(context.Background(), "tcp4", host+":"+port)
			if (err == nil) != allowed || err != nil && !errors.Is(err, ErrAddress) {
				t.Errorf("%s, allow_private %v: %v", host, allowed, err)
			}
			if err == nil {
				_ = conn.Close()
			}
		}
	}
	for _, c := range [][2]string{{"udp4", "8.8.8.8:1"}, {"unix", "/run/x"}, {"tcp4", "nonsense"}} {
		if err := guard(true)(context.Background(), c[0], c[1], nil); !errors.Is(err, ErrAddress) {
			t.Errorf("%s %s: %v", c[0], c[1], err)
		}
	}
}
