package alert

import (
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// desk is where the events of a hook lie while this replica sends: from when it has the lease until it has it no more. Only the
// goroutine of run uses it; requests go on in others and come back as outcomes.
type desk struct {
	w     *worker
	hook  *Hook
	pace  *pace
	log   zerolog.Logger
	feed  *feed
	lease *lease

	stream  int64           // that the feed reads
	items   map[seqID]*item // handed out, and neither acknowledged nor kept by the bucket
	settled map[seqID]bool  // acknowledged; one that is handed out again is acknowledged again
	bytes   int             // of items

	behind bool // events may be missing that are older than those in late
	since  time.Time
	late   []*item // what came meanwhile

	chains   map[string]*chain // by resource
	groups   *groups[*item]
	flapping *flapping
	agenda   agenda

	ready    []*delivery // in the order in which they are to be sent
	flying   int         // requests that are under way
	owed     int         // deliveries that failed and are to be tried again
	quiet    time.Time   // until when the receiver wants to be left alone
	outcomes chan outcome
	messages map[string]*delivery // by id: all that are not finished
	leaving  map[string]bool      // ids of messages that are to be removed from the bucket
	unknown  map[string]bool      // ids of messages that the bucket had and the desk did not know
	ended    bool                 // nothing more is sent
	gone     func(why error)
}

// seqID is an event's place: when the stream was made, and the sequence in it.
type seqID struct {
	stream   int64
	sequence uint64
}

// item is an event on the desk.
type item struct {
	ev       Event
	bad      bool          // it cannot be read
	msg      jetstream.Msg // nil for a reminder
	seq      seqID
	stored   time.Time // when the stream took it
	flapping bool
	reminder bool
}

// delivery is a message on its way.
type delivery struct {
	m     *message
	items []*item // to be acknowledged when it is delivered; none where the bucket has it
	keys  []string
	kept  bool // the bucket has it
	rec   record
	owed  bool // it waits for its next attempt
}

func newDesk(w *worker, l *lease, f *feed) *desk {
	h := w.hook
	return &desk{w: w, hook: h, pace: w.a.cfg.pace, log: w.log, feed: f, lease: l,
		items: map[seqID]*item{}, settled: map[seqID]bool{}, chains: map[string]*chain{},
		groups: newGroups[*item](h.GroupWait, h.GroupInterval, maxGroup), flapping: newFlapping(w.a.cfg.pace),
		behind: true, since: time.Now(), outcomes: make(chan outcome), messages: map[string]*delivery{}, leaving: map[string]bool{}}
}

// run works until the context ends, and then until the requests have ended that are under way; work is theirs.
func (d *desk) run(ctx, work context.Context, reminders <-chan *item, found <-chan []*record) {
	alive := time.NewTicker(d.pace.ackWait / 3)
	defer alive.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		d.send(ctx, work)
		d.tell()
		timer.Reset(time.Until(d.next()))
		in := d.feed.out
		if d.full() {
			in = nil
		}
		select {
		case <-ctx.Done():
			d.end(work)
			return
		case h := <-in:
			d.take(h)
		case it := <-reminders:
			d.admit(it)
		case all := <-found:
			d.adopt(all)
		case o := <-d.outcomes:
			d.settle(o)
		case <-timer.C:
		case <-alive.C:
			d.keepAlive()
		}
		d.advance(time.Now())
	}
}

// full tells whether no more is to be read before something is settled: FAULTS keeps it.
func (d *desk) full() bool {
	return !d.behind && (d.owed >= maxUnsettled || d.bytes >= maxBytes)
}

// next is when something is to be done that nothing else brings about.
func (d *desk) next() time.Time {
	next := d.groups.next()
	if len(d.agenda) > 0 && d.agenda[0].at.Before(next) {
		next = d.agenda[0].at
	}
	if len(d.ready) > 0 && d.flying < maxRequests && time.Now().Before(d.quiet) && d.quiet.Before(next) {
		next = d.quiet
	}
	return next
}

// take takes what the feed brings.
func (d *desk) take(h handout) {
	defer close(h.taken)
	if h.stream != d.stream && h.stream != 0 {
		d.moved(h.stream)
	}
	if h.replay {
		clear(d.settled)
	}
	if h.disorder && !d.behind {
		d.behind, d.since = true, time.Now()
	}
	var fresh []*item
	for _, it := range h.items {
		if d.receive(it) {
			fresh = append(fresh, it)
		}
	}
	d.admit(fresh...)
	if d.behind && h.waiting >= 0 {
		d.order(h.waiting)
	}
}

