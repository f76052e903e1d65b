package alert

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	sm "faultd/statemachine"
)

// client makes the requests of one hook.
type client struct {
	http    *http.Client
	agent   string
	redact  func(string) string
	timeout time.Duration // for a request and its answer
	now     func() time.Time
}

func newClient(h *Hook, version string) *client {
	return &client{
		http: &http.Client{
			Transport:     newTransport(h),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		agent:   "faultd/" + version,
		redact:  redactor(h),
		timeout: requestWithin,
		now:     time.Now,
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

const (
	maxAnswer  = 4 << 10 // bytes of an answer that are read
	maxExcerpt = 200     // bytes of it that an error shows
	maxError   = 500     // bytes of an error's text
	drainFor   = time.Second
)

// post sends one request and returns nil if the answer's status is 2xx: from then on the receiver has the message,
// whatever becomes of the rest of the answer.
func (c *client) post(ctx context.Context, to string, header http.Header, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: the URL is not understood", target(to)) // the error itself would show it
	}
	req.Header = header
	req.Header.Set("User-Agent", c.agent)
	resp, err := c.http.Do(req)
	if err != nil {
		return c.failure(ctx, to, err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode/100 == 2 {
		defer time.AfterFunc(drainFor, cancel).Stop()
		_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // so that the connection can be used again
		return nil
	}
	said, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what came is enough
	return c.verdict(to, resp, said)
}

// failure is the error of a request that has no answer. What the client library says begins with the URL.
func (c *client) failure(ctx context.Context, to string, err error) error {
	var whole *url.Error
	if errors.As(err, &whole) {
		err = whole.Err
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) { // a connection has a limit of its own, and its error says so
		return fmt.Errorf("%s: no answer within %s: %w", target(to), c.timeout, context.DeadlineExceeded)
	}
	return &hiddenError{text: target(to) + ": " + sm.Clip(c.redact(err.Error()), maxError), err: err}
}

// hiddenError is an error with another text.
type hiddenError struct {
	text string
	err  error
}

func (e *hiddenError) Error() string { return e.text }
func (e *hiddenError) Unwrap() error { return e.err }

// verdict is the error of an answer that is not 2xx.
func (c *client) verdict(to string, resp *http.Response, said []byte) error {
	code := resp.StatusCode
	answered := fmt.Sprintf("%s answered %d %s", target(to), code, http.StatusText(code))
	if excerpt := sm.Clip(strings.TrimSpace(c.redact(string(said))), maxExcerpt); excerpt != "" {
		answered += ": " + excerpt
	}
	switch {
	case code == http.StatusGone:
		return fmt.Errorf("%s: %w", answered, errGone)
	case code/100 == 3:
		return fmt.Errorf("%s (redirects are not followed: put the new address into the file of hooks): %w", answered, errRefused)
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		err := errors.New(answered)
		if after, ok := c.retryAfter(resp.Header.Get("Retry-After")); ok {
			return &later{After: after, err: err}
		}
		return err
	case code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusTooEarly:
		return &statusError{code: code, err: fmt.Errorf("%s: %w", answered, errRefused)}
	default:
		return errors.New(answered)
	}
}

// statusError is an error that knows the answer's status.
type statusError struct {
	code int
	err  error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// badRequest tells whether an error is an answer 400.
func badRequest(err error) bool {
	var status *statusError
	return errors.As(err, &status) && status.code == http.StatusBadRequest
}

// retryAfter reads a header of seconds or of a date. What is neither says nothing.
func (c *client) retryAfter(value string) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(c.now()), 0), maxLater), true
	}
	if value == "" || strings.Trim(value, "0123456789") != "" {
		return 0, false
	}
	seconds, err := strconv.ParseUint(value, 10, 32)
	if err != nil { // so many that the number is too large
		return maxLater, true
	}
	return min(time.Duration(seconds)*time.Second, maxLater), true
}

// redactor returns what takes a hook's secrets out of a text of another's, which may repeat what it was sent.
func redactor(h *Hook) func(string) string {
	var parts []string
	for _, raw := range h.URLs {
		parts = append(parts, secretParts(raw)...)
	}
	for _, s := range h.Secrets {
		parts = append(parts, printable(string(s)))
	}
	slices.SortFunc(parts, func(a, b string) int { return len(b) - len(a) }) // or a part of a longer one would be cut first
	var cut []string
	for _, part := range parts {
		if part != "" {
			cut = append(cut, part, "…")
		}
	}
	replace := strings.NewReplacer(cut...)
	return func(s string) string { return replace.Replace(printable(s)) }
}

// secretParts are the parts of a URL that may be secret, as they are written and as they are meant.
func secretParts(raw string) []string {
	const shortest = 10 // a shorter part may be any word
	u, err := url.Parse(strings.TrimSuffix(raw, alertsPath))
	if err != nil {
		return []string{raw}
	}
	isSlash := func(r rune) bool { return r == '/' }
	all := []string{raw, u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery}
	all = append(all, strings.FieldsFunc(u.EscapedPath(), isSlash)...)
	all = append(all, strings.FieldsFunc(u.Path, isSlash)...)
	for _, values := range u.Query() {
		all = append(all, values...)
	}
	all = slices.DeleteFunc(all, func(s string) bool { return len(s) < shortest })
	if u.User != nil {
		password, _ := u.User.Password()
		basic := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password)) // as the request has it
		all = append(all, password, url.QueryEscape(password), basic)
	}
	return all
}
