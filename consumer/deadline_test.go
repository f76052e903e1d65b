package consumer

import (
	"strings"
	"testing"
	"time"

	"faultd/statemachine"
)

func TestDeadlines_DefaultsAndSettings(t *testing.T) {
	var d Deadlines
	for _, text := range []string{"server.reboot=1m", "backup.backup=0", "attempt=10s"} {
		if err := d.Set(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		kind    statemachine.Kind
		action  statemachine.Action
		waiting bool
		want    time.Duration
	}{
		{statemachine.Server, statemachine.ActBuild, false, 30 * time.Minute},
		{statemachine.Server, statemachine.ActRebuild, false, 30 * time.Minute},
		{statemachine.Server, statemachine.ActResize, false, 15 * time.Minute},
		{statemachine.Server, statemachine.ActReboot, false, time.Minute},
		{statemachine.Image, statemachine.ActSnapshot, false, 2 * time.Hour},
		{statemachine.Export, statemachine.ActExport, false, 6 * time.Hour},
		{statemachine.Backup, statemachine.ActBackup, false, 0},
		{statemachine.Server, statemachine.ActBuild, true, 10 * time.Second},
	} {
		p := statemachine.Pending{Key: statemachine.Key{Kind: c.kind}, Action: c.action, Waiting: c.waiting}
		if got := d.after(&p); got != c.want {
			t.Errorf("%s.%s, waiting %v: %s, not %s", c.kind, c.action, c.waiting, got, c.want)
		}
	}
	for text, want := range map[string]string{
		"server.build": "KIND.ACTION=DURATION", "server.build=soon": "no duration", "server.build=-1s": "no duration",
		"image.reboot=1m": "no kind and action", "disk.build=1m": "no kind and action",
	} {
		if err := d.Set(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
