package consumer

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"faultd/statemachine"
)

// cloud follows notifications as the daemon does: decoded, resolved, applied, in the order of the stream.
type cloud struct {
	testing.TB
	sequence uint64
	known    map[statemachine.Key]statemachine.Resource
}

func newCloud(t testing.TB) *cloud {
	return &cloud{TB: t, known: map[statemachine.Key]statemachine.Resource{}}
}

// tell publishes a sample with some of its members changed, as of a second of the scenario. Members of the payload
// are named payload.x.
func (c *cloud) tell(file string, second int, change map[string]any) statemachine.Outcome {
	c.Helper()
	var top map[string]any
	if err := json.Unmarshal(readSample(c, file), &top); err != nil {
		c.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 2, 0, second, 0, time.UTC)
	top["timestamp"], top["message_id"] = at.Format("2006-01-02 15:04:05.000000"), fmt.Sprintf("m-%d-%s", second, file)
	body, _ := top["payload"].(map[string]any)
	if data, ok := body["nova_object.data"].(map[string]any); ok {
		body = data
	}
	for name, v := range change {
		if member, ok := cutPayload(name); ok {
			body[member] = v
		} else {
			top[name] = v
		}
	}
	data, err := json.Marshal(top)
	if err != nil {
		c.Fatal(err)
	}
	m, err := Line(data)
	if err != nil {
		c.Fatal(err)
	}
	return c.apply(m)
}

func cutPayload(name string) (string, bool) {
	const prefix = "payload."
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):], true
	}
	return name, false
}

func (c *cloud) apply(m Message) statemachine.Outcome {
	c.Helper()
	c.sequence++
	m.Sequence, m.StreamTime = c.sequence, statemachine.At(time.Date(2026, 11, 21, 3, 0, 0, int(c.sequence), time.UTC))
	e := Decode(m)
	if e.Reason != 0 {
		return statemachine.Outcome{Reason: e.Reason, Detail: e.Detail}
	}
	var known []statemachine.Resource
	for key, r := range c.known {
		if key.Kind == e.Kind && key.ID == e.Key.ID {
			known = append(known, r)
		}
	}
	event, reason := statemachine.Resolve(e.Event, known)
	if reason != 0 {
		return statemachine.Outcome{Reason: reason}
	}
	var outcome statemachine.Outcome
	c.known[event.Key], outcome = statemachine.Apply(c.known[event.Key], event)
	return outcome
}

