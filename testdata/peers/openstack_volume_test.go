//go:build packages

package peers

import (
	"encoding/json"
	"net/http"
	"testing"
)

// The real command, of the Debian package python3-openstackclient, against the Block Storage API.
func TestOpenStackCommand_Volume(t *testing.T) {
	url := start(t)
	volume := url + "/volume/v3/" + tenant
	t.Run("BackupShow", func(t *testing.T) {
		var b struct {
			ID, Name, Status string
			FailReason       string `json:"fail_reason"`
			Fault            struct {
				Code    int
				Message string
			}
		}
		openstack(t, volume, &b, "volume", "backup", "show", faultyBackup)
		if b.ID != faultyBackup || b.Name != "nightly" || b.Status != "error" || b.FailReason != "CONFLUENCE is not present in cloud site c-ord-1" ||
			b.Fault.Code != 422 || b.Fault.Message != b.FailReason {
			t.Errorf("it shows %+v", b)
		}
		openstack(t, volume, &b, "volume", "backup", "show", "by hand") // which it looks for by name
		if b.ID != "bk-103" {
			t.Errorf("by its name it shows %+v", b)
		}
	})
	t.Run("BackupList", func(t *testing.T) {
		for _, c := range []struct {
			args []string
			want string
		}{
			{nil, "bk-103 error, bk-102 error, bk-101 available, "},
			{[]string{"--long"}, "bk-103 error, bk-102 error, bk-101 available, "},
			{[]string{"--status", "error"}, "bk-103 error, bk-102 error, "},
			{[]string{"--status", "error_restoring"}, ""},
			{[]string{"--name", "nightly"}, "bk-102 error, bk-101 available, "},
			{[]string{"--limit", "1"}, "bk-103 error, "},
			{[]string{"--limit", "1", "--marker", "bk-103"}, "bk-102 error, "},
		} {
			var all []struct{ ID, Status string }
			openstack(t, volume, &all, append([]string{"volume", "backup", "list"}, c.args...)...)
			got := ""
			for _, b := range all {
				got += b.ID + " " + b.Status + ", "
			}
			if got != c.want {
				t.Errorf("%v lists %s, want %s", c.args, got, c.want)
			}
		}
	})
	t.Run("Messages", func(t *testing.T) { messages(t, volume) })
}

// command is a message as the command prints it.
type command struct {
	ID           string
	EventID      string `json:"Event ID"`
	ResourceType string `json:"Resource Type"`
	ResourceUUID string `json:"Resource UUID"`
	Level        string `json:"Message Level"`
	Text         string `json:"User Message"`
}

// messages compares what the command prints with what is stored.
func messages(t *testing.T, volume string) {
	var stored struct {
		Messages []struct{ ID string }
	}
	answer, err := http.Get(volume + "/messages")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&stored); err != nil {
		t.Fatal(err)
	}
	var all []command
	openstack(t, volume, &all, "--os-volume-api-version", "3.5", "volume", "message", "list")
	if len(all) < 10 || len(all) != len(stored.Messages) {
		t.Fatalf("it lists %d messages of %d", len(all), len(stored.Messages))
	}
	kinds := map[string]command{}
	for i, m := range all {
		if m.ID != stored.Messages[i].ID {
			t.Errorf("message %d is %s, stored as %s", i, m.ID, stored.Messages[i].ID)
		}
		kinds[m.ResourceType] = m
	}
	for _, kind := range []string{"SERVER", "IMAGE", "VOLUME_BACKUP", "EXPORT", "IMPORT", "RESTORE", "MIGRATION"} {
		if kinds[kind].ID == "" {
			t.Errorf("it lists no message of a %s", kind)
		}
	}
	m := kinds["VOLUME_BACKUP"]
	if m.ResourceUUID != faultyBackup || m.Level != "ERROR" || m.Text != "CONFLUENCE is not present in cloud site c-ord-1" {
		t.Errorf("it lists %+v", m)
	}
	var page []command
	openstack(t, volume, &page, "--os-volume-api-version", "3.5", "volume", "message", "list", "--limit", "2", "--marker", all[0].ID)
	if len(page) != 2 || page[0] != all[1] || page[1] != all[2] {
		t.Errorf("behind the first it lists %+v", page)
	}
	var one struct {
		ID           string
		EventID      string `json:"event_id"`
		ResourceUUID string `json:"resource_uuid"`
		Text         string `json:"user_message"`
	}
	openstack(t, volume, &one, "--os-volume-api-version", "3.5", "volume", "message", "show", m.ID)
	if one.ID != m.ID || one.EventID != m.EventID || one.ResourceUUID != m.ResourceUUID || one.Text != m.Text {
		t.Errorf("it shows %+v, and lists %+v", one, m)
	}
}
