package api

import (
	"cmp"
	"errors"
	"slices"

	sm "faultd/statemachine"
)

// showVolumeMessage answers with one message, which its id leads to.
func showVolumeMessage(c *call) error {
	tenant, err := c.volumeScope()
	if err != nil {
		return err
	}
	change, ok, err := c.messageByID(tenant, c.args[0])
	switch {
	case err != nil:
		return err
	case !ok:
		return &problem{status: notFound.status, message: "Message " + sm.Clip(c.args[0], maxName) + " could not be found."}
	}
	m, l := newVolumeMessage(&change, c.h.retention), c.look()
	if c.xml {
		return c.document(volumeMessageXML(&m, l))
	}
	body := appendName(append(c.begin(), '{'), "message")
	return c.document(append(appendVolumeMessage(body, &m, l), '}'))
}

// messageByID finds what a message is made of among those of a tenant, or of all for "".
func (c *call) messageByID(tenant, id string) (change sm.Change, ok bool, err error) {
	sequence := messageSequence(id)
	if sequence == 0 {
		return change, false, nil
	}
	found, err := c.h.store.Messages(tenant, sequence+1, 1)
	if err != nil || len(found) == 0 {
		return change, false, err
	}
	return found[0], messageID(&found[0].Key, found[0].Sequence) == id, nil
}

// messageQuery is what a list of messages is asked for.
type messageQuery struct {
	tenant  string
	limit   int
	before  uint64            // the sequence behind which the page begins, 0: from the newest
	filters map[string]string // by the member that is to have that value
}

// messageFilters are the members by which messages can be asked for.
var messageFilters = map[string]func(*volumeMessage) string{
	"resource_uuid": func(m *volumeMessage) string { return m.resource },
	"resource_type": func(m *volumeMessage) string { return m.kind },
	"event_id":      func(m *volumeMessage) string { return m.event },
	"request_id":    func(m *volumeMessage) string { return m.request },
	"message_level": func(m *volumeMessage) string { return m.level },
}

func (q *messageQuery) match(m *volumeMessage) bool {
	for name, value := range q.filters {
		if messageFilters[name](m) != value {
			return false
		}
	}
	return true
}

// listVolumeMessages answers with a page of messages, the newest first.
func listVolumeMessages(c *call) error {
	q, err := c.messageQuery()
	if err != nil {
		return err
	}
	read := c.readMessages
	if q.filters["resource_uuid"] != "" {
		read = c.readMessagesOf
	}
	var page messagePage
	if page.messages, err = read(&q); err != nil {
		return err
	}
	if len(page.messages) == q.limit {
		page.next = c.nextAt(page.messages[q.limit-1].id)
	}
	if c.xml {
		return c.document(page.xml(c.look()))
	}
	return c.document(page.json(c.look()))
}

func (c *call) messageQuery() (q messageQuery, err error) {
	if q.tenant, err = c.volumeScope(); err != nil {
		return q, err
	}
	var wrong [2]error
	q.limit, wrong[0] = c.limit()
	wrong[1] = c.newestFirst()
	if err = several(wrong[:]...); err != nil {
		return q, err
	}
	q.filters = map[string]string{}
	for name := range messageFilters {
		if value := c.param(name); value != "" {
			q.filters[name] = value
		}
	}
	if !c.params.Has("marker") {
		return q, nil
	}
	change, ok, err := c.messageByID(q.tenant, c.param("marker"))
	switch {
	case err != nil:
		return q, err
	case !ok:
		return q, c.markerError(sm.ErrUnknownMarker)
	}
	q.before = change.Sequence
	return q, nil
}

// readMessages looks for a page among all messages, from the newest on.
func (c *call) readMessages(q *messageQuery) (page []volumeMessage, err error) {
	step := q.limit
	if len(q.filters) > 0 {
		step = maxPage
	}
	for before := q.before; ; {
		changes, err := c.h.store.Messages(q.tenant, before, step)
		if err != nil {
			return nil, err
		}
		for i := range changes {
			if m := newVolumeMessage(&changes[i], c.h.retention); q.match(&m) {
				if page = append(page, m); len(page) == q.limit {
					return page, nil
				}
			}
		}
		if len(changes) < step {
			return page, nil
		}
		if err := c.r.Context().Err(); err != nil {
			return nil, err
		}
		before = changes[len(changes)-1].Sequence
	}
}

// readMessagesOf reads those of one id from its history. Several kinds, and tenants, may have a resource of that id.
func (c *call) readMessagesOf(q *messageQuery) (page []volumeMessage, err error) {
	id := q.filters["resource_uuid"]
	if !validName(id) {
		return nil, nil
	}
	for _, kind := range sm.Kinds {
		found, err := c.h.store.Find(kind, id)
		if err != nil {
			return nil, err
		}
		for i := range found {
			if q.tenant != "" && found[i].Tenant != q.tenant {
				continue
			}
			if page, err = c.appendHistory(page, found[i].Key, q); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(page, func(a, b volumeMessage) int { return cmp.Compare(b.sequence, a.sequence) })
	return page[:min(len(page), q.limit)], nil
}

// appendHistory appends what a resource's history has for a query.
func (c *call) appendHistory(page []volumeMessage, key sm.Key, q *messageQuery) ([]volumeMessage, error) {
	rows, _, err := c.h.store.History(key)
	if err != nil && !errors.Is(err, sm.ErrNotFound) {
		return nil, err
	}
	for i := range rows {
		if rows[i].Fault == nil || q.before != 0 && rows[i].Sequence >= q.before {
			continue
		}
		if m := newVolumeMessage(&sm.Change{Key: key, Transition: rows[i]}, c.h.retention); q.match(&m) {
			page = append(page, m)
		}
	}
	return page, nil
}

// messagePage is a page of messages as it is rendered.
type messagePage struct {
	messages []volumeMessage
	next     string // the address of the next page, or ""
}

// json is the document of a page of messages.
func (p *messagePage) json(l *look) []byte {
	dst := append(appendName(append(make([]byte, 0, 64+len(p.messages)*768), '{'), "messages"), '[')
	for i := range p.messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendVolumeMessage(dst, &p.messages[i], l)
	}
	dst = append(dst, ']')
	if p.next != "" {
		dst = append(appendName(dst, "messages_links"), '[')
		dst = append(appendLink(dst, "next", p.next), ']')
	}
	return append(dst, '}')
}
