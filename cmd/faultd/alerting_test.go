package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// received is a message as a webhook's receiver has it.
type received struct {
	id, signature string
	signed        bool // with the tests' secret
	body          string
	event         struct{ ID, Type, Subject string }
}

// receiver takes whatever comes, and tells of it.
func receiver(t *testing.T) (url string, came <-chan received) {
	t.Helper()
	all := make(chan received, 100)
	url = serving(t, func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		m := received{id: r.Header.Get("Webhook-Id"), signature: r.Header.Get("Webhook-Signature"), body: string(body)}
		m.signed = slices.Contains(strings.Fields(m.signature), signature(m.id, r.Header.Get("Webhook-Timestamp"), m.body))
		if json.Unmarshal(body, &m.event) == nil {
			all <- m
		}
	})
	return url, all
}

// signature is that of Standard Webhooks, as the tests' secret makes it.
func signature(id, timestamp, body string) string {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(hookSecret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// nextOf is the next message of a receiver.
func nextOf(t *testing.T, came <-chan received) received {
	t.Helper()
	select {
	case m := <-came:
		return m
	case <-time.After(time.Minute): // a lease and an acknowledgement may have to run out
		t.Fatal("nothing comes")
		return received{}
	}
}

// webhook is an entry of a file of hooks, for a receiver on this machine; its secret stands beside the file.
func webhook(name, url string) string {
	return "name: " + name + "\nkind: webhook\nurl: " + url + "/in/S3CRET\nsecret_file: hook.secret\nallow_private: true\nallow_http: true"
}

// writeHooks writes a file of hooks and their secret, and returns its path.
func writeHooks(t *testing.T, dir string, entries ...string) string {
	t.Helper()
	writeFile(t, filepath.Join(dir, "hook.secret"), hookSecret+"\n")
	return writeFile(t, filepath.Join(dir, "hooks.yaml"), hooksFile(entries...))
}

// hooks returns the daemon's hooks as soon as those names, and no others, are active.
func (d *running) hooks(t *testing.T, names ...string) []hook {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var page struct{ Hooks []hook }
		var active []string
		if d.find("/v1/hooks", &page) {
			for _, h := range page.Hooks {
				if h.State == "active" {
					active = append(active, h.Name)
				}
			}
			if len(page.Hooks) == len(names) && slices.Equal(active, names) && d.follow(t, names) {
				return page.Hooks
			}
		}
		if time.Now().After(end) {
			t.Fatalf("active are %v, not %v: %+v", active, names, page.Hooks)
		}
	}
}

// follow tells whether hooks have begun to follow the stream of faults: what is told from then on is theirs.
func (d *running) follow(t *testing.T, names []string) bool {
	js := d.jetStream(t)
	return !slices.ContainsFunc(names, func(name string) bool {
		_, err := js.Consumer(t.Context(), "FAULTS", "hook-"+name)
		return err != nil
	})
}

// rebuilt is an event of the rebuild of a server.
func rebuilt(n int, phase, fault string) string {
	return fmt.Sprintf(`{"specversion":"1.0","type":"io.faultd.v1.job.%s","source":"test","id":"%d","time":"2026-11-21T02:00:0%dZ",`+
		`"data":{"job":{"id":"b-%d","action":"rebuild"},"resource":{"kind":"server","id":"s-1","tenant_id":"1234"}%s}}`, phase, n, n, n, fault)
}

const notFoundFault = `,"fault":{"code":404,"message":"no image"}`

// A job that fails is told to a receiver on this machine, the operator's commands do what they say, and a hook that
// SIGHUP adds is told of the recovery.
func TestServe_HooksAreTold(t *testing.T) {
	first, came := receiver(t)
	dir := t.TempDir()
	t.Setenv("FAULTD_HOOKS", writeHooks(t, dir, webhook("pager", first)))
	httpAddr, natsAddr := freeAddr(t), freeAddr(t)
	process := startBinary(t, buildBinary(t), filepath.Join(dir, "data"), httpAddr, natsAddr)
	d := &running{http: "http://" + httpAddr, nats: "nats://" + natsAddr}
	d.hooks(t, "pager")

	d.publishEvents(t, rebuilt(1, "failed", notFoundFault))
	raised := nextOf(t, came)
	if told := d.told(t, 1)[0]; raised.id != told.ID || raised.event.ID != told.ID || raised.event.Type != "io.faultd.v1.fault.raised" || !raised.signed {
		t.Fatalf("it gets %+v, and told was %s", raised, told.ID)
	}
	d.testHookCommands(t, came, raised)

	second, cameToo := receiver(t)
	writeHooks(t, dir, webhook("pager", first), webhook("second", second))
	if err := process.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	d.hooks(t, "pager", "second")
	d.publishEvents(t, rebuilt(2, "succeeded", ""))
	for _, c := range []<-chan received{came, cameToo} {
		if m := nextOf(t, c); m.event.Type != "io.faultd.v1.fault.cleared" || m.event.Subject != "1234/server/s-1" || !m.signed {
			t.Errorf("of the recovery comes %+v", m)
		}
	}
	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}

func (d *running) testHookCommands(t *testing.T, came <-chan received, raised received) {
	t.Helper()
	if got := d.ask(t, "hooks"); !strings.Contains(got, "pager") || !strings.Contains(got, "active") || strings.Contains(got, "S3CRET") {
		t.Errorf("hooks prints\n%s", got)
	}
	if got := d.ask(t, "hooks", "test", "pager"); got != "pager has taken the test.\n" {
		t.Errorf("hooks test prints %s", got)
	}
	if m := nextOf(t, came); m.id == raised.id || !m.signed || !strings.Contains(m.body, "test") {
		t.Errorf("the test is %+v", m)
	}
	if got := d.ask(t, "hooks", "dead", "pager"); strings.Join(strings.Fields(got), " ") != "ID OF ATTEMPTS FIRST LAST ERROR" {
		t.Errorf("hooks dead prints\n%s", got)
	}
	for _, args := range [][]string{{"redeliver", "pager"}, {"redeliver", "pager", raised.id}} {
		d.bury(t, "pager", raised)
		if got := d.ask(t, "hooks", "dead", "pager"); !strings.Contains(got, "\n"+raised.id+"  1234/server/s-1  10 ") || !strings.Contains(got, "it answers 500") {
			t.Errorf("hooks dead prints\n%s", got)
		}
		if got := d.ask(t, append([]string{"hooks"}, args...)...); got != "Sent again to pager: 1 message.\n" {
			t.Errorf("hooks redeliver prints %s", got)
		}
		if m := nextOf(t, came); m.id != raised.id || m.body != raised.body {
			t.Errorf("redelivered, it gets %+v, and before that %+v", m, raised)
		}
	}
	if got := d.ask(t, "hooks", "redeliver", "pager"); got != "Sent again to pager: 0 messages.\n" {
		t.Errorf("hooks redeliver prints %s", got)
	}
	if r := faultd(t, "hooks", "redeliver", "pager", raised.id, "--server", d.http); r.code != exitFailed || !strings.Contains(r.stderr, "no such message") {
		t.Errorf("what is not dead: exit code %d, %s", r.code, r.stderr)
	}
	if got := d.ask(t, "hooks", "replay", "pager", "--since", "1h"); got != "Told again to pager: 1 event.\n" {
		t.Errorf("hooks replay prints %s", got)
	}
	if m := nextOf(t, came); m.id != raised.id || m.body != raised.body {
		t.Errorf("told again, it gets %+v, and before that %+v", m, raised)
	}
	for _, args := range [][]string{{"test", "nosuch"}, {"dead", "nosuch"}, {"redeliver", "nosuch"}, {"replay", "nosuch", "--since", "1h"}} {
		if r := faultd(t, append(append([]string{"hooks"}, args...), "--server", d.http)...); r.code != exitFailed || !strings.Contains(r.stderr, "no such hook") {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}

// bury puts a message on a hook's dead list, as ten attempts over three days would.
func (d *running) bury(t *testing.T, hook string, m received) {
	t.Helper()
	kv, err := d.jetStream(t).KeyValue(t.Context(), "FAULTD_HOOKS")
	if err != nil {
		t.Fatal(err)
	}
	event := map[string]any{"id": m.id, "raised": true, "tenant": "1234", "kind": "server", "resource": "s-1", "body": []byte(m.body)}
	record, err := json.Marshal(map[string]any{"attempts": 10, "first": "2026-11-21T02:00:00Z", "last": "2026-11-24T05:00:00Z", "error": "it answers 500",
		"stream": 0, "sequences": []int{1}, "message": map[string]any{"id": m.id, "first": "2026-11-21T02:00:00Z", "last": "2026-11-21T02:00:00Z", "samples": 1, "events": []any{event}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), "dead."+hook+"."+m.id, record); err != nil {
		t.Fatal(err)
	}
}

// What a receiver does instead of taking a test is shown, without what is secret in its URL.
func TestServe_HookTestFails(t *testing.T) {
	url := serving(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	d := startDaemon(t, t.TempDir(), "--hooks", writeHooks(t, t.TempDir(), webhook("pager", url)))
	d.hooks(t, "pager")
	r := faultd(t, "hooks", "test", "pager", "--server", d.http)
	if r.code != exitFailed || !strings.Contains(r.stderr, "502: not delivered") || !strings.Contains(r.stderr, "418") || strings.Contains(r.stderr, "S3CRET") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}

func TestServe_HooksDeadPageByPage(t *testing.T) {
	url, came := receiver(t)
	d := startDaemon(t, t.TempDir(), "--hooks", writeHooks(t, t.TempDir(), webhook("pager", url)))
	d.hooks(t, "pager")
	d.publishEvents(t, rebuilt(1, "failed", notFoundFault))
	raised := nextOf(t, came)
	for _, id := range []string{"a", "b", "c"} {
		d.bury(t, "pager", received{id: id, body: strings.ReplaceAll(raised.body, raised.id, id)})
	}
	var ids []string
	for path, pages := "/v1/hooks/pager/dead?limit=2", 0; path != ""; pages++ {
		var page struct {
			Dead  []struct{ ID, Resource string }
			Links []link
		}
		if d.get(t, path, &page); pages > 3 {
			t.Fatal("there is no end")
		}
		for _, m := range page.Dead {
			ids = append(ids, m.ID+" "+m.Resource)
		}
		path = strings.TrimPrefix(next(page.Links), d.http)
	}
	if want := []string{"a 1234/server/s-1", "b 1234/server/s-1", "c 1234/server/s-1"}; !slices.Equal(ids, want) {
		t.Errorf("page by page %v, want %v", ids, want)
	}
	if status, body := d.asking(t, "", "/v1/hooks/pager/dead?marker=nosuch"); status != http.StatusBadRequest {
		t.Errorf("behind what is not there: %d %s", status, body)
	}
	for _, id := range []string{"nosuch", "no.such*"} {
		if r := faultd(t, "hooks", "redeliver", "pager", id, "--server", d.http); r.code != exitFailed || !strings.Contains(r.stderr, "no such message") {
			t.Errorf("%s: exit code %d, %s", id, r.code, r.stderr)
		}
	}
	if got := d.ask(t, "hooks", "redeliver", "pager", "b"); got != "Sent again to pager: 1 message.\n" || nextOf(t, came).id != "b" {
		t.Errorf("hooks redeliver prints %s", got)
	}
}

func TestServe_HooksRefused(t *testing.T) {
	dir := t.TempDir()
	path := writeHooks(t, dir, "name: Pager\nkind: webhook\nurl: https://example.org/S3CRET\ncolor: red", "name: b\nkind: pigeon")
	start := func() result {
		return faultd(t, "serve", "--data-dir", filepath.Join(dir, "data"), "--http-addr", "127.0.0.1:0", "--nats-addr", "127.0.0.1:0", "--hooks", path)
	}
	r := start()
	for _, says := range []string{"--hooks: ", path + ":2: ", path + ":5: ", path + ":7: "} {
		if r.code != exitFailed || !strings.Contains(r.stderr, says) || strings.Contains(r.stderr, "S3CRET") {
			t.Errorf("exit code %d; it must say %s:\n%s", r.code, says, r.stderr)
		}
	}
	writeHooks(t, dir, webhook("pager", "http://127.0.0.1:1"))
	if err := os.Chmod(filepath.Join(dir, "hook.secret"), 0o640); err != nil {
		t.Fatal(err)
	}
	if r := start(); r.code != exitFailed || !strings.Contains(r.stderr, "0640") {
		t.Errorf("a secret that others may read: exit code %d\n%s", r.code, r.stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
		t.Error("it has begun before it looked at the hooks")
	}
}

// TestServe_HooksAreReadAgain takes a hook away after a file that was bad.
func TestServe_HooksAreReadAgain(t *testing.T) {
	url, _ := receiver(t)
	dir := t.TempDir()
	d := startDaemon(t, t.TempDir(), "--hooks", writeHooks(t, dir, webhook("a", url), webhook("b", url)))
	d.hooks(t, "a", "b")
	writeHooks(t, dir, webhook("b", url)+"\ncolor: red")
	d.hangup(t, "the file is bad", 1)
	d.hooks(t, "a", "b")
	writeHooks(t, dir, webhook("b", url))
	d.hangup(t, "read again", 1)
	d.hooks(t, "b")
	if strings.Contains(d.log.String(), "S3CRET") || strings.Contains(d.log.String(), "whsec_") {
		t.Errorf("the log shows a secret:\n%s", d.log)
	}
}

// A receiver that never answers does not keep the daemon from stopping; what it was to have comes after the next start.
func TestServe_StopsWhileAReceiverHangs(t *testing.T) {
	t.Parallel()
	taken, release := make(chan struct{}, 10), make(chan struct{})
	hanging := serving(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		taken <- struct{}{}
		<-release
	})
	t.Cleanup(func() { close(release) })
	url, came := receiver(t)
	dir, data := t.TempDir(), t.TempDir()
	d := startDaemon(t, data, "--hooks", writeHooks(t, dir, webhook("pager", hanging)))
	d.hooks(t, "pager")
	d.publishEvents(t, rebuilt(1, "failed", notFoundFault))
	<-taken
	if code := d.stop(); code != exitDone {
		t.Fatalf("it ends with exit code %d:\n%s", code, d.log)
	}
	d = startDaemon(t, data, "--hooks", writeHooks(t, dir, webhook("pager", url)))
	if m := nextOf(t, came); m.event.Type != "io.faultd.v1.fault.raised" {
		t.Errorf("it gets %+v", m)
	}
}

// A receiver that is gone for good is left alone until the operator changes its entry, and gets then what it missed.
func TestServe_HookOfWhoIsGoneIsDisabled(t *testing.T) {
	gone := serving(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	url, came := receiver(t)
	dir := t.TempDir()
	d := startDaemon(t, t.TempDir(), "--hooks", writeHooks(t, dir, webhook("pager", gone)))
	d.hooks(t, "pager")
	d.publishEvents(t, rebuilt(1, "failed", notFoundFault))
	d.logs(t, "disabled", 1)
	if got := d.ask(t, "hooks"); !strings.Contains(got, "disabled: ") || strings.Contains(got, "S3CRET") {
		t.Errorf("hooks prints\n%s", got)
	}
	writeHooks(t, dir, webhook("pager", url))
	d.hangup(t, "read again", 1)
	if m := nextOf(t, came); m.event.Type != "io.faultd.v1.fault.raised" {
		t.Errorf("it gets %+v", m)
	}
}
