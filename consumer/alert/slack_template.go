package alert

import (
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	sm "faultd/statemachine"
)

// defaultTemplate is the text of messages to chats where a hook has no template of its own.
const defaultTemplate = `{{.Headline}}
{{- if .Event.Advice}}
{{.Event.Advice}}{{end}}
{{- if gt .Count 1}}
{{- range .Shared}}
{{.Name}}: {{.Value}}{{end}}
{{- range .Samples}}
• {{.Headline}}{{end}}
{{- end}}`

var builtinTemplate = template.Must(template.New("default").Parse(defaultTemplate))

// maxChatText is how long a message's text may be in bytes; Slack cuts what has more than 40,000 characters.
const maxChatText = 16 << 10

// errTemplateSize is returned when a template writes far more than a chat would show.
var errTemplateSize = fmt.Errorf("it writes more than %d bytes", 4*maxChatText)

// chatMessage is what a template sees. All texts of events are such that a chat takes them for nothing but texts.
type chatMessage struct {
	Headline                 string // all of it in one line
	Count, Raised, Cleared   int
	First, Last              time.Time
	Flapping, Reminder, Test bool
	Group, Shared            []chatPair // by name
	Event                    chatEvent  // the first
	Samples                  []chatEvent
}

type chatPair struct{ Name, Value string }

// chatEvent is one event as a template sees it.
type chatEvent struct {
	Headline                              string
	ID, Tenant, Kind, ResourceID, Name    string
	Status, Previous                      string
	Action, RequestID, Cause, Fingerprint string
	Advice, Message, Reason, ErrorCode    string
	Code                                  int
	Raised                                bool
	Time                                  time.Time
	attributes                            map[string]string
}

// Attribute is the resource's attribute of that name, or empty: a template may use it of resources that lack it.
func (e chatEvent) Attribute(name string) string { return inert(e.attributes[name]) }

// inert is a text that a chat neither formats as a mention or a link nor reads as markup: Slack's three characters
// are escaped, and in Mattermost and Rocket.Chat, where @all is a mention, a space of no width follows each @.
func inert(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "@\u200b").Replace(s)
}

func newChatMessage(m *message) *chatMessage {
	raised := m.raised()
	c := &chatMessage{
		Headline: inert(m.headline()), Count: m.Count, Raised: raised, Cleared: m.Count - raised, First: m.First, Last: m.Last,
		Flapping: m.Flapping, Reminder: m.Reminder, Test: m.Test, Group: chatPairs(m.Group), Shared: chatPairs(m.Shared),
		Event: newChatEvent(&m.Events[0]),
	}
	for i := range m.Samples {
		c.Samples = append(c.Samples, newChatEvent(&m.Samples[i]))
	}
	return c
}

func chatPairs(of map[string]string) []chatPair {
	var pairs []chatPair
	for _, name := range sortedNames(of) {
		pairs = append(pairs, chatPair{inert(name), inert(of[name])})
	}
	return pairs
}

func newChatEvent(e *Event) chatEvent {
	return chatEvent{
		Headline: inert(e.headline()), ID: e.ID, Tenant: e.Tenant, Kind: e.Kind, ResourceID: e.ResourceID, Name: inert(e.Name),
		Status: e.Status, Previous: e.Previous, Action: e.Action, RequestID: inert(e.RequestID), Cause: e.Cause,
		Fingerprint: inert(e.Fingerprint), Advice: inert(e.Advice), Message: inert(e.Message), Reason: inert(e.Reason),
		ErrorCode: inert(e.ErrorCode), Code: e.Code, Raised: e.Raised, Time: e.Time, attributes: e.attributes,
	}
}

// parseTemplate reads the text of a template, and tries it out on what hooks are told: a fault, a recovery, a group of
// both. What it cannot say then it would not say when it counts.
func parseTemplate(text string) (*template.Template, error) {
	t, err := template.New("template").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, tidyTemplateError(err)
	}
	h := &Hook{Name: "sample", Kind: Slack, GroupBy: []string{"fingerprint"}}
	raised, cleared := sampleEvent(time.Unix(1_600_000_000, 0).UTC(), true), sampleEvent(time.Unix(1_600_000_060, 0).UTC(), false)
	for _, events := range [][]Event{{raised}, {cleared}, {raised, cleared}} {
		text, err := chatText(t, newMessage(h, events))
		if err != nil {
			return nil, tidyTemplateError(err)
		}
		if strings.TrimSpace(text) == "" {
			return nil, errors.New("it says nothing of a sample")
		}
	}
	return t, nil
}

// tidyTemplateError is an error of a template without what only Go's programmers know.
func tidyTemplateError(err error) error {
	return errors.New(printable(strings.TrimPrefix(err.Error(), "template: ")))
}

// chatText is the text of a message by a template.
func chatText(t *template.Template, m *message) (string, error) {
	var out limitedText
	if err := t.Execute(&out, newChatMessage(m)); err != nil {
		return "", err
	}
	return sm.Clip(out.String(), maxChatText), nil
}

// limitedText takes what a template writes, within reason.
type limitedText struct{ strings.Builder }

func (t *limitedText) Write(p []byte) (int, error) {
	if t.Len()+len(p) > 4*maxChatText {
		return 0, errTemplateSize
	}
	return t.Builder.Write(p)
}
