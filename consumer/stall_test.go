package consumer

import (
	"errors"
	"testing"
	"time"
)

func TestStall_Watch(t *testing.T) {
	var s stall
	at := func(second int) time.Time { return time.Unix(1_000_000+int64(second), 0) }
	for i, c := range []struct {
		position uint64
		waits    bool
		second   int
		want     time.Duration
	}{
		{10, false, 0, 0},
		{10, true, 3600, 0}, // what has just come has not waited for an hour
		{10, true, 3620, 20 * time.Second},
		{11, true, 3630, 0}, // it was applied, and the next one is there
		{11, true, 3635, 5 * time.Second},
		{11, false, 3640, 0}, // it is being applied
		{11, true, 3700, 0},
		{11, true, 3731, 31 * time.Second},
	} {
		if got := s.watch(c.position, c.waits, at(c.second)); got != c.want {
			t.Fatalf("step %d: %s, want %s", i, got, c.want)
		}
	}
}

// Another consumer, then another connection, then the end of the process; and once something was applied, from the
// beginning.
func TestRevive(t *testing.T) {
	conn, _ := connected(t)
	c := New(Config{})
	for range 2 {
		before := conn.Stats().Reconnects
		if err := c.revive(conn.Conn); err != nil || conn.Stats().Reconnects != before {
			t.Fatalf("first: %v, %d reconnects", err, conn.Stats().Reconnects-before)
		}
		if err := c.revive(conn.Conn); err != nil {
			t.Fatalf("second: %v", err)
		}
		for conn.Stats().Reconnects == before {
			<-conn.changed
		}
		if err := c.revive(conn.Conn); !errors.Is(err, ErrStalled) || !c.final(errors.Join(errStalled, err)) {
			t.Fatalf("third: %v", err)
		}
		c.stall.watch(c.stall.position+1, false, time.Now())
	}
}
