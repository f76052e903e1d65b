package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// digest is the SHA-256 of a token in hexadecimal digits.
func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func TestParseTokens_Rows(t *testing.T) {
	text := "# who may ask\ntokens:\n- name: dashboards\n  sha256: " + digest("a") + "\n  tenant: \"1234\"\n  role: reader\n  expires: 2027-01-01T00:00:00Z\n" +
		"- {name: 'the ops team', sha256: '" + strings.ToUpper(digest("b")) + "', tenant: '*', role: admin}\n" +
		"- {name: 'the ops team', sha256: " + digest("c") + ", tenant: 0123, role: admin}\n"
	got, err := ParseTokens("f", []byte(text))
	if err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	for i, want := range []Token{
		{Name: "dashboards", SHA256: sha256.Sum256([]byte("a")), Tenant: "1234", Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Name: "the ops team", SHA256: sha256.Sum256([]byte("b")), Admin: true},
		{Name: "the ops team", SHA256: sha256.Sum256([]byte("c")), Tenant: "0123", Admin: true}, // as it is written, a number or not
	} {
		if got[i] != want {
			t.Errorf("row %d is %+v, want %+v", i, got[i], want)
		}
	}
}

func TestParseTokens_Refused(t *testing.T) {
	const secret = "fd_pasted-where-its-digest-belongs"
	row := func(change ...string) string {
		text := "- name: n\n  sha256: " + digest("a") + "\n  tenant: t\n  role: reader\n"
		return "tokens:\n" + strings.NewReplacer(change...).Replace(text)
	}
	more := func(name, token string) string {
		return "- {name: " + name + ", sha256: " + digest(token) + ", tenant: t, role: reader}\n"
	}
	for name, c := range map[string]struct{ text, says string }{
		"nothing":             {"", "f:1: there are no tokens"},
		"comments":            {"# none\n", "f:1: there are no tokens"},
		"no rows":             {"tokens: []\n", "f:1: there are no tokens"},
		"null":                {"tokens:\n", "f:1: tokens must be a list"},
		"a list":              {"- a\n", "f:1: there must be keys"},
		"no list":             {"tokens: {}\n", "f:1: tokens must be a list"},
		"row without keys":    {"tokens:\n- x\n", "f:2: there must be keys"},
		"unknown key":         {row("  role", "  rôle"), `f:5: unknown key "rôle"`},
		"unknown key above":   {"token: []\n" + row(), `f:1: unknown key "token"`},
		"repeated key":        {row("  role", "  tenant: u\n  role"), `f:5: key "tenant" stands here again, after line 4`},
		"repeated list":       {row() + "tokens: []\n", `f:6: key "tokens" stands here again, after line 2`},
		"key of another case": {row("  role", "  Role"), `f:5: unknown key "Role"`},
		"merge":               {row("  role: reader", "  <<: {role: admin}"), `f:5: unknown key "<<"`},
		"alias":               {"tokens:\n- &a {name: n, sha256: " + digest("a") + ", tenant: t, role: reader}\n- *a\n", "f:3: there must be keys"},
		"name missing":        {row("- name: n\n  sha", "- sha"), `f:2: key "name" is missing`},
		"digest missing":      {row("  sha256: "+digest("a")+"\n", ""), `f:2: key "sha256" is missing`},
		"tenant missing":      {row("  tenant: t\n", ""), `f:2: key "tenant" is missing`},
		"role missing":        {row("  role: reader\n", ""), `f:2: key "role" is missing`},
		"empty name":          {row("name: n", "name: ''"), "f:2: name must be"},
		"long name":           {row("name: n", "name: "+strings.Repeat("n", 129)), "f:2: name must be"},
		"name with a newline": {row("name: n", `name: "a\nb"`), "f:2: name must be"},
		"short digest":        {row(digest("a"), digest("a")[2:]), "f:3: sha256 must be"},
		"no digest":           {row(digest("a"), secret), "f:3: sha256 must be"},
		"digest of a list":    {row(digest("a"), "["+secret+"]"), "f:3: sha256 must be"},
		"bad tenant":          {row("tenant: t", "tenant: a/b"), "f:4: tenant must be"},
		"no tenant":           {row("tenant: t", "tenant:"), "f:4: tenant must be"},
		"no such role":        {row("role: reader", "role: root"), "f:5: role must be reader or admin"},
		"bad time":            {row("  role", "  expires: tomorrow\n  role"), "f:5: expires must be a time"},
		"time without zone":   {row("  role", "  expires: 2027-01-01 00:00:00\n  role"), "f:5: expires must be a time"},
		"same digest":         {row() + more("other", "a"), "f:6: sha256 is the same as on line 3"},
		"three of a name":     {row() + more("n", "b") + more("n", "c"), "f:7: name is that of two tokens already"},
		"two documents":       {row() + "---\n" + row(), "more than one document"},
		"no YAML":             {"tokens: [\n", "f: yaml: line 1"},
		"not UTF-8":           {"tokens: \xff\n", "f: yaml:"},
		"several at once":     {row("role: reader", "role: root", "tenant: t", "tenant: ''"), "f:5: role must be"},
	} {
		got, err := ParseTokens("f", []byte(c.text))
		if err == nil || got != nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, %v; want %s", name, got, err, c.says)
		}
	}
	if _, err := ParseTokens("f", []byte(row("role: reader", "role: root", "tenant: t", "tenant: ''"))); !strings.Contains(err.Error(), "f:4: tenant") {
		t.Errorf("the first of several is not told: %v", err)
	}
}

func TestLoadTokens_Mode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(path, []byte("tokens:\n- {name: n, sha256: "+digest("a")+", tenant: t, role: reader}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o602: false, 0o700: false, 0o644: false, 0o620: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		got, err := LoadTokens(path)
		if good && (err != nil || len(got) != 1) || !good && (!errors.Is(err, ErrFileMode) || !strings.Contains(err.Error(), "chmod 600 "+path)) {
			t.Errorf("mode %04o: %v, %v", mode, got, err)
		}
	}
}

func TestLoadTokens_NoFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadTokens(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := LoadTokens(dir); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a directory: %v", err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, maxTokensFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadTokens(large); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("a large file: %v", err)
	}
}

func FuzzParseTokens(f *testing.F) {
	f.Add([]byte("tokens:\n- {name: n, sha256: " + digest("a") + ", tenant: t, role: reader, expires: 2027-01-01T00:00:00Z}\n"))
	f.Add([]byte("tokens: &a [*a]\n"))
	f.Add([]byte("? [a]\n: b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		tokens, err := ParseTokens("f", text)
		if (err == nil) == (len(tokens) == 0) {
			t.Fatalf("%v, %v", tokens, err)
		}
		for _, token := range tokens {
			if !isTokenName(token.Name) || token.Tenant != "" && !validName(token.Tenant) {
				t.Errorf("%+v", token)
			}
		}
	})
}
