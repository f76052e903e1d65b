package api

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	sm "faultd/statemachine"
)

// ownRoutes are the paths of /v1.
var ownRoutes = routes{
	to("resources", listResources),
	to("resources/{}/{}", showResource),
	to("resources/{}/{}/history", showHistory),
	to("faults", listFaults),
	to("faults/groups", listGroups).openTo(operators),
	to("summary", showSummary),
	to("rejected", listRejected).openTo(operators),
	to("position", showPosition).openTo(administrators),
	to("stream", followChanges, "text/event-stream"),
	to("hooks", listHooks).openTo(operators),
	to("hooks/{}/dead", listDead).openTo(operators),
	to("hooks/{}/test", testHook).openTo(operators).byPost(),
	to("hooks/{}/redeliver", redeliver).openTo(operators).byPost(),
	to("hooks/{}/replay", replayHook).openTo(operators).byPost(),
	to("snapshot", sendSnapshot, "*/*").openTo(operators),
}

func listResources(c *call) error {
	q, err := c.ownQuery()
	if err != nil {
		return err
	}
	page, err := c.h.store.List(q)
	if err != nil {
		return c.markerError(err)
	}
	return c.resources("resources", page, q.Limit)
}

// listFaults answers with what is in ERROR now, the newest fault first.
func listFaults(c *call) error {
	tenant, err := c.scope(c.param("tenant"))
	if err != nil {
		return err
	}
	limit, err := c.limit()
	if err != nil {
		return err
	}
	marker, err := c.marker(tenant, 0)
	if err != nil {
		return err
	}
	page, err := c.h.store.Faults(tenant, marker, limit)
	if err != nil {
		return c.markerError(err)
	}
	return c.resources("faults", page, limit)
}

// resources replies with a page of resources.
func (c *call) resources(name string, page []sm.Resource, limit int) error {
	body := append(appendName(append(make([]byte, 0, 64+len(page)*768), '{'), name), '[')
	shared := c.sharedVaults()
	for i := range page {
		if i > 0 {
			body = append(body, ',')
		}
		r := &page[i]
		body = appendResource(body, r, diagnose(r, shared(r)), c.admin())
	}
	next := ""
	if len(page) == limit {
		last := &page[len(page)-1]
		next = c.nextAt(last.Tenant + "/" + last.Kind.String() + "/" + last.ID)
	}
	return c.json(append(appendNext(append(body, ']'), next), '}'))
}

// appendNext appends the links of a page as a member; next is "" where there is none.
func appendNext(dst []byte, next string) []byte {
	dst = append(appendName(dst, "links"), '[')
	if next != "" {
		dst = appendLink(dst, "next", next)
	}
	return append(dst, ']')
}

// ownQuery reads what /v1/resources can be asked for.
func (c *call) ownQuery() (q sm.Query, err error) {
	if q.Kind, err = c.kind(); err != nil {
		return q, err
	}
	if q.Tenant, err = c.scope(c.param("tenant")); err != nil {
		return q, err
	}
	if q.Limit, err = c.limit(); err != nil {
		return q, err
	}
	if q.ChangedSince, err = c.changesSince(); err != nil {
		return q, err
	}
	for _, value := range c.params["status"] {
		s, ok := sm.ParseStatus(strings.ToUpper(value))
		if !ok || !hasStatus(q.Kind, s) {
			return q, badRequest("status must be a status of that kind, not [%s]", sm.Clip(value, maxName))
		}
		q.Statuses = append(q.Statuses, s)
	}
	if err = c.codes(&q); err != nil {
		return q, err
	}
	q.Marker, err = c.marker(q.Tenant, q.Kind)
	return q, err
}

// kind reads the kind that is asked for; 0 is not said.
func (c *call) kind() (sm.Kind, error) {
	if !c.params.Has("kind") {
		return 0, nil
	}
	kind, ok := sm.ParseKind(c.param("kind"))
	if !ok {
		return 0, badRequest("kind must be one of %v, not [%s]", sm.Kinds, sm.Clip(c.param("kind"), maxName))
	}
	return kind, nil
}

