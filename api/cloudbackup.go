package api

import (
	"errors"
	"slices"
	"strings"

	sm "faultd/statemachine"
)

// cloudBackupName is what the Cloud Backup API calls a kind.
type cloudBackupName struct {
	kind      sm.Kind
	one, many string
}

var cloudBackupNames = []*cloudBackupName{
	{kind: sm.Backup, one: "backup", many: "backups"},
	{kind: sm.Restore, one: "restore", many: "restores"},
}

// cloudBackupUnserved are the collections that the Cloud Backup API has beside those.
const cloudBackupUnserved = "activities agents cleanups configurations events health ping settings"

// cloudBackupRoutes are the paths below the version and a tenant; cloudBackupCollections are their first segments.
var cloudBackupRoutes, cloudBackupCollections = func() (routes, map[string]bool) {
	all := routes{to("backups/{}/browse-requests/**", nil)}
	for _, n := range cloudBackupNames {
		all = append(all,
			to(n.many, listCloudBackups(n)),
			to(n.many+"/{}", showCloudBackup(n, appendCloudBackup)),
			to(n.many+"/{}/errors", showCloudBackup(n, appendCloudErrors)),
			to(n.many+"/{}/events", listCloudEvents(n)))
	}
	for name := range strings.FieldsSeq(cloudBackupUnserved) {
		all = append(all, to(name+"/**", nil))
	}
	names := map[string]bool{}
	for _, rt := range all {
		names[rt.parts[0]] = true
	}
	return all, names
}()

// serveCloudBackup takes the version and the tenant off a path before it routes the rest.
func serveCloudBackup(c *call, path []string) error {
	switch {
	case blank(path):
		return notFound
	case path[0] == "v1.0":
		return notImplemented
	case path[0] != "v2":
		return notFound
	}
	c.root = c.host() + "/cloud-backup/v2"
	path = path[1:]
	if !blank(path) && !cloudBackupCollections[path[0]] {
		if !validName(path[0]) {
			return notFound
		}
		c.tenant, path = path[0], path[1:]
	}
	return cloudBackupRoutes.serve(c, path)
}

// cloudView is how the caller sees resources of the Cloud Backup API.
type cloudView struct {
	*cloudBackupName
	root   string // the address that a tenant stands behind
	admin  bool
	shared func(*sm.Resource) bool // whether two agents write to its vault
}

func (c *call) cloudView(n *cloudBackupName) *cloudView {
	return &cloudView{cloudBackupName: n, root: c.root + "/", admin: c.admin(), shared: c.vaults()}
}

// cloudBackup finds the resource that the path names.
func (c *call) cloudBackup(n *cloudBackupName) (r sm.Resource, err error) {
	tenant, err := c.scope(c.param("tenant"))
	if err != nil {
		return r, err
	}
	return c.resource(tenant, n.kind, c.args[0])
}

// showCloudBackup answers with one resource, in whatever state, or with a part of it.
func showCloudBackup(n *cloudBackupName, render func(dst []byte, r *sm.Resource, v *cloudView) []byte) handler {
	return func(c *call) error {
		r, err := c.cloudBackup(n)
		if err != nil {
			return err
		}
		return c.json(render(c.begin(), &r, c.cloudView(n)))
	}
}

// listCloudBackups answers with a page of resources.
func listCloudBackups(n *cloudBackupName) handler {
	return func(c *call) error {
		q, err := c.cloudBackupQuery(n.kind)
		if err != nil {
			return err
		}
		page, next, err := c.list(q)
		if err != nil {
			return err
		}
		return c.json(appendCloudPage(make([]byte, 0, 64+len(page)*1024), page, next, c.cloudView(n)))
	}
}

// cloudBackupQuery reads what a list can be asked for. All that is wrong with that is said at once.
func (c *call) cloudBackupQuery(kind sm.Kind) (q sm.Query, err error) {
	q.Kind = kind
	if q.Tenant, err = c.computeScope(); err != nil {
		return q, err
	}
	var wrong [6]error
	var states []string
	var named, restorable func(*sm.Resource) bool
	q.Limit, wrong[0] = c.limit()
	q.ChangedSince, wrong[1] = c.changesSince()
	states, wrong[2] = c.cloudStates()
	named, wrong[3] = c.nameMatch(kind)
	restorable, wrong[4] = c.restorableMatch(kind)
	wrong[5] = c.newestFirst()
	if err = several(wrong[:]...); err != nil {
		return q, err
	}
	for _, state := range states {
		q.Statuses = append(q.Statuses, cloudStatuses[state])
	}
	q.Match = every(named, restorable, c.configurationMatch(), stateMatch(states))
	q.Marker, err = c.marker(q.Tenant, kind)
	return q, err
}

// cloudStates are the states that a list is asked for, as status or, since that is what this API calls it, as state.
func (c *call) cloudStates() (states []string, err error) {
	for _, value := range slices.Concat(c.params["status"], c.params["state"]) {
		state := strings.ToLower(value)
		if cloudStatuses[state] == 0 {
			return nil, badRequest("status must be a state of Cloud Backup, not [%s]", sm.Clip(value, maxName))
		}
		states = append(states, state)
	}
	return states, nil
}

func stateMatch(states []string) func(*sm.Resource) bool {
	if states == nil {
		return nil
	}
	return func(r *sm.Resource) bool { return slices.Contains(states, cloudState(r)) }
}

// restorableMatch reads whether backups are asked for that something can be restored from.
func (c *call) restorableMatch(kind sm.Kind) (func(*sm.Resource) bool, error) {
	if kind != sm.Backup || !c.params.Has("restorable") {
		return nil, nil
	}
	want, err := c.flag("restorable")
	return func(r *sm.Resource) bool { return restorable(r) == want }, err
}

// configurationMatch is the condition on the configuration that a list is asked for.
func (c *call) configurationMatch() func(*sm.Resource) bool {
	want := c.param("configuration_id")
	if want == "" {
		return nil
	}
	return func(r *sm.Resource) bool { return cloudReference(r, "configuration") == want }
}

// every is the condition that holds where all those do; nil conditions are none, and so is every one of none.
func every(conditions ...func(*sm.Resource) bool) func(*sm.Resource) bool {
	all := slices.DeleteFunc(conditions, func(is func(*sm.Resource) bool) bool { return is == nil })
	if len(all) == 0 {
		return nil
	}
	return func(r *sm.Resource) bool {
		return !slices.ContainsFunc(all, func(is func(*sm.Resource) bool) bool { return !is(r) })
	}
}

// history is that of a resource that was found a moment ago: if it is gone since, it has none.
func (c *call) history(key sm.Key) (rows []sm.Transition, cut uint64, err error) {
	rows, cut, err = c.h.store.History(key)
	if errors.Is(err, sm.ErrNotFound) {
		return nil, 0, nil
	}
	return rows, cut, err
}
