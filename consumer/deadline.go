package consumer

import (
	"fmt"
	"strings"
	"time"

	"faultd/statemachine"
)

// Deadlines say how long a job may be silent before faultd takes it for failed. The zero value is the default for
// everything.
type Deadlines struct {
	jobs    map[jobSort]time.Duration
	attempt *time.Duration
}

// jobSort is what a deadline is for.
type jobSort struct {
	kind   statemachine.Kind
	action statemachine.Action
}

// defaultAttempt is short: upstream often says nothing more after an attempt that failed.
const defaultAttempt = 2 * time.Minute

// defaultDeadline is how long a job may be silent where the operator says nothing.
func defaultDeadline(s jobSort) time.Duration {
	switch {
	case s.kind == statemachine.Server && (s.action == statemachine.ActBuild || s.action == statemachine.ActRebuild):
		return 30 * time.Minute
	case s.kind == statemachine.Server:
		return 15 * time.Minute
	case s.kind == statemachine.Image:
		return 2 * time.Hour
	default:
		return 6 * time.Hour
	}
}

// Set takes one deadline, written KIND.ACTION=DURATION, or attempt=DURATION for what follows a failed attempt. A
// duration of 0 is never.
func (d *Deadlines) Set(text string) error {
	name, value, found := strings.Cut(text, "=")
	if !found {
		return fmt.Errorf("%q: a deadline is written KIND.ACTION=DURATION or attempt=DURATION", text)
	}
	after, err := time.ParseDuration(value)
	if err != nil || after < 0 {
		return fmt.Errorf("%q: %q is no duration like 30m, or 0 for never", text, value)
	}
	if name == "attempt" {
		d.attempt = &after
		return nil
	}
	kindName, actionName, _ := strings.Cut(name, ".")
	kind, known := statemachine.ParseKind(kindName)
	action, ok := statemachine.ParseAction(actionName)
	if !known || !ok || !statemachine.Allowed(kind, action) {
		return fmt.Errorf("%q: there is no kind and action %q; an example is server.build", text, name)
	}
	if d.jobs == nil {
		d.jobs = map[jobSort]time.Duration{}
	}
	d.jobs[jobSort{kind, action}] = after
	return nil
}

// after is how long the job may be silent; 0 is for ever.
func (d *Deadlines) after(p *statemachine.Pending) time.Duration {
	if p.Waiting {
		if d.attempt != nil {
			return *d.attempt
		}
		return defaultAttempt
	}
	s := jobSort{p.Kind, p.Action}
	if after, ok := d.jobs[s]; ok {
		return after
	}
	return defaultDeadline(s)
}

// due is when the job has been silent for too long; the zero time is never.
func (d *Deadlines) due(p *statemachine.Pending) time.Time {
	after := d.after(p)
	if after == 0 {
		return time.Time{}
	}
	return p.Heard.Std().Add(after)
}
