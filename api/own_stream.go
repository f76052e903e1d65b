package api

import (
	"net/http"
	"strconv"
	"time"

	sm "faultd/statemachine"
)

// follower is a client of /v1/stream.
type follower struct {
	call   *call
	send   *http.ResponseController
	tenant string // "": all tenants
	kind   sm.Kind
	after  uint64 // what happened up to this sequence is sent; it is counted on over epochs
	buffer []byte
}

// followChanges sends transitions as they are committed until the client goes, the client is too slow to take
// what is sent, or the service stops. Whatever the client does, nobody else waits for it: it reads copies, and each
// write has a deadline.
func followChanges(c *call) error {
	f, err := newFollower(c)
	if err != nil {
		return err
	}
	select {
	case <-c.h.done:
		return stopping
	default:
	}
	select {
	case c.h.streams <- struct{}{}:
		defer func() { <-c.h.streams }()
	default:
		return tooManyStreams
	}
	c.streams = true
	c.h.gate.leave(c) // it may stay for days, and counts among the streams
	head := c.w.Header()
	head["Content-Type"] = []string{"text/event-stream"}
	head["Cache-Control"] = []string{"no-store"}
	head["X-Accel-Buffering"] = []string{"no"} // a proxy would hold events back
	if c.r.Method == http.MethodHead {
		c.w.WriteHeader(http.StatusOK)
		return nil
	}
	return f.follow()
}

func newFollower(c *call) (f *follower, err error) {
	f = &follower{call: c, send: http.NewResponseController(&c.w)}
	if f.tenant, err = c.scope(c.param("tenant")); err != nil {
		return nil, err
	}
	if f.kind, err = c.kind(); err != nil {
		return nil, err
	}
	last := c.r.Header.Get("Last-Event-ID")
	if last == "" {
		last = c.param("last_event_id")
	}
	if last == "" {
		f.after = c.h.store.Position().Ordinal()
		return f, nil
	}
	if f.after, err = strconv.ParseUint(last, 10, 64); err != nil {
		return nil, badRequest("Last-Event-ID must be the sequence of a message, not [%s]", sm.Clip(last, maxName))
	}
	return f, nil
}

func (f *follower) follow() error {
	if err := f.comment(); err != nil {
		return err
	}
	beat := time.NewTicker(f.call.h.heartbeat)
	defer beat.Stop()
	for f.call.welcome(time.Now()) {
		changed := f.call.h.store.Changed() // before the rows, so that none can come between
		more, err := f.sendChanges()
		if err != nil {
			return err
		}
		if more {
			if f.ended() {
				return nil
			}
			continue
		}
		select {
		case <-changed:
		case <-beat.C:
			if err := f.comment(); err != nil {
				return err
			}
		case <-f.call.r.Context().Done():
			return nil
		case <-f.call.h.done:
			return nil
		}
	}
	return nil // the client learns why when it comes again
}

// ended tells whether the client has gone or the service stops.
func (f *follower) ended() bool {
	select {
	case <-f.call.r.Context().Done():
		return true
	case <-f.call.h.done:
		return true
	default:
		return false
	}
}

// sendChanges sends what is new, and tells whether there was something.
func (f *follower) sendChanges() (bool, error) {
	store := f.call.h.store
	rows, ok := store.Changes(f.after)
	f.buffer = f.buffer[:0]
	if !ok {
		f.after = store.Position().Ordinal()
		f.reset()
		return true, f.flush()
	}
	for i := range rows {
		f.transition(&rows[i])
	}
	if len(rows) > 0 {
		f.after = rows[len(rows)-1].Sequence
	}
	if len(f.buffer) == 0 {
		return len(rows) > 0, nil
	}
	return true, f.flush()
}

// transition appends an event, if it is one that the client asked for.
func (f *follower) transition(row *sm.Change) {
	if f.tenant != "" && row.Tenant != f.tenant || f.kind != 0 && row.Kind != f.kind {
		return
	}
	f.event(row.Sequence, "transition")
	f.buffer = appendKey(append(f.buffer, '{'), &row.Key)
	f.buffer = appendTransition(f.buffer, &row.Transition, f.call.admin())
	f.buffer = append(f.buffer, "}\n\n"...)
}

// reset appends the event that says that transitions are missing here: the client reads the lists anew.
func (f *follower) reset() {
	f.event(f.after, "reset")
	f.buffer = append(appendNumber(append(f.buffer, '{'), "sequence", f.after), "}\n\n"...)
}

func (f *follower) event(id uint64, name string) {
	f.buffer = strconv.AppendUint(append(f.buffer, "id: "...), id, 10)
	f.buffer = append(append(append(f.buffer, "\nevent: "...), name...), "\ndata: "...)
}

// comment is a sign of life.
func (f *follower) comment() error {
	f.buffer = append(f.buffer[:0], ": alive\n\n"...)
	return f.flush()
}

func (f *follower) flush() error {
	if err := f.send.SetWriteDeadline(time.Now().Add(f.call.h.writeLimit)); err != nil {
		return err
	}
	if _, err := f.call.w.Write(f.buffer); err != nil {
		return err
	}
	return f.send.Flush()
}
