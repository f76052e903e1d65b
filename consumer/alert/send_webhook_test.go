package alert

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"strings"
	"testing"
	"time"
)

var discard = log.New(io.Discard, "", 0)

// verified tells whether one of a request's signatures is that of a key, as the text of Standard Webhooks 1.0.0 has it.
func verified(r request, key string) bool {
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = io.WriteString(mac, r.header.Get("webhook-id")+"."+r.header.Get("webhook-timestamp")+"."+string(r.body))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, signature := range strings.Split(r.header.Get("webhook-signature"), " ") {
		if signature == want {
			return true
		}
	}
	return false
}

func TestWebhook_Request(t *testing.T) {
	url, got := receive(t, nil)
	h := aHook(Webhook, url+"/in?x=y")
	h.Secrets = [][]byte{[]byte("the new key"), []byte("the old key")}
	s := newSender(h, "1.2.3").(*webhookSender)
	s.now = func() time.Time { return time.Unix(1_700_000_000, 5) }
	e := anEvent(t, raisedBody)
	if err := s.send(context.Background(), newMessage(h, []Event{e})); err != nil {
		t.Fatal(err)
	}
	r := <-got
	if string(r.body) != raisedBody || r.path != "/in?x=y" || r.header.Get("webhook-id") != e.ID || r.header.Get("webhook-timestamp") != "1700000000" {
		t.Errorf("%s, %v, %s", r.path, r.header, r.body)
	}
	if r.header.Get("Content-Type") != "application/cloudevents+json" || r.header.Get("User-Agent") != "faultd/1.2.3" || r.header.Get("Accept-Encoding") != "" {
		t.Errorf("%v", r.header)
	}
	if !verified(r, "the new key") || !verified(r, "the old key") || verified(r, "another key") {
		t.Errorf("signatures %s", r.header.Get("webhook-signature"))
	}
	if len(strings.Split(r.header.Get("webhook-signature"), " ")) != 2 {
		t.Errorf("signatures %s", r.header.Get("webhook-signature"))
	}
}

func TestWebhook_Group(t *testing.T) {
	url, got := receive(t, nil)
	h := aHook(Webhook, url)
	h.GroupBy = []string{"fingerprint"}
	m := newMessage(h, []Event{anEvent(t, raisedBody), anEvent(t, raisedBody, "5f1c", "6f1c", "s-1", "s-2")})
	if err := newSender(h, "1").send(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	r := <-got
	var event struct{ ID, Type string }
	if err := json.Unmarshal(r.body, &event); err != nil || event.ID != r.header.Get("webhook-id") || event.ID != m.ID || event.Type != "io.faultd.v1.faults.grouped" {
		t.Errorf("%+v, %v, %v", event, err, r.header)
	}
	if !verified(r, string(h.Secrets[0])) {
		t.Error("the signature is not that of the key")
	}
}
