package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"faultd/api"
)

// writeFile writes a file that its owner alone may use, and returns its path.
func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tokenRows is the text of a file of tokens, each given as token/tenant/role.
func tokenRows(tokens ...string) string {
	text := "tokens:\n"
	for i, token := range tokens {
		part := strings.Split(token, "/")
		text += fmt.Sprintf("- {name: n%d, sha256: %x, tenant: %q, role: %s}\n", i, sha256.Sum256([]byte(part[0])), part[1], part[2])
	}
	return text
}

// asking asks with a token, "" for none, and returns the status and the body.
func (d *running) asking(t testing.TB, token, path string) (int, string) {
	t.Helper()
	return askWith(t, http.DefaultClient, d.http+path, token)
}

func askWith(t testing.TB, client *http.Client, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// hangup sends the daemons of this process a SIGHUP and returns when the log says so often that it has come to pass.
func (d *running) hangup(t testing.TB, says string, times int) {
	t.Helper()
	also := make(chan os.Signal, 1)
	signal.Notify(also, syscall.SIGHUP) // a signal that nobody takes would end the test
	defer signal.Stop(also)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	d.logs(t, says, times)
	<-also
}

// logs returns when a text stands so often in the log.
func (d *running) logs(t testing.TB, text string, times int) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); strings.Count(d.log.String(), text) < times; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q does not stand %d times in the log:\n%s", text, times, d.log)
		}
	}
}

func TestToken_RowIsTaken(t *testing.T) {
	r := faultd(t, "token", "--name", "the \"ops\" team", "--tenant", "1234", "--role", "reader", "--expires", "2999-01-01T00:00:00Z")
	secret := strings.TrimSuffix(r.stderr, "\n")
	if r.code != exitDone || !regexp.MustCompile(`^fd_[A-Za-z0-9_-]{43}$`).MatchString(secret) || strings.Contains(r.stdout, secret) {
		t.Fatalf("exit code %d, the token %q and the row %q", r.code, r.stderr, r.stdout)
	}
	all := faultd(t, "token", "--name", "all", "--tenant", "*", "--role", "admin")
	tokens, err := api.ParseTokens("f", []byte("tokens:\n"+r.stdout+all.stdout))
	if err != nil || len(tokens) != 2 {
		t.Fatalf("%v, %v", tokens, err)
	}
	want := api.Token{Name: "the \"ops\" team", SHA256: sha256.Sum256([]byte(secret)), Tenant: "1234", Expires: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)}
	if tokens[0] != want {
		t.Errorf("%+v, want %+v", tokens[0], want)
	}
	if tokens[1].Tenant != "" || !tokens[1].Admin || all.stderr == r.stderr {
		t.Errorf("%+v, token %s", tokens[1], all.stderr)
	}
}

func TestToken_Usage(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"nothing":     {nil, "name must be"},
		"no tenant":   {[]string{"--name", "n", "--role", "admin"}, "tenant must be"},
		"bad tenant":  {[]string{"--name", "n", "--role", "admin", "--tenant", "a b"}, "tenant must be"},
		"no role":     {[]string{"--name", "n", "--tenant", "t"}, "role must be"},
		"bad role":    {[]string{"--name", "n", "--tenant", "t", "--role", "root"}, "must be reader or admin"},
		"bad expiry":  {[]string{"--name", "n", "--tenant", "t", "--role", "admin", "--expires", "soon"}, "expires must be"},
		"past expiry": {[]string{"--name", "n", "--tenant", "t", "--role", "admin", "--expires", "2001-01-01T00:00:00Z"}, "is over"},
		"argument":    {[]string{"x"}, "unknown command"},
	} {
		r := faultd(t, append([]string{"token"}, c.args...)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, c.says) || r.stdout != "" || strings.Contains(r.stderr, "fd_") {
			t.Errorf("%s: exit code %d; it must say %q:\n%s%s", name, r.code, c.says, r.stdout, r.stderr)
		}
	}
}

