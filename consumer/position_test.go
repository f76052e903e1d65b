package consumer

import (
	"hash/fnv"
	"strings"
	"testing"

	"faultd/statemachine"
)

func TestCheck(t *testing.T) {
	pos := statemachine.Position{Stream: "JOBS", Epoch: 1000, First: 1, Sequence: 10, Digest: 99}
	for name, c := range map[string]struct {
		pos   statemachine.Position
		sight sight
		want  State // Starting: nothing is wrong
		says  string
	}{
		"nothing applied yet":        {statemachine.Position{}, sight{created: 5, first: 100, last: 200}, Starting, ""},
		"at the end":                 {pos, sight{created: 1000, first: 1, last: 10, applied: 99}, Starting, ""},
		"behind":                     {pos, sight{created: 1000, first: 1, last: 20, applied: 99, next: 11}, Starting, ""},
		"applied ones aged out":      {pos, sight{created: 1000, first: 11, last: 20, next: 11}, Starting, ""},
		"all aged out, none missed":  {pos, sight{created: 1000, first: 11, last: 10}, Starting, ""},
		"last applied one deleted":   {pos, sight{created: 1000, first: 1, last: 20, next: 11}, Starting, ""},
		"head gone":                  {pos, sight{created: 1000, first: 13, last: 20, next: 13}, Gap, "messages 11 to 12 "},
		"all gone":                   {pos, sight{created: 1000, first: 21, last: 20}, Gap, "messages 11 to 20 "},
		"the rest deleted":           {pos, sight{created: 1000, first: 1, last: 20, applied: 99, deleted: 20}, Gap, "messages 11 to 20 "},
		"the rest not found":         {pos, sight{created: 1000, first: 1, last: 20, applied: 99}, Starting, ""},
		"never seen":                 {statemachine.Position{Stream: "JOBS", Epoch: 1000, First: 1, Sequence: 10}, sight{created: 1000, first: 1, last: 20, applied: 98, next: 11}, Starting, ""},
		"hole":                       {pos, sight{created: 1000, first: 1, last: 20, applied: 99, next: 15}, Gap, "messages 11 to 14 "},
		"made anew":                  {pos, sight{created: 1001, first: 1, last: 20, applied: 99, next: 11}, Rewound, "made anew"},
		"ends before":                {pos, sight{created: 1000, first: 1, last: 9}, Rewound, "ends at message 9, and 10"},
		"emptied and numbered anew":  {pos, sight{created: 1000, first: 1, last: 0}, Rewound, "ends at message 0"},
		"another message":            {pos, sight{created: 1000, first: 1, last: 20, applied: 98, next: 11}, Rewound, "message 10 of stream JOBS is not the one"},
		"another stream's position":  {statemachine.Position{Stream: "OLD", Epoch: 1000}, sight{created: 1000, first: 1, last: 20, next: 1}, Rewound, "follows stream OLD"},
		"a rewind hides the gap too": {pos, sight{created: 1001, first: 15, last: 20, next: 15}, Rewound, "made anew"},
	} {
		t.Run(name, func(t *testing.T) {
			got := check("JOBS", c.pos, c.sight)
			if got == nil {
				got = &trouble{}
			}
			if got.state != c.want || !strings.Contains(got.Error(), c.says) {
				t.Fatalf("got %s %q", got.state, got.Error())
			}
		})
	}
}

func TestDigest_IsFNV1a(t *testing.T) {
	for _, c := range [][2]string{{"jobs.a", ""}, {"", "x"}, {"jobs.a", "{}"}, {"jobs.ab", "c"}, {"jobs.a", "bc"}} {
		h := fnv.New64a()
		h.Write([]byte(c[0] + "\x00" + c[1]))
		if got := digest(c[0], []byte(c[1])); got != h.Sum64() {
			t.Errorf("%q: %x, want %x", c, got, h.Sum64())
		}
	}
}

func TestCovers(t *testing.T) {
	for has, want := range map[string]bool{
		"jobs.>": true, ">": true, "*.>": true, "jobs": false, "jobs.*": false, "jobs.a.>": false, "*": false, "jobs.*.>": false, "other.>": false,
	} {
		if got := covers(has, "jobs.>"); got != want {
			t.Errorf("%s covers jobs.>: %v", has, got)
		}
	}
}
