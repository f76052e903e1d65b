package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// The microversions that are understood. faultd has one form of each document, that of 2.1 with what clients of
// later ones cannot do without, so it takes all that its clients know.
const (
	minMicroversion = 1
	maxMicroversion = 104
)

// versionDocument is what the Compute API says of one of its versions.
type versionDocument struct {
	ID         string        `json:"id"`
	Links      []versionLink `json:"links"`
	MediaTypes []mediaType   `json:"media-types,omitempty"`
	Status     string        `json:"status"`
	Version    string        `json:"version"`
	MinVersion string        `json:"min_version"`
	Updated    string        `json:"updated"`
}

type versionLink struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
	Type string `json:"type,omitempty"`
}

type mediaType struct {
	Base string `json:"base"`
	Type string `json:"type"`
}

// versionDocuments are the versions by the segment of the path that names them.
var versionDocuments = map[string]*versionDocument{
	"v2": {
		ID: "v2.0", Status: "SUPPORTED", Updated: "2011-01-21T11:33:21Z",
		MediaTypes: []mediaType{
			{"application/xml", "application/vnd.openstack.compute+xml;version=2"},
			{"application/json", "application/vnd.openstack.compute+json;version=2"},
		},
	},
	"v2.1": {
		ID: "v2.1", Status: "CURRENT", Updated: "2013-07-23T11:33:21Z",
		Version: "2." + strconv.Itoa(maxMicroversion), MinVersion: "2." + strconv.Itoa(minMicroversion),
		MediaTypes: []mediaType{
			{"application/xml", "application/vnd.openstack.compute+xml;version=2.1"},
			{"application/json", "application/vnd.openstack.compute+json;version=2.1"},
		},
	},
}

// listVersions answers with all versions.
func listVersions(c *call) error {
	var all []versionDocument
	for _, segment := range []string{"v2", "v2.1"} {
		d := *versionDocuments[segment]
		d.MediaTypes = nil
		d.Links = []versionLink{{Rel: "self", Href: c.host() + "/compute/" + segment + "/"}}
		all = append(all, d)
	}
	if c.xml {
		return c.document(versionsXML(all))
	}
	return c.marshal(map[string]any{"versions": all})
}

// showVersion answers with one version. Clients take its link for the address of everything else, so it keeps the
// tenant that they asked with.
func showVersion(c *call) error {
	d := *versionDocuments[c.args[0]]
	d.Links = []versionLink{
		{Rel: "self", Href: c.look().self},
		{Rel: "describedby", Href: "https://docs.openstack.org/api-ref/compute/", Type: "text/html"},
	}
	if c.xml {
		body := appendRoot(nil, "version", versionNamespace)
		return c.document(appendVersionXML(body, &d))
	}
	return c.marshal(map[string]any{"version": d})
}

func (c *call) marshal(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.document(body)
}

func versionsXML(all []versionDocument) []byte {
	dst := append(appendRoot(nil, "versions", versionNamespace), '>')
	for i := range all {
		dst = appendVersionXML(append(dst, "<version"...), &all[i])
	}
	return appendEnd(dst, "versions")
}

// appendVersionXML appends a version from where its attributes stand to its end tag.
func appendVersionXML(dst []byte, d *versionDocument) []byte {
	dst = appendAttribute(dst, "id", d.ID)
	dst = appendAttribute(dst, "status", d.Status)
	if d.Version != "" {
		dst = appendAttribute(appendAttribute(dst, "version", d.Version), "min_version", d.MinVersion)
	}
	dst = append(appendAttribute(dst, "updated", d.Updated), '>')
	if len(d.MediaTypes) > 0 {
		dst = append(dst, "<media-types>"...)
		for _, m := range d.MediaTypes {
			dst = appendAttribute(append(dst, "<media-type"...), "base", m.Base)
			dst = append(appendAttribute(dst, "type", m.Type), '/', '>')
		}
		dst = appendEnd(dst, "media-types")
	}
	for _, l := range d.Links {
		dst = appendAtomLink(dst, l.Rel, l.Type, l.Href)
	}
	return appendEnd(dst, "version")
}

// negotiate reads the microversion that is asked for and says in the answer which one it is.
func (c *call) negotiate() error {
	asked := c.askedMicroversion()
	minor, err := parseMicroversion(asked)
	c.version = max(minor, minMicroversion)
	if err != nil {
		c.version = minMicroversion
	}
	said := &microversions[c.version]
	head := c.w.Header()
	head["Openstack-Api-Version"] = said[:1:1]
	head["X-Openstack-Nova-Api-Version"] = said[1:2:2]
	head["Vary"] = said[2:]
	return err
}

// microversions are, by the minor, the values of the headers that say which one it is.
var microversions = func() (all [maxMicroversion + 1][3]string) {
	for minor := range all {
		version := "2." + strconv.Itoa(minor)
		all[minor] = [3]string{"compute " + version, version, "Accept, OpenStack-API-Version, X-OpenStack-Nova-API-Version"}
	}
	return all
}()

// askedMicroversion is what the headers say, "" for nothing. The newer header may name other services too.
func (c *call) askedMicroversion() string {
	for _, value := range c.r.Header["Openstack-Api-Version"] {
		for item := range strings.SplitSeq(value, ",") {
			service, version, ok := strings.Cut(strings.TrimSpace(item), " ")
			if ok && strings.EqualFold(service, "compute") {
				return strings.TrimSpace(version)
			}
		}
	}
	return c.r.Header.Get("X-Openstack-Nova-Api-Version")
}

// parseMicroversion returns the minor of a version 2.x.
func parseMicroversion(s string) (int, error) {
	switch s {
	case "":
		return minMicroversion, nil
	case "latest":
		return maxMicroversion, nil
	}
	major, minor, ok := strings.Cut(s, ".")
	if !ok || !isNumber(major) || !isNumber(minor) {
		return 0, badRequest("API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", strconv.Quote(s[:min(len(s), maxName)]))
	}
	n, err := strconv.Atoi(minor)
	if major != "2" || err != nil || n < minMicroversion || n > maxMicroversion {
		return 0, &problem{status: http.StatusNotAcceptable, message: "Version " + s + " is not supported by the API. Minimum is 2." +
			strconv.Itoa(minMicroversion) + " and maximum is 2." + strconv.Itoa(maxMicroversion) + "."}
	}
	return n, nil
}

// isNumber tells whether a text is a number as microversions have it.
func isNumber(s string) bool {
	return s != "" && len(s) <= 6 && strings.Trim(s, "0123456789") == "" && (s[0] != '0' || s == "0")
}
