package api

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	sm "faultd/statemachine"
)

// sayable is what is left of a text in XML 1.0, by the words of its section 2.2.
func sayable(s string) string {
	var kept strings.Builder
	for _, r := range s { // what is not UTF-8 is U+FFFD here
		switch {
		case r == 0x9, r == 0xA, r == 0xD, r >= 0x20 && r <= 0xD7FF, r >= 0xE000 && r <= 0xFFFD, r >= 0x10000:
			kept.WriteRune(r)
		}
	}
	return kept.String()
}

func TestAppendEscaped_ComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.String(),
			rapid.StringMatching(`[<>&"'\t\n\r \x00-\x1f\x{fffd}-\x{10000}\]]{0,12}`),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		).Draw(t, "s")
		doc := append(appendAttribute([]byte("<e"), "a", s), '>')
		doc = appendEnd(appendEscaped(doc, s), "e")
		var got struct {
			A    string `xml:"a,attr"`
			Text string `xml:",chardata"`
		}
		if err := xml.Unmarshal(doc, &got); err != nil {
			t.Fatalf("%q: %v: %s", s, err, doc)
		}
		if want := sayable(s); got.A != want || got.Text != want || !utf8.Valid(doc) {
			t.Errorf("%q reads as %q and %q, want %q", s, got.A, got.Text, want)
		}
	})
}

func TestScalarText(t *testing.T) {
	for value, want := range map[string]string{`"a\n\"b"`: "a\n\"b", `""`: "", "-1.5e3": "-1.5e3", "true": "true", "0": "0"} {
		if got, ok := scalarText([]byte(value)); !ok || got != want {
			t.Errorf("%s: %q %v, want %q", value, got, ok, want)
		}
	}
	for _, value := range []string{"", "null", "{}", `{"a":1}`, "[]", `["a"]`} {
		if got, ok := scalarText([]byte(value)); ok {
			t.Errorf("%s is %q", value, got)
		}
	}
}

// wellFormed reads a whole document, which must not name an attribute twice: the decoder does not see that.
func wellFormed(tb interface{ Fatalf(string, ...any) }, doc []byte) {
	for d := xml.NewDecoder(bytes.NewReader(doc)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			tb.Fatalf("%v: %s", err, doc)
		}
		start, _ := token.(xml.StartElement)
		seen := map[xml.Name]bool{}
		for _, a := range start.Attr {
			if seen[a.Name] {
				tb.Fatalf("%v stands twice: %s", a.Name, doc)
			}
			seen[a.Name] = true
		}
	}
}

// drawLike draws a value that a field takes, with texts of all sorts in it.
func drawLike(t *rapid.T, f *field) any {
	text := rapid.String().Draw(t, "text")
	for _, v := range []any{
		text, 7, true, map[string]any{"id": text, text: text}, map[string]any{text: text}, []any{map[string]any{"id": text}},
		[]any{map[string]any{"name": text}}, []any{text}, map[string]any{text: []any{map[string]any{"addr": text, "version": text}}}, "2010-08-10T12:00:00", "",
	} {
		if b, _ := json.Marshal(v); f.shape(b) {
			return v
		}
	}
	t.Fatalf("no value is drawn for %s", f.name)
	return nil
}

func TestResourceXML_IsWellFormedWhateverProducersSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, kind := range []sm.Kind{sm.Server, sm.Image} {
			fs := map[sm.Kind]*fields{sm.Server: &serverFields, sm.Image: &imageFields}[kind]
			said := map[string]any{rapid.String().Draw(t, "name"): 1}
			for i := range fs.list {
				if rapid.IntRange(0, 3).Draw(t, "said") > 0 {
					said[fs.list[i].name] = drawLike(t, &fs.list[i])
				}
			}
			r := failed("t", "a")
			r.Kind, r.Name, r.User = kind, rapid.String().Draw(t, "name"), rapid.String().Draw(t, "user")
			r.Fault.Message = rapid.String().Draw(t, "message")
			r.Attributes, _ = json.Marshal(said)
			wellFormed(t, oneXML(nil, computeNames[kind], &r, &look{self: "http://h/", bookmark: "http://h/", admin: true}))
		}
	})
}

func TestResourceXML_DetailsAreForThoseWhoMaySeeThem(t *testing.T) {
	internal, told := failed("t", "a"), failed("t", "b")
	told.Fault = &sm.Fault{Created: 1, Code: 404, Message: "no image", Details: "image i-1"}
	store := &fake{all: []sm.Resource{internal, told}}
	for _, target := range []string{"/compute/v2.1/servers/a.xml", "/compute/v2.1/servers/detail.xml"} {
		if body := get(t, only(New(Config{Store: store}), "t", false), target).Body.String(); contains(body, "canary") || !contains(body, internal.Fault.Message) {
			t.Errorf("a reader sees %s", body)
		}
		if body := get(t, only(New(Config{Store: store}), "t", true), target).Body.String(); !contains(body, "<details>canary</details>") {
			t.Errorf("an administrator sees %s", body)
		}
	}
	if body := get(t, only(New(Config{Store: store}), "t", false), "/compute/v2.1/servers/b.xml").Body.String(); !contains(body, "<details>image i-1</details>") {
		t.Errorf("a reader sees %s", body)
	}
}
