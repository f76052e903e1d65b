package api

import (
	sm "faultd/statemachine"
)

// showReport answers with what a migration came to, once it has ended.
func showReport(c *call) error {
	r, err := c.managed(managedMigration, c.args[0])
	if err != nil {
		return err
	}
	j := ownJob(&r)
	if j == nil || !j.Phase.End() {
		return refusal("143", r.ID)
	}
	rows, err := within(c, func() (rows []sm.Transition, err error) {
		rows, _, err = c.history(r.Key)
		return rows, err
	})
	if err != nil {
		return err
	}
	return c.json(appendReport(c.begin(), &r, j, rows, c.admin()))
}

// appendReport appends the report of a migration: its outcome, its times, what went wrong in all and for each
// provider and attempt, how it went, newest first, and the report that its producer gave, if it did.
func appendReport(dst []byte, r *sm.Resource, j *sm.Job, rows []sm.Transition, admin bool) []byte {
	dst = appendManagedHead(append(dst, '{'), r, managedMigration)
	dst = appendTime(dst, "createdAt", r.Created, millis)
	dst = appendTime(dst, "startedAt", j.Started, millis)
	dst = appendTime(dst, "endedAt", j.Ended, millis)
	dst = appendText(dst, "outcome", j.Phase.String())
	if j.Fault != nil {
		dst = append(appendReportFault(append(appendName(dst, "fault"), '{'), j.Fault, admin), '}')
	}
	dst = appendReportParts(dst, j, admin)
	dst = append(appendName(dst, "history"), '[')
	for i := range rows {
		t := &rows[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendTime(append(dst, '{'), "time", t.Time, millis)
		dst = appendText(dst, "from", managedStatuses[t.From])
		dst = appendText(dst, "to", managedStatuses[t.To])
		if t.Fault != nil {
			dst = appendReportFault(dst, t.Fault, admin)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	for name, value := range members(r.Attributes) {
		if string(name) == "report" {
			dst = append(appendName(dst, "report"), value...)
		}
	}
	return append(dst, '}')
}

// appendReportParts appends what attempts and providers came to.
func appendReportParts(dst []byte, j *sm.Job, admin bool) []byte {
	dst = append(appendName(dst, "attempts"), '[')
	for i, a := range j.Attempts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendReportFault(appendNumber(append(dst, '{'), "number", a.Number), a.Fault, admin), '}')
	}
	dst = append(appendName(append(dst, ']'), "providers"), '[')
	for i := range j.Providers {
		p := &j.Providers[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, '{'), "name", p.Name)
		dst = appendTextOrNull(dst, "outcome", p.Phase.String())
		if p.Fault != nil {
			dst = appendReportFault(dst, p.Fault, admin)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendReportFault appends a fault with all that the reader may see of it.
func appendReportFault(dst []byte, f *sm.Fault, admin bool) []byte {
	dst = appendManagedFault(dst, f)
	if details := details(f, admin); details != "" {
		dst = appendText(dst, "errorDetails", details)
	}
	return appendTime(dst, "failedAt", f.Created, millis)
}
