package storage

import (
	"fmt"

	sm "faultd/statemachine"
)

// faultRef names a fault of a resource.
type faultRef struct {
	sequence uint64
	summary  bool
}

func refOf(f *sm.Fault) faultRef {
	if f == nil {
		return faultRef{}
	}
	return faultRef{f.Sequence, f.Summary}
}

// faultLoader finds a fault that a record refers to; nil for the zero reference.
type faultLoader func(faultRef) (*sm.Fault, error)

// hot is the part of a resource that events change, beside its newest job.
type hot struct {
	status      sm.Status
	sequence    uint64
	updated     sm.Time
	fault       faultRef // of the resource, for its place in the errors bucket
	transitions uint64   // ever, also those that were cut from the history
	oldest      sm.Time  // under which it stands in the ages bucket, 0 if it does not
	group       string   // fingerprint of the group that it is counted in, empty if none
	unfinished  bool     // it stands in the unfinished bucket
	jobs        int      // the newest one is here, those before it in the jobs bucket
}

func encodeHot(h hot, newest *sm.Job) []byte {
	e := encoder{make([]byte, 0, 128)}
	e.byte(byte(h.status))
	e.uint(h.sequence)
	e.int(int64(h.updated))
	encodeRef(&e, h.fault)
	e.uint(h.transitions)
	e.int(int64(h.oldest))
	e.text(h.group)
	e.bool(h.unfinished)
	e.uint(uint64(h.jobs))
	encodeJob(&e, newest)
	return e.b
}

func decodeHead(d *decoder) hot {
	return hot{
		status:      sm.Status(d.byte()),
		sequence:    d.uint(),
		updated:     sm.Time(d.int()),
		fault:       decodeRef(d),
		transitions: d.uint(),
		oldest:      sm.Time(d.int()),
		group:       d.text(),
		unfinished:  d.bool(),
		jobs:        int(d.uint()),
	}
}

func encodeRef(e *encoder, r faultRef) { e.uint(r.sequence<<1 | uint64(bit(r.summary))) }

func decodeRef(d *decoder) faultRef {
	v := d.uint()
	return faultRef{v >> 1, v&1 != 0}
}

func encodeCold(r *sm.Resource) []byte {
	e := encoder{make([]byte, 0, 96+len(r.Attributes))}
	e.byte(byte(r.Kind))
	e.text(r.Tenant)
	e.text(r.ID)
	e.text(r.User)
	e.text(r.Name)
	e.int(int64(r.Created))
	e.bytes(r.Attributes)
	return e.b
}

func decodeCold(b []byte, r *sm.Resource) error {
	d := decoder{b: b}
	r.Kind = sm.Kind(d.byte())
	r.Tenant, r.ID, r.User, r.Name = d.text(), d.text(), d.text(), d.text()
	r.Created = sm.Time(d.int())
	r.Attributes = d.bytes()
	return d.err
}

// encodeOlder is the record of what stands behind the newest job; it is empty where nothing does.
func encodeOlder(r *sm.Resource) []byte {
	if len(r.Jobs) < 2 && r.Past.Status == 0 {
		return nil
	}
	var e encoder
	e.byte(byte(r.Past.Status))
	e.int(int64(r.Past.Until))
	e.bool(r.Past.Fault != nil)
	if r.Past.Fault != nil {
		e.uint(r.Past.Fault.Sequence)
		e.bool(r.Past.Fault.Summary)
		e.bytes(encodeFault(r.Past.Fault))
	}
	e.uint(uint64(len(r.Past.Gone)))
	for _, digest := range r.Past.Gone {
		e.fixed(digest)
	}
	older := r.Jobs[:len(r.Jobs)-1]
	e.uint(uint64(len(older)))
	for i := range older {
		encodeJob(&e, &older[i])
	}
	return e.b
}

func decodeOlder(b []byte, r *sm.Resource, load faultLoader) error {
	d := decoder{b: b}
	r.Past.Status, r.Past.Until = sm.Status(d.byte()), sm.Time(d.int())
	if d.bool() {
		ref := faultRef{d.uint(), d.bool()}
		f, err := decodeFault(ref, d.take(d.uint()))
		if err != nil {
			return err
		}
		r.Past.Fault = f
	}
	if n := d.count(); n > 0 {
		r.Past.Gone = make([]uint64, n)
		for i := range r.Past.Gone {
			r.Past.Gone[i] = d.fixed()
		}
	}
	n := d.count()
	r.Jobs = make([]sm.Job, 0, n+1)
	for range n {
		j, err := decodeJob(&d, load)
		if err != nil {
			return err
		}
		r.Jobs = append(r.Jobs, j)
	}
	return d.err
}

// Job flags say which of the parts that most jobs do not have follow.
const (
	jobByTime = 1 << iota
	jobHasRequest
	jobHasAttempts
	jobHasProviders
	jobHasSaid
)