// only is the one resource of a kind.
func (c *cloud) only(k statemachine.Kind) statemachine.Resource {
	c.Helper()
	var found []statemachine.Resource
	for key, r := range c.known {
		if key.Kind == k {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		c.Fatalf("%d resources of kind %v", len(found), k)
	}
	return found[0]
}

func (c *cloud) expect(k statemachine.Kind, want statemachine.Status) statemachine.Resource {
	c.Helper()
	r := c.only(k)
	if r.Status != want || (r.Fault != nil) != (want == statemachine.Error) {
		c.Fatalf("the %v is %v with fault %+v, want %v", k, r.Status, r.Fault, want)
	}
	return r
}

func TestScenario_BuildSucceedsOnAnotherHost(t *testing.T) {
	c := newCloud(t)
	c.tell("nova-versioned/instance-update.json", 0, nil)
	c.tell("nova-versioned/instance-create-start.json", 1, nil)
	c.tell("nova-versioned/instance-create-error.json", 2, map[string]any{"payload.host": "one"})
	r := c.expect(statemachine.Server, statemachine.Build)
	if j := r.Job(); len(j.Attempts) != 1 || j.Attempts[0].Fault.Message != "Flavor disk too small" || !j.Waiting() {
		t.Fatalf("after the error: %+v", j)
	}
	c.tell("nova-versioned/instance-create-start.json", 3, map[string]any{"payload.host": "two"})
	c.tell("nova-versioned/instance-create-end.json", 4, nil)
	r = c.expect(statemachine.Server, statemachine.Active)
	if len(r.Jobs) != 1 || r.Jobs[0].Attempt() != 2 || len(r.Jobs[0].Attempts) != 1 {
		t.Errorf("jobs %+v, want one with one failed attempt", r.Jobs)
	}
}

func TestScenario_BuildEndsWithoutAHost(t *testing.T) {
	c := newCloud(t)
	same := map[string]any{"payload.uuid": "d5e6a7b7-80e5-4166-85a3-cd6115201082"}
	c.tell("nova-versioned/instance-create-start.json", 1, same)
	c.tell("nova-versioned/instance-create-error.json", 2, same)
	c.tell("made/instance-update-error.json", 3, same)
	c.tell("nova-versioned/compute_task-build_instances-error.json", 4, nil) // without a request: the open build
	r := c.expect(statemachine.Server, statemachine.Error)
	if len(r.Jobs) != 1 || r.Fault.Message != "No valid host" || r.Fault.Reason != "NoValidHost" {
		t.Errorf("fault %+v of %d jobs", r.Fault, len(r.Jobs))
	}
	c.tell("nova-versioned/instance-delete-end_not_scheduled.json", 5, same)
	if r = c.only(statemachine.Server); r.Status != statemachine.Deleted || r.Fault == nil {
		t.Errorf("deleted in ERROR it is %v with fault %v", r.Status, r.Fault)
	}
}

func TestScenario_LegacyBuild(t *testing.T) {
	c := newCloud(t)
	c.tell("made/legacy_compute.instance.create.start.json", 1, nil)
	c.tell("made/legacy_compute.instance.update.json", 2, nil)
	if r := c.expect(statemachine.Server, statemachine.Build); r.Progress() != 40 {
		t.Errorf("progress %d", r.Progress())
	}
	c.tell("made/legacy_compute.instance.create.error.json", 3, nil)
	c.tell("made/legacy_compute.instance.create.start.json", 4, nil)
	c.tell("nova-legacy/manageiq_compute_instance_create_end.json", 5, nil)
	if r := c.expect(statemachine.Server, statemachine.Active); len(r.Jobs) != 1 || r.Jobs[0].Failures != 1 {
		t.Errorf("jobs %+v", r.Jobs)
	}
}

func TestScenario_RebootFailsAndTheServerRuns(t *testing.T) {
	c := newCloud(t)
	c.tell("nova-versioned/instance-create-end.json", 1, nil)
	reboot := map[string]any{"payload.request_id": "req-2"}
	c.tell("nova-versioned/instance-reboot-start.json", 2, reboot)
	c.expect(statemachine.Server, statemachine.Reboot)
	c.tell("nova-versioned/instance-reboot-error.json", 3, reboot)
	r := c.expect(statemachine.Server, statemachine.Active)
	if w := r.Warning(); w == nil || w.Message != "Unsupported virt type" {
		t.Errorf("warning %+v", w)
	}
}

func TestScenario_ResizeIsOneJob(t *testing.T) {
	c := newCloud(t)
	c.tell("nova-versioned/instance-create-end.json", 1, nil)
	for i, step := range []string{"resize_prep-start", "resize_prep-end", "resize-start", "resize-end", "resize_finish-start"} {
		c.tell("nova-versioned/instance-"+step+".json", 2+i, map[string]any{"payload.request_id": "req-2"})
		c.expect(statemachine.Server, statemachine.Resize)
	}
	c.tell("nova-versioned/instance-resize_finish-end.json", 8, map[string]any{"payload.request_id": "req-2"})
	c.expect(statemachine.Server, statemachine.VerifyResize)
	c.tell("nova-versioned/instance-resize_confirm-end.json", 9, map[string]any{"payload.request_id": "req-3"})
	if r := c.expect(statemachine.Server, statemachine.Active); len(r.Jobs) != 3 {
		t.Errorf("%d jobs", len(r.Jobs))
	}
}

func TestScenario_RebuildFailsForGood(t *testing.T) {
	c := newCloud(t)
	c.tell("nova-versioned/instance-create-end.json", 1, nil)
	for i, step := range []string{"nova-versioned/instance-rebuild_scheduled", "nova-versioned/instance-rebuild-start", "made/instance-rebuild-error"} {
		c.tell(step+".json", 2+i, map[string]any{"payload.request_id": "req-2"})
	}
	if r := c.expect(statemachine.Server, statemachine.Error); r.Fault.Message != "Image unacceptable" {
		t.Errorf("fault %+v", r.Fault)
	}
}

func TestScenario_ShutdownIsPartOfADelete(t *testing.T) {
	c := newCloud(t)
	c.tell("nova-versioned/instance-create-end.json", 1, nil)
	for i, step := range []string{"nova-versioned/instance-delete-start", "made/instance-shutdown-start", "made/instance-shutdown-end"} {
		c.tell(step+".json", 2+i, map[string]any{"payload.request_id": "req-2"})
		c.expect(statemachine.Server, statemachine.Active)
	}
	c.tell("nova-versioned/instance-delete-end.json", 6, map[string]any{"payload.request_id": "req-2"})
	c.expect(statemachine.Server, statemachine.Deleted)
}

// snapshotSteps are what Nova and Glance tell of one image that is taken from a server, in the order of their times.
var snapshotSteps = []struct {
	file string
	idAt string
}{
	{"glance/DERIVED_image.create.json", "payload.id"},
	{"nova-versioned/instance-snapshot-start.json", "payload.snapshot_image_id"},
	{"glance/DERIVED_image.prepare.json", "payload.id"},
	{"glance/DERIVED_image.upload.json", "payload.id"},
	{"glance/DERIVED_image.activate.json", "payload.id"},
	{"nova-versioned/instance-snapshot-end.json", "payload.snapshot_image_id"},
}

func TestScenario_SnapshotInEveryOrder(t *testing.T) {
	order := []int{0, 1, 2, 3, 4, 5}
	orders := 0
	permute(order, 0, func() {
		orders++
		c := newCloud(t)
		for _, i := range order {
			s := snapshotSteps[i]
			change := map[string]any{s.idAt: "dddddddd-785c-4518-8016-bc9534d9fc7f"}
			if s.idAt == "payload.id" {
				change["payload.owner"] = "6f70656e737461636b20342065766572"
			}
			c.tell(s.file, i, change)
		}
		r := c.only(statemachine.Image)
		if r.Status != statemachine.Active || r.Fault != nil || len(r.Jobs) != 2 {
			t.Fatalf("in the order %v it is %v with %d jobs", order, r.Status, len(r.Jobs))
		}
	})
	if orders != 720 {
		t.Fatalf("%d orders", orders)
	}
}

// permute calls visit with every order of s, which it changes in place.
func permute(s []int, from int, visit func()) {
	if from == len(s) {
		visit()
		return
	}
	for i := from; i < len(s); i++ {
		s[from], s[i] = s[i], s[from]
		permute(s, from+1, visit)
		s[from], s[i] = s[i], s[from]
	}
}

func TestScenario_UploadFailsAndIsTriedAgain(t *testing.T) {
	steps := []string{"create", "prepare", "upload.ERROR", "prepare", "upload", "activate"}
	c := newCloud(t)
	for i, step := range steps {
		c.tell("glance/DERIVED_image."+step+".json", i, nil)
		if step == "upload.ERROR" { // names no tenant: the image is known
			if r := c.expect(statemachine.Image, statemachine.Error); r.Fault.Message != "The upload of the image failed" {
				t.Fatalf("fault %+v", r.Fault)
			}
		}
	}
	c.expect(statemachine.Image, statemachine.Active)

	// The failure comes last: what happened later stands.
	c = newCloud(t)
	for _, i := range []int{0, 1, 3, 4, 5, 2} {
		c.tell("glance/DERIVED_image."+steps[i]+".json", i, nil)
	}
	c.expect(statemachine.Image, statemachine.Active)
}

func TestScenario_UploadOfAnUnknownImageFails(t *testing.T) {
	c := newCloud(t)
	if o := c.tell("glance/DERIVED_image.upload.ERROR.json", 1, nil); o.Reason != statemachine.UnknownResource {
		t.Errorf("got %v", o.Reason)
	}
	if o := c.tell("glance/DERIVED_image.upload.ERROR.json", 1, map[string]any{"_context_project_id": "fake"}); o.Verdict() != statemachine.Applied {
		t.Errorf("with a tenant in the context: %v", o.Reason)
	}
	c.expect(statemachine.Image, statemachine.Error)
}

func TestScenario_FailedSnapshotIsDeleted(t *testing.T) {
	c := newCloud(t)
	image := map[string]any{"payload.id": "d2aae36f-785c-4518-8016-bc9534d9fc7f", "payload.owner": "6f70656e737461636b20342065766572"}
	c.tell("glance/DERIVED_image.create.json", 1, image)
	c.tell("nova-versioned/instance-snapshot-start.json", 2, nil)
	c.tell("glance/DERIVED_image.upload.ERROR.json", 3, map[string]any{
		"payload": "Failed to upload image data for image d2aae36f-785c-4518-8016-bc9534d9fc7f due to internal error"})
	c.expect(statemachine.Image, statemachine.Saving) // Nova's snapshot is the newer job, and has not ended
	c.tell("glance/DERIVED_image.delete.json", 4, image)
	c.expect(statemachine.Image, statemachine.Deleted)
}

func TestScenario_BackupAndRestore(t *testing.T) {
	c := newCloud(t)
	request := map[string]any{"_context_request_id": "req-1"}
	c.tell("cinder/DERIVED_backup.create.start.json", 1, request)
	c.tell("cinder/DERIVED_backup.createprogress.json", 2, request)
	if r := c.expect(statemachine.Backup, statemachine.InProgress); r.Progress() != 42 {
		t.Errorf("progress %d", r.Progress())
	}
	c.tell("cinder/DERIVED_backup.create.end.json", 3, request)
	c.expect(statemachine.Backup, statemachine.Completed)
	c.tell("made/backup.restore.start.json", 4, nil)
	c.expect(statemachine.Restore, statemachine.InProgress)
	c.tell("made/backup.restore.end.json", 5, nil)
	c.expect(statemachine.Restore, statemachine.Completed)
	c.expect(statemachine.Backup, statemachine.Completed)
	c.tell("cinder/DERIVED_backup.delete.end.json", 6, nil)
	c.expect(statemachine.Backup, statemachine.Deleted)
}

func TestScenario_BackupIsResetByAnOperator(t *testing.T) {
	c := newCloud(t)
	c.tell("cinder/DERIVED_backup.create.start.json", 1, map[string]any{"_context_request_id": "req-1"})
	c.tell("made/backup.reset_status.end_error.json", 2, nil)
	if r := c.expect(statemachine.Backup, statemachine.Error); len(r.Jobs) != 1 {
		t.Errorf("%d jobs, want the open one to have failed", len(r.Jobs))
	}
	c.tell("made/backup.reset_status.end_available.json", 3, nil)
	c.expect(statemachine.Backup, statemachine.Completed)
}

func TestScenario_LogTwiceChangesNothing(t *testing.T) {
	c := newCloud(t)
	tellAll := func() {
		for i, step := range []string{"glance/DERIVED_image.create", "glance/DERIVED_image.prepare", "glance/DERIVED_image.upload.ERROR",
			"glance/DERIVED_image.prepare", "glance/DERIVED_image.upload", "glance/DERIVED_image.activate", "cinder/DERIVED_backup.create.start",
			"cinder/DERIVED_backup.create.end", "cinder/DERIVED_backup.restore.start", "cinder/DERIVED_backup.restore.end",
			"nova-versioned/instance-create-start", "nova-versioned/instance-create-error", "nova-versioned/instance-create-start",
			"nova-versioned/instance-create-end", "nova-versioned/instance-reboot-start", "nova-versioned/instance-reboot-error"} {
			c.tell(step+".json", i, nil)
		}
	}
	expect := func() {
		c.expect(statemachine.Image, statemachine.Active)
		c.expect(statemachine.Backup, statemachine.Completed)
		c.expect(statemachine.Restore, statemachine.Completed)
		r := c.expect(statemachine.Server, statemachine.Active)
		if len(r.Jobs) != 2 || r.Jobs[0].Failures != 1 || r.Warning() == nil {
			t.Errorf("jobs %+v, warning %+v", r.Jobs, r.Warning())
		}
	}
	tellAll()
	expect()
	tellAll()
	expect()
}

func TestScenario_EverySampleIsTaken(t *testing.T) {
	c := newCloud(t)
	for i, s := range sampleMeanings {
		if o := c.tell(s.file, i%60, nil); o.Verdict() == statemachine.Rejected {
			t.Errorf("%s: %v %s", s.file, o.Reason, o.Detail)
		}
	}
	if len(c.known) < 8 {
		t.Errorf("%d resources", len(c.known))
	}
}