// moved notes that the stream is another one: what was handed out of the old one is sent all the same, and nobody is to be told
// that it was.
func (d *desk) moved(stream int64) {
	d.stream = stream
	clear(d.settled)
}

// receive puts an event on the desk, unless it is there, and tells whether it may go on.
func (d *desk) receive(it *item) bool {
	if d.items[it.seq] != nil {
		return false // the server takes the answer to any time that it was handed out
	}
	if it.bad {
		d.w.a.metrics.count(d.hook.Name, unreadable, 1)
	}
	if it.bad || d.settled[it.seq] {
		_ = it.msg.Ack()
		return false
	}
	d.items[it.seq] = it
	d.bytes += len(it.ev.Body)
	if d.behind {
		d.late = append(d.late, it)
	}
	return !d.behind
}

// order goes on once the desk has all that was handed out and not acknowledged: whatever comes later is newer. Should the server
// never hand out what it counts, it goes on without.
func (d *desk) order(waiting int) {
	here := 0
	for seq := range d.items {
		if seq.stream == d.stream {
			here++
		}
	}
	if waiting > here && time.Since(d.since) < 2*d.pace.ackWait {
		return
	}
	if waiting > here {
		d.log.Warn().Int("missing", waiting-here).Msg("events that were handed out do not come again; what follows them is sent now")
	}
	d.behind = false
	d.feed.ordered.Store(true)
	late := d.late
	d.late = nil
	slices.SortFunc(late, func(a, b *item) int { return a.seq.compare(b.seq) })
	d.admit(late...)
}

func (a seqID) compare(b seqID) int {
	switch {
	case a.stream != b.stream:
		return int(min(max(a.stream-b.stream, -1), 1))
	case a.sequence < b.sequence:
		return -1
	default:
		return 1
	}
}

// acknowledge settles an event.
func (d *desk) acknowledge(it *item) {
	d.forgetItem(it)
	if it.msg != nil {
		_ = it.msg.Ack()
	}
}

func (d *desk) forgetItem(it *item) {
	if d.items[it.seq] != nil && it.msg != nil {
		delete(d.items, it.seq)
		d.bytes -= len(it.ev.Body)
		d.remember(it.seq)
	}
}

// remember keeps in mind that an event is settled, within reason: where a lost acknowledgement is forgotten, the event is sent
// once more.
func (d *desk) remember(seq seqID) {
	if seq.stream != d.stream {
		return
	}
	if len(d.settled) >= 10*maxUnsettled {
		clear(d.settled)
	}
	d.settled[seq] = true
}

// dispatch makes a message of events and gets it ready to be sent.
func (d *desk) dispatch(items []*item) {
	events := make([]Event, len(items))
	reminder, flapping := true, false
	for i, it := range items {
		events[i] = it.ev
		reminder, flapping = reminder && it.reminder, flapping || it.flapping
	}
	v := &delivery{m: newMessage(d.hook, events), items: items}
	v.m.Reminder, v.m.Flapping = reminder, flapping
	d.occupy(v)
	d.ready = append(d.ready, v)
}

// occupy lets what is newer of a message's resources wait for it.
func (d *desk) occupy(v *delivery) {
	d.messages[v.m.ID] = v
	v.keys = keysOf(v.m)
	for _, key := range v.keys {
		c := d.chain(key)
		c.busy++
		c.current, c.group = v, ""
	}
}

// keysOf are the resources that a message tells of, each once.
func keysOf(m *message) (keys []string) {
	seen := make(map[string]bool, len(m.Events))
	for i := range m.Events {
		if key := m.Events[i].Key(); !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

// at notes what is to be done then.
func (d *desk) at(when time.Time, do func()) { heap.Push(&d.agenda, task{when, do}) }

// advance does what is due.
func (d *desk) advance(now time.Time) {
	for len(d.agenda) > 0 && !now.Before(d.agenda[0].at) {
		heap.Pop(&d.agenda).(task).do()
	}
	if d.groups.size >= maxGroup/10 && (len(d.items) >= maxUnsettled*3/4 || d.bytes >= maxBytes/2) {
		d.groups.hurry(now) // the server hands out no more where so many wait for an answer
	}
	for _, due := range d.groups.take(now) {
		d.dispatch(due.members)
	}
}

// keepAlive tells the server that what it handed out is still worked on.
func (d *desk) keepAlive() {
	for seq, it := range d.items {
		if seq.stream == d.stream {
			_ = it.msg.InProgress()
		}
	}
}
