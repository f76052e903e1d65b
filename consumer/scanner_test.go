package consumer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"faultd/statemachine"
)

func TestScanner_Texts(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct {
		text string
		want statemachine.Reason
	}{
		{`{}`, 0}, {`[]`, 0}, {" \t\r\n[ 1 , 2 ]\n", 0}, {`{"a":{"b":[null,true,false]}}`, 0}, {`"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t"`, 0},
		{`"é😀"`, 0}, {`0`, 0}, {`-0`, 0}, {`1.50`, 0}, {`1e5`, 0}, {`-1.2E-3`, 0}, {`{"a":1,"A":2}`, 0}, {`{"a":{"a":1}}`, 0}, {deep(32), 0},

		{``, statemachine.Malformed}, {` `, statemachine.Malformed}, {`{`, statemachine.Malformed}, {`[`, statemachine.Malformed},
		{`{"a"`, statemachine.Malformed}, {`{"a":`, statemachine.Malformed}, {`{"a":1`, statemachine.Malformed}, {`{"a":1,`, statemachine.Malformed},
		{`{"a":1,}`, statemachine.Malformed}, {`{,}`, statemachine.Malformed}, {`{a:1}`, statemachine.Malformed}, {`{1:1}`, statemachine.Malformed},
		{`{"a" 1}`, statemachine.Malformed}, {`[1 2]`, statemachine.Malformed}, {`[1,]`, statemachine.Malformed}, {`[,1]`, statemachine.Malformed},
		{`[1}`, statemachine.Malformed}, {`{"a":1]`, statemachine.Malformed}, {`]`, statemachine.Malformed}, {`[]]`, statemachine.Malformed},
		{`{} {}`, statemachine.Malformed}, {`1 2`, statemachine.Malformed}, {"{}\x00", statemachine.Malformed}, {"\x00", statemachine.Malformed},
		{`nul`, statemachine.Malformed}, {`truely`, statemachine.Malformed}, {`True`, statemachine.Malformed}, {`NaN`, statemachine.Malformed},
		{`01`, statemachine.Malformed}, {`+1`, statemachine.Malformed}, {`1.`, statemachine.Malformed}, {`.5`, statemachine.Malformed},
		{`-`, statemachine.Malformed}, {`1e`, statemachine.Malformed}, {`1e+`, statemachine.Malformed}, {`0x1`, statemachine.Malformed},
		{`"`, statemachine.Malformed}, {`"a`, statemachine.Malformed}, {`"\`, statemachine.Malformed}, {`"\x"`, statemachine.Malformed},
		{`"\u12"`, statemachine.Malformed}, {`"\u12g4"`, statemachine.Malformed}, {"\"a\nb\"", statemachine.Malformed}, {"\"a\x1fb\"", statemachine.Malformed},
		{`"\ud800"`, statemachine.Malformed}, {`"\udc00"`, statemachine.Malformed}, {`"\ud800\ud800"`, statemachine.Malformed}, {`"\udc00\udc00"`, statemachine.Malformed}, {`"\ud800\n"`, statemachine.Malformed},
		{"\"\xff\"", statemachine.Malformed}, {"\"\xc0\x80\"", statemachine.Malformed}, {"\"\xed\xa0\x80\"", statemachine.Malformed}, {"\"\xe2\x82\"", statemachine.Malformed},
		{"{\"\xff\":1}", statemachine.Malformed}, {"\xef\xbb\xbf{}", statemachine.Malformed},
		{`{"a":1,"a":2}`, statemachine.Malformed}, {`{"a":1,"\u0061":2}`, statemachine.Malformed}, {`[{"x":{"é":1,"\u00e9":2}}]`, statemachine.Malformed},
		{deep(33), statemachine.TooLarge}, {strings.Repeat(`{"a":`, 33), statemachine.TooLarge}, {strings.Repeat(`[`, 100_000), statemachine.TooLarge},
	} {
		if got := scan([]byte(c.text)); got != c.want {
			t.Errorf("%.80q: got %v, want %v", c.text, got, c.want)
		}
	}
}

// scan is what the scanner makes of a text as a whole.
func scan(text []byte) statemachine.Reason {
	s := scanner{data: text}
	s.skip()
	s.end()
	if bad := s.refusal(); bad != nil {
		return bad.reason
	}
	return 0
}

func TestScanner_ManyNames(t *testing.T) {
	var text strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&text, `,"k%d":0`, i)
	}
	all := "{" + text.String()[1:]
	if got := scan([]byte(all + "}")); got != 0 {
		t.Errorf("50,000 names: %v", got)
	}
	if got := scan([]byte(all + `,"":0}`)); got != 0 {
		t.Errorf("an empty name among them: %v", got)
	}
	for _, again := range []string{"k0", "k11", "k12", "k49999", `k4999\u0039`} {
		if got := scan([]byte(all + `,"` + again + `":1}`)); got != statemachine.Malformed {
			t.Errorf("%s for the second time: %v", again, got)
		}
	}
}

func TestScanner_StringsOfEveryLength(t *testing.T) {
	for n := range 40 {
		for _, end := range []string{``, `\n`, `\u00e9`, `é`, `😀`} {
			text, _ := json.Marshal(strings.Repeat("x", n))
			quoted := string(text[:len(text)-1]) + end + `yyyyyyyyyyyy"`
			var want string
			if err := json.Unmarshal([]byte(quoted), &want); err != nil {
				t.Fatal(err)
			}
			s := scanner{data: []byte(quoted)}
			if got := string(s.quoted()); got != want || s.at != len(quoted) {
				t.Errorf("%s: got %q, want %q", quoted, got, want)
			}
		}
		for _, bad := range []string{"\x00", "\n", "\x1f", "\xff", `\x`} {
			if got := scan([]byte(`"` + strings.Repeat("x", n) + bad + `yyyyyyyyyyyy"`)); got != statemachine.Malformed {
				t.Errorf("%q behind %d bytes: %v", bad, n, got)
			}
		}
	}
}

