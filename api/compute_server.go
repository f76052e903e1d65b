package api

import (
	"strings"

	sm "faultd/statemachine"
)

// serverFields are the members of a server that come from attributes. Clients cannot do without metadata, image
// and the flavor's id.
var serverFields = newFields(
	field{name: "hostId", shape: isString, missing: `""`},
	field{name: "image", shape: isImage, missing: `""`},
	field{name: "flavor", shape: having("id", isString), missing: `{"id":""}`},
	field{name: "metadata", shape: mapOf(isString), missing: `{}`},
	field{name: "addresses", shape: mapOf(listOf(having("addr", isString))), missing: `{}`},
	field{name: "accessIPv4", shape: isString},
	field{name: "accessIPv6", shape: isString},
	field{name: "key_name", shape: orNull(isString)},
	field{name: "config_drive", shape: isDrive},
	field{name: "security_groups", shape: listOf(having("name", isString))},
	field{name: "tags", shape: listOf(isString)},
	field{name: "description", shape: orNull(isString)},
	field{name: "locked", shape: isBool},
	field{name: "server_groups", shape: listOf(isString)},
	field{name: "OS-DCF:diskConfig", shape: isString},
	field{name: "OS-EXT-AZ:availability_zone", shape: isString},
	field{name: "OS-EXT-STS:power_state", shape: isInteger},
	field{name: "OS-EXT-STS:task_state", shape: orNull(isString)},
	field{name: "OS-EXT-STS:vm_state", shape: isString},
	field{name: "OS-SRV-USG:launched_at", shape: orNull(isZoneless)},
	field{name: "OS-SRV-USG:terminated_at", shape: orNull(isZoneless)},
	field{name: "os-extended-volumes:volumes_attached", shape: listOf(having("id", isString))},
	field{name: "OS-EXT-SRV-ATTR:host", shape: orNull(isString), admin: true},
	field{name: "OS-EXT-SRV-ATTR:hypervisor_hostname", shape: orNull(isString), admin: true},
	field{name: "OS-EXT-SRV-ATTR:instance_name", shape: isString, admin: true},
)

// serverFlavor is where the flavor is among them.
var serverFlavor = serverFields.at["flavor"]

// look is what the rendering of a compute resource depends on besides the resource.
type look struct {
	self     string // what the address of a collection begins with: http://host/compute/v2.1[/tenant]/
	bookmark string // the same without a version
	admin    bool
	version  int // the minor of the microversion
}

// embeddedFlavor is the minor of the first microversion whose clients look for the flavor's original_name.
const embeddedFlavor = 47

// appendServer appends a server as /servers/{id} and /servers/detail show it.
func appendServer(dst []byte, r *sm.Resource, l *look) []byte {
	dst = appendText(append(dst, '{'), "id", r.ID)
	dst = appendText(dst, "tenant_id", r.Tenant)
	dst = appendText(dst, "user_id", r.User)
	dst = appendText(dst, "name", r.Name)
	dst = appendTime(dst, "created", r.Created, seconds)
	dst = appendTime(dst, "updated", r.Updated, seconds)
	dst = appendText(dst, "status", r.Status.String())
	dst = appendNumber(dst, "progress", r.Progress())
	dst = appendFault(dst, r.Fault, l.admin)
	v := serverFields.pick(r.Attributes, l.admin)
	if l.version >= embeddedFlavor {
		v[serverFlavor] = withOriginalName(v[serverFlavor])
	}
	dst = serverFields.appendValues(dst, &v)
	return append(appendLinks(dst, "servers/", r.ID, l), '}')
}

// withOriginalName gives a flavor a name, its id if nothing better is known.
func withOriginalName(flavor []byte) []byte {
	var id []byte
	for name, value := range members(flavor) {
		switch string(name) {
		case "id":
			id = value
		case "original_name":
			return flavor
		}
	}
	named := append(make([]byte, 0, 2*len(flavor)+20), flavor[:len(flavor)-1]...)
	return append(append(appendName(named, "original_name"), id...), '}')
}

