package api_test

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
	"testing"

	sm "faultd/statemachine"
)

func TestServerXML_WithAllThatIsKnown(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/server/s", sm.ActBuild, sm.PhaseSucceeded, named(`<"web">`), func(e *sm.Entry) { e.User = "u" }, attributes(`{`+
		`"OS-DCF:diskConfig":"AUTO","OS-EXT-STS:power_state":1,"OS-EXT-STS:task_state":null,"OS-EXT-STS:vm_state":"active",`+
		`"OS-SRV-USG:launched_at":"2010-08-10T12:00:00.000000","accessIPv4":"","addresses":{"private & \"net\"":[{"addr":"10.0.0.3","version":4},{"addr":"fe80::1"}],"none":[]},`+
		`"flavor":{"id":"f-1","ram":512},"hostId":"e4d9","image":{"id":"i<1>"},"key_name":null,"locked":true,"metadata":{"a\nb":"","k<":"v\u0001&"},`+
		`"os-extended-volumes:volumes_attached":[{"id":"v-1"},{"id":"v-2"}],"security_groups":[{"name":"default"}],"tags":["x"]}`)))
	const want = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<server xmlns="http://docs.openstack.org/compute/api/v1.1" xmlns:atom="http://www.w3.org/2005/Atom" id="s" tenant_id="t" user_id="u"` +
		` name="&lt;&quot;web&quot;&gt;" created="2026-11-21T02:00:01Z" updated="2026-11-21T02:00:01Z" status="ACTIVE" progress="100"` +
		` hostId="e4d9" accessIPv4="" locked="true"` +
		` xmlns:OS-DCF="http://docs.openstack.org/compute/ext/disk_config/api/v1.1" OS-DCF:diskConfig="AUTO"` +
		` xmlns:OS-EXT-STS="http://docs.openstack.org/compute/ext/extended_status/api/v1.1" OS-EXT-STS:power_state="1" OS-EXT-STS:vm_state="active"` +
		` xmlns:OS-SRV-USG="http://docs.openstack.org/compute/ext/server_usage/api/v1.1" OS-SRV-USG:launched_at="2010-08-10T12:00:00.000000">` +
		`<image id="i&lt;1&gt;"/><flavor id="f-1"/>` +
		`<metadata><meta key="a&#10;b"></meta><meta key="k&lt;">v&amp;</meta></metadata>` +
		`<addresses><network id="private &amp; &quot;net&quot;"><ip version="4" addr="10.0.0.3"/><ip addr="fe80::1"/></network><network id="none"></network></addresses>` +
		`<security_groups><security_group name="default"/></security_groups>` +
		`<os-extended-volumes:volume_attached xmlns:os-extended-volumes="http://docs.openstack.org/compute/ext/extended_volumes/api/v1.1" id="v-1"/>` +
		`<os-extended-volumes:volume_attached xmlns:os-extended-volumes="http://docs.openstack.org/compute/ext/extended_volumes/api/v1.1" id="v-2"/>` +
		`<atom:link rel="self" href="http://example.com/compute/v2.1/servers/s"/><atom:link rel="bookmark" href="http://example.com/compute/servers/s"/></server>`
	if got := w.get("/compute/v2.1/servers/s.xml").Body.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestImageXML_FaultStandsBehindMetadata(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/image/i", sm.ActBuild, sm.PhaseFailed, fault(503, "no room", "on h-7"),
		attributes(`{"OS-EXT-IMG-SIZE:size":7,"metadata":{"k":"v"},"minDisk":3,"server":{"id":"s"}}`)))
	const want = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<image xmlns="http://docs.openstack.org/compute/api/v1.1" xmlns:atom="http://www.w3.org/2005/Atom" id="i" name="" created="2026-11-21T02:00:01Z"` +
		` updated="2026-11-21T02:00:01Z" status="ERROR" progress="0" minDisk="3" minRam="0"` +
		` xmlns:OS-EXT-IMG-SIZE="http://docs.openstack.org/compute/ext/image_size/api/v1.0" OS-EXT-IMG-SIZE:size="7">` +
		`<server id="s"/><metadata><meta key="k">v</meta></metadata>` +
		`<fault code="503" created="2026-11-21T02:00:01Z"><message>no room</message><details>on h-7</details></fault>` +
		`<atom:link rel="self" href="http://example.com/compute/v2/t/images/i"/><atom:link rel="bookmark" href="http://example.com/compute/t/images/i"/></image>`
	if got := w.get("/compute/v2/t/images/i", "Accept", "application/vnd.openstack.compute+xml").Body.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// listXML is a list as a client of its XML reads it.
type listXML struct {
	XMLName xml.Name
	Items   []struct {
		ID     string `xml:"id,attr"`
		Name   string `xml:"name,attr"`
		Status string `xml:"status,attr"`
	} `xml:",any"`
	Links []struct {
		Rel  string `xml:"rel,attr"`
		Href string `xml:"href,attr"`
	} `xml:"http://www.w3.org/2005/Atom link"`
}

func (w *world) listXML(target string, headers ...string) (list listXML, next string) {
	w.tb.Helper()
	answer := w.get(target, headers...)
	if err := xml.Unmarshal(answer.Body.Bytes(), &list); err != nil || answer.Code != http.StatusOK {
		w.tb.Fatalf("%s: %d %v: %s", target, answer.Code, err, answer.Body)
	}
	for _, l := range list.Links {
		if l.Rel == "next" {
			next = strings.TrimPrefix(l.Href, "http://example.com")
		}
	}
	return list, next
}

