package statemachine

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What is merged in the quick way is what is merged in the other, and Members are what encoding/json finds.
func TestAttributes_MergedInEitherWay(t *testing.T) {
	names := []string{"a", "b", "", "hostId", "<&>", "é", `"`, "\\", "\u2028", "ab"}
	values := []string{`1`, `"x"`, `"\"},{"`, `"\\"`, `[{"a":"]"},[]]`, `{"id":"}","x":{"y":[1,2]}}`, `null`, `-1.5e3`, `{}`, `""`, "[ 1 ,\t2 ]"}
	object := rapid.Custom(func(t *rapid.T) Attributes {
		out, gap := []byte{'{'}, rapid.SampledFrom([]string{"", "", " ", "\n\t"})
		for i, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 5, rapid.ID[string]).Draw(t, "names") {
			if i > 0 {
				out = append(out, ',')
			}
			quoted, _ := json.Marshal(name)
			out = append(append(append(out, gap.Draw(t, "gap")...), quoted...), gap.Draw(t, "gap")...)
			out = append(append(append(out, ':'), gap.Draw(t, "gap")...), rapid.SampledFrom(values).Draw(t, "value")...)
			out = append(out, gap.Draw(t, "gap")...)
		}
		return append(out, '}')
	})
	spliced := 0
	rapid.Check(t, func(t *rapid.T) {
		a, more := object.Draw(t, "a"), object.Draw(t, "more")
		want, err := a.mergeAny(more)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := a.splice(more); ok && string(got) != string(want) {
			t.Fatalf("%s and %s: got %s, want %s", a, more, got, want)
		} else if ok {
			spliced++
		}
		all := map[string]json.RawMessage{}
		for name, value := range want.Members() {
			var text string
			if err := json.Unmarshal(append(append([]byte{'"'}, name...), '"'), &text); err != nil {
				t.Fatalf("%s: %q: %v", want, name, err)
			}
			all[text] = value
		}
		wanted, _ := want.members()
		if !maps.EqualFunc(all, wanted, slices.Equal) {
			t.Fatalf("%s: %s", want, all)
		}
	})
	if spliced == 0 {
		t.Error("nothing was merged in the quick way")
	}
}

// Text that is no object leads to nothing worse than nonsense.
func FuzzAttributes_Members(f *testing.F) {
	f.Add([]byte(`{"a":{"b":["\"",1]},"c":"d"}`), []byte(`{"`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for name, value := range Attributes(a).Members() {
			if len(name)+len(value) > len(a) {
				t.Fatalf("%q %q", name, value)
			}
		}
		_, _ = Attributes(a).splice(b)
	})
}

func TestText(t *testing.T) {
	for value, want := range map[string]string{`"a\n\"b"`: "a\n\"b", `""`: "", `"ü-1"`: "ü-1", `"\u00fc"`: "ü"} {
		if got, ok := Text([]byte(value)); !ok || got != want {
			t.Errorf("%s: %q %v, want %q", value, got, ok, want)
		}
	}
	for _, value := range []string{"", "12", "null", "{}", `{"a":"b"}`, `["a"]`, `"`, `"\`} {
		if got, ok := Text([]byte(value)); ok {
			t.Errorf("%s is %q", value, got)
		}
	}
}
