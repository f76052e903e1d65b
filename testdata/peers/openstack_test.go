//go:build packages

package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// rebuiltServer is a server of the sample log that was built, rebuilt in vain, and rebuilt.
const rebuiltServer = "52415800-8b69-11e0-9b19-734f00000103"

// The real command, of the Debian package python3-openstackclient.
func TestOpenStackCommand(t *testing.T) {
	at := start(t)
	url := at + "/compute/v2.1/" + tenant
	t.Run("ServerShow", func(t *testing.T) {
		var s struct {
			Status   string
			Progress int
			Fault    struct {
				Code                      int
				Created, Message, Details string
			}
		}
		openstack(t, url, &s, "server", "show", faultyServer)
		if s.Status != "ERROR" || s.Progress != 66 || s.Fault.Code != 404 || s.Fault.Created != "2010-08-10T11:59:59Z" ||
			!strings.HasPrefix(s.Fault.Message, "Could not find image") || s.Fault.Details != "Fault details" {
			t.Errorf("it shows %+v", s)
		}
	})
	servers, images := stored(t, at, "server"), stored(t, at, "image")
	t.Run("ServerListLong", func(t *testing.T) { listServersInError(t, url, servers) })
	t.Run("ServerListPaged", func(t *testing.T) { listServersPaged(t, url, servers) })
	t.Run("ServerEventList", func(t *testing.T) { listServerEvents(t, url) })
	t.Run("ServerEventShow", func(t *testing.T) { showServerEvent(t, url) })
	t.Run("ImageList", func(t *testing.T) { listImagesByCommand(t, url, images) })
	t.Run("ImageShow", func(t *testing.T) { showImageByCommand(t, url) })
}

// resource is what /v1 tells of one: what is stored, in no dialect.
type resource struct {
	ID, Name, Status string
	Attributes       struct {
		Image, Flavor struct{ ID string }
	}
}

// stored are the resources of the tenant that are there, the newest first.
func stored(t *testing.T, at, kind string) []resource {
	t.Helper()
	answer, err := http.Get(at + "/v1/resources?tenant=" + tenant + "&kind=" + kind)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var list struct{ Resources []resource }
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil || len(list.Resources) < 3 {
		t.Fatalf("%d resources of the kind %s: %v", len(list.Resources), kind, err)
	}
	return list.Resources
}

func listServersInError(t *testing.T, url string, servers []resource) {
	var all []struct {
		ID, Name, Status string
		Image            string `json:"Image ID"`
		Flavor           string `json:"Flavor ID"`
	}
	openstack(t, url, &all, "server", "list", "--status", "ERROR", "--long")
	broken := slices.DeleteFunc(slices.Clone(servers), func(r resource) bool { return r.Status != "ERROR" })
	if len(all) != len(broken) || len(all) == 0 {
		t.Fatalf("it lists %d servers in ERROR, stored are %d", len(all), len(broken))
	}
	for i, s := range all {
		r := broken[i]
		if s.ID != r.ID || s.Name != r.Name || s.Status != "ERROR" || s.Image != r.Attributes.Image.ID || s.Flavor != r.Attributes.Flavor.ID {
			t.Errorf("it lists %+v, stored is %+v", s, r)
		}
	}
}

// listServersPaged reads one server a page, each behind the one before.
func listServersPaged(t *testing.T, url string, servers []resource) {
	args := []string{"server", "list", "--limit", "1"}
	for i, r := range servers[:3] {
		var page []struct{ ID, Name, Status string }
		openstack(t, url, &page, args...)
		if len(page) != 1 || page[0].ID != r.ID || page[0].Name != r.Name || page[0].Status != r.Status {
			t.Errorf("page %d is %+v, stored is %+v", i, page, r)
		}
		args = append(args[:4:4], "--marker", r.ID)
	}
	var page []any
	openstack(t, url, &page, append(args[:4:4], "--marker", servers[len(servers)-1].ID)...)
	if len(page) != 0 {
		t.Errorf("behind the last it lists %v", page)
	}
}

// serverEvent is a line of the list of a server's events.
type serverEvent struct {
	Request string `json:"Request ID"`
	Server  string `json:"Server ID"`
	Action  string
	Start   string `json:"Start Time"`
	Message *string
	Project string `json:"Project ID"`
	User    string `json:"User ID"`
}

