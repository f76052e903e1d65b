package api_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"faultd/api"
	sm "faultd/statemachine"
)

// samplesBase is the address that the sample documents were taken from; the mount's own segment stands in ours.
const samplesBase = "http://servers.api.openstack.org/compute/v2/1234"

// sampled applies the events that lead to the Compute API's sample documents.
func sampled(w *world) {
	at := func(clock string) sm.Time {
		t, err := time.Parse(time.RFC3339, clock)
		if err != nil {
			w.tb.Fatal(err)
		}
		return sm.At(t)
	}
	created := func(e *sm.Entry) { e.Created = at("2010-08-10T12:00:00Z") }
	happened := func(e *sm.Entry) { e.Time = at("2010-08-10T11:59:59Z") }
	user := func(e *sm.Entry) { e.User = "5678" }
	server, image := "1234/server/52415800-8b69-11e0-9b19-734f0000ffff", "1234/image/52415800-8b69-11e0-9b19-734f5736d2a2"
	w.apply(
		event(server, sm.ActBuild, sm.PhaseStarted, happened, created, user, named("sample-server"), progress(66),
			attributes(`{"flavor":{"id":"52415800-8b69-11e0-9b19-734f216543fd"},"hostId":"e4d909c290d0fb1ca068ffafff22cbd0","image":{"id":"52415800-8b69-11e0-9b19-734f6f007777"}}`)),
		event(server, sm.ActBuild, sm.PhaseFailed, happened, fault(404, "Could not find image 52415800-8b69-11e0-9b19-734f6f007777", "Fault details")),
		event("1234/server/52415800-8b69-11e0-9b19-734fcece0043", sm.ActBuild, sm.PhaseSucceeded, named("my-server")),
		event("1234/image/52415800-8b69-11e0-9b19-734f6f006e54", sm.ActBuild, sm.PhaseSucceeded, named("CentOS 5.2")),
		event(image, sm.ActSnapshot, sm.PhaseStarted, created, named("My Server Backup"), progress(89),
			attributes(`{"server":{"id":"52415800-8b69-11e0-9b19-734f335aa7b3"}}`)),
		event(image, sm.ActSnapshot, sm.PhaseFailed, fault(500, "An internal error occurred", "Error details")),
	)
}

// Why a document differs from its sample.
const (
	byOwnID      = "the sample's links name another id than the sample: here they lead to the server"
	needed       = "clients cannot do without it: the openstack command, gophercloud, Nova's own schema"
	seedSaysSo   = "the seed's document says so"
	isInError    = "the text around the sample and its XML twin say ERROR: a fault is there in ERROR alone"
	faultCreated = "faultd knows when it happened; the schema has it"
	noGlance     = "faultd knows no Glance to lead to, and the seed's document has no such link"
	newerIs      = "v2.1 is the current version, as with Nova since"
	thisAPI      = "the documents that the sample leads to are gone; this leads to those of today"
	asNova       = "Nova says it of each version since it has microversions"
	asNovaLists  = "a list of versions leaves it to the version's own document, as Nova's does"
	tellsUpdated = "Nova says it in a list too; JSON and XML are the same here"
	toTheVersion = "the link leads to the version itself, not to a file"
)

// sample is a document of the Compute API's, the path that answers with it here, and the places where both differ.
type sample struct {
	file   string // without .json or .xml
	target string
	theirs string // the part of the sample that is compared, "" for all
	ours   string // the part of the answer
	json   map[string]string
	xml    map[string]string
	noJSON bool // the sample has no counterpart in JSON
}

