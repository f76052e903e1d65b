package api_test

import (
	"os"
	"path/filepath"
	"testing"

	"faultd/api"
)

// A directory may have any name.
func TestCleanSpool_AnyName(t *testing.T) {
	for _, name := range []string{"plain", "a[b]", "a[", "a*", "a?", `a\b`} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, left := range []string{"snapshot.download", "snapshot.download.copy"} {
			if err := os.WriteFile(filepath.Join(dir, left), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := api.CleanSpool(dir); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		isEmpty(t, dir)
	}
}
