package main

import (
	"fmt"
	"io"
	"strconv"
)

// width is how many jobs run at a time.
const width = 2000

// load is a log of jobs, one for each resource, of which one in 33 fails. Loads without common numbers of resources have no
// resource in common.
type load struct {
	First     int    // number of the first resource, a multiple of width
	Resources int    // a multiple of width
	Steps     []step // of each job
	Backups   bool   // one resource in ten is a backup; else all are servers
}

// step is an event of a job; the last one's phase is failed instead where the job fails.
type step struct {
	Phase    string
	Progress int // 0: not said
}

var (
	tenSteps = []step{{"accepted", 0}, {"started", 0}, {"progressed", 20}, {"progressed", 30}, {"progressed", 40}, {"progressed", 50},
		{"progressed", 60}, {"progressed", 70}, {"progressed", 80}, {"succeeded", 0}}
	threeSteps = []step{{"accepted", 0}, {"started", 0}, {"succeeded", 0}}
	twoSteps   = []step{{"accepted", 0}, {"succeeded", 0}} // both are transitions
)

// whole is the next number of resources that a load can have.
func whole(resources int) int { return max(1, (resources+width-1)/width) * width }

// events is how many there are.
func (l *load) events() int { return l.Resources * len(l.Steps) }

// at is which resource event n is of, and which step.
func (l *load) at(n int) (resource int, s step, ends bool) {
	block, within := n/(width*len(l.Steps)), n%(width*len(l.Steps))
	s, ends = l.Steps[within/width], within/width == len(l.Steps)-1
	resource = l.First + block*width + within%width
	if ends && fails(resource) {
		s.Phase = "failed"
	}
	return resource, s, ends
}

func fails(resource int) bool { return resource%33 == 0 }

// uuid is scattered like a random one, and the same each time.
func uuid(resource int) string {
	a, b := scatter(uint64(resource)), scatter(uint64(resource)+1<<40)
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0xfff, b&0xffffffffffff)
}

// scatter is the finalizer of splitmix64.
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func tenant(resource int) string { return "tenant-" + strconv.Itoa(resource%100) }

func (l *load) kind(resource int) string {
	if l.Backups && resource%10 == 7 {
		return "backup"
	}
	return "server"
}

// messages are those of the faults, as control planes write them.
var messages = []struct {
	code            int
	message, reason string
}{
	{500, "No valid host was found. There are not enough hosts available for instance %s.", "NO_VALID_HOST"},
	{504, "Timed out waiting for a reply to message ID %s", "MESSAGING_TIMEOUT"},
	{404, "Image %s could not be found.", "IMAGE_NOT_FOUND"},
	{403, "Quota exceeded for cores: requested 4 for %s, already used 118 of 120 cores", "QUOTA_EXCEEDED"},
	{500, "Build of instance %s aborted: Failed to allocate the network(s), not rescheduling.", ""},
	{507, "No space left on device while writing disk of %s", "STORAGE_FULL"},
}

// subject is where event n is published to.
func (l *load) subject(n int) string {
	resource, s, _ := l.at(n)
	return "jobs." + tenant(resource) + "." + l.kind(resource) + "." + uuid(resource) + "." + s.Phase
}

// line appends event n, of about 440 bytes.
func (l *load) line(dst []byte, n int) []byte {
	resource, s, _ := l.at(n)
	id, kind, action, more := uuid(resource), l.kind(resource), "build", `"availability_zone":"az-1"`
	if kind == "backup" {
		action, more = "backup", `"cloud_id":"cloud-1"`
	}
	dst = fmt.Appendf(dst, `{"specversion":"1.0","type":"io.faultd.v1.job.%s","source":"bench","id":"%d-%s","time":"2026-01-02T03:04:05Z",`+
		`"data":{"job":{"id":"job-%d","action":"%s","request_id":"req-%016x"},"resource":{"kind":"%s","id":"%s","tenant_id":"%s","name":"%s-%d",`+
		`"attributes":{"flavor":{"id":"m1.small"},"hostId":"%032x",%s}}`,
		s.Phase, resource, s.Phase[:2]+strconv.Itoa(s.Progress), resource, action, scatter(uint64(resource)), kind, id, tenant(resource), kind, resource, resource%500, more)
	if s.Progress > 0 {
		dst = fmt.Appendf(dst, `,"progress":%d`, s.Progress)
	}
	if s.Phase == "failed" {
		m := &messages[resource/33%len(messages)]
		dst = fmt.Appendf(dst, `,"fault":{"code":%d,"message":"`+m.message+`"`, m.code, id)
		if m.reason != "" {
			dst = fmt.Appendf(dst, `,"reason":"%s"`, m.reason)
		}
		dst = append(dst, '}')
	}
	return append(dst, `}}`...)
}

// lines reads a load as JSON Lines.
type lines struct {
	load *load
	from int // the next event
	to   int
	rest []byte
}

func (l *load) lines() *lines { return &lines{load: l, to: l.events()} }

func (r *lines) Read(p []byte) (int, error) {
	if len(r.rest) == 0 && r.from == r.to {
		return 0, io.EOF
	}
	if len(r.rest) == 0 {
		r.rest = r.rest[:0]
		for ; r.from < r.to && len(r.rest) < 32<<10; r.from++ {
			r.rest = append(r.load.line(r.rest, r.from), '\n')
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
