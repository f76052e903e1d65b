package api

import (
	"encoding/json"
	"testing"

	sm "faultd/statemachine"
)

func TestServerFields_OfAnotherTypeAreLeftOut(t *testing.T) {
	for _, c := range []struct {
		attributes, field string
		want              string // "": left out
	}{
		{`{"metadata":{"a":"b"}}`, "metadata", `{"a":"b"}`},
		{`{"metadata":"none"}`, "metadata", `{}`},
		{`{"metadata":{"a":1}}`, "metadata", `{}`},
		{`{"image":{"id":"i-1"}}`, "image", `{"id":"i-1"}`},
		{`{"image":{"id":1}}`, "image", `""`},
		{`{"image":"i-1"}`, "image", `""`},
		{`{"flavor":{"id":"f","ram":1}}`, "flavor", `{"id":"f","ram":1}`},
		{`{"flavor":{"ram":1}}`, "flavor", `{"id":""}`},
		{`{"hostId":"h"}`, "hostId", `"h"`},
		{`{"hostId":null}`, "hostId", `""`},
		{`{"addresses":{"net":[{"addr":"10.0.0.1","version":4}]}}`, "addresses", `{"net":[{"addr":"10.0.0.1","version":4}]}`},
		{`{"addresses":{"net":"10.0.0.1"}}`, "addresses", `{}`},
		{`{"OS-EXT-STS:power_state":1}`, "OS-EXT-STS:power_state", `1`},
		{`{"OS-EXT-STS:power_state":1.5}`, "OS-EXT-STS:power_state", ``},
		{`{"OS-SRV-USG:launched_at":"2013-09-23T13:37:00.880302"}`, "OS-SRV-USG:launched_at", `"2013-09-23T13:37:00.880302"`},
		{`{"OS-SRV-USG:launched_at":"2013-09-23T13:37:00Z"}`, "OS-SRV-USG:launched_at", ``},
		{`{"OS-SRV-USG:launched_at":null}`, "OS-SRV-USG:launched_at", `null`},
		{`{"config_drive":"maybe"}`, "config_drive", ``},
		{`{"config_drive":"True"}`, "config_drive", `"True"`},
		{`{"security_groups":[{"name":"default"}]}`, "security_groups", `[{"name":"default"}]`},
		{`{"security_groups":["default"]}`, "security_groups", ``},
		{`{"key_name":null}`, "key_name", `null`},
		{`{"adminPass":"secret"}`, "adminPass", ``},
	} {
		r := sm.Resource{Key: sm.Key{Tenant: "t", Kind: sm.Server, ID: "s"}, Status: sm.Active, Attributes: sm.Attributes(c.attributes)}
		var server map[string]json.RawMessage
		if err := json.Unmarshal(appendServer(nil, &r, &look{admin: true}), &server); err != nil {
			t.Fatalf("%s: %v", c.attributes, err)
		}
		if got := string(server[c.field]); got != c.want {
			t.Errorf("%s: %s is %s, want %s", c.attributes, c.field, got, c.want)
		}
	}
}

func TestServer_OwnFieldsWin(t *testing.T) {
	r := sm.Resource{Key: sm.Key{Tenant: "t", Kind: sm.Server, ID: "s"}, Name: "n", Status: sm.Active, Created: 1, Updated: 1,
		Attributes: sm.Attributes(`{"created":"x","fault":{"code":1},"id":"x","links":[],"name":"x","progress":3,"status":"x","tenant_id":"x","updated":"x","user_id":"x"}`)}
	plain := r
	plain.Attributes = nil
	l := look{self: "http://h/compute/v2.1/", bookmark: "http://h/compute/"}
	if got, want := string(appendServer(nil, &r, &l)), string(appendServer(nil, &plain, &l)); got != want {
		t.Errorf("with attributes\n%s\nwithout\n%s", got, want)
	}
}

func TestServer_HostIsForAdministrators(t *testing.T) {
	r := sm.Resource{Key: sm.Key{Kind: sm.Server}, Attributes: sm.Attributes(`{"OS-EXT-SRV-ATTR:host":"canary"}`)}
	if body := string(appendServer(nil, &r, &look{})); contains(body, "canary") {
		t.Errorf("a tenant sees %s", body)
	}
	if body := string(appendServer(nil, &r, &look{admin: true})); !contains(body, "canary") {
		t.Errorf("an administrator sees %s", body)
	}
}

func TestServer_FlavorHasItsNameFromMicroversion47(t *testing.T) {
	for _, c := range []struct {
		version            int
		attributes, flavor string
	}{
		{46, `{"flavor":{"id":"f"}}`, `{"id":"f"}`},
		{47, `{"flavor":{"id":"f"}}`, `{"id":"f","original_name":"f"}`},
		{47, `{"flavor":{"id":"f","original_name":"big"}}`, `{"id":"f","original_name":"big"}`},
		{47, ``, `{"id":"","original_name":""}`},
	} {
		r := sm.Resource{Key: sm.Key{Kind: sm.Server}, Attributes: sm.Attributes(c.attributes)}
		var server struct{ Flavor json.RawMessage }
		if err := json.Unmarshal(appendServer(nil, &r, &look{version: c.version}), &server); err != nil {
			t.Fatal(err)
		}
		if string(server.Flavor) != c.flavor {
			t.Errorf("2.%d: %s is shown as %s, want %s", c.version, c.attributes, server.Flavor, c.flavor)
		}
	}
}

func TestFields_FitIntoValues(t *testing.T) {
	for name, fs := range map[string]fields{"server": serverFields, "image": imageFields} {
		if len(fs.list) > maxFields {
			t.Errorf("%s: %d fields, values hold %d", name, len(fs.list), maxFields)
		}
	}
}

func TestFault_DetailsOfInternalErrorsAreForAdministrators(t *testing.T) {
	for _, c := range []struct {
		code  int
		admin bool
		want  string
	}{
		{500, true, `{"fault":{"code":500,"created":"1970-01-01T00:00:01Z","message":"m","details":"d"}`},
		{500, false, `{"fault":{"code":500,"created":"1970-01-01T00:00:01Z","message":"m"}`},
		{503, false, `{"fault":{"code":503,"created":"1970-01-01T00:00:01Z","message":"m","details":"d"}`},
	} {
		f := &sm.Fault{Code: c.code, Created: 1_999_999_999, Message: "m", Details: "d"}
		if got := string(appendFault([]byte("{"), f, c.admin)); got != c.want {
			t.Errorf("code %d, admin %v: %s, want %s", c.code, c.admin, got, c.want)
		}
	}
}
