package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// The secrets of the test below, each with a mark that is looked for in all output.
const (
	natsPassword  = "SECRET-of-nats"
	readerToken   = "SECRET-of-the-reader"
	adminToken    = "SECRET-of-the-administrator"
	triedToken    = "SECRET-that-is-no-token"
	serverLogin   = "SECRET-in-the-url-of-the-daemon"
	internalError = "SECRET-behind-an-internal-error"
	anySecret     = "SECRET-"
)

// guarded runs a nats-server that asks for a password, and returns its host and port.
func guarded(t testing.TB) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, Username: "me", Password: natsPassword, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the nats-server does not start")
	}
	return s.Addr().String()
}

// failures is a file of events, each of which fails by an internal error with the secret behind it: an end, an attempt,
// a warning, a provider, and one that is rejected.
func failures(t testing.TB) string {
	t.Helper()
	const event = `{"specversion":"1.0","type":"io.faultd.v1.job.%s","source":"s","id":"%d","time":"2026-11-21T02:00:00Z","data":{"job":{"id":"%s","action":"%s"},` +
		`"resource":{"kind":"server","id":"%s","tenant_id":"1234"}%s,"fault":{"code":500,"message":"internal error","details":"%s"}}}` + "\n"
	var text strings.Builder
	for i, row := range []struct{ phase, job, action, id, more string }{
		{"progressed", "b", "build", "s-1", ""}, {"failed", "b", "build", "s-1", `,"provider":"dfw"`}, {"failed", "b", "build", "s-2", ""}, {"cancelled", "r", "resize", "s-2", ""},
	} {
		fmt.Fprintf(&text, event, row.phase, i, row.job, row.action, row.id, row.more, internalError)
	}
	return writeFile(t, filepath.Join(t.TempDir(), "failures.jsonl"), text.String())
}

// heard is all output but the daemons' logs.
type heard struct {
	testing.TB
	strings.Builder
	dir string // for files
}

// command runs a command and keeps what it says.
func (h *heard) command(want int, args ...string) {
	h.Helper()
	r := faultd(h, args...)
	if r.code != want {
		h.Errorf("faultd %s: exit code %d, want %d\n%s", strings.Join(args, " "), r.code, want, r.stderr)
	}
	fmt.Fprintln(h, args[0], r.stdout, r.stderr)
}

func (h *heard) file(name, text string) string {
	h.Helper()
	return writeFile(h, filepath.Join(h.dir, name), text)
}

// asTenant asks for what may hold a secret, with a tenant's token and with none.
func (h *heard) asTenant(d *running) {
	h.Helper()
	for _, token := range []string{"", triedToken, readerToken} {
		for _, path := range []string{"/", "/readyz", "/openapi.json", "/metrics", "/v1/resources", "/v1/resources/server/s-1", "/v1/resources/server/s-2", "/v1/resources/server/s-1/history",
			"/v1/resources/server/s-2/history", "/v1/faults", "/v1/position", "/v1/rejected", "/v1/faults/groups", "/compute/v2.1/servers/detail", "/compute/v2.1/servers/s-1",
			"/compute/v2.1/servers/s-1/os-instance-actions/b", "/compute/v2.1/servers/s-2.xml", "/volume/v3/messages", "/nothing"} {
			_, body := d.asking(h, token, path)
			fmt.Fprintln(h, path, body)
		}
	}
	if status, body := d.asking(h, adminToken, "/v1/resources/server/s-2"); strings.Count(body, internalError) < 2 {
		h.Errorf("an administrator is not shown the details: %d %s", status, body)
	}
}

// badNATS gives daemons and commands the addresses of servers that let nobody in, that are not there, and that are none.
func (h *heard) badNATS(nats string) {
	h.Helper()
	for _, address := range []string{"nats://me:SECRET-wrong@" + nats, "nats://me:" + natsPassword + "@127.0.0.1:1", "nats://" + natsPassword + "@127.0.0.1:1"} {
		d := startDaemon(h, h.TempDir(), "--nats-url", address, "--log-level", "debug")
		d.logs(h, `"state":"DISCONNECTED"`, 1)
		_, body := d.asking(h, "", "/readyz")
		d.stop()
		fmt.Fprintln(h, body, d.log)
		h.command(exitFailed, "publish", "--nats-url", address, sample)
		h.command(exitFailed, "publish", "--nats-url", address+","+address, sample)
	}
	for _, malformed := range []string{"nats://me:" + natsPassword + "@host:x", "nats://me:" + natsPassword + "@[host", "nats://me:" + natsPassword + "%zz@host", "://me:" + natsPassword} {
		h.command(exitUsage, "serve", "--data-dir", filepath.Join(h.dir, "none"), "--nats-url", malformed)
		h.command(exitUsage, "publish", "--nats-url", malformed, sample)
	}
}

// badDaemons asks with a secret in the URL, or with a token that is none.
func (h *heard) badDaemons(d *running) {
	h.Helper()
	tried, login := h.file("tried", triedToken), strings.Replace(d.http, "http://", "http://me:"+serverLogin+"@", 1)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer other.Close()
	h.command(exitFailed, "list", "--server", login, "--token-file", tried)
	h.command(exitFailed, "show", "server", "s-1", "--server", login)
	h.command(exitFailed, "list", "--server", strings.Replace(other.URL, "http://", "http://me:"+serverLogin+"@", 1))
	h.command(exitFailed, "watch", "--server", "http://"+serverLogin+"@127.0.0.1:1", "--token-file", tried)
	h.command(exitUsage, "list", "--server", "ftp://me:"+serverLogin+"@host", "--token-file", tried)
	h.command(exitUsage, "list", "--server", "http://me:"+serverLogin+"@host:x", "--token-file", tried)
	h.command(exitFailed, "list", "--server", d.http, "--token-file", h.file("broken", triedToken+"\n\x00"))
}

// TestSecrets_InNoOutput plants secrets wherever one can be given, and looks for them in every log, error and answer.
func TestSecrets_InNoOutput(t *testing.T) {
	h, nats := &heard{TB: t, dir: t.TempDir()}, guarded(t)
	url := "nats://me:" + natsPassword + "@" + nats
	tokens := h.file("tokens.yaml", tokenRows(readerToken+"/1234/reader", adminToken+"/*/admin"))
	d := startDaemon(t, t.TempDir(), "--nats-url", url+", nats://"+natsPassword+"@"+nats, "--tokens", tokens, "--log-level", "debug")
	admin := []string{"--server", d.http, "--token-file", h.file("admin", adminToken)}
	h.command(exitDone, append([]string{"wait"}, admin...)...)
	h.command(exitDone, "publish", "--nats-url", url, failures(t))
	h.command(exitDone, append([]string{"wait", "--sequence", "4"}, admin...)...)
	h.asTenant(d)
	h.file("tokens.yaml", "tokens:\n- name: "+triedToken+"\n  sha256: "+triedToken+"\n  tenant: "+triedToken+" x\n  role: "+triedToken+"\n")
	d.hangup(t, "the file is bad", 1)
	h.badNATS(nats)
	h.badDaemons(d)
	d.stop()
	for name, text := range map[string]string{"the log": d.log.String(), "what is said": h.String()} {
		if len(text) < 1000 {
			t.Errorf("%s is not all: %s", name, text)
		}
		for line := range strings.Lines(text) {
			if strings.Contains(line, anySecret) {
				t.Errorf("%s holds a secret: %s", name, line)
			}
		}
	}
}
