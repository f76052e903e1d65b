package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// checkSlowly says what checkJSON says, by the library's own tokens.
func checkSlowly(text []byte) error {
	if !utf8.Valid(text) {
		return errUTF8
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := checkValue(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errSyntax
	}
	return nil
}

func checkValue(d *json.Decoder, depth int) error {
	token, err := d.Token()
	if err != nil {
		return errSyntax
	}
	delim, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	if depth == maxDepth {
		return errDeep
	}
	seen := map[string]bool{}
	for d.More() {
		if delim == '{' {
			name, err := d.Token()
			if err != nil {
				return errSyntax
			}
			if seen[name.(string)] { // the decoder lets nothing else be a name
				return errTwice
			}
			seen[name.(string)] = true
		}
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	if _, err = d.Token(); err != nil {
		return errSyntax
	}
	return nil
}

func TestCheckJSON_LikeTokens(t *testing.T) {
	for _, text := range []string{raisedBody, clearedBody, `{"a":1,"a":2}`, `{"a":{"b":1},"b":{"a":1}}`, `[{"a":1},{"a":1}]`, `{"a":[{"b":1,"b":2}]}`, `{"a":1,"\u0061":2}`,
		`{"a\"":1,"a":2}`, `{"a":"a","b":"a"}`, `{"a" : "b", "b":1}`, `["a","a"]`, `{"a":"\\","a":1}`, `{"{":1,"[":"}"}`, `{"":1,"":2}`, `{`, `"`, `"\`, `}`, `{"a"}`, `1 2`, ``,
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)} {
		if fast, slow := checkJSON([]byte(text)), checkSlowly([]byte(text)); !errors.Is(fast, slow) {
			t.Errorf("%s: %v, and by tokens %v", text, fast, slow)
		}
	}
}

func FuzzCheckJSON(f *testing.F) {
	f.Add([]byte(raisedBody))
	f.Add([]byte(`{"a":{"b":[1,"c"]},"\u0061":"\""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		fast, slow := checkJSON(text), checkSlowly(text)
		if (fast == nil) != (slow == nil) {
			t.Errorf("%q: %v, and by tokens %v", text, fast, slow)
		}
	})
}
