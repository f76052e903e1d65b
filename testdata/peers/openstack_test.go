//go:build packages

package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The real command, of the Debian package python3-openstackclient.
func TestOpenStackCommand(t *testing.T) {
	url := start(t) + "/compute/v2.1/" + tenant
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
	t.Run("ServerListLong", func(t *testing.T) {
		var all []struct{ ID, Status string }
		openstack(t, url, &all, "server", "list", "--status", "ERROR", "--long")
		found := false
		for _, s := range all {
			found = found || s.ID == faultyServer
			if s.Status != "ERROR" {
				t.Errorf("server %s is listed with status %s", s.ID, s.Status)
			}
		}
		if !found {
			t.Errorf("server %s is not among the %d in ERROR", faultyServer, len(all))
		}
	})
	t.Run("ServerEventList", func(t *testing.T) {
		var all []map[string]any
		openstack(t, url, &all, "server", "event", "list", faultyServer)
		if len(all) != 1 {
			t.Errorf("the server has %d events, want the one that built it", len(all))
		}
	})
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
