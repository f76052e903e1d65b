//go:build packages

package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// alertmanager is the real one, of the Debian package prometheus-alertmanager, at an address that it keeps.
type alertmanager struct {
	address string
	config  string
	process *exec.Cmd
	log     *os.File
}

// newAlertmanager starts one that tells a webhook of what begins to fire and of what is resolved.
func newAlertmanager(t *testing.T, webhook string) *alertmanager {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	a := &alertmanager{address: address, config: writePrivate(t, filepath.Join(dir, "alertmanager.yml"),
		"route: {receiver: test, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}\n"+
			"receivers: [{name: test, webhook_configs: [{url: '"+webhook+"', send_resolved: true}]}]\n")}
	if a.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.kill()
		if log, _ := os.ReadFile(a.log.Name()); t.Failed() {
			t.Logf("the log of Alertmanager:\n%s", log)
		}
	})
	a.start(t)
	return a
}

// start starts it with nothing in its storage.
func (a *alertmanager) start(t *testing.T) {
	t.Helper()
	a.process = exec.Command("prometheus-alertmanager", "--config.file="+a.config, "--storage.path="+t.TempDir(), "--web.listen-address="+a.address,
		"--cluster.listen-address=")
	a.process.Stdout, a.process.Stderr = a.log, a.log
	if err := a.process.Start(); err != nil {
		t.Fatalf("Alertmanager does not run: %v (it is in the Debian package prometheus-alertmanager)", err)
	}
	eventually(t, "Alertmanager is ready", func(ctx context.Context) bool { return a.get(ctx, "/-/ready", nil) == nil })
}

// kill ends it with no word to it.
func (a *alertmanager) kill() {
	if a.process.Process != nil {
		_ = a.process.Process.Kill()
		_ = a.process.Wait()
	}
}

func (a *alertmanager) get(ctx context.Context, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.address+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, answer.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// firingAlert is one as Alertmanager shows it.
type firingAlert struct {
	Labels, Annotations map[string]string
	StartsAt            time.Time
	Status              struct{ State string }
}

// firing are the alerts that it has, which are those that are not over, once they are as many as that.
func (a *alertmanager) firing(t *testing.T, count int) (all []firingAlert) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d alerts fire", count), func(ctx context.Context) bool {
		all = nil
		return a.get(ctx, "/api/v2/alerts", &all) == nil && len(all) == count
	})
	return all
}

// notified is what Alertmanager tells people: the statuses of an alert, in their order.
type notified struct {
	mu  sync.Mutex
	all []string
}

func (n *notified) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var told struct {
		Alerts []struct {
			Status string
			Labels map[string]string
		}
	}
	if json.NewDecoder(r.Body).Decode(&told) != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, alert := range told.Alerts {
		n.all = append(n.all, alert.Status+" "+alert.Labels["resource_id"])
	}
}

func (n *notified) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.all, ", ")
}

// failing and recovered are the events of a job that fails, and of one that ends that.
const (
	failing = `{"specversion":"1.0","id":"1","source":"/test","type":"io.faultd.v1.job.failed","time":"2026-01-21T02:00:00Z",` +
		`"data":{"job":{"id":"b-1","action":"build"},"resource":{"kind":"server","id":"s-1","tenant_id":"1234","name":"web"},` +
		`"fault":{"code":500,"message":"No valid host was found"}}}`
	recovered = `{"specversion":"1.0","id":"2","source":"/test","type":"io.faultd.v1.job.succeeded","time":"2026-01-21T02:05:00Z",` +
		`"data":{"job":{"id":"b-2","action":"rebuild"},"resource":{"kind":"server","id":"s-1","tenant_id":"1234"}}}`
)

// A job that fails is an alert that fires in two real Alertmanagers. One that is killed and starts again with nothing has it again
// by itself. A recovery resolves it.
func TestAlertmanager_FiresAndResolves(t *testing.T) {
	var told notified
	webhook := httptest.NewServer(&told)
	t.Cleanup(webhook.Close)
	first, second := newAlertmanager(t, webhook.URL), newAlertmanager(t, webhook.URL+"/second")
	hooks := writePrivate(t, filepath.Join(t.TempDir(), "hooks.yaml"), "hooks:\n- {name: am, kind: alertmanager, urls: [http://"+first.address+
		", http://"+second.address+"], allow_private: true, allow_http: true}\n")
	d := serve(t, "--hooks", hooks)
	d.follows(t, "am")
	d.publish(t, writeEvents(t, failing))
	want := map[string]string{"alertname": "ResourceError", "tenant": "1234", "kind": "server", "resource_id": "s-1", "action": "build", "code": "500", "cause": "capacity"}
	for _, a := range []*alertmanager{first, second} {
		is := a.firing(t, 1)[0]
		if !maps.Equal(is.Labels, want) || is.Status.State != "active" || is.Annotations["message"] != "No valid host was found" ||
			is.Annotations["name"] != "web" || !is.StartsAt.Equal(time.Date(2026, 1, 21, 2, 0, 0, 0, time.UTC)) {
			t.Errorf("it has %+v, want labels %v", is, want)
		}
	}
	first.kill()
	first.start(t)
	if again := first.firing(t, 1)[0]; !maps.Equal(again.Labels, want) {
		t.Errorf("after it was killed it has %+v", again)
	}
	d.publish(t, writeEvents(t, recovered))
	first.firing(t, 0)
	second.firing(t, 0)
	eventually(t, "both tell that it is resolved", func(context.Context) bool { return strings.Count(told.String(), "resolved s-1") == 2 })
	if all := told.String(); strings.Count(all, "firing s-1") != 3 || !strings.HasPrefix(all, "firing") || !strings.HasSuffix(all, "resolved s-1") {
		t.Errorf("people are told %s", all)
	}
}

// One that is down delays no other, and once it is back it has what fires then and nothing that is over.
func TestAlertmanager_OneIsDown(t *testing.T) {
	var told notified
	webhook := httptest.NewServer(&told)
	t.Cleanup(webhook.Close)
	first, second := newAlertmanager(t, webhook.URL), newAlertmanager(t, webhook.URL)
	hooks := writePrivate(t, filepath.Join(t.TempDir(), "hooks.yaml"), "hooks:\n- {name: am, kind: alertmanager, urls: [http://"+first.address+
		", http://"+second.address+"], allow_private: true, allow_http: true}\n")
	d := serve(t, "--hooks", hooks)
	d.follows(t, "am")
	first.kill()
	d.publish(t, writeEvents(t, failing))
	second.firing(t, 1)
	d.publish(t, writeEvents(t, recovered))
	second.firing(t, 0)
	first.start(t)
	d.publish(t, writeEvents(t, strings.NewReplacer("s-1", "s-2", "b-1", "b-3", `"id":"1"`, `"id":"3"`).Replace(failing)))
	if is := first.firing(t, 1)[0]; is.Labels["resource_id"] != "s-2" {
		t.Errorf("it has %+v", is)
	}
}
