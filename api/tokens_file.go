package api

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxTokensFile is the largest file of tokens that is read, in bytes.
const maxTokensFile = 1 << 20

// ErrFileMode is returned when others than its owner may read or write a file of tokens.
var ErrFileMode = errors.New("others than its owner may use the file")

// LoadTokens reads a file of tokens. Its errors name the file, the line and the key, and never a value: a token may
// have been put where its digest belongs.
func LoadTokens(path string) ([]Token, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the file of tokens: %w", err)
	}
	defer func() { _ = f.Close() }() // it is only read
	info, err := f.Stat()            // of what is open, not of what may stand there by now
	switch {
	case err != nil:
		return nil, fmt.Errorf("opening the file of tokens: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", path)
	case info.Mode().Perm()&^0o600 != 0:
		return nil, fmt.Errorf("%s has mode %04o: %w; chmod 600 %s", path, info.Mode().Perm(), ErrFileMode, path)
	case info.Size() > maxTokensFile:
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that a file of tokens may have", path, info.Size(), maxTokensFile)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTokensFile))
	if err != nil {
		return nil, fmt.Errorf("reading the file of tokens: %w", err)
	}
	return ParseTokens(path, text)
}

// ParseTokens reads the text of a file of tokens; file is its name in errors. All that is wrong is told at once.
func ParseTokens(file string, text []byte) ([]Token, error) {
	p := tokensParser{file: file, line: map[[32]byte]int{}, named: map[string]int{}}
	for _, row := range p.rows(p.document(text)) {
		p.add(row)
	}
	if len(p.wrong) == 0 && len(p.tokens) == 0 {
		p.fail(1, "there are no tokens: nobody could be served")
	}
	if err := errors.Join(p.wrong...); err != nil {
		return nil, err
	}
	return p.tokens, nil
}

// tokensParser reads one file. It goes through the nodes of the document by itself, since only they tell on which
// line a key stands.
type tokensParser struct {
	file   string
	tokens []Token
	line   map[[32]byte]int // of a digest
	named  map[string]int   // tokens of a name
	wrong  []error
}

func (p *tokensParser) fail(line int, format string, args ...any) {
	p.wrong = append(p.wrong, fmt.Errorf("%s:%d: %s", p.file, line, fmt.Sprintf(format, args...)))
}

// document is the root of the only document of a text, or nil.
func (p *tokensParser) document(text []byte) *yaml.Node {
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		p.wrong = append(p.wrong, fmt.Errorf("%s: %w", p.file, err))
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

// rows are the nodes under tokens.
func (p *tokensParser) rows(root *yaml.Node) []*yaml.Node {
	if root == nil {
		return nil
	}
	list := p.keys(root, "tokens")["tokens"]
	switch {
	case list == nil:
		return nil
	case list.Kind != yaml.SequenceNode:
		p.fail(list.Line, "tokens must be a list")
		return nil
	}
	return list.Content
}

// keys are the values of a mapping by their keys.
func (p *tokensParser) keys(node *yaml.Node, known ...string) map[string]*yaml.Node {
	if node.Kind != yaml.MappingNode {
		p.fail(node.Line, "there must be keys and values here: %s", strings.Join(known, ", "))
		return nil
	}
	found := map[string]*yaml.Node{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			p.fail(key.Line, "unknown key %q: there are %s", key.Value, strings.Join(known, ", "))
		case found[key.Value] != nil:
			p.fail(key.Line, "key %q stands here again, after line %d", key.Value, found[key.Value].Line)
		default:
			found[key.Value] = node.Content[i+1]
		}
	}
	return found
}

// add takes one row.
func (p *tokensParser) add(node *yaml.Node) {
	before := len(p.wrong)
	row := p.keys(node, "name", "sha256", "tenant", "role", "expires")
	if row == nil {
		return
	}
	t := Token{Name: p.text(node, row, "name", isTokenName, "a text of 1 to 128 printable characters")}
	digest := p.text(node, row, "sha256", isDigest, "the SHA-256 of a token in 64 hexadecimal digits")
	t.Tenant = p.text(node, row, "tenant", func(s string) bool { return s == "*" || validName(s) }, `a tenant's id, or "*" for all tenants`)
	role := p.text(node, row, "role", func(s string) bool { return s == "reader" || s == "admin" }, "reader or admin")
	if row["expires"] != nil {
		expires := p.text(node, row, "expires", isInstant, "a time like 2027-01-01T00:00:00Z")
		t.Expires, _ = time.Parse(time.RFC3339, expires) // isInstant has tried
	}
	if len(p.wrong) > before {
		return
	}
	if t.Tenant == "*" {
		t.Tenant = ""
	}
	t.Admin = role == "admin"
	_, _ = hex.Decode(t.SHA256[:], []byte(digest)) // isDigest has tried
	p.keep(t, row["sha256"].Line)
}

// keep takes a token that is well formed, if it goes with those before it.
func (p *tokensParser) keep(t Token, line int) {
	p.named[t.Name]++
	switch {
	case p.line[t.SHA256] != 0:
		p.fail(line, "sha256 is the same as on line %d: each token has a row of its own", p.line[t.SHA256])
	case p.named[t.Name] == 3:
		p.fail(line, "name is that of two tokens already: there may be one, and the one that replaces it")
	}
	p.line[t.SHA256] = line
	p.tokens = append(p.tokens, t)
}

// text is the value of a key that must be there and of a form.
func (p *tokensParser) text(node *yaml.Node, row map[string]*yaml.Node, key string, is func(string) bool, form string) string {
	value := row[key]
	switch {
	case value == nil:
		p.fail(node.Line, "key %q is missing: it is %s", key, form)
	case value.Kind != yaml.ScalarNode || !is(value.Value):
		p.fail(value.Line, "%s must be %s", key, form)
	default:
		return value.Value
	}
	return ""
}

func isTokenName(s string) bool {
	return s != "" && len(s) <= maxName && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func isDigest(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == hex.EncodedLen(32)
}

func isInstant(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return err == nil
}
