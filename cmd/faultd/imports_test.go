package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// imports are the arrows between our packages, as the design has them: who may import whom.
var imports = map[string][]string{
	"faultd/statemachine":      nil,
	"faultd/storage":           {"faultd/statemachine"},
	"faultd/consumer":          {"faultd/statemachine"},
	"faultd/consumer/alert":    {"faultd/statemachine"},
	"faultd/consumer/embedded": nil,
	"faultd/api":               {"faultd/statemachine"},
	"faultd/cmd/faultd": {"faultd/statemachine", "faultd/storage", "faultd/consumer", "faultd/consumer/alert",
		"faultd/consumer/embedded", "faultd/api"},
}

func TestImports_AsDesigned(t *testing.T) {
	list := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "faultd/...")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("listing the packages: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) < 6 {
		t.Fatalf("only %d packages were found:\n%s", len(lines), out)
	}
	for _, line := range lines {
		words := strings.Fields(line)
		checkImports(t, words[0], words[1:])
	}
}

func checkImports(t *testing.T, pkg string, has []string) {
	t.Helper()
	may, known := imports[pkg]
	if !known {
		t.Errorf("package %s is not in the design", pkg)
	}
	for _, path := range has {
		first, _, _ := strings.Cut(path, "/")
		ours := first == "faultd"
		switch {
		case ours && !slices.Contains(may, path):
			t.Errorf("%s imports %s, an arrow that the design does not have", pkg, path)
		case !ours && pkg == "faultd/statemachine" && strings.Contains(first, "."):
			t.Errorf("%s imports %s: it must be content with the standard library", pkg, path)
		}
	}
}
