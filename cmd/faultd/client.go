package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// client asks a running daemon.
type client struct {
	server    string
	tokenFile string
}

func (c *client) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&c.server, "server", "http://127.0.0.1:8080", "URL of the daemon")
	flags.StringVar(&c.tokenFile, "token-file", "", "file that holds the token to show to the daemon")
}

// answerLimit is how long a daemon may take to begin its answer.
const answerLimit = 30 * time.Second

// get asks for a path below the server's URL, or for a link that an answer held, and decodes the answer.
func (c *client) get(ctx context.Context, path string, query url.Values, into any) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	answer, err := c.open(ctx, path, query, nil)
	if err != nil {
		return err
	}
	return c.decode(answer, path, into)
}

// commandLimit is how long a daemon may take to do what it is told: a little more than it takes itself.
const commandLimit = 150 * time.Second

// post tells the daemon to do something, and decodes the answer.
func (c *client) post(ctx context.Context, path string, query url.Values, into any) error {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	request, err := c.request(ctx, http.MethodPost, path, query)
	if err != nil {
		return err
	}
	answer, err := c.send(request)
	if err != nil {
		return err
	}
	return c.decode(answer, path, into)
}

// decode reads an answer and closes it.
func (c *client) decode(answer *http.Response, path string, into any) error {
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return fmt.Errorf("the answer of %s to %s is not what was expected: %w", redacted(c.server), path, err)
	}
	return nil
}

// open sends the request; the caller closes the body. Whatever is not 200 is an error.
func (c *client) open(ctx context.Context, path string, query url.Values, header http.Header) (*http.Response, error) {
	request, err := c.request(ctx, http.MethodGet, path, query)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	return c.send(request)
}

// send is the end of open and post.
func (c *client) send(request *http.Request) (*http.Response, error) {
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		return nil, refusalOf(answer)
	}
	return answer, nil
}

func (c *client) request(ctx context.Context, method, path string, query url.Values) (*http.Request, error) {
	base, err := url.Parse(strings.TrimSuffix(c.server, "/") + "/")
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, usagef("--server must be a URL such as http://127.0.0.1:8080")
	}
	link, err := base.Parse(path)
	if err != nil {
		return nil, fmt.Errorf("reading the link %q: %w", path, err)
	}
	if link.Host != base.Host {
		return nil, fmt.Errorf("the link %q leads away from %s, where the token would go too", path, redacted(c.server))
	}
	if query != nil {
		link.RawQuery = query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, link.String(), nil)
	if err != nil {
		return nil, err
	}
	if c.tokenFile == "" {
		return request, nil
	}
	token, err := os.ReadFile(c.tokenFile)
	if err != nil {
		return nil, fmt.Errorf("reading the token: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	return request, nil
}

// unreachable says in a sentence that nobody answered. The URL, which may hold a password, is left out.
func (c *client) unreachable(err error) error {
	var call *url.Error
	if errors.As(err, &call) {
		err = call.Err
	}
	var refused *net.OpError
	if errors.As(err, &refused) && refused.Op == "dial" {
		return fmt.Errorf("no daemon answers at %s (%w): is 'faultd serve' running there?", redacted(c.server), err)
	}
	return fmt.Errorf("asking %s: %w", redacted(c.server), err)
}

// redacted is a URL, or several with commas, without the name and the password in it: a name alone may be a token.
func redacted(addresses string) string {
	all := strings.Split(addresses, ",")
	for i, address := range all {
		u, err := url.Parse(strings.TrimSpace(address))
		if err != nil || u.Host == "" {
			return "the server" // where a secret would stand in it cannot be told
		}
		if u.User != nil {
			u.User = url.User("xxxxx")
		}
		all[i] = u.String()
	}
	return strings.Join(all, ",")
}

// refusal is an answer other than 200.
type refusal struct {
	status  int
	message string
}

func (r *refusal) Error() string { return r.message }

// refusalOf reads what the daemon says of its refusal: a problem (RFC 9457), or the state that it is in.
func refusalOf(answer *http.Response) *refusal {
	var said struct {
		Title, Detail, State string
		Reasons              []string
	}
	_ = json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&said) // another text than JSON says nothing here
	message := http.StatusText(answer.StatusCode)
	switch {
	case said.State != "":
		message = "its state is " + strings.Join(append([]string{said.State}, said.Reasons...), "; ")
	case said.Detail != "":
		message = said.Detail
	case said.Title != "":
		message = said.Title
	}
	return &refusal{answer.StatusCode, fmt.Sprintf("the daemon answers %d: %s", answer.StatusCode, message)}
}
