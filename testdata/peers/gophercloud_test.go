package peers

import (
	"context"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/instanceactions"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/pagination"
)

func TestGophercloud(t *testing.T) {
	url := start(t)
	compute := &gophercloud.ServiceClient{
		ProviderClient: &gophercloud.ProviderClient{TokenID: "any"},
		Endpoint:       url + "/compute/v2.1/" + tenant + "/",
		Type:           "compute",
	}
	t.Run("Get", func(t *testing.T) { getServer(t, compute) })
	t.Run("GetUnknown", func(t *testing.T) { getUnknown(t, compute) })
	t.Run("ListPaged", func(t *testing.T) { listPaged(t, compute) })
	t.Run("ListByStatus", func(t *testing.T) { listByStatus(t, compute) })
	t.Run("InstanceActions", func(t *testing.T) { actions(t, compute) })
}

func getServer(t *testing.T, compute *gophercloud.ServiceClient) {
	s, err := servers.Get(t.Context(), compute, faultyServer).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if s.ID != faultyServer || s.TenantID != tenant || s.UserID != "5678" || s.Name != "sample-server" || s.Status != "ERROR" || s.Progress != 66 ||
		s.HostID != "e4d909c290d0fb1ca068ffafff22cbd0" || !s.Created.Equal(time.Date(2010, 8, 10, 12, 0, 0, 0, time.UTC)) ||
		s.Image["id"] != "52415800-8b69-11e0-9b19-734f6f007777" || s.Flavor["id"] != "52415800-8b69-11e0-9b19-734f216543fd" {
		t.Errorf("the server is not the documentation's: %+v", s)
	}
	want := servers.Fault{Code: 404, Created: time.Date(2010, 8, 10, 11, 59, 59, 0, time.UTC),
		Message: "Could not find image 52415800-8b69-11e0-9b19-734f6f007777", Details: "Fault details"}
	if s.Fault != want {
		t.Errorf("fault\n got %+v\nwant %+v", s.Fault, want)
	}
}

func getUnknown(t *testing.T, compute *gophercloud.ServiceClient) {
	_, err := servers.Get(t.Context(), compute, "00000000-0000-0000-0000-000000000000").Extract()
	if !gophercloud.ResponseCodeIs(err, 404) {
		t.Errorf("a server that is not known gives %v, want 404", err)
	}
}

// listPaged reads one server a page, and compares with the list in one page.
func listPaged(t *testing.T, compute *gophercloud.ServiceClient) {
	whole := list(t, compute, servers.ListOpts{})
	if len(whole) < 8 {
		t.Fatalf("only %d servers are listed", len(whole))
	}
	var paged []string
	pages := 0
	err := servers.List(compute, servers.ListOpts{Limit: 1}).EachPage(t.Context(), func(_ context.Context, page pagination.Page) (bool, error) {
		some, err := servers.ExtractServers(page)
		for _, s := range some {
			paged = append(paged, s.ID)
		}
		pages++
		return pages < 100, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(paged) != len(whole) {
		t.Fatalf("%d servers page by page, %d at once", len(paged), len(whole))
	}
	for i, s := range whole {
		if paged[i] != s.ID {
			t.Errorf("server %d is %s page by page, %s at once", i, paged[i], s.ID)
		}
	}
}

func listByStatus(t *testing.T, compute *gophercloud.ServiceClient) {
	found := false
	for _, s := range list(t, compute, servers.ListOpts{Status: "ERROR"}) {
		found = found || s.ID == faultyServer
		if s.Status != "ERROR" || s.Fault.Code == 0 || s.Fault.Message == "" {
			t.Errorf("server %s is listed with status %s and fault %+v", s.ID, s.Status, s.Fault)
		}
	}
	if !found {
		t.Errorf("server %s is not among those in ERROR", faultyServer)
	}
	for _, s := range list(t, compute, servers.ListOpts{Status: "ACTIVE"}) {
		if s.Status != "ACTIVE" || s.Fault != (servers.Fault{}) {
			t.Errorf("server %s is listed as ACTIVE with status %s and fault %+v", s.ID, s.Status, s.Fault)
		}
	}
}

func list(t *testing.T, compute *gophercloud.ServiceClient, opts servers.ListOpts) []servers.Server {
	t.Helper()
	pages, err := servers.List(compute, opts).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := servers.ExtractServers(pages)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func actions(t *testing.T, compute *gophercloud.ServiceClient) {
	pages, err := instanceactions.List(compute, faultyServer, nil).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := instanceactions.ExtractInstanceActions(pages)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("the server has %d actions, want the one that built it: %+v", len(all), all)
	}
	a := all[0]
	if a.Action != "create" && a.Action != "build" || a.InstanceUUID != faultyServer || a.ProjectID != tenant || a.RequestID == "" || a.StartTime.IsZero() {
		t.Errorf("action %+v", a)
	}
	one, err := instanceactions.Get(t.Context(), compute, faultyServer, a.RequestID).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if one.RequestID != a.RequestID || one.Events == nil || len(*one.Events) == 0 {
		t.Errorf("one action %+v", one)
	}
}
