package alert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Load reads a file of hooks and the files that it names. Its errors name the file, the line and the key, and never a
// value that may be secret; all that is wrong is told at once. Files that others than their owner may use are refused
// with [ErrFileMode].
func Load(path string) ([]Hook, error) {
	text, err := readPrivate(path, maxHooksFile)
	if err != nil {
		return nil, fmt.Errorf("the file of hooks: %w", err)
	}
	return parseHooks(path, text, readPrivate)
}

// parseHooks reads the text of a file of hooks; read reads the files that it names.
func parseHooks(file string, text []byte, read func(path string, most int64) ([]byte, error)) ([]Hook, error) {
	p := hooksParser{file: file, read: read, line: map[string]int{}}
	hooks := []Hook{}
	for _, node := range p.list(p.document(text)) {
		if h, ok := p.hook(node); ok {
			hooks = append(hooks, h)
		}
	}
	if err := errors.Join(p.wrong...); err != nil {
		return nil, err
	}
	return hooks, nil
}

// hooksParser reads one file. It goes through the nodes of the document by itself, since only they tell on which line
// a key stands.
type hooksParser struct {
	file  string
	read  func(path string, most int64) ([]byte, error)
	line  map[string]int // of a hook's name
	wrong []error
}

func (p *hooksParser) fail(line int, format string, args ...any) {
	p.wrong = append(p.wrong, fmt.Errorf("%s:%d: %w", p.file, line, fmt.Errorf(format, args...)))
}

// document is the root of the only document of a text, or nil.
func (p *hooksParser) document(text []byte) *yaml.Node {
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		p.fail(1, `key "hooks" is missing: it is the list of hooks, which may be empty`)
		return nil
	case err != nil:
		p.wrong = append(p.wrong, fmt.Errorf("%s: %s", p.file, yamlError(err)))
		return nil
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		p.wrong = append(p.wrong, fmt.Errorf("%s: there is more than one document", p.file))
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

var inYAMLError = regexp.MustCompile("'[^']*'|`[^`]*`|\"[^\"]*\"")

// yamlError is an error of the YAML library without what it quotes of the file.
func yamlError(err error) string {
	return printable(inYAMLError.ReplaceAllString(err.Error(), "…"))
}

// list are the nodes under hooks.
func (p *hooksParser) list(root *yaml.Node) []*yaml.Node {
	if root == nil {
		return nil
	}
	found, ok := p.keys(root, "", "hooks")
	switch list := found["hooks"]; {
	case !ok:
		return nil
	case list == nil:
		p.fail(root.Line, `key "hooks" is missing: it is the list of hooks, which may be empty`)
		return nil
	case list.Kind != yaml.SequenceNode:
		p.fail(list.Line, "hooks must be a list; [] is an empty one")
		return nil
	default:
		return list.Content
	}
}

// keys are the values of a mapping by their keys; of is the key that it belongs to.
func (p *hooksParser) keys(node *yaml.Node, of string, known ...string) (found map[string]*yaml.Node, ok bool) {
	if of != "" {
		of += ": "
	}
	if node.Kind != yaml.MappingNode {
		p.fail(node.Line, "%sthere must be keys and values here: %s", of, strings.Join(known, ", "))
		return nil, false
	}
	found, ok = map[string]*yaml.Node{}, true
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			p.fail(key.Line, "%sunknown key %q: there are %s", of, cut(key.Value), strings.Join(known, ", "))
			ok = false
		case found[key.Value] != nil:
			p.fail(key.Line, "%skey %q stands here again, after line %d", of, key.Value, found[key.Value].Line)
			ok = false
		default:
			found[key.Value] = node.Content[i+1]
		}
	}
	return found, ok
}

// cut is enough of an unknown key to know it by: it may be a secret that stands in the wrong place.
func cut(s string) string {
	if r := []rune(s); len(r) > 16 {
		return string(r[:16]) + "…"
	}
	return s
}

// hookKeys are the keys of a hook.
var hookKeys = []string{"name", "kind", "url", "url_file", "urls", "secret_file", "template", "match", "group_by", "group_wait",
	"group_interval", "min_error_for", "renotify_after", "allow_private", "allow_http"}

// hook reads one hook; it is false if anything is wrong with it.
func (p *hooksParser) hook(node *yaml.Node) (Hook, bool) {
	before := len(p.wrong)
	values, _ := p.keys(node, "", hookKeys...)
	if values == nil {
		return Hook{}, false
	}
	r := hookRow{p: p, node: node, values: values}
	r.name()
	r.flags()
	if r.kind() {
		r.refuse()
		r.urls()
		r.secrets()
		r.template()
	}
	r.match()
	r.grouping()
	if len(p.wrong) > before {
		return Hook{}, false
	}
	r.h.Digest = r.digest()
	return r.h, true
}

// hookRow is a hook on its way.
type hookRow struct {
	p      *hooksParser
	node   *yaml.Node
	values map[string]*yaml.Node
	h      Hook

	templateText string
}

