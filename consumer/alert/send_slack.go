package alert

import (
	"context"
	"net/http"
)

// slackSender sends texts to incoming webhooks of Slack, Mattermost and Rocket.Chat.
type slackSender struct {
	hook   *Hook
	client *client
}

func (s *slackSender) close() { s.client.close() }

func (s *slackSender) send(ctx context.Context, m *message) error {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	body := encode(struct {
		Text string `json:"text"`
	}{s.text(m)})
	return s.client.post(ctx, s.hook.URLs[0], header, body)
}

// text is what the hook's template says. One that fails, although it went well when it was read, must not keep a fault
// from being told: then it is what the built-in one says.
func (s *slackSender) text(m *message) string {
	if s.hook.Template != nil {
		if text, err := chatText(s.hook.Template, m); err == nil {
			return text
		}
	}
	text, _ := chatText(builtinTemplate, m) // it uses nothing that may be missing
	return text
}
