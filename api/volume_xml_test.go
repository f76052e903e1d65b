package api_test

import (
	"encoding/xml"
	"net/http"
	"strings"
	"testing"

	sm "faultd/statemachine"
)

// volumeNode is an element of XML, whatever it is.
type volumeNode struct {
	XMLName  xml.Name
	Attrs    []xml.Attr   `xml:",any,attr"`
	Children []volumeNode `xml:",any"`
	Text     string       `xml:",chardata"`
}

func (n *volumeNode) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// all are the children of that name.
func (n *volumeNode) all(name string) (found []volumeNode) {
	for _, c := range n.Children {
		if c.XMLName.Local == name {
			found = append(found, c)
		}
	}
	return found
}

const volumeNamespace = "http://docs.openstack.org/api/openstack-block-storage/2.0/content"

// readXML asks for a path in XML. The answer must be 200 and in the namespace of the Block Storage API.
func (w *world) readXML(target string, headers ...string) (n volumeNode) {
	w.tb.Helper()
	answer := w.get(target, headers...)
	if answer.Code != http.StatusOK || !strings.HasSuffix(answer.Header().Get("Content-Type"), "xml") {
		w.tb.Fatalf("%s: %d %v %s", target, answer.Code, answer.Header(), answer.Body)
	}
	if err := xml.Unmarshal(answer.Body.Bytes(), &n); err != nil {
		w.tb.Fatalf("%s: %v\n%s", target, err, answer.Body)
	}
	if n.XMLName.Space != volumeNamespace {
		w.tb.Errorf("%s: namespace %s", target, n.XMLName.Space)
	}
	return n
}

// volumeLinks are the addresses of links by what they are.
func volumeLinks(n *volumeNode) string {
	var all []string
	for _, l := range n.all("link") {
		if l.XMLName.Space == "http://www.w3.org/2005/Atom" {
			all = append(all, l.attr("rel")+" "+l.attr("href"))
		}
	}
	return strings.Join(all, ", ")
}

func TestVolumeXML_Backup(t *testing.T) {
	w := newWorld(t)
	w.apply(event("t/backup/b", sm.ActBackup, sm.PhaseFailed, named(`a "b" <c> & d`), fault(404, "no <volume>\nv-1", "why & how"),
		attributes(`{"volume_id":"v-1","size":10,"container":null,"metadata":{"k\u00e9y":"v<1>"},"is_incremental":true}`)))
	check := func(b *volumeNode) {
		t.Helper()
		for name, want := range map[string]string{
			"id": "b", "name": `a "b" <c> & d`, "status": "error", "fail_reason": "no <volume>\nv-1", "created_at": "2026-11-21T02:00:01.000000",
			"updated_at": "2026-11-21T02:00:01.000000", "data_timestamp": "2026-11-21T02:00:01.000000", "project_id": "t", "user_id": "",
			"volume_id": "v-1", "size": "10", "container": "", "is_incremental": "true", "has_dependent_backups": "false", "object_count": "0",
		} {
			if got := b.attr(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		faults, metadata := b.all("fault"), b.all("metadata")
		if len(faults) != 1 || len(metadata) != 1 {
			t.Fatalf("%d faults, %d metadata", len(faults), len(metadata))
		}
		f := &faults[0]
		if f.attr("code") != "404" || f.attr("created") != "2026-11-21T02:00:01Z" || f.all("message")[0].Text != "no <volume>\nv-1" ||
			f.all("details")[0].Text != "why & how" || f.XMLName.Space != volumeNamespace {
			t.Errorf("fault %+v", f)
		}
		if m := metadata[0].Children; len(m) != 1 || m[0].attr("key") != "kéy" || m[0].Text != "v<1>" {
			t.Errorf("metadata %+v", m)
		}
		if got := volumeLinks(b); got != "self http://example.com/volume/v3/t/backups/b, bookmark http://example.com/volume/t/backups/b" {
			t.Errorf("links %s", got)
		}
	}
	one := w.readXML("/volume/v3/t/backups/b", "Accept", "application/xml")
	check(&one)
	w.apply(event("t/backup/known", sm.ActBackup, sm.PhaseSucceeded, attributes(`{"data_timestamp":"2026-11-20T01:02:03.5"}`)),
		event("t/backup/known", sm.ActDelete, sm.PhaseSucceeded))
	if got := w.get("/volume/v3/t/backups/known.xml").Body.String(); strings.Count(got, ` data_timestamp="2026-11-20T01:02:03.5"`) != 1 ||
		strings.Count(got, "data_timestamp") != 1 {
		t.Errorf("a time that its producer gave: %s", got)
	}
	all := w.readXML("/volume/v3/t/backups/detail.xml?limit=1&with_count=1")
	if all.XMLName.Local != "backups" || all.attr("count") != "1" || len(all.all("backup")) != 1 {
		t.Fatalf("list %+v", all)
	}
	check(&all.all("backup")[0])
	if got := volumeLinks(&all); got != "next http://example.com/volume/v3/t/backups/detail.xml?limit=1&marker=b&with_count=1" {
		t.Errorf("next: %s", got)
	}
	brief := w.readXML("/volume/v2/t/backups", "Accept", "application/vnd.openstack.volume+xml")
	if b := brief.all("backup"); len(b) != 1 || b[0].attr("id") != "b" || b[0].attr("status") != "" || len(b[0].Children) != 2 || len(brief.all("link")) != 0 {
		t.Errorf("brief %+v", brief)
	}
}

func TestVolumeXML_Messages(t *testing.T) {
	w := fewMessages(t)
	listed := w.messages("/volume/v3/t/messages?limit=2")
	page := w.readXML("/volume/v3/t/messages.xml?limit=2")
	if len(page.all("message")) != 2 || page.XMLName.Local != "messages" {
		t.Fatalf("%+v", page)
	}
	for i, want := range listed {
		one := w.readXML("/volume/v3/t/messages/"+want.ID, "Accept", "application/xml, application/json;q=0.5")
		for _, m := range []volumeNode{page.all("message")[i], one} {
			got := volumeMessage{ID: m.attr("id"), EventID: m.attr("event_id"), Level: m.attr("message_level"), Text: m.attr("user_message"),
				RequestID: m.attr("request_id"), ResourceType: m.attr("resource_type"), ResourceUUID: m.attr("resource_uuid"),
				CreatedAt: m.attr("created_at"), GuaranteedUntil: m.attr("guaranteed_until")}
			if got != want {
				t.Errorf("in XML %+v, in JSON %+v", got, want)
			}
			if got, want := volumeLinks(&m), "self http://example.com/volume/v3/t/messages/"+want.ID+", bookmark http://example.com/volume/t/messages/"+want.ID; got != want {
				t.Errorf("links %s", got)
			}
		}
	}
	if got := volumeLinks(&page); got != "next http://example.com/volume/v3/t/messages.xml?limit=2&marker="+listed[1].ID {
		t.Errorf("next: %s", got)
	}
}