func listServerEvents(t *testing.T, url string) {
	var all []serverEvent
	openstack(t, url, &all, "server", "event", "list", faultyServer)
	if want := (serverEvent{Request: faultyRequest, Server: faultyServer, Action: "create", Start: "2010-08-10T11:47:20.000000"}); len(all) != 1 || all[0] != want {
		t.Errorf("it lists %+v, want %+v", all, want)
	}
	openstack(t, url, &all, "server", "event", "list", "--long", rebuiltServer)
	got := ""
	for _, e := range all {
		if got += e.Action + " " + e.Request; e.Message != nil {
			got += " " + *e.Message
		}
		got += ", "
		if e.Server != rebuiltServer || e.Project != tenant || e.User != "5678" {
			t.Errorf("it lists %+v", e)
		}
	}
	const want = "rebuild req-00000083-0810-4a10-8a10-524158000083, rebuild req-00000082-0810-4a10-8a10-524158000082 Error, " +
		"create req-00000038-0810-4a10-8a10-524158000038, "
	if got != want {
		t.Errorf("it lists %s, want %s", got, want)
	}
}

func showServerEvent(t *testing.T, url string) {
	var e struct {
		Action  string
		Message string
		Events  []struct{ Event, Result, Details, Traceback string }
	}
	openstack(t, url, &e, "server", "event", "show", faultyServer, faultyRequest)
	if e.Action != "create" || e.Message != "Error" || len(e.Events) != 1 || e.Events[0].Result != "Error" ||
		e.Events[0].Details != "Could not find image 52415800-8b69-11e0-9b19-734f6f007777" || e.Events[0].Traceback != "Fault details" {
		t.Errorf("it shows %+v", e)
	}
}

// The command takes the Compute API's images for those of the Image API, which are like them: the plain list has no
// status, and one image stands in a member of its own, which the command takes for a property.

func listImagesByCommand(t *testing.T, url string, images []resource) {
	for _, c := range []struct {
		args []string
		want []resource
	}{
		{nil, images},
		{[]string{"--limit", "1"}, images[:1]},
		{[]string{"--marker", images[0].ID}, images[1:]},
		{[]string{"--name", "debian-5"}, slices.DeleteFunc(slices.Clone(images), func(r resource) bool { return r.Name != "debian-5" })},
		{[]string{"--status", "error"}, slices.DeleteFunc(slices.Clone(images), func(r resource) bool { return r.Status != "ERROR" })},
	} {
		var all []struct{ ID, Name string }
		openstack(t, url, &all, append([]string{"image", "list"}, c.args...)...)
		want := map[string]string{}
		for _, r := range c.want {
			want[r.ID] = r.Name
		}
		got := map[string]string{} // the command sorts by name
		for _, image := range all {
			got[image.ID] = image.Name
		}
		if len(want) == 0 || !maps.Equal(got, want) || len(all) != len(want) {
			t.Errorf("%v lists %v, stored are %v", c.args, all, want)
		}
	}
}

func showImageByCommand(t *testing.T, url string) {
	var s struct {
		ID         string
		Properties struct {
			Image struct {
				ID, Name, Status string
				Progress         int
				Fault            struct {
					Code                      int
					Created, Message, Details string
				}
			}
		}
	}
	openstack(t, url, &s, "image", "show", faultyImage)
	i := s.Properties.Image
	if s.ID != faultyImage || i.ID != faultyImage || i.Status != "ERROR" || i.Progress != 89 || i.Fault.Code != 500 || i.Fault.Created != "2010-08-10T12:01:12Z" ||
		i.Fault.Message != "An internal error occured" || i.Fault.Details != "Error details" {
		t.Errorf("it shows %+v", s)
	}
	var named struct{ ID, Name string }
	openstack(t, url, &named, "image", "show", "debian-5") // which it looks for by name
	if named.ID != goodImage || named.Name != "debian-5" {
		t.Errorf("by its name it shows %+v", named)
	}
}

// openstack runs the command against a daemon, without a keystone, and decodes what it prints.
func openstack(t *testing.T, url string, into any, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openstack", append(args, "-f", "json")...)
	cmd.Env = append(os.Environ(), "OS_AUTH_TYPE=admin_token", "OS_ENDPOINT="+url, "OS_TOKEN=any")
	var out, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &wrong
	if err := cmd.Run(); err != nil {
		t.Fatalf("openstack %v: %v\n%s", args, err, &wrong)
	}
	if err := json.Unmarshal(out.Bytes(), into); err != nil {
		t.Fatalf("openstack %v printed what is no JSON: %v\n%s", args, err, &out)
	}
}
