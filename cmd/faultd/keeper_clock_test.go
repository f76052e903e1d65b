package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A clock that was ahead once makes nobody wait until it is reached, and does not make the old copies the newest for ever.
func TestKeeper_ClockWasAhead(t *testing.T) {
	db, k := keptStore(t, 2)
	for second := int64(5); second < 7; second++ {
		moveTo(t, db, second)
		k.once(t.Context())
	}
	ahead := time.Now().AddDate(4, 0, 0)
	for _, name := range k.names(t) {
		if err := os.Chtimes(filepath.Join(k.dir, name), ahead, ahead); err != nil {
			t.Fatal(err)
		}
	}
	k.every = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	moveTo(t, db, 7)
	go func() {
		for ctx.Err() == nil && counted(t, k, "made") < 3 {
			time.Sleep(20 * time.Millisecond)
		}
		cancel()
	}()
	k.run(ctx)
	if counted(t, k, "made") != 3 {
		t.Errorf("%v were made: %v", counted(t, k, "made"), k.names(t))
	}
}
