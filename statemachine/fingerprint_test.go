package statemachine

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTemplate_TakesOut(t *testing.T) {
	for _, c := range []struct{ message, want string }{
		{"No valid host was found. There are not enough hosts available.", "No valid host was found. There are not enough hosts available."},
		{"Image 52415800-8b69-11e0-9b19-734f6f007777 could not be found.", "Image <id> could not be found."},
		{"image 0f1e2d3c4b5a69788796a5b4c3d2e1f0, IMAGE 0F1E2D3C-4b5a-6978-8796-A5B4C3D2E1F0", "image <id>, IMAGE <id>"},
		{"(Request-ID: req-3b1d1c4a-2d8f-4ae2-9d0f-1a2b3c4d5e6f)", "(Request-ID: req-<id>)"},
		{"token gAAAAABkZx9q3H-7sd9fKJH2k3jh4K5jh6-KJH3k4jh5KJH== has expired", "token <id> has expired"},
		{"instance-0000001a, instance-00000017", "instance-<id>, instance-<id>"},
		{"<nova.objects.Service object at 0x7f3b2c1d9a90>", "<nova.objects.Service object at <id>>"},
		{"id a1b2c3; commit deadbee1", "id <id>; commit <id>"},
		{"deadbeef decade effaced", "deadbeef decade effaced"},
		{"Requested 4, but already used 20 of 20 cores", "Requested <n>, but already used <n> of <n> cores"},
		{"1,073,741,824 bytes, 10.5 and -1.0, 95%", "<n>, <n> and -<n>, <n>%"},
		{"needs 10GiB or 512 MB or 1.5T, has 0 bytes after 30s", "needs <n> or <n> or <n>, has <n> after <n>"},
		{"10 GBit, 7 Mice, 3 Bits", "<n> GBit, <n> Mice, <n> Bits"},
		{"release 29.0.1 of ext4 on x86_64, IPv4, sha256", "release <n> of ext<n> on x<n>_<n>, IPv<n>, sha<n>"},
		{"10.0.0.5:8774 and 192.168.1.254/24", "<ip>:<n> and <ip>/<n>"},
		{"1.2.3.4.5 and 300.1.1.1", "<n> and <n>"},
		{"2001:db8::1: refused, [fe80::f816:3eff:fe4c:2c30]:80, ::1, 1:2:3:4:5:6:7:8", "<ip>: refused, [<ip>]:<n>, <ip>"},
		{"std::vector, a::b, be: ad::", "std::vector, a::b, be: ad::"},
		{"1:2:3, 12345::1", "<n>:<n>:<n>, <n>::<n>"},
		{"MAC fa:16:3e:4c:2c:30 in use", "MAC <mac> in use"},
		{"since 2026-11-21T02:00:00.123456789Z", "since <time>"},
		{"since 2026-11-21 02:00:00,123 and 2026/11/21", "since <time> and <time>"},
		{"at 2026-11-21T02:00:00+01:00 or 02:00:00-0130 or 2026-11-21", "at <time> or <time> or <time>"},
		{"took 0:00:30, x2026-11-21, 2026-11-21x, 12:34", "took <time>, x<n>-<n>-<n>, <n>-<n>-<n>x, <n>:<n>"},
		{"compute-17.example.com, db07 and cell1", "compute-<n>.example.com, db<n> and cell<n>"},
		{"/var/lib/nova/instances/52415800-8b69-11e0-9b19-734f0000ffff/disk.1", "/var/lib/nova/instances/<id>/disk.<n>"},
		{"Volume 'size' of 'web-01' on \"db 2\" for u'vol1' and b\"x9\"", "Volume 'size' of '<id>' on \"db <n>\" for u'<id>' and b\"<id>\""},
		{"Flavor's disk, the hosts' 3, O'Brien2's", "Flavor's disk, the hosts' <n>, O'Brien<n>'s"},
		{"NoValidBackend('No backend 7 was found')", "NoValidBackend('No backend <n> was found')"},
		{"ports [52415800-8b69-11e0-9b19-734f0000ffff, 52415800-8b69-11e0-9b19-734f0000fff1]", "ports [<id>]"},
		{" two \t\r\n lines  ", "two lines"},
		{"tenant-0a1b2c3d4e5f60718293a4b5c6d7e8f9", "tenant-<id>"},
		{"abcdefab-abcd-abcd-abcd-abcdefabcdef", "abcdefab-abcd-abcd-abcd-abcdefabcdef"},
		{"52415800-8b69-11e0-9b19-734f0000ffffz", "<n>-<id>-<id>-<id>-<id>"},
		{"host'a1', fe80:::1, 1.2a", "host'a<n>', fe<n>:::<n>, <n>.<n>a"},
		{"", ""},
		{"café 5 — naïve№7", "café <n> — naïve№<n>"},
		{"<n> <id> <ip>, 5", "<n> <id> <ip>, <n>"},
	} {
		if got := Template(c.message); got != c.want {
			t.Errorf("%q:\n got %q\nwant %q", c.message, got, c.want)
		}
	}
}

