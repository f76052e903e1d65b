package api

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestAppendString_IsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "s"))
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if want := string([]rune(s)); got != want {
			t.Errorf("%q reads as %q, want %q", s, got, want)
		}
	})
}

func TestAppendNumber(t *testing.T) {
	got := string(append(appendNumber(appendNumber([]byte("{"), "a", -3), "b", uint64(1<<64-1)), '}'))
	if want := `{"a":-3,"b":18446744073709551615}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// value draws a JSON value.
func value(t *rapid.T, depth int) any {
	kinds := 6
	if depth == 0 {
		kinds = 4
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return rapid.String().Draw(t, "string")
	case 1:
		return rapid.Float64Range(-1e9, 1e9).Draw(t, "number")
	case 2:
		return rapid.Bool().Draw(t, "bool")
	case 3:
		return nil
	case 4:
		return object(t, depth-1)
	default:
		var list []any
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			list = append(list, value(t, depth-1))
		}
		return append([]any{}, list...)
	}
}

func object(t *rapid.T, depth int) map[string]any {
	m := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "members") {
		m[rapid.StringMatching(`[a-z:"{}\[\],\\]{0,8}`).Draw(t, "name")] = value(t, depth)
	}
	return m
}

func TestMembers_AreThoseOfTheObject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, err := json.Marshal(object(t, 3))
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		n := 0
		for name, v := range members(text) {
			var s string
			if err := json.Unmarshal([]byte(`"`+string(name)+`"`), &s); err != nil {
				t.Fatalf("%s: name %s: %v", text, name, err)
			}
			if string(want[s]) != string(v) {
				t.Errorf("%s: member %q is %s, want %s", text, s, v, want[s])
			}
			n++
		}
		if n != len(want) {
			t.Errorf("%s: %d members, want %d", text, n, len(want))
		}
	})
}

func TestElements_AreThoseOfTheArray(t *testing.T) {
	for text, want := range map[string][]string{
		`[]`:                       nil,
		`[1]`:                      {"1"},
		`["a,]",{"b":[1,2]},[],3]`: {`"a,]"`, `{"b":[1,2]}`, `[]`, "3"},
	} {
		var got []string
		for e := range elements([]byte(text)) {
			got = append(got, string(e))
		}
		if len(got) != len(want) {
			t.Fatalf("%s: got %q, want %q", text, got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: element %d is %s, want %s", text, i, got[i], want[i])
			}
		}
	}
}

func TestMembers_BrokenInputEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[{}\[\]":,a\\]{0,12}`).Draw(t, "text")
		for range members([]byte(text)) {
		}
		for range elements([]byte(text)) {
		}
	})
}
