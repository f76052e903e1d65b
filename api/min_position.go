package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	sm "faultd/statemachine"
)

const (
	// defaultWait is how long a read waits for the position that it names, if nothing else is said.
	defaultWait = 5 * time.Second
	// maxWait is the longest wait, so that the answer is out before the server's write limit.
	maxWait = 20 * time.Second
)

// serveOwn reads nothing before the store is where the client wants it.
func serveOwn(c *call, path []string) error {
	rt := ownRoutes.find(path, &c.args)
	if rt == nil {
		return notFound
	}
	patient := *rt
	if rt.handle != nil {
		patient.handle = func(c *call) error {
			if err := c.awaitPosition(); err != nil {
				return err
			}
			return rt.handle(c)
		}
	}
	return patient.follow(c)
}

// awaitPosition waits until the store has applied what min_position names, for as long as wait says.
func (c *call) awaitPosition() error {
	if !c.params.Has("min_position") {
		return nil
	}
	asked, ok := parsePosition(c.param("min_position"))
	if !ok {
		return badRequest("min_position must be a sequence or stream/epoch/sequence, not [%s]", sm.Clip(c.param("min_position"), 2*maxName))
	}
	wait, err := c.wait()
	if err != nil {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		changed := c.h.store.Changed() // before the position, so that no commit can come between
		switch at := c.h.store.Position(); {
		case asked.of(at) && asked.Epoch != 0 && asked.Epoch < at.Epoch && !asked.was(c.h.store.Epochs()):
			return badRequest("min_position is of a stream %s that is no more: it was made anew at %s", at.Stream, at.Epoch.Std().Format(precise))
		case asked.of(at) && asked.Epoch != 0 && asked.Epoch < at.Epoch, asked.reached(at):
			c.announce() // the position is another by now
			return nil
		case c.h.gate.half():
			return tooManyWait
		}
		select {
		case <-changed:
		case <-timer.C:
			c.announce()
			return c.notYet()
		case <-c.r.Context().Done():
			return unavailable // nobody is there to read it
		case <-c.h.done:
			return stopping
		}
	}
}

// wait reads how long the client wants to wait: a number of seconds, or a duration such as 500ms.
func (c *call) wait() (time.Duration, error) {
	if !c.params.Has("wait") {
		return defaultWait, nil
	}
	value := c.param("wait")
	d, err := time.ParseDuration(value)
	if n, bad := strconv.ParseFloat(value, 64); bad == nil && n >= 0 && n <= maxWait.Seconds() {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if err != nil || d < 0 || d > maxWait {
		return 0, badRequest("wait must be from 0 to %d seconds, not [%s]", int(maxWait.Seconds()), sm.Clip(value, maxName))
	}
	return d, nil
}

// notYet says how far the store is.
func (c *call) notYet() *problem {
	return &problem{status: http.StatusServiceUnavailable, retry: time.Second, message: "The store is at " +
		string(appendPosition(nil, c.h.store.Position())) + " and has not applied " + sm.Clip(c.param("min_position"), 2*maxName) + " yet."}
}

var tooManyWait = &problem{status: http.StatusServiceUnavailable, message: "Too many requests are waiting for a position.", retry: time.Second}

// half tells whether half of the requests that may be answered at a time are: then none of them is to wait, so that
// those that do never keep others out.
func (g *gate) half() bool { return len(g.slots) > max(1, cap(g.slots)/2) }

// minPosition is a position that is asked for.
type minPosition struct {
	Stream   string  // "": of whatever stream the store follows
	Epoch    sm.Time // 0: of whatever epoch
	Sequence uint64
}

// parsePosition reads a sequence, or what X-Faultd-Position says.
func parsePosition(s string) (p minPosition, ok bool) {
	parts := strings.Split(s, "/")
	if len(parts) == 3 {
		p.Stream = parts[0]
		if epoch, err := time.Parse(time.RFC3339Nano, parts[1]); err == nil {
			p.Epoch = sm.At(epoch)
		} else if parts[1] != "" {
			return p, false
		}
	} else if len(parts) != 1 {
		return p, false
	}
	n, err := strconv.ParseUint(parts[len(parts)-1], 10, 64)
	p.Sequence = n
	return p, err == nil
}

// of tells whether it is one of the stream that the store follows.
func (p *minPosition) of(at sm.Position) bool { return p.Stream == "" || p.Stream == at.Stream }

// was tells whether it had been applied when its epoch ended.
func (p *minPosition) was(epochs []sm.Position) bool { return slices.ContainsFunc(epochs, p.reached) }

// reached tells whether the store has applied it.
func (p *minPosition) reached(at sm.Position) bool {
	return p.of(at) && (p.Epoch == 0 || p.Epoch == at.Epoch) && p.Sequence <= at.Sequence
}
