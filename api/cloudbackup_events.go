package api

import (
	"slices"
	"strconv"

	sm "faultd/statemachine"
)

// maxEvents is how many events are answered with if nothing else is said.
const maxEvents = 100

// listCloudEvents answers with what happened to a backup or restore. Who asks again with the marker of the link next
// gets what is new since.
func listCloudEvents(n *cloudBackupName) handler {
	return func(c *call) error {
		r, err := c.cloudBackup(n)
		if err != nil {
			return err
		}
		q, err := c.eventQuery()
		if err != nil {
			return err
		}
		rows, cut, err := c.history(r.Key)
		if err != nil {
			return err
		}
		if rows, err = q.page(rows, cut > 0); err != nil {
			return c.markerError(err)
		}
		body := append(appendName([]byte{'{'}, "events"), '[')
		for i := range rows {
			if i > 0 {
				body = append(body, ',')
			}
			body = appendCloudEvent(body, &r, &rows[i], n)
			q.after = max(q.after, rows[i].Sequence)
		}
		next := ""
		if q.after > 0 {
			next = c.nextAt(strconv.FormatUint(q.after, 10))
		}
		return c.json(append(appendNext(append(body, ']'), next), '}'))
	}
}

// eventQuery is which events are asked for: those behind one, and how many of them from which end.
type eventQuery struct {
	after  uint64
	newest bool // the newest first, else the oldest
	limit  int
}

func (c *call) eventQuery() (q eventQuery, err error) {
	var wrong [3]error
	q.limit, wrong[0] = c.limit()
	if !c.params.Has("limit") {
		q.limit = maxEvents
	}
	if c.params.Has("marker") {
		if q.after, err = strconv.ParseUint(c.param("marker"), 10, 64); err != nil || q.after == 0 {
			wrong[1] = c.markerError(sm.ErrUnknownMarker)
		}
	}
	switch dir := c.param("sort_dir"); dir {
	case "desc":
		q.newest = true
	case "", "asc":
	default:
		wrong[2] = badRequest("sort_dir must be asc or desc, not [%s]", sm.Clip(dir, maxName))
	}
	return q, several(wrong[:]...)
}

// page takes what is asked for out of a history, which has the newest first. Where something was cut out of that, a
// marker that names nothing may have named it.
func (q *eventQuery) page(rows []sm.Transition, cut bool) ([]sm.Transition, error) {
	if q.after > 0 && len(rows) > 0 {
		newer, known := slices.IndexFunc(rows, func(t sm.Transition) bool { return t.Sequence <= q.after }), cut
		if newer < 0 {
			newer = len(rows)
		} else {
			known = rows[newer].Sequence == q.after || cut && newer > 0
		}
		if !known {
			return nil, sm.ErrUnknownMarker
		}
		rows = rows[:newer]
	}
	if q.newest {
		return rows[:min(q.limit, len(rows))], nil
	}
	oldest := slices.Clone(rows[max(len(rows)-q.limit, 0):])
	slices.Reverse(oldest)
	return oldest, nil
}

// cloudEvent is what a line of history is called among events. A fault that left the state as it was, such as that
// of an attempt, is progress.
func cloudEvent(t *sm.Transition) string {
	switch {
	case t.To == sm.Error:
		return "failed"
	case t.To == sm.Cancelled:
		return "stopped"
	case t.To == sm.Deleted:
		return "deleted"
	case t.From == t.To:
		return "progress"
	case t.To == sm.Queued:
		return "queued"
	case t.To == sm.InProgress:
		return "in_progress"
	default:
		return "completed"
	}
}

func appendCloudEvent(dst []byte, r *sm.Resource, t *sm.Transition, n *cloudBackupName) []byte {
	dst = appendText(append(dst, '{'), "id", strconv.FormatUint(t.Sequence, 10))
	dst = appendTime(dst, "time", t.Time, micros)
	dst = appendText(dst, "event", n.one+"_"+cloudEvent(t))
	for _, name := range []string{"agent", "configuration"} {
		if id := cloudReference(r, name); id != "" {
			dst = append(appendText(append(appendName(dst, name), '{'), "id", id), '}')
		}
	}
	dst = append(appendText(append(appendName(dst, n.one), '{'), "id", r.ID), '}')
	if t.RequestID != "" {
		dst = appendText(dst, "request_id", t.RequestID)
	}
	if t.Fault != nil {
		dst = appendNumber(append(appendName(dst, "error"), '{'), "code", t.Fault.Code)
		dst = append(appendText(dst, "description", t.Fault.Message), '}')
	}
	return append(dst, '}')
}
