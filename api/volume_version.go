package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// The microversions that are understood. As with the Compute API each document has one form, which the clients of all
// of them read; only that messages are no part of the oldest is kept.
const (
	maxVolumeMicroversion = 71
	messagesMicroversion  = 3
)

// volumeDocuments are the versions by the segment of the path that names them.
var volumeDocuments = map[string]*versionDocument{
	"v2": {
		ID: "v2.0", Status: "DEPRECATED", Updated: "2017-02-25T12:00:00Z",
		MediaTypes: []mediaType{
			{"application/json", "application/vnd.openstack.volume+json;version=2"},
			{"application/xml", "application/vnd.openstack.volume+xml;version=2"},
		},
	},
	"v3": {
		ID: "v3.0", Status: "CURRENT", Updated: "2023-08-31T00:00:00Z",
		Version: "3." + strconv.Itoa(maxVolumeMicroversion), MinVersion: "3.0",
		MediaTypes: []mediaType{
			{"application/json", "application/vnd.openstack.volume+json;version=3"},
			{"application/xml", "application/vnd.openstack.volume+xml;version=3"},
		},
	},
}

var varyVolume = []string{"Accept, OpenStack-API-Version"}

// volumeVersionLinked is a version with its links; self is the address of what lies below it.
func volumeVersionLinked(segment, self string) versionDocument {
	d := *volumeDocuments[segment]
	d.Links = []versionLink{
		{Rel: "self", Href: self},
		{Rel: "describedby", Href: "https://docs.openstack.org/api-ref/block-storage/", Type: "text/html"},
	}
	return d
}

// listVolumeVersions answers with all versions to choose from, which is what the status says too, as with Cinder.
func listVolumeVersions(c *call) error {
	var all []versionDocument
	for _, segment := range []string{"v2", "v3"} {
		all = append(all, volumeVersionLinked(segment, c.host()+"/volume/"+segment+"/"))
	}
	return c.replyVersions(http.StatusMultipleChoices, all)
}

// showVolumeVersion answers with a list of one version. Clients take its link for the address of everything else, so it
// keeps the tenant that they asked with.
func showVolumeVersion(c *call) error {
	return c.replyVersions(http.StatusOK, []versionDocument{volumeVersionLinked(c.args[0], c.look().self)})
}

func (c *call) replyVersions(status int, all []versionDocument) error {
	if c.xml {
		c.reply(status, c.contentType, versionsXML(all))
		return nil
	}
	body, err := json.Marshal(map[string]any{"versions": all})
	if err != nil {
		return err
	}
	c.reply(status, c.contentType, body)
	return nil
}

// negotiateVolume reads the microversion that is asked for and says in the answer which one it is. Without one that
// is the first, as with Cinder; but it returns the last, since nothing is kept from whoever does not ask.
func (c *call) negotiateVolume() (minor int, err error) {
	asked := c.askedVolumeMicroversion()
	minor, err = parseVolumeMicroversion(asked)
	said := "volume 3." + strconv.Itoa(minor)
	if asked == "" {
		said = "volume 3.0"
	}
	head := c.w.Header()
	head["Openstack-Api-Version"] = []string{said}
	head["Vary"] = varyVolume
	return minor, err
}

// askedVolumeMicroversion is what the header says, "" for nothing. It may name other services too.
func (c *call) askedVolumeMicroversion() string {
	for _, value := range c.r.Header["Openstack-Api-Version"] {
		for item := range strings.SplitSeq(value, ",") {
			service, version, ok := strings.Cut(strings.TrimSpace(item), " ")
			if ok && (strings.EqualFold(service, "volume") || strings.EqualFold(service, "block-storage")) {
				return strings.TrimSpace(version)
			}
		}
	}
	return ""
}

// parseVolumeMicroversion returns the minor of a version 3.x, and 0 with an error.
func parseVolumeMicroversion(s string) (int, error) {
	if s == "" || s == "latest" {
		return maxVolumeMicroversion, nil
	}
	major, minor, ok := strings.Cut(s, ".")
	if !ok || !isNumber(major) || !isNumber(minor) {
		return 0, badRequest("API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", strconv.Quote(s[:min(len(s), maxName)]))
	}
	n, err := strconv.Atoi(minor)
	if major != "3" || err != nil || n > maxVolumeMicroversion {
		return 0, &problem{status: http.StatusNotAcceptable, message: "Version " + s + " is not supported by the API. Minimum is 3.0 and maximum is 3." +
			strconv.Itoa(maxVolumeMicroversion) + "."}
	}
	return n, nil
}

// tooOld says that a path is no part of that microversion.
func tooOld(minor int) *problem {
	return &problem{status: http.StatusNotFound, message: "API version 3." + strconv.Itoa(minor) + " is not supported on this method."}
}
