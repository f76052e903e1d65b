package api

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	sm "faultd/statemachine"
)

const (
	computeNamespace = "http://docs.openstack.org/compute/api/v1.1"
	versionNamespace = "http://docs.openstack.org/common/api/v1.0"
	atomNamespace    = "http://www.w3.org/2005/Atom"
)

// extensionNamespaces are those of the fields whose names have a prefix, as Nova had them; two share one there too.
var extensionNamespaces = map[string]string{
	"OS-DCF":              "http://docs.openstack.org/compute/ext/disk_config/api/v1.1",
	"OS-EXT-AZ":           "http://docs.openstack.org/compute/ext/extended_availability_zone/api/v2",
	"OS-EXT-STS":          "http://docs.openstack.org/compute/ext/extended_status/api/v1.1",
	"OS-EXT-SRV-ATTR":     "http://docs.openstack.org/compute/ext/extended_status/api/v1.1",
	"OS-SRV-USG":          "http://docs.openstack.org/compute/ext/server_usage/api/v1.1",
	"os-extended-volumes": "http://docs.openstack.org/compute/ext/extended_volumes/api/v1.1",
	"OS-EXT-IMG-SIZE":     "http://docs.openstack.org/compute/ext/image_size/api/v1.0",
}

// renderer appends a resource: in JSON the whole object, in XML what stands behind the name in its start tag, up to its
// end tag.
type renderer func(dst []byte, r *sm.Resource, l *look) []byte

// appendRoot appends the start tag of a document up to where its attributes stand.
func appendRoot(dst []byte, name, namespace string) []byte {
	dst = append(append(append(dst, xmlDeclaration...), '<'), name...)
	return appendAttribute(appendAttribute(dst, "xmlns", namespace), "xmlns:atom", atomNamespace)
}

// oneXML is the document of one resource.
func oneXML(dst []byte, name *computeName, r *sm.Resource, l *look) []byte {
	dst = appendRoot(dst, name.one, computeNamespace)
	return appendEnd(name.renderXML(dst, r, l), name.one)
}

// pageXML is the document of a list; next is the address of the page behind it, or "".
func pageXML(name *computeName, page []sm.Resource, render renderer, next string, l *look) []byte {
	dst := appendRoot(make([]byte, 0, 512+len(page)*512), name.many, computeNamespace)
	dst = append(dst, '>')
	for i := range page {
		dst = append(append(dst, '<'), name.one...)
		dst = appendEnd(render(dst, &page[i], l), name.one)
	}
	if next != "" {
		dst = appendAtomLink(dst, "next", "", next)
	}
	return appendEnd(dst, name.many)
}

// appendServerXML follows the order that the schema of the Compute API has: what is simple as attributes, then image,
// flavor, fault, metadata, addresses, links.
func appendServerXML(dst []byte, r *sm.Resource, l *look) []byte {
	v := serverFields.pick(r.Attributes, l.admin)
	image, flavor := serverFields.take(&v, "image"), serverFields.take(&v, "flavor")
	dst = appendAttribute(dst, "id", r.ID)
	dst = appendAttribute(dst, "tenant_id", r.Tenant)
	dst = appendAttribute(dst, "user_id", r.User)
	dst = appendAttribute(dst, "name", r.Name)
	dst = appendTimeAttribute(dst, "created", r.Created, seconds)
	dst = appendTimeAttribute(dst, "updated", r.Updated, seconds)
	dst = appendAttribute(dst, "status", r.Status.String())
	dst = appendAttribute(dst, "progress", strconv.Itoa(r.Progress()))
	dst = append(serverFields.appendAttributes(dst, &v), '>')
	dst = appendReference(dst, "image", image)
	dst = appendReference(dst, "flavor", flavor)
	dst = appendFaultXML(dst, r.Fault, l.admin)
	dst = appendMetadata(dst, serverFields.take(&v, "metadata"))
	dst = appendAddresses(dst, serverFields.take(&v, "addresses"))
	dst = appendSecurityGroups(dst, serverFields.take(&v, "security_groups"))
	dst = appendVolumes(dst, serverFields.take(&v, "os-extended-volumes:volumes_attached"))
	return appendAtomLinks(dst, "servers/", r.ID, l)
}

// appendImageXML does the same for an image: server, metadata, fault, links.
func appendImageXML(dst []byte, r *sm.Resource, l *look) []byte {
	v := imageFields.pick(r.Attributes, l.admin)
	dst = appendAttribute(dst, "id", r.ID)
	dst = appendAttribute(dst, "name", r.Name)
	dst = appendTimeAttribute(dst, "created", r.Created, seconds)
	dst = appendTimeAttribute(dst, "updated", r.Updated, seconds)
	dst = appendAttribute(dst, "status", imageStatus(r.Status).String())
	dst = appendAttribute(dst, "progress", strconv.Itoa(r.Progress()))
	dst = append(imageFields.appendAttributes(dst, &v), '>')
	dst = appendReference(dst, "server", imageFields.take(&v, "server"))
	dst = appendMetadata(dst, imageFields.take(&v, "metadata"))
	dst = appendFaultXML(dst, r.Fault, l.admin)
	return appendAtomLinks(dst, "images/", r.ID, l)
}

