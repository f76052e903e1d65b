package api

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	sm "faultd/statemachine"
)

// managedName is what the backup management API calls a kind.
type managedName struct {
	kind sm.Kind
	many string // of the collection
	id   string // the member that holds its id
	job  string // in messages
	// missing is the code for an id that names none.
	missing string
	// needsBackup: it is nothing without a backup that it was made of.
	needsBackup bool
}

var (
	managedBackup    = &managedName{kind: sm.Backup, many: "backups", id: "backupId", job: "BACKUP", missing: "108"}
	managedExport    = &managedName{kind: sm.Export, many: "exports", id: "exportId", job: "EXPORT", missing: "110", needsBackup: true}
	managedImport    = &managedName{kind: sm.Import, many: "imports", id: "importId", job: "IMPORT", missing: "110", needsBackup: true}
	managedRestore   = &managedName{kind: sm.Restore, many: "restores", id: "restoreId", job: "RESTORE", missing: "120"}
	managedMigration = &managedName{kind: sm.Migration, many: "migrations", id: "migrationId", job: "MIGRATION", missing: "110"}
)

// managementRoutes are the paths below an organization and a cloud.
var managementRoutes = func() routes {
	all := routes{
		to("backups/{}/export", showNewestExport),
		to("migrations/{}/report", showReport),
		to("policies/**", nil),
	}
	for _, n := range []*managedName{managedBackup, managedExport, managedImport, managedRestore, managedMigration} {
		all = append(all, to(n.many, listManaged(n)), to(n.many+"/{}", showManaged(n)))
	}
	return all
}()

// managementElsewhere are those below an organization alone.
var managementElsewhere = routes{to("policies/**", nil), to("storages/**", nil)}

// serveManagement takes the version, the organization and the cloud off a path before it routes the rest.
func serveManagement(c *call, path []string) error {
	switch {
	case blank(path):
		return notFound
	case path[0] == "v2":
		return notImplemented
	case path[0] != "v1" || len(path) < 4 || path[1] != "orgs" || !validName(path[2]):
		return notFound
	}
	c.tenant, path = path[2], path[3:]
	if len(path) < 2 || path[0] != "clouds" {
		return managementElsewhere.serve(c, path)
	}
	cloud, path := path[1], path[2:]
	if cloud == "" || len(cloud) > maxName {
		return notFound
	}
	rt := managementRoutes.find(path, &c.args)
	if rt == nil {
		return notFound
	}
	c.args[1] = cloud
	return rt.follow(c)
}

// cloud is the one that the path of a managed resource names.
func (c *call) cloud() string { return c.args[1] }

// notThere says that an id names no resource of the kind.
func (n *managedName) notThere(id string) error {
	id = sm.Clip(id, maxName)
	if n.missing == "110" {
		return refusal("110", n.job, id)
	}
	return refusal(n.missing, id)
}

// managed finds a resource of the organization, and sees that it is the cloud's.
func (c *call) managed(n *managedName, id string) (r sm.Resource, err error) {
	tenant, err := c.scope("")
	if err != nil {
		return r, err
	}
	if !validName(id) {
		return r, n.notThere(id)
	}
	key := sm.Key{Tenant: tenant, Kind: n.kind, ID: id}
	r, ok := c.h.store.Recent(key)
	if !ok {
		r, err = within(c, func() (sm.Resource, error) { return c.h.store.Resource(key) })
	}
	if errors.Is(err, sm.ErrNotFound) {
		return r, n.notThere(id)
	}
	if err != nil {
		return r, err
	}
	return r, c.ofCloud(n, &r)
}

// ofCloud refuses what belongs to another cloud than the path's.
func (c *call) ofCloud(n *managedName, r *sm.Resource) error {
	if textAttribute(r.Attributes, "cloud_id") != c.cloud() {
		return refusal("112", sm.Clip(c.cloud(), maxName), n.job, r.ID)
	}
	return nil
}

// showManaged answers with one resource. An export or import of which nobody knows the backup is of use only for its
// fault.
func showManaged(n *managedName) handler {
	return func(c *call) error {
		r, err := c.managed(n, c.args[0])
		switch {
		case err != nil:
			return err
		case n.needsBackup && r.Fault == nil && textAttribute(r.Attributes, "backup_id") == "":
			return refusal("113", n.id, r.ID)
		}
		return c.json(appendManaged(c.begin(), &r, n))
	}
}

// showNewestExport answers with the newest export of a backup that has completed.
func showNewestExport(c *call) error {
	backup, err := c.managed(managedBackup, c.args[0])
	if err != nil {
		return err
	}
	type found struct {
		sm.Resource
		ok bool
	}
	export, err := within(c, func() (f found, err error) {
		f.Resource, f.ok, err = c.h.store.NewestExport(backup.Tenant, backup.ID)
		return f, err
	})
	switch {
	case err != nil:
		return err
	case !export.ok:
		return refusal("131", backup.ID)
	}
	if err = c.ofCloud(managedExport, &export.Resource); err != nil {
		return err
	}
	return c.json(appendManaged(c.begin(), &export.Resource, managedExport))
}

