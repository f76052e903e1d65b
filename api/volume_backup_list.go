package api

import (
	"slices"
	"strings"

	sm "faultd/statemachine"
)

// showVolumeBackup answers with one backup, in whatever status.
func showVolumeBackup(c *call) error {
	tenant, err := c.volumeScope()
	if err != nil {
		return err
	}
	r, err := c.resource(tenant, sm.Backup, c.args[0])
	if err != nil {
		return err
	}
	restoring, err := c.restoring(r.Tenant)
	if err != nil {
		return err
	}
	b, l := newVolumeBackup(&r, restoring), c.look()
	if c.xml {
		return c.document(volumeBackupXML(&b, l))
	}
	body := appendName(append(c.begin(), '{'), "backup")
	return c.document(append(appendVolumeBackup(body, &b, l), '}'))
}

// volumeQuery is what a list of backups is asked for.
type volumeQuery struct {
	sm.Query
	count     bool            // how many there are is to be told too
	restoring map[sm.Key]bool // backups that a restore reads
}

// volumePage is a page of backups as it is rendered.
type volumePage struct {
	backups []volumeBackup
	count   int    // of all pages; -1: not asked for
	next    string // the address of the next page, or ""
	detail  bool
}

// listVolumeBackups answers with a page of backups.
func listVolumeBackups(detail bool) handler {
	return func(c *call) error {
		q, err := c.volumeQuery()
		if err != nil {
			return err
		}
		found, next, err := c.list(q.Query)
		if err != nil {
			return err
		}
		page := volumePage{count: -1, detail: detail, next: next}
		for i := range found {
			page.backups = append(page.backups, newVolumeBackup(&found[i], q.restoring))
		}
		if q.count {
			if page.count, err = c.countVolumeBackups(&q); err != nil {
				return err
			}
		}
		if c.xml {
			return c.document(page.xml(c.look()))
		}
		return c.document(page.json(c.look()))
	}
}

// volumeQuery reads it. What may not be asked is refused before what was asked wrongly.
func (c *call) volumeQuery() (q volumeQuery, err error) {
	q.Kind = sm.Backup
	if q.Tenant, err = c.volumeScope(); err != nil {
		return q, err
	}
	var wrong [6]error
	var named func(*sm.Resource) bool
	q.Limit, wrong[0] = c.limit()
	q.ChangedSince, wrong[1] = c.changesSince()
	q.Statuses, wrong[2] = c.volumeStatuses()
	named, wrong[3] = c.nameMatch(sm.Backup)
	q.count, wrong[4] = c.flag("with_count")
	wrong[5] = c.newestFirst()
	if err = several(wrong[:]...); err != nil {
		return q, err
	}
	if q.restoring, err = c.restoring(q.Tenant); err != nil {
		return q, err
	}
	q.Match = c.volumeMatch(named, q.restoring)
	q.Marker, err = c.marker(q.Tenant, sm.Backup)
	return q, err
}

// volumeStatuses are the statuses among which are all that a list is asked for.
func (c *call) volumeStatuses() (statuses []sm.Status, err error) {
	for _, value := range c.params["status"] {
		of := volumeStatusesOf(strings.ToLower(value))
		if of == nil {
			return nil, badRequest("Invalid status value: %s", sm.Clip(value, maxName))
		}
		statuses = append(statuses, of...)
	}
	return statuses, nil
}

// volumeMatch is the condition on a backup beside its statuses, nil for none.
func (c *call) volumeMatch(named func(*sm.Resource) bool, restoring map[sm.Key]bool) func(*sm.Resource) bool {
	volume := c.param("volume_id")
	var words []string
	for _, value := range c.params["status"] {
		words = append(words, strings.ToLower(value))
	}
	if named == nil && volume == "" && words == nil {
		return nil
	}
	return func(r *sm.Resource) bool {
		return (named == nil || named(r)) &&
			(volume == "" || textAttribute(r.Attributes, "volume_id") == volume) &&
			(words == nil || slices.Contains(words, volumeWord(r, restoring)))
	}
}

// countVolumeBackups is how many a query finds without its marker and limit. Only under a condition is that to be found out.
func (c *call) countVolumeBackups(q *volumeQuery) (n int, err error) {
	if q.Match == nil && q.ChangedSince == 0 {
		for status, number := range c.h.store.Summary(q.Tenant)[sm.Backup] {
			if status != sm.Deleted {
				n += int(number)
			}
		}
		return n, nil
	}
	all := q.Query
	all.Marker, all.Limit = nil, 1
	all.Match = func(r *sm.Resource) bool { // which takes none, so that it is shown all
		if q.Match == nil || q.Match(r) {
			n++
		}
		return false
	}
	_, err = c.h.store.List(all)
	return n, err
}

// json is the document of a page of backups.
func (p *volumePage) json(l *look) []byte {
	render := appendVolumeBackupBrief
	if p.detail {
		render = appendVolumeBackup
	}
	dst := append(appendName(append(make([]byte, 0, 64+len(p.backups)*1024), '{'), "backups"), '[')
	for i := range p.backups {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = render(dst, &p.backups[i], l)
	}
	dst = append(dst, ']')
	if p.next != "" {
		dst = append(appendName(dst, "backups_links"), '[')
		dst = append(appendLink(dst, "next", p.next), ']')
	}
	if p.count >= 0 {
		dst = appendNumber(dst, "count", p.count)
	}
	return append(dst, '}')
}
