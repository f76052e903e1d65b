package alert

import (
	"net/url"
	"strings"
	"text/template"
	"time"
)

// Kind is what a hook speaks.
type Kind string

// The kinds of hooks.
const (
	Webhook      Kind = "webhook"
	Alertmanager Kind = "alertmanager"
	Slack        Kind = "slack"
	PagerDuty    Kind = "pagerduty"
)

// Hook is one entry of a file of hooks. It is not changed once it is made, so that goroutines may share it. Its URLs
// and secrets are not to be shown: [Hook.Targets] is for that.
type Hook struct {
	Name    string
	Kind    Kind
	URLs    []string // at least one; of an Alertmanager each of its instances, of all others one
	Secrets [][]byte // webhook: one or two keys; pagerduty: the routing key
	Match   Match

	GroupBy       []string      // fingerprint, cause, tenant, kind, or attribute:NAME; none: each event is its own message
	GroupWait     time.Duration // 0: the first event of a group goes out at once
	GroupInterval time.Duration // how long what follows the first one is gathered
	MinErrorFor   time.Duration // what heals within this time is not told; 0: all is told
	RenotifyAfter time.Duration // what stays in ERROR for this long is told again; 0: never

	AllowPrivate bool // the address may be a loopback or private one
	AllowHTTP    bool // the URL may be plain http

	Template *template.Template // slack: of a message's text

	// Digest is of all that the entry says, what stands in the files that it names included: two hooks with the same
	// digest are the same.
	Digest string
}

// String is what a log may show of a hook.
func (h Hook) String() string { return string(h.Kind) + " " + h.Name }

// Targets are the hook's URLs as people may see them: whatever follows the host, which may hold secrets, is cut out.
func (h *Hook) Targets() []string {
	all := make([]string, len(h.URLs))
	for i, u := range h.URLs {
		all[i] = target(u)
	}
	return all
}

// target is a URL without user, path, query and fragment.
func target(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "…"
	}
	shown := u.Scheme + "://" + u.Host
	if strings.TrimPrefix(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		shown += "/…"
	}
	return printable(shown)
}
