package peers

import (
	"testing"

	"github.com/gophercloud/gophercloud"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/images"
	"github.com/gophercloud/gophercloud/pagination"
)

// goodImage is an image of the sample log that was built.
const goodImage = "52415800-8b69-11e0-9b19-734f5a0b0000"

// The first version of the client, which has the images of the Compute API; the second has them no longer.
func TestGophercloudV1(t *testing.T) {
	url := start(t)
	compute := &gophercloud.ServiceClient{
		ProviderClient: &gophercloud.ProviderClient{TokenID: "any"},
		Endpoint:       url + "/compute/v2.1/" + tenant + "/",
		Type:           "compute",
	}
	t.Run("GetImage", func(t *testing.T) { getImage(t, compute) })
	t.Run("GetUnknownImage", func(t *testing.T) { getUnknownImage(t, compute) })
	t.Run("ListImagesPaged", func(t *testing.T) { listImagesPaged(t, compute) })
	t.Run("ListImagesByStatus", func(t *testing.T) { listImagesByStatus(t, compute) })
}

func getImage(t *testing.T, compute *gophercloud.ServiceClient) {
	good, err := images.Get(compute, goodImage).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if good.ID != goodImage || good.Name != "debian-5" || good.Status != "ACTIVE" || good.Progress != 100 || good.MinDisk != 5 || good.MinRAM != 256 ||
		good.Created != "2010-08-10T11:02:10Z" || good.Updated == "" || good.Metadata == nil {
		t.Errorf("the image that was built is %+v", good)
	}
	got := images.Get(compute, faultyImage)
	faulty, err := got.Extract()
	if err != nil {
		t.Fatal(err)
	}
	if faulty.ID != faultyImage || faulty.Status != "ERROR" || faulty.Progress != 89 {
		t.Errorf("the image that failed is %+v", faulty)
	}
	var doc struct {
		Image struct {
			Fault struct {
				Code             int
				Created, Message string
				Details          string
			}
		}
	}
	if err := got.ExtractInto(&doc); err != nil { // the client's own type has no fault
		t.Fatal(err)
	}
	if f := doc.Image.Fault; f.Code != 500 || f.Message != "An internal error occured" || f.Created != "2010-08-10T12:01:12Z" || f.Details != "Error details" {
		t.Errorf("its fault is %+v", f)
	}
}

func getUnknownImage(t *testing.T, compute *gophercloud.ServiceClient) {
	_, err := images.Get(compute, "00000000-0000-0000-0000-000000000000").Extract()
	if _, ok := err.(gophercloud.ErrDefault404); !ok {
		t.Errorf("an image that is not known gives %v, want 404", err)
	}
}

// listImagesPaged reads one image a page, and compares with the list in one page.
func listImagesPaged(t *testing.T, compute *gophercloud.ServiceClient) {
	whole := imagesOf(t, compute, images.ListOpts{})
	if len(whole) != 3 {
		t.Fatalf("%d images are listed, want the 3 that are not deleted", len(whole))
	}
	var paged []images.Image
	pages := 0
	err := images.ListDetail(compute, images.ListOpts{Limit: 1}).EachPage(func(page pagination.Page) (bool, error) {
		some, err := images.ExtractImages(page)
		paged = append(paged, some...)
		pages++
		return pages < 100, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(paged) != len(whole) {
		t.Fatalf("%d images page by page, %d at once", len(paged), len(whole))
	}
	for i, image := range whole {
		if paged[i].ID != image.ID || paged[i].Name != image.Name || paged[i].Status != image.Status {
			t.Errorf("image %d is %+v page by page, %+v at once", i, paged[i], image)
		}
	}
}

func listImagesByStatus(t *testing.T, compute *gophercloud.ServiceClient) {
	for _, c := range []struct {
		opts images.ListOpts
		want []string
	}{
		{images.ListOpts{Status: "ERROR"}, []string{faultyImage}},
		{images.ListOpts{Name: "debian-5"}, []string{goodImage}},
		{images.ListOpts{Status: "SAVING"}, nil},
	} {
		all := imagesOf(t, compute, c.opts)
		if len(all) != len(c.want) || len(all) > 0 && all[0].ID != c.want[0] {
			t.Errorf("%+v lists %+v, want %v", c.opts, all, c.want)
		}
	}
}

func imagesOf(t *testing.T, compute *gophercloud.ServiceClient, opts images.ListOpts) []images.Image {
	t.Helper()
	pages, err := images.ListDetail(compute, opts).AllPages()
	if err != nil {
		t.Fatal(err)
	}
	all, err := images.ExtractImages(pages)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