func TestTemplate_Bounded(t *testing.T) {
	for _, message := range []string{strings.Repeat("a", 5000), strings.Repeat("1 a ", 5000), strings.Repeat("é", 5000), "x" + strings.Repeat("é", 5000),
		strings.Repeat("\x80", 5000), strings.Repeat("x ", 511) + "12"} {
		got := Template(message)
		if len(got) > MaxTemplate || len(got) < MaxTemplate-8 {
			t.Errorf("%.10q…: %d bytes", message, len(got))
		}
		if utf8.ValidString(message) && !utf8.ValidString(got) {
			t.Errorf("%.10q…: a rune is cut", message)
		}
	}
}

// alike are pairs of messages of one failure, from what Nova, Cinder, Glance, Neutron and backup services say.
var alike = [][2]string{
	{"Image 52415800-8b69-11e0-9b19-734f6f007777 could not be found.", "Image 0a1b2c3d-8b69-11e0-9b19-734f6f00abcd could not be found."},
	{"Could not find image 52415800-8b69-11e0-9b19-734f6f007777", "Could not find image 00000000-8b69-11e0-9b19-000000000000"},
	{"Binding failed for port 68e62053-fed2-4bd8-b3a8-0755012774ad, please check neutron logs for more information.", "Binding failed for port cc64691c-4c4a-4b8f-be62-63d81a3a2d0a, please check neutron logs for more information."},
	{"Exceeded max scheduling attempts 3 for instance 8e609d42-fdc3-453c-ab85-f323c78f3918. Last exception: Unexpected vif_type=binding_failed", "Exceeded max scheduling attempts 6 for instance 2fa9171a-0a66-4183-a004-381120358ec2. Last exception: Unexpected vif_type=binding_failed"},
	{"Build of instance 52415800-8b69-11e0-9b19-734f0000ffff aborted: Failed to allocate the network(s), not rescheduling.", "Build of instance 62415800-8b69-11e0-9b19-734f0000fff0 aborted: Failed to allocate the network(s), not rescheduling."},
	{"Quota exceeded for cores: Requested 4, but already used 20 of 20 cores", "Quota exceeded for cores: Requested 16, but already used 8 of 20 cores"},
	{"Requested volume or snapshot exceeds allowed gigabytes quota. Requested 10G, quota is 1000G and 995G has been consumed.", "Requested volume or snapshot exceeds allowed gigabytes quota. Requested 512G, quota is 50G and 0G has been consumed."},
	{"Maximum number of volumes allowed (1) exceeded for quota 'volumes'.", "Maximum number of volumes allowed (100) exceeded for quota 'volumes'."},
	{"Flavor's disk is too small for requested image. Flavor disk is 1073741824 bytes, image is 2361393152 bytes.", "Flavor's disk is too small for requested image. Flavor disk is 5368709120 bytes, image is 42949672960 bytes."},
	{"HTTPConnectionPool(host='10.0.0.5', port=9292): Max retries exceeded with url: /v2/images/52415800-8b69-11e0-9b19-734f6f007777/file", "HTTPConnectionPool(host='glance-2', port=9292): Max retries exceeded with url: /v2/images/0f415800-8b69-11e0-9b19-734f6f007777/file"},
	{"[Errno 28] No space left on device: '/var/lib/nova/instances/_base/0f1e2d3c.part'", "[Errno 28] No space left on device: '/var/lib/nova/instances/_base/a1b2c3d4e5.part'"},
	{"Timed out waiting for a reply to message ID 0f1e2d3c4b5a69788796a5b4c3d2e1f0", "Timed out waiting for a reply to message ID 9f86d081884c7d659a2feaa0c55ad015"},
	{"Error from last host: compute-17 (node compute-17.example.com)", "Error from last host: compute-3 (node compute-3.example.com)"},
	{"Host compute-17 is down since 2026-11-21T02:00:00Z", "Host compute-4 is down since 2026-11-22T23:59:59.5Z"},
	{"Domain not found: no domain with matching uuid '52415800-8b69-11e0-9b19-734f0000ffff' (instance-0000001a)", "Domain not found: no domain with matching uuid '62415800-8b69-11e0-9b19-734f0000ffff' (instance-00000017)"},
	{"Cannot 'resize' instance 52415800-8b69-11e0-9b19-734f0000ffff while it is in vm_state error", "Cannot 'resize' instance 52415800-8b69-11e0-9b19-734f0000fff1 while it is in vm_state error"},
	{"Fixed IP address 10.0.0.5 is already in use on instance 52415800-8b69-11e0-9b19-734f0000ffff.", "Fixed IP address 2001:db8::17 is already in use on instance 5241580f-8b69-11e0-9b19-734f0000ffff."},
	{"MAC address fa:16:3e:4c:2c:30 is in use", "MAC address fa:16:3e:00:ab:cd is in use"},
	{"Unable to mount 192.168.1.10:/export/vol1", "Unable to mount 172.16.0.200:/export/vol25"},
	{"The size of the data 1073741824 will exceed the limit. 512 bytes remaining.", "The size of the data 5368709120 will exceed the limit. 0 bytes remaining."},
	{"No COMPLETED export found for backup = bk-102", "No COMPLETED export found for backup = bk-7"},
	{"Storage Details not found for storageId = 52415800-8b69-11e0-9b19-734f0000ffff", "Storage Details not found for storageId = 62415800-8b69-11e0-9b19-734f0000ffff"},
	{"Backup 41 of agent 202331 failed after 00:12:44: 17 of 20031 files", "Backup 7 of agent 11 failed after 01:00:03: 1 of 9 files"},
	{"Ports [52415800-8b69-11e0-9b19-734f0000ffff, 62415800-8b69-11e0-9b19-734f0000ffff] not found", "Ports [72415800-8b69-11e0-9b19-734f0000ffff] not found"},
	{"libvirtError: internal error: qemu unexpectedly closed the monitor: 2026-11-21T02:00:00.123456Z qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory", "libvirtError: internal error: qemu unexpectedly closed the monitor: 2026-11-20T14:10:09.000001Z qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory"},
	{"Share access could not be granted to share id 8db0037b-e98f-4bde-ae71-f96a077c19a4.\nReason: Connection timed out.", "Share access could not be granted to share id 9db0037b-e98f-4bde-ae71-f96a077c19a4.  Reason: Connection timed out."},
	{"Download of image <Image object at 0x7f3b2c1d9a90> stopped at 66%", "Download of image <Image object at 0x55d0e1a2b3c0> stopped at 9%"},
	{"dfw: The storage did not answer in 60 s; ord: checksum of part-7 differs", "dfw: The storage did not answer in 5 s; ord: checksum of part-12 differs"},
}

