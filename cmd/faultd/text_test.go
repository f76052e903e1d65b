package main

import (
	"testing"
	"time"
)

func TestAge(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.FixedZone("", 3600))
	for want, d := range map[string]time.Duration{
		"2026-11-21T10:59:30Z (30s ago)": 30 * time.Second,
		"2026-11-21T10:30:00Z (30m ago)": 30 * time.Minute,
		"2026-11-21T01:00:00Z (10h ago)": 10 * time.Hour,
		"2026-11-11T11:00:00Z (10d ago)": 240 * time.Hour,
		"2026-11-21T11:00:10Z":           -10 * time.Second,
	} {
		if got := instant(now.Add(-d), now); got != want {
			t.Errorf("%s before is %q, want %q", d, got, want)
		}
	}
	if got := instant(time.Time{}, now); got != "-" {
		t.Errorf("a time that is not known is %q", got)
	}
}