func encodeJob(e *encoder, j *sm.Job) {
	e.text(j.ID)
	e.byte(byte(j.Action))
	e.byte(byte(j.Phase))
	e.byte(byte(j.Progress))
	e.byte(jobFlags(j))
	e.int(int64(j.Began))
	e.uint(j.BeganSeq)
	e.uint(j.LastSeq)
	e.int(int64(j.Heard - j.Began))
	e.int(since(j.Started, j.Began))
	e.int(since(j.Ended, j.Began))
	e.int(int64(j.Latest - j.Began))
	e.uint(uint64(j.Starts))
	e.uint(uint64(len(j.Marks)))
	for _, m := range j.Marks {
		e.fixed(m.ID)
		e.int(int64(m.Time - j.Began))
	}
	if j.RequestID != "" {
		e.text(j.RequestID)
	}
	if j.Said != 0 {
		e.byte(byte(j.Said))
		encodeRef(e, refOf(j.SaidFault))
	}
	encodeAttempts(e, j)
	encodeProviders(e, j)
}

func jobFlags(j *sm.Job) (flags byte) {
	set := func(on bool, flag byte) {
		if on {
			flags |= flag
		}
	}
	set(j.ByTime, jobByTime)
	set(j.RequestID != "", jobHasRequest)
	set(j.Failures > 0, jobHasAttempts)
	set(len(j.Providers) > 0, jobHasProviders)
	set(j.Said != 0, jobHasSaid)
	return flags
}

func encodeAttempts(e *encoder, j *sm.Job) {
	if j.Failures == 0 {
		return
	}
	e.uint(uint64(j.Failures))
	e.int(int64(j.Floor))
	e.uint(uint64(len(j.Attempts)))
	for _, a := range j.Attempts {
		e.uint(uint64(a.Number))
		encodeRef(e, refOf(a.Fault))
	}
}

func encodeProviders(e *encoder, j *sm.Job) {
	if len(j.Providers) == 0 {
		return
	}
	e.uint(uint64(len(j.Providers)))
	for _, p := range j.Providers {
		e.text(p.Name)
		e.bool(p.Declared)
		e.byte(byte(p.Phase))
		encodeRef(e, refOf(p.Fault))
	}
}

// since is a time as its distance from the job's beginning, plus one, so that 0 can stand for not known.
func since(t, began sm.Time) int64 {
	switch {
	case t == 0:
		return 0
	case t >= began:
		return int64(t-began) + 1
	default:
		return int64(t - began)
	}
}

func decodeSince(v int64, began sm.Time) sm.Time {
	switch {
	case v == 0:
		return 0
	case v > 0:
		return began + sm.Time(v-1)
	default:
		return began + sm.Time(v)
	}
}

func decodeJob(d *decoder, load faultLoader) (sm.Job, error) {
	j := sm.Job{ID: d.text(), Action: sm.Action(d.byte()), Phase: sm.Phase(d.byte()), Progress: int8(d.byte())}
	flags := d.byte()
	j.ByTime = flags&jobByTime != 0
	j.Began, j.BeganSeq, j.LastSeq = sm.Time(d.int()), d.uint(), d.uint()
	j.Heard = j.Began + sm.Time(d.int())
	j.Started, j.Ended = decodeSince(d.int(), j.Began), decodeSince(d.int(), j.Began)
	j.Latest = j.Began + sm.Time(d.int())
	j.Starts = int(d.uint())
	if n := d.count(); n > 0 {
		j.Marks = make([]sm.Mark, n)
		for i := range j.Marks {
			j.Marks[i] = sm.Mark{ID: d.fixed(), Time: j.Began + sm.Time(d.int())}
		}
	}
	if flags&jobHasRequest != 0 {
		j.RequestID = d.text()
	}
	var err error
	if flags&jobHasSaid != 0 {
		j.Said = sm.Phase(d.byte())
		if j.SaidFault, err = load(decodeRef(d)); err != nil {
			return j, err
		}
	}
	if flags&jobHasAttempts != 0 {
		if err = decodeAttempts(d, &j, load); err != nil {
			return j, err
		}
	}
	if flags&jobHasProviders != 0 {
		err = decodeProviders(d, &j, load)
	}
	if err == nil {
		err = d.err
	}
	return j, err
}

func decodeAttempts(d *decoder, j *sm.Job, load faultLoader) (err error) {
	j.Failures = int(d.uint())
	j.Floor = sm.Time(d.int())
	j.Attempts = make([]sm.Attempt, d.count())
	for i := range j.Attempts {
		j.Attempts[i].Number = int(d.uint())
		if j.Attempts[i].Fault, err = load(decodeRef(d)); err != nil {
			return err
		}
	}
	return nil
}

