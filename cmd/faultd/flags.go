package main

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"
)

const environmentNote = "Every flag can be given as a variable of the environment as well: --data-dir is FAULTD_DATA_DIR.\nThe flag wins."

// fromEnvironment sets each flag that the command line left alone from its variable. An empty variable counts
// as none. It reports every value that does not fit, not only the first.
func fromEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var wrong []error
	flags.VisitAll(func(f *pflag.Flag) {
		value, ok := lookup(variable(f.Name))
		if f.Changed || !ok || value == "" || f.Name == "help" || f.Name == "version" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			wrong = append(wrong, usagef("%s: %w", variable(f.Name), err))
		}
	})
	return errors.Join(wrong...)
}

// variable is the environment's name of a flag.
func variable(flag string) string {
	return "FAULTD_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// choice is a flag's value that is one of a few words.
type choice struct {
	value   string
	options []string
}

// oneOf is a choice among the options, of which the first is the default.
func oneOf(options ...string) choice { return choice{options[0], options} }

func (c *choice) String() string { return c.value }

// Type is what the help shows in the place of the value.
func (c *choice) Type() string { return strings.Join(c.options, "|") }

// Set takes a value if it is one of the options.
func (c *choice) Set(s string) error {
	for _, o := range c.options {
		if s == o {
			c.value = s
			return nil
		}
	}
	return errors.New("must be " + strings.Join(c.options, " or "))
}
