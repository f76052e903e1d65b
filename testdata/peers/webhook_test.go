package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	oldSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	newSecret = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
)

// toldBySample is how many faults, and ends of faults, the sample log tells of.
const toldBySample = 15

// verifying is a receiver that takes what the Standard Webhooks library lets pass, and refuses the rest.
type verifying struct {
	url      string
	verifier *standardwebhooks.Webhook

	mu   sync.Mutex
	came []webhookMessage
}

type webhookMessage struct {
	header http.Header
	body   []byte
	err    error // why it was refused
}

func newVerifying(t *testing.T, secret string) *verifying {
	t.Helper()
	v := &verifying{verifier: verifier(t, secret)}
	s := httptest.NewServer(v)
	t.Cleanup(s.Close)
	v.url = s.URL
	return v
}

func verifier(t *testing.T, secret string) *standardwebhooks.Webhook {
	t.Helper()
	w, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (v *verifying) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if err = v.verifier.Verify(body, r.Header); err != nil {
		w.WriteHeader(http.StatusUnauthorized)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.came = append(v.came, webhookMessage{r.Header, body, err})
}

func (v *verifying) all() []webhookMessage {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.came)
}

// hook writes a file of the hook pager, and the secrets that it signs with.
func (v *verifying) hook(t *testing.T, dir string, secrets ...string) string {
	t.Helper()
	writePrivate(t, filepath.Join(dir, "pager.secret"), strings.Join(secrets, "\n")+"\n")
	return writePrivate(t, filepath.Join(dir, "hooks.yaml"),
		"hooks:\n- {name: pager, kind: webhook, url: "+v.url+"/in, secret_file: pager.secret, allow_private: true, allow_http: true}\n")
}

// The library lets pass each message of the sample log, and none that was changed on the way; what it lets pass is what
// stands on the stream of faults, under the same id.
func TestStandardWebhooks_Messages(t *testing.T) {
	v := newVerifying(t, oldSecret)
	d := serve(t, "--hooks", v.hook(t, t.TempDir(), oldSecret))
	js := d.follows(t, "pager")
	d.publish(t, "../sample.jsonl")
	faults, err := js.Stream(t.Context(), "FAULTS")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	eventually(t, "all faults are received", func(ctx context.Context) bool {
		told = bodies(ctx, t, faults)
		return len(told) == toldBySample && len(v.all()) == toldBySample
	})
	for _, m := range v.all() {
		id := m.header.Get(standardwebhooks.HeaderWebhookID)
		if m.err != nil || told[id] != string(m.body) || m.header.Get("Content-Type") != "application/cloudevents+json" {
			t.Errorf("message %s: %v; it is %s, told was %s", id, m.err, m.body, told[id])
		}
		delete(told, id)
		changed := append(bytes.Clone(m.body), ' ')
		other := m.header.Clone()
		other.Set(standardwebhooks.HeaderWebhookID, id+"0")
		if v.verifier.Verify(changed, m.header) == nil || v.verifier.Verify(m.body, other) == nil {
			t.Errorf("message %s passes after it was changed", id)
		}
	}
	if len(told) > 0 {
		t.Errorf("not received: %v", told)
	}
}

// bodies are the messages of a stream by their events' ids.
func bodies(ctx context.Context, t *testing.T, stream jetstream.Stream) map[string]string {
	t.Helper()
	info, err := stream.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for n := info.State.FirstSeq; n <= info.State.LastSeq; n++ {
		m, err := stream.GetMsg(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		var event struct{ ID string }
		if err := json.Unmarshal(m.Data, &event); err != nil {
			t.Fatal(err)
		}
		all[event.ID] = string(m.Data)
	}
	return all
}

// While one secret replaces the other, messages pass with either; before and behind that with one of them alone.
func TestStandardWebhooks_Rotation(t *testing.T) {
	v, dir := newVerifying(t, oldSecret), t.TempDir()
	d := serve(t, "--hooks", v.hook(t, dir, oldSecret))
	before, behind := verifier(t, oldSecret), verifier(t, newSecret)
	for _, step := range []struct {
		secrets  []string
		old, new bool
	}{
		{[]string{oldSecret}, true, false},
		{[]string{oldSecret, newSecret}, true, true},
		{[]string{newSecret}, false, true},
	} {
		v.hook(t, dir, step.secrets...)
		if err := d.process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a test that is signed as it should be", func(ctx context.Context) bool {
			cmd := exec.CommandContext(ctx, binary, "hooks", "test", "pager", "--server", d.HTTP)
			said, err := cmd.CombinedOutput()
			all := v.all()
			if len(all) == 0 {
				return false
			}
			m := all[len(all)-1]
			if taken := err == nil; taken != (m.err == nil) {
				t.Fatalf("the command says %s of a message that the receiver refuses: %v", said, m.err)
			}
			return (before.Verify(m.body, m.header) == nil) == step.old && (behind.Verify(m.body, m.header) == nil) == step.new
		})
	}
}