func (r *hookRow) fail(key, format string, args ...any) {
	line := r.node.Line
	if v := r.values[key]; v != nil {
		line = v.Line
	}
	r.p.fail(line, key+": "+format, args...)
}

// text is the value of a key, if it is there and one text.
func (r *hookRow) text(key string) (string, bool) {
	v := r.values[key]
	switch {
	case v == nil:
		return "", false
	case v.Kind != yaml.ScalarNode || v.Value == "" || v.Tag == "!!null" || v.Tag == "!!binary":
		r.fail(key, "it must be a text")
		return "", false
	}
	return v.Value, true
}

// texts are the values of a key that is a list.
func (r *hookRow) texts(values map[string]*yaml.Node, of, key string) []*yaml.Node {
	v := values[key]
	switch {
	case v == nil:
		return nil
	case v.Kind != yaml.SequenceNode:
		r.p.fail(v.Line, "%s%s: it must be a list, as in [a, b]", of, key)
		return nil
	}
	seen := map[string]bool{}
	for _, item := range v.Content {
		switch {
		case item.Kind != yaml.ScalarNode || item.Value == "" || item.Tag == "!!null" || item.Tag == "!!binary":
			r.p.fail(item.Line, "%s%s: each of the list must be a text", of, key)
			return nil
		case seen[item.Value]:
			r.p.fail(item.Line, "%s%s: something stands twice in the list", of, key)
			return nil
		}
		seen[item.Value] = true
	}
	return v.Content
}

var hookName = regexp.MustCompile("^[a-z0-9-]{1,32}$")

func (r *hookRow) name() {
	name, ok := r.text("name")
	switch {
	case r.values["name"] == nil:
		r.fail("name", "it is missing: 1 to 32 of a-z, 0-9 and -")
	case !ok:
	case !hookName.MatchString(name):
		r.fail("name", "it must be 1 to 32 of a-z, 0-9 and -")
	case r.p.line[name] != 0:
		r.fail("name", "%s is that of the hook on line %d already", name, r.p.line[name])
	default:
		r.p.line[name], r.h.Name = r.node.Line, name
	}
}

func (r *hookRow) kind() bool {
	kind, ok := r.text("kind")
	switch k := Kind(kind); {
	case r.values["kind"] == nil:
		r.fail("kind", "it is missing: webhook, alertmanager, slack or pagerduty")
	case !ok:
	case k != Webhook && k != Alertmanager && k != Slack && k != PagerDuty:
		r.fail("kind", "it must be webhook, alertmanager, slack or pagerduty")
	default:
		r.h.Kind = k
		return true
	}
	return false
}

// refuse refuses keys that a kind has no use for: whoever writes them expects something.
func (r *hookRow) refuse() {
	const groups = "Alertmanager groups by itself, by the routes of its own configuration"
	useless := map[Kind]map[string]string{
		Webhook: {"urls": "only an alertmanager has several", "template": "only slack has one"},
		Slack:   {"urls": "only an alertmanager has several", "secret_file": "the secret of a chat's webhook is its URL: use url_file"},
		PagerDuty: {
			"urls": "only an alertmanager has several", "template": "only slack has one",
		},
		Alertmanager: {
			"url": "an alertmanager has urls, one for each instance", "secret_file": "an alertmanager has none", "template": "only slack has one",
			"group_by": groups, "group_wait": groups, "group_interval": groups,
			"renotify_after": "what is firing is sent again all the time, and Alertmanager repeats by its repeat_interval",
		},
	}[r.h.Kind]
	for _, key := range hookKeys {
		if why := useless[key]; why != "" && r.values[key] != nil {
			r.fail(key, "it is not for a hook of kind %s: %s", r.h.Kind, why)
			delete(r.values, key)
		}
	}
}

func (r *hookRow) flags() {
	r.h.AllowPrivate = r.flag("allow_private")
	r.h.AllowHTTP = r.flag("allow_http")
}

func (r *hookRow) flag(key string) bool {
	value, ok := r.text(key)
	if ok && value != "true" && value != "false" {
		r.fail(key, "it must be true or false")
	}
	return value == "true"
}

// named reads a file that a key names, relative to the directory of the file of hooks.
func (r *hookRow) named(key string) (string, bool) {
	path, ok := r.text(key)
	if !ok {
		return "", false
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(r.p.file), path)
	}
	text, err := r.p.read(path, maxNamedFile)
	if err != nil {
		r.fail(key, "%w", err)
		return "", false
	}
	return string(text), true
}

// digest is of all that the hook says.
func (r *hookRow) digest() string {
	h := &r.h
	all := encode(struct {
		Hook     Hook
		Template string
	}{Hook{
		Name: h.Name, Kind: h.Kind, URLs: h.URLs, Secrets: h.Secrets, Match: h.Match, GroupBy: h.GroupBy, GroupWait: h.GroupWait,
		GroupInterval: h.GroupInterval, MinErrorFor: h.MinErrorFor, RenotifyAfter: h.RenotifyAfter, AllowPrivate: h.AllowPrivate,
		AllowHTTP: h.AllowHTTP,
	}, r.templateText})
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:])
}
