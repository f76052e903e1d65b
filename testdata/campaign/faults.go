package campaign

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"faultd/api"
	"faultd/consumer"
	sm "faultd/statemachine"
)

// toldWithin is how long the stream FAULTS may stand still before what is missing in it is missing.
const toldWithin = 10 * time.Second

// CheckFaults compares the stream FAULTS with what the log has to have told: the same ids, each once, in the same
// order, with the resource as it was. It waits for what is on its way.
func (m *Model) CheckFaults(t testing.TB, url string) {
	t.Helper()
	conn, err := nats.Connect(url, nats.Timeout(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	stream := m.awaitFaults(t, js)
	if stream == nil {
		return
	}
	c := comparison{model: m, places: map[string]int{}}
	for i := range m.Tellings {
		c.places[TellingID(&m.Tellings[i])] = i
	}
	eachMessage(t, stream, 1, func(msg consumer.Message) { c.take(t, msg) })
	c.finish(t)
}

// awaitFaults returns the stream when it holds as much as it must.
func (m *Model) awaitFaults(t testing.TB, js jetstream.JetStream) jetstream.Stream {
	t.Helper()
	var had uint64
	for patience := time.Now().Add(toldWithin); ; time.Sleep(20 * time.Millisecond) {
		stream, err := js.Stream(t.Context(), "FAULTS")
		switch {
		case err == nil:
			n := stream.CachedInfo().State.Msgs
			if n >= uint64(len(m.Tellings)) {
				return stream
			}
			if n > had {
				had, patience = n, time.Now().Add(toldWithin)
			}
		case errors.Is(err, jetstream.ErrStreamNotFound) && len(m.Tellings) == 0:
			return nil
		}
		if time.Now().After(patience) {
			if stream == nil {
				m.Lost += len(m.Tellings)
				t.Errorf("stream FAULTS: %v", err)
			}
			return stream
		}
	}
}

// comparison goes through FAULTS.
type comparison struct {
	model  *Model
	places map[string]int // in the model's list, by id
	seen   map[string]bool
	next   int
	wrong  int
}

func (c *comparison) problem(t testing.TB, format string, args ...any) {
	t.Helper()
	if c.wrong++; c.wrong <= 5 {
		t.Errorf("FAULTS: "+format, args...)
	}
}

// take compares one message.
func (c *comparison) take(t testing.TB, msg consumer.Message) {
	t.Helper()
	var event struct {
		ID, Type string
		Data     struct {
			Resource, Fault json.RawMessage
			Previous        string `json:"previous_status"`
		}
	}
	if err := json.Unmarshal(msg.Data, &event); err != nil {
		c.problem(t, "message %d: %v", msg.Sequence, err)
		return
	}
	place, known := c.places[event.ID]
	switch {
	case !known:
		c.model.Twice++
		c.problem(t, "message %d on %s is none that the log has: %s", msg.Sequence, msg.Subject, msg.Data)
		return
	case c.seen[event.ID]:
		c.model.Twice++
		c.problem(t, "message %d on %s stands there twice", msg.Sequence, msg.Subject)
		return
	case place < c.next:
		c.problem(t, "message %d on %s is behind a later one", msg.Sequence, msg.Subject)
	}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.seen[event.ID], c.next = true, max(c.next, place+1)
	want := &c.model.Tellings[place]
	what := raisedOrCleared(want)
	if subject := fmt.Sprintf("faults.%s.%s.%s.%s", want.Resource.Tenant, want.Resource.Kind, want.Resource.ID, what); msg.Subject != subject ||
		event.Type != "io.faultd.v1.fault."+what || event.Data.Previous != want.Previous.String() {
		c.problem(t, "message %d is %s on %s behind %s, not %s behind %s", msg.Sequence, event.Type, msg.Subject, event.Data.Previous, subject, want.Previous)
	}
	if shown := api.Render(&want.Resource, false); !bytes.Equal(event.Data.Resource, shown) {
		c.problem(t, "message %d shows\n%s\nnot\n%s", msg.Sequence, event.Data.Resource, shown)
	}
	if shown := api.RenderFault(want.Fault); !bytes.Equal(event.Data.Fault, shown) {
		c.problem(t, "message %d has the fault\n%s\nnot\n%s", msg.Sequence, event.Data.Fault, shown)
	}
	position := fmt.Sprintf("%s/%s/%d", c.model.Position.Stream, want.Epoch.Std().Format(time.RFC3339Nano), want.Sequence)
	if has := nats.Header(msg.Header).Get("Faultd-Position"); has != position {
		c.problem(t, "message %d is of position %s, not %s", msg.Sequence, has, position)
	}
}

func (c *comparison) finish(t testing.TB) {
	t.Helper()
	for i := range c.model.Tellings {
		want := &c.model.Tellings[i]
		if !c.seen[TellingID(want)] {
			c.model.Lost++
			c.problem(t, "what message %d of the log %s for %v is not told", want.Sequence, raisedOrCleared(want), want.Resource.Key)
		}
	}
	if c.wrong > 5 {
		t.Errorf("FAULTS: %d things are wrong", c.wrong)
	}
}

func raisedOrCleared(t *sm.Telling) string {
	if t.Raised {
		return "raised"
	}
	return "cleared"
}

// TellingID is the id that a telling has in FAULTS, drawn anew from what it must depend on.
func TellingID(t *sm.Telling) string {
	h := sha256.New()
	for _, part := range []string{strconv.FormatInt(int64(t.StreamTime), 10), strconv.FormatUint(t.Sequence, 10), t.Resource.Tenant,
		t.Resource.Kind.String(), t.Resource.ID, raisedOrCleared(t)} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
