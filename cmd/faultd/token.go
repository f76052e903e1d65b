package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"faultd/api"
)

// newToken prints the token and its row apart, so that each can go where it belongs without passing a screen.
func newToken() *cobra.Command {
	var t tokenRow
	role := choice{"", []string{"reader", "admin"}}
	cmd := &cobra.Command{
		Use:   "token --name NAME --tenant TENANT --role reader|admin",
		Short: "Make a token, and its row for the file of tokens",
		Long: "Make a random token. It is printed on standard error, this once: nobody can find it out again. The row for the file of\n" +
			"tokens, which holds only its SHA-256, is printed on standard output. The daemon reads the file again on SIGHUP.\n\n" + environmentNote,
		Example: "  (umask 077; echo tokens: > tokens.yaml)\n" +
			"  faultd token --name dashboards --tenant 1234 --role reader >> tokens.yaml\n" +
			"  (umask 077; faultd token --name ops --tenant '*' --role admin >> tokens.yaml 2> ops.token)",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t.role = role.value
			token := newSecret()
			row, err := t.row(token, time.Now())
			if err != nil {
				return err
			}
			if _, err := fmt.Fprint(cmd.OutOrStdout(), row); err != nil {
				return fmt.Errorf("printing the row: %w", err)
			}
			_, err = fmt.Fprintln(cmd.ErrOrStderr(), token)
			return err
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&t.name, "name", "", "whose token it is, for people; two tokens may share it while one replaces the other")
	flags.StringVar(&t.tenant, "tenant", "", "the tenant that it is for, or * for all")
	flags.Var(&role, "role", "what its holder may do: administrators see the details of internal errors")
	flags.StringVar(&t.expires, "expires", "", "when it ends, such as 2027-01-01T00:00:00Z; empty: never")
	return cmd
}

// newSecret is a token that nobody can guess. What stands before it helps those who look for secrets in the wrong places.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return "fd_" + base64.RawURLEncoding.EncodeToString(b[:])
}

// tokenRow is what the flags of token say.
type tokenRow struct{ name, tenant, role, expires string }

// row is the token's row in a file of tokens, which takes it.
func (t *tokenRow) row(token string, now time.Time) (string, error) {
	row := fmt.Sprintf("- name: %q\n  sha256: %x\n  tenant: %q\n  role: %s\n", t.name, sha256.Sum256([]byte(token)), t.tenant, t.role)
	if t.expires != "" {
		row += fmt.Sprintf("  expires: %q\n", t.expires)
	}
	made, err := api.ParseTokens("row", []byte("tokens:\n"+row))
	if err != nil {
		return "", usagef("the token would not be taken: %w", err)
	}
	if made[0].Expired(now) {
		return "", usagef("--expires %s is over", t.expires)
	}
	return row, nil
}