func TestServe_AccessUsage(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		says string // "": it is allowed
	}{
		"beyond loopback":               {[]string{"--http-addr", ":1"}, "without tokens everyone"},
		"the same with TLS":             {[]string{"--http-addr", ":1", "--tls-cert", "c", "--tls-key", "k"}, "without tokens everyone"},
		"the same in the clear":         {[]string{"--http-addr", "192.0.2.1:1", "--insecure-http"}, "without tokens everyone"},
		"the same with certificates":    {[]string{"--http-addr", ":1", "--tls-cert", "c", "--tls-key", "k", "--tls-client-ca", "a"}, "without tokens everyone"},
		"with tokens in the clear":      {[]string{"--http-addr", ":1", "--tokens", "t"}, "--insecure-http"},
		"with tokens, and that is said": {[]string{"--http-addr", ":1", "--tokens", "t", "--insecure-http"}, ""},
		"with tokens and TLS":           {[]string{"--http-addr", ":1", "--tokens", "t", "--tls-cert", "c", "--tls-key", "k"}, ""},
		"certificate without key":       {[]string{"--tls-cert", "c"}, "go together"},
		"key without certificate":       {[]string{"--tls-key", "k"}, "go together"},
		"authorities without TLS":       {[]string{"--tls-client-ca", "a"}, "goes with --tls-cert"},
		"rate below nothing":            {[]string{"--rate-limit", "-1"}, "--rate-limit"},
		"rate of no number":             {[]string{"--rate-limit", "NaN"}, "--rate-limit"},
		"rate without end":              {[]string{"--rate-limit", "Inf"}, "--rate-limit"},
		"burst below nothing":           {[]string{"--rate-burst", "-1"}, "--rate-burst"},
		"no requests":                   {[]string{"--max-requests", "0"}, "--max-requests"},
		"bad NATS URL":                  {[]string{"--nats-url", "nats://me:s3cret@host:x"}, "address 1 is no URL"},
		"bad second NATS URL":           {[]string{"--nats-url", "nats://me:s3cret@host,nats://me:s3cret@:%zz"}, "address 2 is no URL"},
		"NATS URLs":                     {[]string{"--nats-url", "nats://me:s3cret@host:1, host2:4222"}, ""},
	} {
		s, flags := settings{}, pflag.NewFlagSet("serve", pflag.ContinueOnError)
		s.addFlags(flags)
		err := flags.Parse(c.args)
		if err == nil {
			err = s.check()
		}
		if c.says == "" && err != nil || c.says != "" && (exitCode(err, false) != exitUsage || !strings.Contains(err.Error(), c.says)) || err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestServe_TokensRefused(t *testing.T) {
	dir := t.TempDir()
	path := writeFile(t, filepath.Join(dir, "tokens.yaml"), tokenRows("secret/1234/reader"))
	start := func() result {
		return faultd(t, "serve", "--data-dir", filepath.Join(dir, "data"), "--http-addr", "127.0.0.1:0", "--nats-addr", "127.0.0.1:0", "--tokens", path)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if r := start(); r.code != exitFailed || !strings.Contains(r.stderr, "chmod 600 "+path) {
		t.Errorf("mode 0640: exit code %d\n%s", r.code, r.stderr)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, "tokens:\n- name: n\n  sha256: s3cret\n  tenant: t\n  role: reader\n  color: red\n")
	r := start()
	for _, says := range []string{path + ":3: sha256 must be", path + `:6: unknown key "color"`} {
		if r.code != exitFailed || !strings.Contains(strings.ReplaceAll(r.stderr, "\n", " "), says) || strings.Contains(r.stderr, "s3cret") {
			t.Errorf("exit code %d; it must say %s:\n%s", r.code, says, r.stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
		t.Error("it has begun before it looked at the tokens")
	}
}

// TestServe_TokensAreReadAgain rotates a token: both, then a file that is bad, then the new one alone.
func TestServe_TokensAreReadAgain(t *testing.T) {
	path := writeFile(t, filepath.Join(t.TempDir(), "tokens.yaml"), tokenRows("old/1234/reader"))
	d := startDaemon(t, t.TempDir(), "--tokens", path)
	expect := func(when string, statuses map[string]int) {
		t.Helper()
		for token, want := range statuses {
			if got, body := d.asking(t, token, "/v1/resources"); got != want {
				t.Errorf("%s: token %q gets %d %s, want %d", when, token, got, body, want)
			}
		}
	}
	expect("at first", map[string]int{"": 401, "old": 200, "new": 401})
	writeFile(t, path, tokenRows("old/1234/reader", "new/1234/reader"))
	expect("before the signal", map[string]int{"old": 200, "new": 401})
	d.hangup(t, `"message":"read again"`, 1)
	expect("both", map[string]int{"": 401, "old": 200, "new": 200})

	writeFile(t, path, "tokens:\n- name: x\n  sha257: s3cret\n")
	d.hangup(t, "the file is bad", 1)
	expect("after a bad file", map[string]int{"": 401, "old": 200, "new": 200})
	if log := d.log.String(); !strings.Contains(log, path+`:3: unknown key`) || strings.Contains(log, "s3cret") {
		t.Errorf("what is bad is not said, or too much is:\n%s", log)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	d.hangup(t, "the file is bad", 2)
	expect("without a file", map[string]int{"": 401, "old": 200})
	writeFile(t, path, tokenRows("new/1234/reader"))
	d.hangup(t, `"message":"read again"`, 2)
	expect("the new one alone", map[string]int{"": 401, "old": 401, "new": 200})
}

// TestServe_HangupWithoutFiles sends a signal that would end a process which does not expect it.
func TestServe_HangupWithoutFiles(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	d.hangup(t, `"http":`, 1)
	d.ask(t, "wait")
}

func TestSettings_RateWithoutTokens(t *testing.T) {
	for _, c := range []struct {
		tokens string
		given  bool
		want   float64
	}{{"", false, 0}, {"", true, 5}, {"f", false, 5}, {"f", true, 5}} {
		s := settings{tokens: c.tokens, limits: api.Limits{Rate: 5}}
		if got := s.rate(c.given); got != c.want {
			t.Errorf("tokens %q, given %v: %v", c.tokens, c.given, got)
		}
	}
}

func TestServe_RateLimit(t *testing.T) {
	path := writeFile(t, filepath.Join(t.TempDir(), "tokens.yaml"), tokenRows("a/1234/reader", "b/1234/reader"))
	d := startDaemon(t, t.TempDir(), "--tokens", path, "--rate-limit", "0.001", "--rate-burst", "1")
	for i, want := range []int{200, 413} {
		if got, body := d.asking(t, "a", "/compute/v2.1/servers"); got != want {
			t.Errorf("request %d: %d %s", i, got, body)
		}
	}
	if got, _ := d.asking(t, "b", "/compute/v2.1/servers"); got != 200 {
		t.Errorf("another token: %d", got)
	}
	if got, _ := d.asking(t, "", "/readyz"); got == 429 {
		t.Error("a health check is limited")
	}
}