// codes reads the codes of faults that are asked for: one as 404, all of a class as 5xx. Only what has a fault has
// a code, so a query that names no statuses looks at no others.
func (c *call) codes(q *sm.Query) error {
	var spans [][2]int
	for _, value := range c.params["code"] {
		from, to, ok := parseCode(value)
		if !ok {
			return badRequest("code must be a number from 400 to 599, 4xx or 5xx, not [%s]", sm.Clip(value, maxName))
		}
		spans = append(spans, [2]int{from, to})
	}
	if len(spans) == 0 {
		return nil
	}
	if len(q.Statuses) == 0 {
		q.Statuses = []sm.Status{sm.Error}
		if q.ChangedSince != 0 {
			q.Statuses = append(q.Statuses, sm.Deleted)
		}
	}
	q.Match = func(r *sm.Resource) bool {
		return r.Fault != nil && slices.ContainsFunc(spans, func(s [2]int) bool { return s[0] <= r.Fault.Code && r.Fault.Code <= s[1] })
	}
	return nil
}

func parseCode(s string) (from, to int, ok bool) {
	switch strings.ToLower(s) {
	case "4xx":
		return 400, 499, true
	case "5xx":
		return 500, 599, true
	}
	n, err := strconv.Atoi(s)
	return n, n, err == nil && n >= 400 && n <= 599
}

// ownResource finds the resource that the path names.
func (c *call) ownResource() (r sm.Resource, err error) {
	kind, ok := sm.ParseKind(c.args[0])
	if !ok {
		return r, notFound
	}
	tenant, err := c.scope(c.param("tenant"))
	if err != nil {
		return r, err
	}
	return c.resource(tenant, kind, c.args[1])
}

func showResource(c *call) error {
	r, err := c.ownResource()
	if err != nil {
		return err
	}
	d := diagnose(&r, c.sharedVaults()(&r))
	return c.tagged(appendResource(c.begin(), &r, d, c.admin()))
}

func showHistory(c *call) error {
	r, err := c.ownResource()
	if err != nil {
		return err
	}
	rows, cut, err := c.h.store.History(r.Key)
	if err != nil {
		return err
	}
	body := append(appendName([]byte{'{'}, "history"), '[')
	for i := range rows {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(appendTransition(append(body, '{'), &rows[i], c.admin()), '}')
	}
	body = appendNumber(append(body, ']'), "cut", cut)
	return c.tagged(append(body, '}'))
}

func showSummary(c *call) error {
	tenant, err := c.scope(c.param("tenant"))
	if err != nil {
		return err
	}
	counts := c.h.store.Summary(tenant)
	body := []byte{'{'}
	for _, kind := range sm.Kinds {
		body = append(appendName(body, kind.String()), '{')
		for _, status := range kind.Statuses() {
			if n := counts[kind][status]; n > 0 {
				body = appendNumber(body, status.String(), n)
			}
		}
		body = append(body, '}')
	}
	return c.json(append(body, '}'))
}

// listRejected answers with messages that were rejected, newest first. The marker is a sequence.
func listRejected(c *call) error {
	limit, err := c.limit()
	if err != nil {
		return err
	}
	var before uint64
	if c.params.Has("marker") {
		if before, err = strconv.ParseUint(c.param("marker"), 10, 64); err != nil || before == 0 {
			return badRequest("marker must be the sequence of a message, not [%s]", sm.Clip(c.param("marker"), maxName))
		}
	}
	rows, err := c.h.store.Rejected(before, limit)
	if err != nil {
		return err
	}
	body := append(appendName([]byte{'{'}, "rejected"), '[')
	for i := range rows {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendRejection(body, &rows[i])
	}
	next := ""
	if len(rows) == limit {
		next = c.nextAt(strconv.FormatUint(rows[len(rows)-1].Sequence, 10))
	}
	return c.json(append(appendNext(append(body, ']'), next), '}'))
}

func appendRejection(dst []byte, r *sm.Rejection) []byte {
	dst = appendNumber(append(dst, '{'), "sequence", r.Sequence)
	dst = appendText(dst, "subject", r.Subject)
	dst = appendTime(dst, "time", r.StreamTime, precise)
	dst = appendText(dst, "reason", r.Reason.String())
	dst = appendText(dst, "error", r.Detail)
	dst = appendNumber(dst, "size", r.Size)
	dst = append(appendName(dst, "data"), '"')
	dst = base64.StdEncoding.AppendEncode(dst, r.Data)
	return append(dst, '"', '}')
}