// lone finds what may be a lone surrogate: there encoding/json is less strict than we are.
var lone = regexp.MustCompile(`\\u[dD][89a-fA-F]`)

func FuzzScanner(f *testing.F) {
	for _, seed := range []string{typicalEvent, failedEvent, `{"a":[1,{"b":"\ud83d\ude00é"}],"c":null}`, `[-1.5e+3,0,"\\"]`, `{"a":1,"\u0061":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s := scanner{data: text}
		tree := s.tree()
		s.end()
		accepted := s.refusal() == nil
		if accepted != (scan(text) == 0) {
			t.Fatalf("read as a tree: %v, skipped: %v", accepted, scan(text))
		}
		if accepted {
			want := decodeJSON(t, text)
			if got := plain(t, &tree); !reflect.DeepEqual(got, want) {
				t.Fatalf("got %v, want %v", got, want)
			}
			return
		}
		if json.Valid(text) && utf8.Valid(text) && !lone.Match(text) && !strict(text) {
			t.Fatalf("refused without need: %+v", s.refusal())
		}
	})
}

// plain turns a tree into what encoding/json makes of it.
func plain(t *testing.T, n *node) any {
	switch n.kind {
	case '{':
		m := map[string]any{}
		for i := range n.members {
			m[string(n.members[i].name)] = plain(t, &n.members[i].value)
		}
		return m
	case '"':
		return string(n.text)
	default:
		return decodeJSON(t, n.raw)
	}
}

func decodeJSON(t *testing.T, text []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // a number may be beyond what Go can hold
	if err := d.Decode(&v); err != nil || !json.Valid(text) {
		t.Fatalf("accepted, but: %v", err)
	}
	return v
}

// strict tells whether valid JSON nests too deep or has a name twice in an object, by another way than the scanner.
func strict(text []byte) bool {
	d := json.NewDecoder(strings.NewReader(string(text)))
	type level struct {
		object, value bool
		names         map[string]bool
	}
	var open []level
	for {
		token, err := d.Token()
		if err == io.EOF {
			return false
		}
		top := len(open) - 1
		if name, ok := token.(string); ok && top >= 0 && open[top].object && !open[top].value {
			if open[top].names[name] {
				return true
			}
			open[top].names[name], open[top].value = true, true
			continue
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if open = append(open, level{object: token == json.Delim('{'), names: map[string]bool{}}); len(open) > maxDepth {
				return true
			}
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:top]
			top--
		}
		if top >= 0 {
			open[top].value = false
		}
	}
}