var samples = []sample{
	{
		file: "server-fault", target: samplesBase + "/servers/52415800-8b69-11e0-9b19-734f0000ffff",
		json: map[string]string{"/server/links[0]/href": byOwnID, "/server/links[1]/href": byOwnID,
			"/server/updated": needed, "/server/metadata": needed, "/server/addresses": needed},
		xml: map[string]string{"/server/link[0]@href": byOwnID, "/server/link[1]@href": byOwnID, "/server@updated": needed},
	},
	{
		file: "image-fault", target: samplesBase + "/images/52415800-8b69-11e0-9b19-734f5736d2a2",
		json: map[string]string{"/image/status": isInError, "/image/fault/created": faultCreated, "/image/updated": needed,
			"/image/metadata": needed, "/image/minDisk": needed, "/image/minRam": needed},
		xml: map[string]string{"/image/fault[0]@created": faultCreated, "/image@updated": needed, "/image@minDisk": needed, "/image@minRam": needed},
	},
	{file: "server-simple", target: samplesBase + "/servers?name=my-server", theirs: "/server", ours: "/servers[0] /servers/server[0]"},
	{
		file: "image-simple", target: samplesBase + "/images?name=My%20Server%20Backup", theirs: "/image", ours: "/images[0] /images/image[0]",
		json: map[string]string{"/links[2]/href": noGlance, "/links[2]/rel": noGlance, "/links[2]/type": noGlance},
		xml:  map[string]string{"/link[2]": noGlance, "/link[2]@href": noGlance, "/link[2]@rel": noGlance, "/link[2]@type": noGlance},
	},
	{
		file: "images-page1", target: samplesBase + "/images?limit=1&marker=52415800-8b69-11e0-9b19-734f5736d2a2",
		json: map[string]string{"/images[0]/links[1]/href": seedSaysSo, "/images[0]/links[1]/rel": seedSaysSo},
		xml: map[string]string{"/images/image[0]/link[1]": seedSaysSo, "/images/image[0]/link[1]@href": seedSaysSo,
			"/images/image[0]/link[1]@rel": seedSaysSo},
	},
	{
		file: "version-get-resp", target: "http://23.253.228.211:8774/compute/v2/",
		json: map[string]string{"/version/status": newerIs, "/version/version": asNova, "/version/min_version": asNova,
			"/version/links[1]/href": thisAPI, "/version/links[1]/type": thisAPI,
			"/version/links[2]/href": thisAPI, "/version/links[2]/type": thisAPI, "/version/links[2]/rel": thisAPI},
		xml: map[string]string{"/version@status": newerIs, "/version/link[1]@href": thisAPI, "/version/link[1]@type": thisAPI,
			"/version/link[2]": thisAPI, "/version/link[2]@href": thisAPI, "/version/link[2]@type": thisAPI, "/version/link[2]@rel": thisAPI},
	},
	{
		// The XML of this sample answers a path without a version, which is no path here; its entries are compared with those
		// of the list.
		file: "versions-get-resp", target: "http://23.253.228.211:8774/compute/", theirs: "/choices/version[1]", ours: " /versions/version[0]", noJSON: true,
		xml: map[string]string{"@status": newerIs, "@updated": tellsUpdated, "/link[0]@href": toTheVersion,
			"/media-types[0]": asNovaLists, "/media-types[0]/media-type[0]": asNovaLists, "/media-types[0]/media-type[1]": asNovaLists,
			"/media-types[0]/media-type[0]@base": asNovaLists, "/media-types[0]/media-type[0]@type": asNovaLists,
			"/media-types[0]/media-type[1]@base": asNovaLists, "/media-types[0]/media-type[1]@type": asNovaLists},
	},
}

func TestSamples_AreAnsweredElementByElement(t *testing.T) {
	w := newWorld(t)
	sampled(w)
	for _, s := range samples {
		oursJSON, oursXML, _ := strings.Cut(s.ours, " ")
		if !s.noJSON {
			checkSample(t, s.file+".json", s.json, part(leavesOfJSON(t, readSample(t, s.file+".json")), s.theirs),
				part(leavesOfJSON(t, answered(w, s.target)), oursJSON))
		}
		checkSample(t, s.file+".xml", s.xml, part(leavesOfXML(t, readSample(t, s.file+".xml")), s.theirs),
			part(leavesOfXML(t, answered(w, s.target, "Accept", "application/xml")), oursXML))
	}
}

// The sample of a version in JSON is there twice, once under the name of that of all versions.
func TestSamples_VersionsAreAnsweredInJSON(t *testing.T) {
	if !bytes.Equal(canonical(t, readSample(t, "version-get-resp.json")), canonical(t, readSample(t, "versions-get-resp.json"))) {
		t.Error("the two samples differ: compare the second one too")
	}
}

// Faults of requests have messages of their own, so the samples' are rendered with theirs.
func TestSamples_FaultsAreRendered(t *testing.T) {
	const seedRetryAt = "the seed, its text and the schema call it retryAt"
	for _, s := range []struct {
		file, element string
		code          int
		retryAt       string
		message       string
		json, xml     map[string]string
	}{
		{file: "fault", element: "computeFault", code: 500, message: "Fault!"},
		{file: "notfound", element: "itemNotFound", code: 404, message: "Not Found"},
		{file: "overlimit", element: "overLimit", code: 413, message: "OverLimit Retry...", retryAt: "2010-08-01T00:00:00Z",
			json: map[string]string{"/overLimit/retryAfter": seedRetryAt, "/overLimit/retryAt": seedRetryAt},
			xml:  map[string]string{"/overLimit@retryAfter": seedRetryAt, "/overLimit@retryAt": seedRetryAt}},
	} {
		inJSON, inXML := api.RenderComputeFault(s.element, s.code, s.retryAt, s.message, "Error Details...")
		checkSample(t, s.file+".json", s.json, leavesOfJSON(t, readSample(t, s.file+".json")), leavesOfJSON(t, inJSON))
		checkSample(t, s.file+".xml", s.xml, leavesOfXML(t, readSample(t, s.file+".xml")), leavesOfXML(t, inXML))
	}
}

