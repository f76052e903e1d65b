package alert

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// webhookSender sends CloudEvents in structured mode with the headers of Standard Webhooks.
type webhookSender struct {
	hook   *Hook
	client *client
	now    func() time.Time
}

func (s *webhookSender) close() { s.client.close() }

func (s *webhookSender) send(ctx context.Context, m *message) error {
	body := m.cloudEvent()
	stamp := strconv.FormatInt(s.now().Unix(), 10) // of the attempt: a receiver refuses an old one
	header := http.Header{}
	header.Set("Content-Type", "application/cloudevents+json")
	header.Set("Webhook-Id", m.ID)
	header.Set("Webhook-Timestamp", stamp)
	header.Set("Webhook-Signature", signatures(s.hook.Secrets, m.ID, stamp, body))
	return s.client.post(ctx, s.hook.URLs[0], header, body)
}

// signatures are those with each of the keys. The id and the time hold no full stop, so that what is signed can be read
// in one way only.
func signatures(keys [][]byte, id, stamp string, body []byte) string {
	all := make([]string, len(keys))
	for i, key := range keys {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(id + "." + stamp + "."))
		h.Write(body)
		all[i] = "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	return strings.Join(all, " ")
}