func TestFingerprint_Alike(t *testing.T) {
	groups := map[string]string{}
	for _, pair := range alike {
		a, b := Fingerprint(Server, ActBuild, &Fault{Code: 500, Message: pair[0]}), Fingerprint(Server, ActBuild, &Fault{Code: 500, Message: pair[1]})
		if a != b {
			t.Errorf("are one failure:\n%s\n%s", Template(pair[0]), Template(pair[1]))
		}
		if other, ok := groups[a]; ok {
			t.Errorf("are two failures:\n%s\n%s", other, pair[0])
		}
		groups[a] = pair[0]
	}
}

func TestFingerprint_Different(t *testing.T) {
	fault := Fault{Code: 500, Message: "No valid host was found", Reason: "NO_VALID_HOST"}
	groups := map[string]string{}
	add := func(what, print string) {
		t.Helper()
		if other, ok := groups[print]; ok {
			t.Errorf("%s has the fingerprint of %s", what, other)
		}
		groups[print] = what
	}
	for _, k := range Kinds {
		for _, a := range Actions {
			add(k.String()+" "+a.String(), Fingerprint(k, a, &fault))
		}
	}
	for what, change := range map[string]func(*Fault){
		"code":               func(f *Fault) { f.Code = 503 },
		"reason":             func(f *Fault) { f.Reason = "" },
		"message":            func(f *Fault) { f.Message += "." },
		"case":               func(f *Fault) { f.Message = strings.ToUpper(f.Message) },
		"reason and message": func(f *Fault) { f.Reason, f.Message = f.Reason[:5], f.Reason[5:]+f.Message },
	} {
		f := fault
		change(&f)
		add(what, Fingerprint(Server, ActBuild, &f))
	}
}