// appendBriefXML appends a server or an image as its plain list shows it.
func appendBriefXML(dst []byte, r *sm.Resource, l *look) []byte {
	dst = appendAttribute(dst, "id", r.ID)
	dst = append(appendAttribute(dst, "name", r.Name), '>')
	return appendAtomLinks(dst, computeNames[r.Kind].path, r.ID, l)
}

// take returns a field's value and removes it from the others.
func (fs *fields) take(v *values, name string) []byte {
	i := fs.at[name]
	value := v[i]
	v[i] = nil
	return value
}

// appendAttributes appends the fields that are simple as attributes. A namespace is declared where it is first used:
// fields of one prefix follow each other.
func (fs *fields) appendAttributes(dst []byte, v *values) []byte {
	declared := ""
	for i := range fs.list {
		text, ok := scalarText(v[i])
		if !ok {
			continue
		}
		name := fs.list[i].name
		if prefix, _, found := strings.Cut(name, ":"); found && prefix != declared {
			dst = appendAttribute(dst, "xmlns:"+prefix, extensionNamespaces[prefix])
			declared = prefix
		}
		dst = appendAttribute(dst, name, text)
	}
	return dst
}

// appendReference appends an element with the id of something else, if the object has one.
func appendReference(dst []byte, name string, object []byte) []byte {
	id := member(object, "id")
	if id == "" {
		return dst
	}
	dst = append(append(dst, '<'), name...)
	return append(appendAttribute(dst, "id", id), '/', '>')
}

// appendFaultXML appends what made a resource ERROR, if there is something.
func appendFaultXML(dst []byte, f *sm.Fault, admin bool) []byte {
	if f == nil {
		return dst
	}
	e := xmlFault{element: "fault", code: f.Code, message: f.Message, details: details(f, admin)}
	if f.Created != 0 {
		e.created = f.Created.Std().Format(seconds)
	}
	return e.append(dst)
}

func appendMetadata(dst, object []byte) []byte {
	if !hasMembers(object) {
		return dst
	}
	dst = append(dst, "<metadata>"...)
	for name, value := range members(object) {
		text, _ := scalarText(value)
		dst = append(appendAttribute(append(dst, "<meta"...), "key", memberName(name)), '>')
		dst = appendEnd(appendEscaped(dst, text), "meta")
	}
	return appendEnd(dst, "metadata")
}

func appendAddresses(dst, object []byte) []byte {
	if !hasMembers(object) {
		return dst
	}
	dst = append(dst, "<addresses>"...)
	for name, list := range members(object) {
		dst = append(appendAttribute(append(dst, "<network"...), "id", memberName(name)), '>')
		for ip := range elements(list) {
			dst = append(dst, "<ip"...)
			if version := member(ip, "version"); version != "" {
				dst = appendAttribute(dst, "version", version)
			}
			dst = append(appendAttribute(dst, "addr", member(ip, "addr")), '/', '>')
		}
		dst = appendEnd(dst, "network")
	}
	return appendEnd(dst, "addresses")
}

func appendSecurityGroups(dst, list []byte) []byte {
	if len(list) <= len("[]") {
		return dst
	}
	dst = append(dst, "<security_groups>"...)
	for group := range elements(list) {
		dst = append(appendAttribute(append(dst, "<security_group"...), "name", member(group, "name")), '/', '>')
	}
	return appendEnd(dst, "security_groups")
}

func appendVolumes(dst, list []byte) []byte {
	const prefix = "os-extended-volumes"
	for volume := range elements(list) {
		dst = append(append(append(dst, '<'), prefix...), ":volume_attached"...)
		dst = appendAttribute(dst, "xmlns:"+prefix, extensionNamespaces[prefix])
		dst = append(appendAttribute(dst, "id", member(volume, "id")), '/', '>')
	}
	return dst
}

func appendAtomLinks(dst []byte, collection, id string, l *look) []byte {
	dst = appendAtomLink(dst, "self", "", l.self+collection+id)
	return appendAtomLink(dst, "bookmark", "", l.bookmark+collection+id)
}

// appendAtomLink appends a link; the media type is left out where it is "".
func appendAtomLink(dst []byte, rel, mediaType, href string) []byte {
	dst = appendAttribute(append(dst, "<atom:link"...), "rel", rel)
	if mediaType != "" {
		dst = appendAttribute(dst, "type", mediaType)
	}
	return append(appendAttribute(dst, "href", href), '/', '>')
}

func appendEnd(dst []byte, name string) []byte {
	return append(append(append(dst, '<', '/'), name...), '>')
}

// member is the text of a member of an object, "" where there is none or it is no text.
func member(object []byte, name string) string {
	for n, value := range members(object) {
		if string(n) == name {
			text, _ := scalarText(value)
			return text
		}
	}
	return ""
}

// hasMembers tells whether an object is more than {}.
func hasMembers(object []byte) bool { return len(object) > len("{}") }

// memberName is the name of a member as it is meant: without the escapes of JSON.
func memberName(name []byte) (text string) {
	if bytes.IndexByte(name, '\\') < 0 {
		return string(name)
	}
	_ = json.Unmarshal([]byte(`"`+string(name)+`"`), &text) // the decoder of events has found it to be a string
	return text
}
