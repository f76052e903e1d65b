package api

import (
	"cmp"
	"errors"
	"strings"

	sm "faultd/statemachine"
)

// volumeTypes are the media types of the volume mount, the first where nothing is said.
var volumeTypes = []string{"application/json", "application/vnd.openstack.volume+json", "application/xml", "application/vnd.openstack.volume+xml"}

// volumeServed are the paths below a version, and a tenant, that are answered.
var volumeServed = routes{
	to("backups/import_record", nil),
	to("backups", listVolumeBackups(false)),
	to("backups/detail", listVolumeBackups(true)),
	to("backups/{}", showVolumeBackup),
}

// volumeMessages are those that came with the third version.
var volumeMessages = routes{
	to("messages", listVolumeMessages),
	to("messages/{}", showVolumeMessage),
}

// Paths that the Block Storage API has and a tracker that is read only does not: what lies below a backup, and the
// other collections.
var (
	volumeBackupParts = "action export_record import_record restore"
	// volumeUnserved and the served ones are all first segments that are no tenant.
	volumeUnserved = "attachments capabilities cgsnapshots clusters consistencygroups default-types extensions group_snapshots " +
		"group_types groups limits manageable_snapshots manageable_volumes os-availability-zone os-hosts os-quota-class-sets " +
		"os-quota-sets os-services os-snapshot-manage os-snapshot-unmanage os-vol-image-meta os-volume-manage os-volume-replication " +
		"os-volume-transfer os-volume-unmanage qos-specs resource_filters scheduler-stats snapshots types volume-transfers volumes workers"
)

// volumeRoutes are the paths of each version; volumeCollections are the first segments of both.
var volumeRoutes, volumeCollections = func() (map[string]routes, map[string]bool) {
	both := volumeServed
	for part := range strings.FieldsSeq(volumeBackupParts) {
		both = append(both, to("backups/{}/"+part+"/**", nil))
	}
	for name := range strings.FieldsSeq(volumeUnserved) {
		both = append(both, to(name+"/**", nil))
	}
	third := append(volumeMessages[:len(volumeMessages):len(volumeMessages)], both...)
	names := map[string]bool{}
	for _, rt := range third {
		names[rt.parts[0]] = true
	}
	return map[string]routes{"v2": both, "v3": third}, names
}()

var (
	volumeVersions = to("", listVolumeVersions).openTo(everybody)
	volumeVersion  = to("", showVolumeVersion).openTo(everybody)
)

// serveVolume takes the version and the tenant off a path before it routes the rest.
func serveVolume(c *call, path []string) error {
	if blank(path) {
		return volumeVersions.follow(c)
	}
	version, path := path[0], path[1:]
	if volumeDocuments[version] == nil {
		return notFound
	}
	c.root = c.host() + "/volume/" + version
	asked := maxVolumeMicroversion // whoever asks for no version is shown all there is
	if version == "v3" {
		var err error
		if asked, err = c.negotiateVolume(); err != nil {
			return err
		}
	}
	if !blank(path) && !volumeCollections[path[0]] {
		if !validName(path[0]) {
			return notFound
		}
		c.tenant, path = path[0], path[1:]
	}
	if blank(path) {
		c.args[0] = version
		return volumeVersion.follow(c)
	}
	if path[0] == "messages" && asked < messagesMicroversion {
		return tooOld(asked)
	}
	return volumeRoutes[version].serve(c, path)
}

// volumeScope is the tenant to which an answer is restricted, "" for all. An administrator of all tenants may ask for
// others than the one in the path, which is where the client happens to be at home: by all_tenants, and by project_id.
func (c *call) volumeScope() (string, error) {
	all, err := c.flag("all_tenants")
	if err != nil {
		return "", err
	}
	asked := cmp.Or(c.param("project_id"), c.param("tenant"))
	if (all || asked != "") && c.admin() && c.caller.tenant == "" {
		if asked != "" && !validName(asked) {
			return "", badRequest("project_id must be a tenant's id, not [%s]", sm.Clip(asked, maxName))
		}
		return asked, nil
	}
	return c.scope(asked)
}

// newestFirst refuses to begin elsewhere, and another order, than the lists have: who asked for one would take what
// comes for it.
func (c *call) newestFirst() error {
	if offset := c.param("offset"); strings.Trim(offset, "0") != "" {
		return badRequest("offset is not served, not [%s]: follow the link next, or give a marker", sm.Clip(offset, maxName))
	}
	sort, key, dir := c.param("sort"), c.param("sort_key"), c.param("sort_dir")
	switch {
	case sort != "" && sort != "created_at" && sort != "created_at:desc":
		return badRequest("lists are sorted by created_at:desc, not [%s]", sm.Clip(sort, maxName))
	case key != "" && key != "created_at" || dir != "" && dir != "desc":
		return badRequest("lists are sorted by created_at:desc, not [%s:%s]", sm.Clip(key, maxName), sm.Clip(dir, maxName))
	}
	return nil
}

// several is what is wrong with a request: nil, one problem, or all of them as one, a line each, so that who asks
// mends them at once.
func several(wrong ...error) error {
	var all *problem
	for _, err := range wrong {
		var p *problem
		switch {
		case err == nil:
		case !errors.As(err, &p):
			return err
		case all == nil:
			all = p
		default:
			all = &problem{status: all.status, message: all.message + "\n" + p.message}
		}
	}
	if all == nil {
		return nil
	}
	return all
}
