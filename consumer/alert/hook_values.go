package alert

import (
	"encoding/base64"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	sm "faultd/statemachine"
)

// maxURLs is how many instances an Alertmanager may have.
const maxURLs = 16

// urls reads where a hook sends to.
func (r *hookRow) urls() {
	direct := "url"
	if r.h.Kind == Alertmanager {
		direct = "urls"
	}
	hasFile := r.values["url_file"] != nil
	switch {
	case r.values[direct] != nil && hasFile:
		r.fail("url_file", "there is %s too: one of them is enough", direct)
	case hasFile:
		r.urlFile()
	case r.values[direct] == nil && r.h.Kind == PagerDuty:
		r.h.URLs = []string{pagerDutyURL}
	case r.values[direct] == nil:
		r.fail(direct, "it is missing, and there is no url_file")
	case direct == "urls":
		r.urlList()
	default:
		if raw, ok := r.text("url"); ok {
			r.url("url", raw)
		}
	}
}

func (r *hookRow) urlList() {
	list := r.texts(r.values, "", "urls")
	switch {
	case r.values["urls"].Kind == yaml.SequenceNode && len(r.values["urls"].Content) == 0, len(list) > maxURLs:
		r.fail("urls", "there must be 1 to %d", maxURLs)
	}
	for _, item := range list {
		r.url("urls", item.Value)
	}
}

// urlFile reads one URL a line.
func (r *hookRow) urlFile() {
	text, ok := r.named("url_file")
	if !ok {
		return
	}
	lines := strings.Fields(text)
	most := 1
	if r.h.Kind == Alertmanager {
		most = maxURLs
	}
	if len(lines) == 0 || len(lines) > most {
		r.fail("url_file", "the file must hold 1 to %d URLs, each on a line of its own", most)
		return
	}
	for _, raw := range lines {
		r.url("url_file", raw)
	}
}

// url takes one URL, if it may be asked for.
func (r *hookRow) url(key, raw string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil, len(raw) > 2048, raw != printable(raw), u.Hostname() == "", u.Opaque != "", u.Fragment != "", !isPort(u.Port()):
		r.fail(key, "it must be a URL such as https://receiver.example/path")
		return
	case u.Scheme == "http" && !r.h.AllowHTTP:
		r.fail(key, "it is plain http, where anyone on the way reads and changes what is sent; if that is no matter, say allow_http: true")
		return
	case u.Scheme != "https" && u.Scheme != "http":
		r.fail(key, "it must begin with https://")
		return
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := checkAddress(ip, r.h.AllowPrivate); err != nil {
			r.fail(key, "%w", err)
			return
		}
	}
	if r.h.Kind == Alertmanager && !strings.HasSuffix(u.Path, alertsPath) {
		raw = u.JoinPath(alertsPath).String()
	}
	r.h.URLs = append(r.h.URLs, raw)
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return s == "" || err == nil && n > 0
}

// secrets reads the keys that a kind needs.
func (r *hookRow) secrets() {
	switch r.h.Kind {
	case Webhook:
		r.signingKeys()
	case PagerDuty:
		r.routingKey()
	}
}

const secretPrefix = "whsec_"

// signingKeys reads one key a line, two while receivers change from one to the other.
func (r *hookRow) signingKeys() {
	const form = "whsec_ and the base64 of 24 to 64 bytes, on one line, or on two while one replaces the other; to make one: " +
		`echo "whsec_$(head -c 32 /dev/urandom | base64)"`
	if r.values["secret_file"] == nil {
		r.fail("secret_file", "it is missing: the file of the key that messages are signed with, %s", form)
		return
	}
	text, ok := r.named("secret_file")
	if !ok {
		return
	}
	lines := strings.Fields(text)
	if len(lines) != 1 && len(lines) != 2 {
		r.fail("secret_file", "the file must hold %s", form)
		return
	}
	for i, line := range lines {
		encoded, prefixed := strings.CutPrefix(line, secretPrefix)
		key, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if !prefixed || err != nil || len(key) < 24 || len(key) > 64 {
			r.fail("secret_file", "line %d of the file must be %s", i+1, form)
			return
		}
		r.h.Secrets = append(r.h.Secrets, key)
	}
}

var routingKeyForm = regexp.MustCompile("^[A-Za-z0-9_-]{16,64}$")

func (r *hookRow) routingKey() {
	if r.values["secret_file"] == nil {
		r.fail("secret_file", "it is missing: the file of the integration's key")
		return
	}
	text, ok := r.named("secret_file")
	if !ok {
		return
	}
	key := strings.TrimSpace(text)
	if !routingKeyForm.MatchString(key) {
		r.fail("secret_file", "the file must hold the integration's key of Events API v2: 32 letters and digits on one line")
		return
	}
	r.h.Secrets = [][]byte{[]byte(key)}
}

