package peers

import (
	"context"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/backups"
	"github.com/gophercloud/gophercloud/v2/pagination"
)

// What the sample log tells of backups: of one tenant's by job events, of another's by Cinder's notifications.
const (
	goodBackup   = "bk-101"
	faultyBackup = "bk-102"
	cinderTenant = "6f70656e737461636b20342065766572"
	cinderBackup = "707844eb-6d8a-4ac1-8b98-618e1c0b3a3a"
)

func TestGophercloudBlockStorage(t *testing.T) {
	url := start(t)
	t.Run("Get", func(t *testing.T) { getBackup(t, volumeOf(url, tenant)) })
	t.Run("GetOfNotifications", func(t *testing.T) { getCinderBackup(t, volumeOf(url, cinderTenant)) })
	t.Run("GetUnknown", func(t *testing.T) { getUnknownBackup(t, volumeOf(url, tenant)) })
	t.Run("ListPaged", func(t *testing.T) { listBackupsPaged(t, volumeOf(url, tenant)) })
	t.Run("ListByStatus", func(t *testing.T) { listBackupsByStatus(t, volumeOf(url, tenant)) })
	t.Run("ListDetailOfAllTenants", func(t *testing.T) { listAllBackups(t, volumeOf(url, tenant)) })
}

// volumeOf is the client of a tenant, with the microversion that shows most.
func volumeOf(url, tenant string) *gophercloud.ServiceClient {
	return &gophercloud.ServiceClient{
		ProviderClient: &gophercloud.ProviderClient{TokenID: "any"},
		Endpoint:       url + "/volume/v3/" + tenant + "/",
		Type:           "block-storage",
		Microversion:   "3.64",
	}
}

func getBackup(t *testing.T, volume *gophercloud.ServiceClient) {
	b, err := backups.Get(t.Context(), volume, faultyBackup).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if b.ID != faultyBackup || b.Name != "nightly" || b.Status != "error" || b.FailReason != "CONFLUENCE is not present in cloud site c-ord-1" ||
		b.ProjectID != tenant || !b.CreatedAt.Equal(time.Date(2010, 8, 10, 11, 30, 1, 0, time.UTC)) || b.UpdatedAt.IsZero() {
		t.Errorf("the failed backup is %+v", b)
	}
	b, err = backups.Get(t.Context(), volume, goodBackup).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if b.Status != "available" || b.FailReason != "" {
		t.Errorf("the good backup is %+v", b)
	}
}

func getCinderBackup(t *testing.T, volume *gophercloud.ServiceClient) {
	b, err := backups.Get(t.Context(), volume, cinderBackup).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if b.Name != "test_backup" || b.Status != "available" || b.Size != 1 || b.VolumeID != "1e5177e7-95e5-4a0f-b170-e45f4b469f6a" ||
		b.AvailabilityZone == nil || *b.AvailabilityZone != "nova" || b.Metadata == nil || !b.CreatedAt.Equal(time.Date(2015, 1, 1, 1, 1, 1, 0, time.UTC)) {
		t.Errorf("the backup is %+v", b)
	}
}

func getUnknownBackup(t *testing.T, volume *gophercloud.ServiceClient) {
	_, err := backups.Get(t.Context(), volume, cinderBackup).Extract()
	if !gophercloud.ResponseCodeIs(err, 404) {
		t.Errorf("a backup that is another tenant's gives %v, want 404", err)
	}
}

// listBackupsPaged reads one backup a page, and compares with the list in one page.
func listBackupsPaged(t *testing.T, volume *gophercloud.ServiceClient) {
	whole := backupsOf(t, backups.ListDetail(volume, backups.ListDetailOpts{}))
	if len(whole) != 3 {
		t.Fatalf("%d backups are listed, want 3", len(whole))
	}
	var paged []string
	pages := 0
	err := backups.List(volume, backups.ListOpts{Limit: 1, Sort: "created_at:desc"}).EachPage(t.Context(),
		func(_ context.Context, page pagination.Page) (bool, error) {
			some, err := backups.ExtractBackups(page)
			for _, b := range some {
				paged = append(paged, b.ID)
			}
			pages++
			return pages < 100, err
		})
	if err != nil {
		t.Fatal(err)
	}
	if len(paged) != len(whole) {
		t.Fatalf("%d backups page by page, %d at once", len(paged), len(whole))
	}
	for i, b := range whole {
		if paged[i] != b.ID {
			t.Errorf("backup %d is %s page by page, %s at once", i, paged[i], b.ID)
		}
	}
}

// listBackupsByStatus asks for what is in error. The client can do so in the plain list alone, which has no status.
func listBackupsByStatus(t *testing.T, volume *gophercloud.ServiceClient) {
	found := false
	for _, brief := range backupsOf(t, backups.List(volume, backups.ListOpts{Status: "error"})) {
		found = found || brief.ID == faultyBackup
		b, err := backups.Get(t.Context(), volume, brief.ID).Extract()
		if err != nil || b.Status != "error" || b.FailReason == "" {
			t.Errorf("backup %s is listed, and is %+v, %v", brief.ID, b, err)
		}
	}
	if !found {
		t.Errorf("backup %s is not among those in error", faultyBackup)
	}
}

func listAllBackups(t *testing.T, volume *gophercloud.ServiceClient) {
	tenants := map[string]bool{}
	for _, b := range backupsOf(t, backups.ListDetail(volume, backups.ListDetailOpts{AllTenants: true})) {
		tenants[b.ProjectID] = true
	}
	if !tenants[tenant] || !tenants[cinderTenant] {
		t.Errorf("the backups are of %v", tenants)
	}
}

func backupsOf(t *testing.T, list pagination.Pager) []backups.Backup {
	t.Helper()
	pages, err := list.AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := backups.ExtractBackups(pages)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