// appendBrief appends a server or an image as its plain list shows it.
func appendBrief(dst []byte, r *sm.Resource, l *look) []byte {
	dst = appendText(append(dst, '{'), "id", r.ID)
	dst = appendText(dst, "name", r.Name)
	return append(appendLinks(dst, computeNames[r.Kind].path, r.ID, l), '}')
}

func appendLinks(dst []byte, collection, id string, l *look) []byte {
	dst = append(appendName(dst, "links"), '[')
	dst = appendLink(dst, "self", l.self, collection, id)
	dst = appendLink(append(dst, ','), "bookmark", l.bookmark, collection, id)
	return append(dst, ']')
}

// appendFault appends what made a resource ERROR as a member, if there is something.
func appendFault(dst []byte, f *sm.Fault, admin bool) []byte {
	if f == nil {
		return dst
	}
	return append(appendFaultMembers(append(appendName(dst, "fault"), '{'), f, admin), '}')
}

func appendFaultMembers(dst []byte, f *sm.Fault, admin bool) []byte {
	dst = appendNumber(dst, "code", f.Code)
	dst = appendTime(dst, "created", f.Created, seconds)
	dst = appendText(dst, "message", f.Message)
	if details := details(f, admin); details != "" {
		dst = appendText(dst, "details", details)
	}
	return dst
}

// details are those of a fault that the reader may see: what lies behind an internal error is for administrators. A
// fault that lists those of providers may hold such a thing whatever its own code; each provider shows its part.
func details(f *sm.Fault, admin bool) string {
	if (f.Code == 500 || f.Summary) && !admin {
		return ""
	}
	return f.Details
}

// imageFields are the members of an image that come from attributes.
var imageFields = newFields(
	field{name: "metadata", shape: mapOf(isString), missing: `{}`},
	field{name: "minDisk", shape: isInteger, missing: "0"},
	field{name: "minRam", shape: isInteger, missing: "0"},
	field{name: "server", shape: having("id", isString)},
	field{name: "OS-DCF:diskConfig", shape: isString},
	field{name: "OS-EXT-IMG-SIZE:size", shape: isInteger},
)

// appendImage appends an image as /images/{id} and /images/detail show it.
func appendImage(dst []byte, r *sm.Resource, l *look) []byte {
	dst = appendText(append(dst, '{'), "id", r.ID)
	dst = appendText(dst, "name", r.Name)
	dst = appendTime(dst, "created", r.Created, seconds)
	dst = appendTime(dst, "updated", r.Updated, seconds)
	dst = appendText(dst, "status", imageStatus(r.Status).String())
	dst = appendNumber(dst, "progress", r.Progress())
	dst = appendFault(dst, r.Fault, l.admin)
	v := imageFields.pick(r.Attributes, l.admin)
	dst = imageFields.appendValues(dst, &v)
	return append(appendLinks(dst, "images/", r.ID, l), '}')
}

// imageStatus is the Compute API's word for an image's status: it knows no waiting.
func imageStatus(s sm.Status) sm.Status {
	if s == sm.Queued {
		return sm.Saving
	}
	return s
}

// computeName is what the Compute API calls a kind.
type computeName struct {
	one, many string
	path      string // of the collection, with a slash behind it
	title     string // at the beginning of a sentence

	render, renderXML renderer
}

var computeNames = map[sm.Kind]*computeName{
	sm.Server: {one: "server", many: "servers", path: "servers/", title: "Instance", render: appendServer, renderXML: appendServerXML},
	sm.Image:  {one: "image", many: "images", path: "images/", title: "Image", render: appendImage, renderXML: appendImageXML},
}

// look is how the caller sees compute resources.
func (c *call) look() *look {
	bookmark := c.root[:strings.LastIndexByte(c.root, '/')+1]
	c.seen = look{bookmark: bookmark, admin: c.admin(), version: c.version}
	if c.tenant == "" {
		c.seen.self = c.root + "/"
	} else {
		c.seen.self, c.seen.bookmark = c.root+"/"+c.tenant+"/", bookmark+c.tenant+"/"
	}
	return &c.seen
}
