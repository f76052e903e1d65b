package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const readme = "../../README.md"

// printed is a place in the README that shows what a command prints: between the command, as a remark, and "end".
var printed = regexp.MustCompile(`(?s)<!-- faultd ([^>]*) -->\n(.*?)<!-- end -->`)

func TestReadme_ShowsWhatCommandsPrint(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	places := 0
	is := printed.ReplaceAllStringFunc(string(text), func(place string) string {
		places++
		command := printed.FindStringSubmatch(place)[1]
		out := strings.TrimSpace(must(t, strings.Fields(command)...))
		return "<!-- faultd " + command + " -->\n```mermaid\n" + out + "\n```\n<!-- end -->"
	})
	if places == 0 {
		t.Fatal("the README shows no command's output")
	}
	if *update {
		if err := os.WriteFile(readme, []byte(is), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if is != string(text) {
		t.Error("the README's diagrams are not what faultd states prints; go test ./cmd/faultd -run Readme -update writes them")
	}
}