func (r *hookRow) template() {
	text, ok := r.text("template")
	if !ok {
		return
	}
	t, err := parseTemplate(text)
	if err != nil {
		r.fail("template", "%w", err)
		return
	}
	r.h.Template, r.templateText = t, text
}

// match reads what a hook wants; without the key it wants all.
func (r *hookRow) match() {
	m := &r.h.Match
	m.Raised, m.Cleared = true, true
	node := r.values["match"]
	if node == nil {
		return
	}
	values, _ := r.p.keys(node, "match", "kinds", "tenants", "codes", "causes", "actions", "on")
	if values == nil {
		return
	}
	m.Kinds = r.chosen(values, "kinds", isKind, "server, image, backup, export, import, restore or migration")
	m.Tenants = r.chosen(values, "tenants", isName, "a tenant's id")
	m.Causes = r.chosen(values, "causes", isCause, "a cause, such as capacity")
	m.Actions = r.chosen(values, "actions", isAction, "an action, such as build")
	for _, code := range r.chosen(values, "codes", isCodes, "4xx, 5xx or a code from 400 to 599") {
		m.Codes = append(m.Codes, parseCodes(code))
	}
	if on := r.chosen(values, "on", isOccasion, "raised or cleared"); len(on) > 0 {
		m.Raised, m.Cleared = among(on, "raised"), among(on, "cleared")
	}
}

// chosen are the values of a list, each of which must be such.
func (r *hookRow) chosen(values map[string]*yaml.Node, key string, such func(string) bool, form string) []string {
	var list []string
	for _, item := range r.texts(values, "match: ", key) {
		if !such(item.Value) {
			r.p.fail(item.Line, "match: %s: each must be %s", key, form)
			continue
		}
		list = append(list, item.Value)
	}
	return list
}

func isKind(s string) bool     { _, ok := sm.ParseKind(s); return ok }
func isCause(s string) bool    { _, ok := sm.ParseCause(s); return ok }
func isAction(s string) bool   { _, ok := sm.ParseAction(s); return ok }
func isCodes(s string) bool    { return codesForm.MatchString(s) }
func isOccasion(s string) bool { return s == "raised" || s == "cleared" }

var codesForm = regexp.MustCompile("^[45](xx|[0-9]{2})$")

func parseCodes(s string) Codes {
	if n, err := strconv.Atoi(s); err == nil {
		return Codes{n, n}
	}
	hundred := 100 * int(s[0]-'0')
	return Codes{hundred, hundred + 99}
}

// defaultGroupInterval is that of a hook with group_by that names none.
const defaultGroupInterval = 15 * time.Second

// grouping reads how events are put together, and what is held back or repeated.
func (r *hookRow) grouping() {
	h := &r.h
	for _, item := range r.texts(r.values, "", "group_by") {
		by := item.Value
		name, attribute := strings.CutPrefix(by, attributePrefix)
		if !attribute && by != "fingerprint" && by != "cause" && by != "tenant" && by != "kind" || attribute && name == "" {
			r.p.fail(item.Line, "group_by: each must be fingerprint, cause, tenant, kind, or an attribute as in attribute:hostId")
			continue
		}
		h.GroupBy = append(h.GroupBy, by)
	}
	h.GroupWait = r.duration("group_wait", 0, time.Hour)
	h.GroupInterval = r.duration("group_interval", 0, 24*time.Hour)
	h.MinErrorFor = r.duration("min_error_for", 0, 24*time.Hour)
	h.RenotifyAfter = r.duration("renotify_after", time.Minute, 30*24*time.Hour)
	switch grouped := r.values["group_by"] != nil && len(r.values["group_by"].Content) > 0; {
	case !grouped && h.GroupWait > 0:
		r.fail("group_wait", "there is no group_by: each event is its own message, and goes out at once")
	case !grouped && h.GroupInterval > 0:
		r.fail("group_interval", "there is no group_by: each event is its own message, and goes out at once")
	case grouped && r.values["group_interval"] == nil:
		h.GroupInterval = defaultGroupInterval
	}
}

// duration is the value of a key, 0 where it is absent; one that is not 0 must be within limits.
func (r *hookRow) duration(key string, least, most time.Duration) time.Duration {
	text, ok := r.text(key)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d != 0 && (d < least || d > most) {
		r.fail(key, "it must be 0s, or a duration such as 90s or 1h30m from %s to %s", least, most)
		return 0
	}
	return d
}