func readSample(tb testing.TB, file string) []byte {
	tb.Helper()
	text, err := os.ReadFile("../testdata/samples-compute/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// answered is the body of an answer; the mount's own segment, which no sample can have, is taken out of its links.
func answered(w *world, target string, headers ...string) []byte {
	w.tb.Helper()
	answer := w.get("GET "+target, headers...)
	if answer.Code != 200 {
		w.tb.Fatalf("%s: %d %s", target, answer.Code, answer.Body)
	}
	host, _, _ := strings.Cut(target, "/compute/")
	return bytes.ReplaceAll(answer.Body.Bytes(), []byte(host+"/compute/"), []byte(host+"/"))
}

// checkSample compares what two documents hold: they must differ where it is said that they do, and nowhere else.
func checkSample(t *testing.T, name string, allowed, want, got map[string]string) {
	t.Helper()
	if len(want) == 0 {
		t.Errorf("%s: there is nothing to compare", name)
	}
	different := map[string]bool{}
	for _, at := range slices.Sorted(maps.Keys(union(want, got))) {
		w, inWant := want[at]
		g, inGot := got[at]
		if w == g && inWant == inGot {
			continue
		}
		different[at] = true
		if allowed[at] == "" {
			t.Errorf("%s: %s is %q (%v), the sample has %q (%v)", name, at, g, inGot, w, inWant)
		}
	}
	for at := range allowed {
		if !different[at] {
			t.Errorf("%s: %s is as in the sample, though it is said not to be", name, at)
		}
	}
}

func union(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// part keeps what lies below a place, named from there.
func part(leaves map[string]string, at string) map[string]string {
	below := map[string]string{}
	for name, value := range leaves {
		if rest, ok := strings.CutPrefix(name, at); ok {
			below[rest] = value
		}
	}
	return below
}

// leavesOfJSON are the values in a document by where they stand.
func leavesOfJSON(tb testing.TB, text []byte) map[string]string {
	tb.Helper()
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		tb.Fatalf("%v: %s", err, text)
	}
	leaves := map[string]string{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if len(v) == 0 {
				leaves[at] = "{}"
			}
			for name, value := range v {
				walk(at+"/"+name, value)
			}
		case []any:
			for i, value := range v {
				walk(fmt.Sprintf("%s[%d]", at, i), value)
			}
		default:
			leaves[at] = fmt.Sprintf("%#v", v)
		}
	}
	walk("", doc)
	return leaves
}

func canonical(tb testing.TB, text []byte) []byte {
	tb.Helper()
	return []byte(fmt.Sprint(leavesOfJSON(tb, text)))
}

// leavesOfXML are the attributes and elements of a document by where they stand; an element's value is its namespace
// and its text. The order of attributes is none, that of elements of one name counts.
func leavesOfXML(tb testing.TB, text []byte) map[string]string {
	tb.Helper()
	leaves := map[string]string{}
	var at []string
	seen := map[string]int{}
	for decoder := xml.NewDecoder(bytes.NewReader(text)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return leaves
		}
		if err != nil {
			tb.Fatalf("%v: %s", err, text)
		}
		switch token := token.(type) {
		case xml.StartElement:
			name := strings.Join(at, "") + "/" + token.Name.Local
			if len(at) > 0 {
				seen[name]++
				name = fmt.Sprintf("%s[%d]", name, seen[name]-1)
			}
			at = append(at, strings.TrimPrefix(name, strings.Join(at, "")))
			leaves[name] = token.Name.Space + " "
			for _, a := range token.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					leaves[name+"@"+a.Name.Local] = a.Name.Space + " " + a.Value
				}
			}
		case xml.CharData:
			if s := strings.TrimSpace(string(token)); s != "" {
				leaves[strings.Join(at, "")] += s
			}
		case xml.EndElement:
			at = at[:len(at)-1]
		}
	}
}