func TestFingerprint_IgnoresTheRest(t *testing.T) {
	bare := Fault{Code: 404, Message: "Could not find image 7", Reason: "IMAGE_NOT_FOUND"}
	full := Fault{Sequence: 9, Created: 9, Code: 404, Message: "Could not find image 8", Details: "x", Reason: "IMAGE_NOT_FOUND", ErrorCode: "1", Summary: true}
	if a, b := Fingerprint(Server, ActBuild, &bare), Fingerprint(Server, ActBuild, &full); a != b {
		t.Errorf("%s is not %s", a, b)
	}
}

// Stores keep fingerprints. If a change breaks this test it is a new version of the algorithm: raise
// fingerprintVersion first, then write the new values here.
func TestFingerprint_Golden(t *testing.T) {
	for _, c := range []struct {
		kind   Kind
		action Action
		fault  Fault
		want   string
	}{
		{Server, ActBuild, Fault{Code: 404, Message: "Could not find image 52415800-8b69-11e0-9b19-734f6f007777", Reason: "IMAGE_NOT_FOUND"}, "1:4fbf7c72834601f7"},
		{Server, ActBuild, Fault{Code: 500, Message: "No valid host", Reason: "NoValidHost"}, "1:b7636bba522982fe"},
		{Image, ActSnapshot, Fault{Code: 500, Message: "An internal error occured"}, "1:5706f9e96f7e66a7"},
		{Server, ActResize, Fault{Code: 413, Message: "Quota exceeded for cores: requested 4, but already used 20 of 20 cores", Reason: "QUOTA"}, "1:9eeba4615063a741"},
		{Backup, ActBackup, Fault{Code: 504, Message: "10.0.0.5 did not answer since 2026-11-21T02:00:00Z (30s, 'agent-7')"}, "1:dd59defef967eec9"},
		{Restore, ActRestore, Fault{Code: 500, Message: strings.Repeat("é1 ", 1000)}, "1:5af9f5284ff1fab7"},
		{Migration, ActDelete, Fault{}, "1:fbcdd2d403f916cf"},
	} {
		if got := Fingerprint(c.kind, c.action, &c.fault); got != c.want {
			t.Errorf("%.60q is %s, was %s", c.fault.Message, got, c.want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, pair := range alike {
		f.Add(pair[0])
	}
	for _, s := range []string{"<n>, 5, 6,7", "'a1'b2'", "::1::2", "1.2.3.4.", "2026-11-21T", "0x", "\xff1\xfe", "5 G B", strings.Repeat("ab1-", 300), "0000000a:::", "u'1'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, message string) {
		got := Template(message)
		if len(got) > MaxTemplate || utf8.ValidString(message) && !utf8.ValidString(got) {
			t.Fatalf("%q: %q", message, got)
		}
		if strings.ContainsAny(got, "0123456789\n\t") || strings.Contains(got, "  ") || strings.Trim(got, " ") != got {
			t.Fatalf("%q: left in %q", message, got)
		}
		if twice := Template(got); twice != got {
			t.Fatalf("%q: %q, then %q", message, got, twice)
		}
	})
}

func BenchmarkTemplate(b *testing.B) {
	for name, message := range map[string]string{
		"short":  "Build of instance 52415800-8b69-11e0-9b19-734f0000ffff aborted: Quota exceeded for cores: Requested 4, but already used 20 of 20 cores",
		"4KiB":   strings.Repeat("port 10.0.0.5 is 'web-01', ", MaxMessage/27),
		"dashes": strings.Repeat("ab1-", MaxMessage/4),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			for b.Loop() {
				Template(message)
			}
		})
	}
}

func BenchmarkFingerprint(b *testing.B) {
	f := &Fault{Code: 404, Message: "Could not find image 52415800-8b69-11e0-9b19-734f6f007777", Reason: "IMAGE_NOT_FOUND"}
	b.ReportAllocs()
	for b.Loop() {
		Fingerprint(Server, ActBuild, f)
	}
}