// Whether the suffix or the header asks for XML, the link to the next page leads on in XML.
func TestListXML_PagesAsJSONDoes(t *testing.T) {
	w := newWorld(t)
	w.fill(7)
	for target, headers := range map[string][]string{
		"/compute/v2.1/servers.xml?limit=2":        nil,
		"/compute/v2/servers/detail.xml?limit=3":   {"Accept", "application/json"},
		"/compute/v2.1/t-1/servers?limit=1":        {"Accept", "application/xml"},
		"/compute/v2.1/servers/detail?limit=7&x=<": {"Accept", "application/xml"},
	} {
		path, _, _ := strings.Cut(target, "?")
		want, _ := w.ids(strings.TrimSuffix(path, ".xml"), "servers")
		var got []string
		for next := target; next != "" && len(got) < 20; {
			var list listXML
			list, next = w.listXML(next, headers...)
			if list.XMLName.Local != "servers" || list.XMLName.Space != "http://docs.openstack.org/compute/api/v1.1" {
				t.Errorf("%s: %v", target, list.XMLName)
			}
			for _, item := range list.Items {
				got = append(got, item.ID)
				if item.Name == "" || (item.Status != "") != strings.Contains(target, "detail") {
					t.Errorf("%s: %+v", target, item)
				}
			}
		}
		if !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s: %v, in JSON %v", target, got, want)
		}
	}
	if list, next := w.listXML("/compute/v2.1/images.xml"); len(list.Items) != 0 || next != "" {
		t.Errorf("no images: %+v", list)
	}
}

func TestCompute_TypeIsTheOneAskedFor(t *testing.T) {
	w := newWorld(t)
	seed(w)
	const (
		xmlType  = "application/xml"
		jsonType = "application/json"
	)
	for _, target := range []string{"/compute", "/compute/v2.1", "/compute/v2.1/1234", "/compute/v2.1/servers", "/compute/v2.1/1234/servers/detail",
		"/compute/v2/images", "/compute/v2.1/images/detail", "/compute/v2.1/servers/" + seedServer, "/compute/v2/1234/images/" + seedImage,
		"/compute/v2.1/servers/" + seedServer + "/os-instance-actions", "/compute/v2.1/servers/" + seedServer + "/os-instance-actions/req-41"} {
		for _, c := range []struct{ suffix, accept, want string }{
			{"", "", jsonType},
			{"", "*/*", jsonType},
			{"", jsonType, jsonType},
			{"", xmlType, xmlType},
			{"", "application/vnd.openstack.compute+json", "application/vnd.openstack.compute+json"},
			{"", "application/vnd.openstack.compute+xml;version=2", "application/vnd.openstack.compute+xml"},
			{".xml", "", xmlType},
			{".xml", jsonType, xmlType},
			{".xml", "image/png", xmlType},
			{".json", xmlType, jsonType},
		} {
			if c.suffix != "" && target == "/compute" {
				continue // the suffix would be one of the mount's name
			}
			w.checkType(target+c.suffix, c.accept, c.want)
		}
		if answer := w.get(target, "Accept", "image/png"); answer.Code != http.StatusUnsupportedMediaType {
			t.Errorf("%s as a picture: %d", target, answer.Code)
		}
	}
}

// checkType asks by GET and HEAD, which must say the same.
func (w *world) checkType(target, accept, want string) {
	w.tb.Helper()
	got, head := w.get(target, "Accept", accept), w.get("HEAD "+target, "Accept", accept)
	first := byte('{')
	if strings.HasSuffix(want, "xml") {
		first = '<'
	}
	if got.Code != http.StatusOK || got.Header().Get("Content-Type") != want || got.Body.Bytes()[0] != first || !strings.Contains(got.Header().Get("Vary"), "Accept") {
		w.tb.Errorf("%s as %s: %d %v %.60s, want %s", target, accept, got.Code, got.Header(), got.Body, want)
	}
	if strings.Contains(target, "/v2.1/") && got.Header().Get("OpenStack-API-Version") != "compute 2.1" {
		w.tb.Errorf("%s as %s: microversion in %v", target, accept, got.Header())
	}
	if head.Code != got.Code || head.Body.Len() != 0 || head.Header().Get("Content-Type") != want ||
		head.Header().Get("Content-Length") != got.Header().Get("Content-Length") {
		w.tb.Errorf("HEAD %s as %s: %d %v", target, accept, head.Code, head.Header())
	}
}

func TestMicroversions_AreAnsweredInXMLToo(t *testing.T) {
	w := newWorld(t)
	w.fill(1)
	answer := w.get("/compute/v2.1/servers/s-0.xml", "OpenStack-API-Version", "compute 2.79")
	if head := answer.Header(); answer.Code != 200 || head.Get("OpenStack-API-Version") != "compute 2.79" || head.Get("X-OpenStack-Nova-API-Version") != "2.79" {
		t.Errorf("%d %v", answer.Code, head)
	}
	answer = w.get("/compute/v2.1/servers/s-0.xml", "X-OpenStack-Nova-API-Version", "2.999")
	const want = `<computeFault xmlns="http://docs.openstack.org/compute/api/v1.1" code="406"><message>Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.104.</message></computeFault>`
	if answer.Code != http.StatusNotAcceptable || !strings.HasSuffix(answer.Body.String(), want) {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}
