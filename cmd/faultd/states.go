package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	sm "faultd/statemachine"
)

func newStates() *cobra.Command {
	output, kind := oneOf("table", "mermaid", "dot"), ""
	cmd := &cobra.Command{
		Use:   "states",
		Short: "Print the state machine: what each action makes of a resource's status",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			kinds, err := kindsNamed(kind)
			if err != nil {
				return err
			}
			return printStates(cmd.OutOrStdout(), output.value, kinds)
		},
	}
	cmd.Flags().VarP(&output, "output", "o", "how to print it")
	cmd.Flags().StringVar(&kind, "kind", "", "print the machine of this kind alone")
	return cmd
}

// kindsNamed is the kind of that name, or all of them for no name.
func kindsNamed(name string) ([]sm.Kind, error) {
	if name == "" {
		return sm.Kinds, nil
	}
	k, ok := sm.ParseKind(name)
	if !ok {
		return nil, usagef("%q is no kind of resource; the kinds are %s", name, join(sm.Kinds, ", "))
	}
	return []sm.Kind{k}, nil
}

func printStates(w io.Writer, format string, kinds []sm.Kind) error {
	var b strings.Builder
	for i, k := range kinds {
		if i > 0 {
			b.WriteByte('\n')
		}
		switch format {
		case "mermaid":
			printMermaid(&b, k)
		case "dot":
			printDot(&b, k)
		default:
			printTable(&b, k)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printTable(w io.Writer, k sm.Kind) {
	fmt.Fprintln(w, k)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  ACTION\tFROM\t%s\n", strings.ToUpper(join(sm.Phases, "\t")))
	for _, a := range actionsOf(k) {
		fmt.Fprintf(t, "  %s\t%s", a, startsFrom(k, a))
		for _, p := range sm.Phases {
			fmt.Fprintf(t, "\t%s", cell(k, a, p))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

func printMermaid(w io.Writer, k sm.Kind) {
	fmt.Fprintf(w, "%%%% %s\nstateDiagram-v2\n", k)
	order, labels := arrows(k)
	for _, a := range order {
		from := a.from
		if from == fromNothing {
			from = "[*]"
		}
		fmt.Fprintf(w, "    %s --> %s: %s\n", from, a.to, labels[a])
	}
}

func printDot(w io.Writer, k sm.Kind) {
	fmt.Fprintf(w, "digraph %s {\n", k)
	order, labels := arrows(k)
	for _, a := range order {
		fmt.Fprintf(w, "  %q -> %q [label=%q];\n", a.from, a.to, labels[a])
	}
	fmt.Fprintln(w, "}")
}

func join[T fmt.Stringer](list []T, between string) string {
	words := make([]string, len(list))
	for i, x := range list {
		words[i] = x.String()
	}
	return strings.Join(words, between)
}