// managedQuery is what a list is asked for.
type managedQuery struct {
	sm.Query
	skip int // how many of those that it selects stand on pages before this one
}

// listManaged answers with a page of the resources of a cloud.
func listManaged(n *managedName) handler {
	return func(c *call) error {
		q, err := c.managedQuery(n.kind)
		if err != nil {
			return err
		}
		page, err := within(c, func() ([]sm.Resource, error) { return c.h.store.List(q.behindSkipped()) })
		if err != nil {
			return c.markerError(err)
		}
		total := len(page)
		if total == q.Limit || q.Marker != nil || q.skip > 0 {
			if total, err = within(c, func() (int, error) { return countManaged(c.h.store, q.Query) }); err != nil {
				return err
			}
		}
		next := ""
		if len(page) == q.Limit {
			c.params.Del("start") // the marker says it
			next = c.nextAt(page[len(page)-1].ID)
		}
		return c.json(appendManagedPage(make([]byte, 0, 64+len(page)*512), page, total, next, n))
	}
}

// managedQuery reads it. All that is wrong with it is said at once.
func (c *call) managedQuery(kind sm.Kind) (q managedQuery, err error) {
	q.Kind = kind
	if q.Tenant, err = c.scope(""); err != nil {
		return q, err
	}
	var wrong [6]error
	var named func(*sm.Resource) bool
	q.Limit, wrong[0] = c.pageSize()
	q.ChangedSince, wrong[1] = c.changesSince()
	q.Statuses, wrong[2] = c.managedStatuses()
	named, wrong[3] = c.nameMatch(kind)
	q.skip, wrong[4] = c.start(q.Limit)
	wrong[5] = c.newestCreated()
	if err = several(wrong[:]...); err != nil {
		return q, err
	}
	cloud := c.cloud()
	q.Match = every(named, func(r *sm.Resource) bool { return textAttribute(r.Attributes, "cloud_id") == cloud })
	q.Marker, err = c.marker(q.Tenant, kind)
	return q, err
}

// pageSize is what this API calls a limit.
func (c *call) pageSize() (int, error) {
	if c.params.Has("pageSize") && !c.params.Has("limit") {
		c.params.Set("limit", c.params.Get("pageSize"))
	}
	return c.limit()
}

// maxCounted is up to where resources are counted, and how many of them pages can be skipped by number.
const maxCounted = 10_000

// start reads which page is asked for, the first being 0, and returns how many resources stand before it.
func (c *call) start(size int) (int, error) {
	if !c.params.Has("start") {
		return 0, nil
	}
	page, err := strconv.Atoi(c.param("start"))
	switch {
	case err != nil || page < 0:
		return 0, badRequest("start must be the number of a page, from 0, not [%s]", sm.Clip(c.param("start"), maxName))
	case page > 0 && c.params.Has("marker"):
		return 0, badRequest("start and marker exclude each other")
	case page > 0 && size > 0 && page > maxCounted/size:
		return 0, badRequest("start leads behind %d entries: follow the link next, or give a marker", maxCounted)
	}
	return page * size, nil
}

// newestCreated refuses another order than the lists have: who asked for one would take what comes for it.
func (c *call) newestCreated() error {
	if order := c.param("sortOrder"); order != "" && !strings.EqualFold(order, "DESC") {
		return badRequest("sortOrder must be DESC, not [%s]", sm.Clip(order, maxName))
	}
	return nil
}

// managedStatuses are the statuses that a list is asked for, in the words of this API.
func (c *call) managedStatuses() (statuses []sm.Status, err error) {
	for _, value := range c.params["status"] {
		i := slices.IndexFunc(managedStatusOrder, func(s sm.Status) bool { return strings.EqualFold(managedStatuses[s], value) })
		if i < 0 {
			return nil, badRequest("status must be one of %s, not [%s]",
				strings.Join(slices.Sorted(maps.Values(managedStatuses)), ", "), sm.Clip(value, maxName))
		}
		statuses = append(statuses, managedStatusOrder[i])
	}
	return statuses, nil
}

// behindSkipped is the query with a condition that passes over what stands on the pages before. It is good for one
// reading.
func (q *managedQuery) behindSkipped() sm.Query {
	if q.skip == 0 {
		return q.Query
	}
	behind, left := q.Query, q.skip
	behind.Match = func(r *sm.Resource) bool {
		if !q.Match(r) {
			return false
		}
		left--
		return left < 0
	}
	return behind
}

// countManaged is how many resources a query selects on all its pages, at most maxCounted.
func countManaged(store Store, q sm.Query) (n int, err error) {
	match := q.Match
	q.Marker, q.Limit = nil, 1
	q.Match = func(r *sm.Resource) bool { // which takes the last one, and so ends the reading
		if match(r) {
			n++
		}
		return n == maxCounted
	}
	_, err = store.List(q)
	return n, err
}