func decodeProviders(d *decoder, j *sm.Job, load faultLoader) (err error) {
	j.Providers = make([]sm.Provider, d.count())
	for i := range j.Providers {
		p := &j.Providers[i]
		p.Name, p.Declared, p.Phase = d.text(), d.bool(), sm.Phase(d.byte())
		if p.Fault, err = load(decodeRef(d)); err != nil {
			return err
		}
	}
	return nil
}

func encodeFault(f *sm.Fault) []byte {
	e := encoder{make([]byte, 0, 32+len(f.Message)+len(f.Details)+len(f.Reason))}
	e.int(int64(f.Created))
	e.uint(uint64(f.Code))
	e.text(f.Message)
	e.text(f.Details)
	e.text(f.Reason)
	e.text(f.ErrorCode)
	return e.b
}

func decodeFault(ref faultRef, b []byte) (*sm.Fault, error) {
	d := decoder{b: b}
	f := &sm.Fault{Sequence: ref.sequence, Summary: ref.summary, Created: sm.Time(d.int()), Code: int(d.uint()),
		Message: d.text(), Details: d.text(), Reason: d.text(), ErrorCode: d.text()}
	return f, d.err
}

func encodeTransition(t *sm.Transition) []byte {
	e := encoder{make([]byte, 0, 64)}
	e.int(int64(t.StreamTime))
	e.int(int64(t.StreamTime - t.Time))
	e.text(t.Job)
	e.byte(byte(t.Action))
	e.byte(byte(t.From))
	e.byte(byte(t.To))
	encodeRef(&e, refOf(t.Fault))
	e.text(t.RequestID)
	return e.b
}

func decodeTransition(sequence uint64, b []byte, load faultLoader) (t sm.Transition, err error) {
	d := decoder{b: b}
	t.Sequence, t.StreamTime = sequence, sm.Time(d.int())
	t.Time = t.StreamTime - sm.Time(d.int())
	t.Job, t.Action = d.text(), sm.Action(d.byte())
	t.From, t.To = sm.Status(d.byte()), sm.Status(d.byte())
	ref := decodeRef(&d)
	t.RequestID = d.text()
	if d.err != nil {
		return t, fmt.Errorf("history row %d: %w", sequence, d.err)
	}
	t.Fault, err = load(ref)
	return t, err
}

// transitionFault is the fault that a history record refers to, without decoding the rest into strings.
func transitionFault(b []byte) faultRef {
	d := decoder{b: b}
	d.int()
	d.int()
	d.take(d.uint())
	d.take(3)
	return decodeRef(&d)
}

// transitionTime is the stream time of a history record.
func transitionTime(b []byte) sm.Time {
	d := decoder{b: b}
	return sm.Time(d.int())
}

func encodePosition(p sm.Position) []byte {
	var e encoder
	e.text(p.Stream)
	e.int(int64(p.Epoch))
	e.uint(p.Base)
	e.uint(p.First)
	e.uint(p.Sequence)
	e.int(int64(p.StreamTime))
	e.fixed(p.Digest)
	return e.b
}

func decodePosition(b []byte) (sm.Position, error) {
	d := decoder{b: b}
	p := sm.Position{Stream: d.text(), Epoch: sm.Time(d.int()), Base: d.uint(), First: d.uint(), Sequence: d.uint(),
		StreamTime: sm.Time(d.int()), Digest: d.fixed()}
	return p, d.err
}

func encodeCounters(c *sm.Counters) []byte {
	var e encoder
	e.uint(c.Received)
	e.uint(c.Applied)
	e.uint(c.Ignored)
	e.uint(c.Rejected)
	e.uint(c.UnknownFields)
	e.uint(uint64(len(c.ByReason)))
	for _, n := range c.ByReason {
		e.uint(n)
	}
	return e.b
}

func decodeCounters(b []byte) (c sm.Counters, err error) {
	d := decoder{b: b}
	c.Received, c.Applied, c.Ignored, c.Rejected, c.UnknownFields = d.uint(), d.uint(), d.uint(), d.uint(), d.uint()
	for i := range d.count() {
		n := d.uint()
		if i < len(c.ByReason) {
			c.ByReason[i] = n
		}
	}
	return c, d.err
}

func encodeRejection(r *sm.Rejection) []byte {
	e := encoder{make([]byte, 0, 64+len(r.Data))}
	e.int(int64(r.StreamTime))
	e.text(r.Subject)
	e.byte(byte(r.Reason))
	e.text(r.Detail)
	e.uint(uint64(r.Size))
	e.bytes(r.Data)
	return e.b
}

func decodeRejection(sequence uint64, b []byte) (sm.Rejection, error) {
	d := decoder{b: b}
	r := sm.Rejection{Sequence: sequence, StreamTime: sm.Time(d.int()), Subject: d.text(), Reason: sm.Reason(d.byte()),
		Detail: d.text(), Size: int(d.uint()), Data: d.bytes()}
	return r, d.err
}
