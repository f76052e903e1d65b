package consumer

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"faultd/statemachine"
)

// attribute is a member of a resource's attributes; its value is compact JSON.
type attribute struct {
	name  string
	value []byte
}

// encodeAttributes writes attributes as an object, sorted by name; none is nil.
func encodeAttributes(all []attribute) []byte {
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	size := 2
	for _, a := range all {
		size += len(a.name) + len(a.value) + 4
	}
	out := append(make([]byte, 0, size), '{')
	for i, a := range all {
		if i > 0 {
			out = append(out, ',')
		}
		name, _ := json.Marshal(a.name) // a string always encodes
		out = append(append(append(out, name...), ':'), a.value...)
	}
	return append(out, '}')
}

// attributeList collects what a notification says of a resource, under the names of the API that shows it. What
// is missing or of another JSON type is left out.
type attributeList struct{ all []attribute }

func newAttributes() *attributeList { return &attributeList{} }

func (l *attributeList) add(name string, value []byte) *attributeList {
	l.all = append(l.all, attribute{name, value})
	return l
}

// text adds a string that is not empty.
func (l *attributeList) text(name string, v *node) *attributeList {
	if v == nil || len(v.text) == 0 {
		return l
	}
	return l.add(name, compact(v.raw, v.spaces))
}

// number adds a number.
func (l *attributeList) number(name string, v *node) *attributeList {
	if v == nil || v.kind != '-' && !isDigit(v.kind) {
		return l
	}
	return l.add(name, compact(v.raw, v.spaces))
}

// strings adds an object of strings.
func (l *attributeList) strings(name string, v *node) *attributeList {
	if v == nil || v.kind != '{' {
		return l
	}
	for i := range v.members {
		if v.members[i].value.kind != '"' {
			return l
		}
	}
	return l.add(name, compact(v.raw, v.spaces))
}

// object adds an object that is not empty.
func (l *attributeList) object(name string, within *attributeList) *attributeList {
	if len(within.all) == 0 {
		return l
	}
	return l.add(name, within.encode())
}

// encode is nil where there is nothing to tell, or more than a resource may have: a server's metadata may be too
// much, and is no reason to lose the event.
func (l *attributeList) encode() []byte {
	if out := encodeAttributes(l.all); len(out) <= statemachine.MaxAttributes {
		return out
	}
	return nil
}

// serverAttributes are what Nova says of a server, in both its formats, in the words of the Compute API. spec is the
// request that the scheduler had, nil for most notifications.
func (n *notice) serverAttributes(spec *node) []byte {
	b := n.body
	flavor := cmp.Or(b.object("flavor"), spec.object("flavor"), spec.object("instance_type"))
	size := newAttributes().
		text("id", cmp.Or(flavor.get("flavorid"), b.get("instance_flavor_id"))).
		text("original_name", cmp.Or(flavor.get("name"), b.get("instance_type")))
	image := newAttributes().
		text("id", cmp.Or(b.get("image_uuid"), b.get("image_meta", "base_image_ref"), spec.object("image").get("id")))
	return newAttributes().
		object("image", image).
		object("flavor", size).
		text("OS-EXT-SRV-ATTR:host", b.get("host")).
		text("OS-EXT-SRV-ATTR:hypervisor_hostname", b.get("node")).
		text("OS-EXT-AZ:availability_zone", b.get("availability_zone")).
		text("key_name", b.get("key_name")).
		strings("metadata", b.get("metadata")).
		encode()
}

// imageAttributes are what Glance says of an image, in the words of the Compute API.
func (n *notice) imageAttributes() []byte {
	b := n.body
	return newAttributes().
		number("OS-EXT-IMG-SIZE:size", b.get("size")).
		number("minDisk", b.get("min_disk")).
		number("minRam", b.get("min_ram")).
		text("visibility", b.get("visibility")).
		strings("metadata", b.get("properties")).
		encode()
}

// backupAttributes are what Cinder says of a backup, in the words of the Block Storage API.
func (n *notice) backupAttributes() []byte {
	b := n.body
	return newAttributes().
		text("volume_id", b.get("volume_id")).
		number("size", b.get("size")).
		text("availability_zone", b.get("availability_zone")).
		text("container", b.get("container")).
		encode()
}
