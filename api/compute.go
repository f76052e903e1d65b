package api

import (
	"strings"

	sm "faultd/statemachine"
)

// computeTypes are the media types of the compute mount; of those that a client likes as much, the first is taken.
var computeTypes = []string{"application/json", "application/vnd.openstack.compute+json", "application/xml", "application/vnd.openstack.compute+xml"}

// computeServed are the paths below a version, and a tenant, that are answered.
var computeServed = routes{
	to("servers", computeList(sm.Server, false)),
	to("servers/detail", computeList(sm.Server, true)),
	to("servers/{}", computeShow(sm.Server)),
	to("servers/{}/os-instance-actions", listActions),
	to("servers/{}/os-instance-actions/{}", showAction),
	to("images", computeList(sm.Image, false)),
	to("images/detail", computeList(sm.Image, true)),
	to("images/{}", computeShow(sm.Image)),
}

// Paths that the Compute API has and a tracker that is read only does not: what lies below a server or an image,
// and the other collections.
var (
	serverParts = "action consoles diagnostics ips metadata migrations os-interface os-security-groups os-server-password " +
		"os-virtual-interfaces os-volume_attachments remote-consoles shares tags topology"
	imageParts = "metadata"
	// computeUnserved and the two served ones are all first segments that are no tenant.
	computeUnserved = "backup_schedule consoles extensions flavors ips limits os-agents os-aggregates " +
		"os-assisted-volume-snapshots os-availability-zone os-baremetal-nodes os-cells os-certificates os-cloudpipe " +
		"os-console-auth-tokens os-consoles os-create-server-ext os-fixed-ips os-floating-ip-dns os-floating-ip-pools " +
		"os-floating-ips os-floating-ips-bulk os-fping os-hosts os-hypervisors os-instance_usage_audit_log os-keypairs " +
		"os-migrations os-networks os-quota-class-sets os-quota-sets os-security-group-default-rules " +
		"os-security-group-rules os-security-groups os-server-external-events os-server-groups os-services " +
		"os-simple-tenant-usage os-snapshots os-tenant-networks os-volume-types os-volumes os-volumes_boot " +
		"servers-links shared_ip_groups"
)

// computeRoutes are all of them; computeCollections are their first segments.
var computeRoutes, computeCollections = func() (routes, map[string]bool) {
	all := computeServed
	for part := range strings.FieldsSeq(serverParts) {
		all = append(all, to("servers/{}/"+part+"/**", nil))
	}
	for part := range strings.FieldsSeq(imageParts) {
		all = append(all, to("images/{}/"+part+"/**", nil))
	}
	for name := range strings.FieldsSeq(computeUnserved) {
		all = append(all, to(name+"/**", nil))
	}
	names := map[string]bool{}
	for _, rt := range all {
		names[rt.parts[0]] = true
	}
	return all, names
}()

var (
	computeVersions = to("", listVersions).openTo(everybody)
	computeVersion  = to("", showVersion).openTo(everybody)
)

// serveCompute takes the version and the tenant off a path before it routes the rest.
func serveCompute(c *call, path []string) error {
	if blank(path) {
		return computeVersions.follow(c)
	}
	version, path := path[0], path[1:]
	if versionDocuments[version] == nil {
		return notFound
	}
	c.root = c.scheme() + c.r.Host + "/compute/" + version
	if version == "v2.1" {
		if err := c.negotiate(); err != nil {
			return err
		}
	}
	if !blank(path) && !computeCollections[path[0]] {
		if !validName(path[0]) {
			return notFound
		}
		c.tenant, path = path[0], path[1:]
	}
	if blank(path) {
		c.args[0] = version
		return computeVersion.follow(c)
	}
	return computeRoutes.serve(c, path)
}

// blank tells whether nothing is left of a path, or a slash at its end.
func blank(path []string) bool { return len(path) == 0 || len(path) == 1 && path[0] == "" }

// computeShow answers with one resource, in whatever status: a deleted one is still there to be asked why.
func computeShow(kind sm.Kind) handler {
	name := computeNames[kind]
	return func(c *call) error {
		tenant, err := c.scope(c.param("tenant"))
		if err != nil {
			return err
		}
		r, err := c.resource(tenant, kind, c.args[0])
		if err != nil {
			return err
		}
		if c.xml {
			return c.document(oneXML(c.begin(), name, &r, c.look()))
		}
		body := appendName(append(c.begin(), '{'), name.one)
		return c.document(append(name.render(body, &r, c.look()), '}'))
	}
}

// computeList answers with a page of resources.
func computeList(kind sm.Kind, detail bool) handler {
	name := computeNames[kind]
	render, renderXML := appendBrief, appendBriefXML
	if detail {
		render, renderXML = name.render, name.renderXML
	}
	return func(c *call) error {
		q, err := c.computeQuery(kind)
		if err != nil {
			return err
		}
		page, next, err := c.list(q)
		if err != nil {
			return err
		}
		if c.xml {
			return c.document(pageXML(name, page, renderXML, next, c.look()))
		}
		return c.document(pageJSON(name, page, render, next, c.look()))
	}
}

// pageJSON is the document of a list; next is the address of the page behind it, or "".
func pageJSON(name *computeName, page []sm.Resource, render renderer, next string, l *look) []byte {
	body := append(appendName(append(make([]byte, 0, 64+len(page)*512), '{'), name.many), '[')
	for i := range page {
		if i > 0 {
			body = append(body, ',')
		}
		body = render(body, &page[i], l)
	}
	body = append(body, ']')
	if next != "" {
		body = append(appendName(body, name.many+"_links"), '[')
		body = append(appendLink(body, "next", next), ']')
	}
	return append(body, '}')
}

// computeQuery reads what a list of the Compute API can be asked for.
func (c *call) computeQuery(kind sm.Kind) (q sm.Query, err error) {
	q.Kind = kind
	if q.Tenant, err = c.computeScope(); err != nil {
		return q, err
	}
	if q.Limit, err = c.limit(); err != nil {
		return q, err
	}
	if q.ChangedSince, err = c.changesSince(); err != nil {
		return q, err
	}
	if q.Statuses, err = c.computeStatuses(kind); err != nil {
		return q, err
	}
	if q.Match, err = c.nameMatch(kind); err != nil {
		return q, err
	}
	q.Marker, err = c.marker(q.Tenant, kind)
	return q, err
}

// computeScope is the tenant of a list. An administrator of all tenants who names one in the path gets all of
// them by all_tenants, as with Nova.
func (c *call) computeScope() (string, error) {
	all, err := c.flag("all_tenants")
	if err != nil {
		return "", err
	}
	if all && c.admin() && c.caller.tenant == "" {
		return "", nil
	}
	return c.scope(c.param("tenant"))
}

// computeStatuses are the statuses that a list is asked for, in the words of the Compute API.
func (c *call) computeStatuses(kind sm.Kind) (statuses []sm.Status, err error) {
	for _, value := range c.params["status"] {
		s, ok := sm.ParseStatus(strings.ToUpper(value))
		if !ok || !hasStatus(kind, s) || imageStatus(s) != s {
			return nil, badRequest("Invalid status value: %s", sm.Clip(value, maxName))
		}
		statuses = append(statuses, s)
		if kind == sm.Image && s == sm.Saving {
			statuses = append(statuses, sm.Queued)
		}
	}
	return statuses, nil
}
