package alert

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// request is what a receiver got.
type request struct {
	header http.Header
	path   string
	body   []byte
}

// receive starts a receiver that answers as told, and returns its URL and what it gets.
func receive(t testing.TB, answer http.HandlerFunc) (string, chan request) {
	t.Helper()
	got := make(chan request, 10_000)
	s := httptest.NewServer(recording(got, answer))
	t.Cleanup(s.Close)
	return s.URL, got
}

func recording(got chan request, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a half one shows in the test
		got <- request{r.Header.Clone(), r.URL.String(), body}
		if answer != nil {
			answer(w, r)
		}
	}
}

func answering(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "said\x1b[31m\nso")
	}
}

// aHook is a hook for a receiver of a test.
func aHook(kind Kind, urls ...string) *Hook {
	h := &Hook{Name: "h", Kind: kind, URLs: urls, Match: Match{Raised: true, Cleared: true}, AllowPrivate: true, AllowHTTP: true}
	if kind == Webhook || kind == PagerDuty {
		h.Secrets = [][]byte{[]byte("0123456789abcdef0123456789abcdef")}
	}
	return h
}

// sendTo sends a raised event by a hook.
func sendTo(t testing.TB, h *Hook) error {
	t.Helper()
	s := newSender(h, "1.2.3")
	defer s.close()
	return s.send(context.Background(), newMessage(h, []Event{anEvent(t, raisedBody)}))
}

func TestSend_Answers(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return at.Add(d).Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		is     error         // nil: none of the sentinels
		after  time.Duration // -1: it is no *later
		says   string        // "": it is delivered
	}{
		"200":                       {answering(200), nil, -1, ""},
		"202":                       {answering(202), nil, -1, ""},
		"204":                       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, nil, -1, ""},
		"300":                       {answering(300), errRefused, -1, "300"},
		"301 to metadata":           {answering(301, "Location", "http://169.254.169.254/latest/meta-data/"), errRefused, -1, "redirects are not followed"},
		"307 to itself":             {answering(307, "Location", "/"), errRefused, -1, "redirects are not followed"},
		"400":                       {answering(400), errRefused, -1, "answered 400 Bad Request: said[31m so: refused"},
		"404":                       {answering(404), errRefused, -1, "404"},
		"408":                       {answering(408), nil, -1, "408"},
		"410":                       {answering(410), errGone, -1, "410"},
		"425":                       {answering(425), nil, -1, "425"},
		"429":                       {answering(429), nil, -1, "429"},
		"429 in seconds":            {answering(429, "Retry-After", "7"), nil, 7 * time.Second, "429"},
		"429 now":                   {answering(429, "Retry-After", "0"), nil, 0, "429"},
		"429 in a year":             {answering(429, "Retry-After", "31536000"), nil, time.Hour, "429"},
		"429 never":                 {answering(429, "Retry-After", strings.Repeat("9", 100)), nil, time.Hour, "429"},
		"429 negative":              {answering(429, "Retry-After", "-7"), nil, -1, "429"},
		"429 nonsense":              {answering(429, "Retry-After", "soon"), nil, -1, "429"},
		"429 at a time":             {answering(429, "Retry-After", date(90*time.Second)), nil, 90 * time.Second, "429"},
		"429 at a time gone by":     {answering(429, "Retry-After", date(-time.Hour)), nil, 0, "429"},
		"429 at a time far away":    {answering(429, "Retry-After", date(100*time.Hour)), nil, time.Hour, "429"},
		"503 in seconds":            {answering(503, "Retry-After", "7"), nil, 7 * time.Second, "503"},
		"500":                       {answering(500), nil, -1, "answered 500 Internal Server Error: said[31m so"},
		"500 in seconds":            {answering(500, "Retry-After", "7"), nil, -1, "500"},
		"502":                       {answering(502), nil, -1, "502"},
		"unknown status":            {answering(799), nil, -1, "799"},
		"reset after the request":   {reset, nil, -1, "reset by peer"},
		"closed after the request":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, -1, "EOF"},
		"no HTTP":                   {raw("\x1b[31mhello\r\n\r\n"), nil, -1, "malformed"},
		"header without end":        {raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)), nil, -1, "header"},
		"endless body":              {endless(200), nil, -1, ""},
		"endless body of an error":  {endless(500), nil, -1, "500"},
		"compressed":                {answering(500, "Content-Encoding", "gzip"), nil, -1, "500"},
		"length that is not there":  {raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"), nil, -1, ""},
		"length of an error's body": {raw("HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\nhalf"), nil, -1, "answered 500 Internal Server Error: half"},
	} {
		t.Run(name, func(t *testing.T) {
			url, got := receive(t, c.answer)
			h := aHook(Webhook, url+"/in")
			s := newSender(h, "1.2.3").(*webhookSender)
			s.client.now = func() time.Time { return at }
			err := s.send(context.Background(), newMessage(h, []Event{anEvent(t, raisedBody)}))
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Fatalf("%v, want %q", err, c.says)
			}
			if err != nil && (err.Error() != printable(err.Error()) || !strings.HasPrefix(err.Error(), url+"/…") || strings.Contains(err.Error(), "169.254")) {
				t.Errorf("%q", err)
			}
			if errors.Is(err, errGone) != (c.is == errGone) || errors.Is(err, errRefused) != (c.is == errRefused) {
				t.Errorf("%v is not %v", err, c.is)
			}
			var l *later
			if errors.As(err, &l) != (c.after >= 0) || l != nil && l.After != c.after {
				t.Errorf("%v, %v, want after %s", err, l, c.after)
			}
			if len(got) != 1 {
				t.Errorf("%d requests", len(got))
			}
		})
	}
}

// reset ends a connection as a crashed host does.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// raw answers with bytes, and ends the connection.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, answer)
		_ = conn.Close()
	}
}

// endless answers with a body that goes on for as long as it is read.
func endless(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(code)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}
}

func TestSend_Timeout(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	slow := func(w http.ResponseWriter, r *http.Request) { // it is 2xx, and the rest of it never ends
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		within time.Duration
		good   bool
	}{"no answer": {silent, 200 * time.Millisecond, false}, "slow 2xx": {slow, time.Hour, true}} {
		url, _ := receive(t, c.answer)
		h := aHook(Webhook, url)
		s := newSender(h, "1.2.3").(*webhookSender)
		s.client.timeout = c.within
		err := s.send(context.Background(), newMessage(h, []Event{anEvent(t, raisedBody)}))
		if (err == nil) != c.good || err != nil && (!errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer within 200ms")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSend_Address(t *testing.T) {
	url, got := receive(t, nil)
	h := aHook(Webhook, url, url)
	h.AllowPrivate = false
	for _, host := range []string{"127.0.0.1", "localhost"} {
		h.URLs[0] = strings.Replace(url, "127.0.0.1", host, 1)
		if err := sendTo(t, h); !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), "allow_private") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if newTransport(h).Proxy != nil {
		t.Error("a proxy dials for it, unguarded")
	}
	h.URLs[0] = "http://169.254.169.254/latest/meta-data/"
	h.AllowPrivate = true
	if err := sendTo(t, h); !errors.Is(err, ErrAddress) {
		t.Errorf("metadata: %v", err)
	}
	if len(got) != 0 {
		t.Errorf("%d requests came", len(got))
	}
}

func TestSend_TLS(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		ends    time.Duration
		host    string
		highest uint16
		known   bool
		says    string
	}{
		"good":              {day, "127.0.0.1", tls.VersionTLS13, true, ""},
		"TLS 1.2":           {day, "127.0.0.1", tls.VersionTLS12, true, ""},
		"TLS 1.1":           {day, "127.0.0.1", tls.VersionTLS11, true, "protocol version"},
		"expired":           {-day, "127.0.0.1", tls.VersionTLS13, true, "expired"},
		"of another host":   {day, "127.0.0.2", tls.VersionTLS13, true, "127.0.0.2"},
		"of nobody we know": {day, "127.0.0.1", tls.VersionTLS13, false, "unknown authority"},
	} {
		cert, pool := certificate(t, c.host, time.Now().Add(c.ends))
		got := make(chan request, 10)
		server := httptest.NewUnstartedServer(recording(got, nil))
		server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: c.highest}
		server.Config.ErrorLog = discard
		server.StartTLS()
		h := aHook(Webhook, server.URL+"/hush-hush-hush")
		s := newSender(h, "1.2.3").(*webhookSender)
		if c.known {
			s.client.http.Transport.(*http.Transport).TLSClientConfig.RootCAs = pool
		}
		err := s.send(context.Background(), newMessage(h, []Event{anEvent(t, raisedBody)}))
		if c.says == "" && (err != nil || len(got) != 1) || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || len(got) != 0) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hush") || errors.Is(err, errRefused) || errors.Is(err, errGone)) {
			t.Errorf("%s: %v", name, err)
		}
		s.close()
		server.Close()
	}
}

// certificate makes a certificate that signs itself, and the pool that knows it.
func certificate(t testing.TB, host string, ends time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: ends.Add(-48 * time.Hour), NotAfter: ends,
		IPAddresses: []net.IP{net.ParseIP(host)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestSend_SecretsInErrors(t *testing.T) {
	const in = "T00/hush-path%2Fhush"
	echo := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(404)
		_, _ = fmt.Fprintf(w, "no route for %s or %s?%s of %s, key 0123456789abcdef0123456789abcdef", r.RequestURI, r.URL.Path, r.URL.RawQuery, r.Header.Get("Authorization"))
	}
	url, _ := receive(t, echo)
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, base := range map[string]string{"echo": url, "nobody listens": gone.URL, "no such host": "http://no-such-host.invalid"} {
		for _, kind := range []Kind{Webhook, Alertmanager, Slack, PagerDuty} {
			h := aHook(kind, strings.Replace(base, "://", "://user:hush-word@", 1)+"/"+in+"?token=hush-token")
			err := sendTo(t, h)
			if err == nil || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "Post ") || strings.Contains(err.Error(), "dXNlcjp") || h.Secrets != nil && strings.Contains(err.Error(), "0123456789abcdef") || !strings.HasPrefix(err.Error(), base+"/…") && kind != Alertmanager {
				t.Errorf("%s, %s: %v", name, kind, err)
			}
		}
	}
	redact := redactor(aHook(Alertmanager, "http://r.example/hush-prefix", "http://r.example/hush-prefix/hush"))
	if s := redact("POST /hush-prefix/hush HTTP/1.1"); s != "POST … HTTP/1.1" {
		t.Errorf("a part of what is secret is left: %s", s)
	}
	if s := fmt.Sprintf("%v %+v", *aHook(Webhook, "http://hush"), aHook(Webhook, "http://hush")); strings.Contains(s, "hush") || strings.Contains(s, "48 49") {
		t.Errorf("a hook that is printed shows %s", s)
	}
}

func TestSend_ConnectionsAreKept(t *testing.T) {
	opened := 0
	got := make(chan request, 100)
	server := httptest.NewUnstartedServer(recording(got, answering(200)))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened++
		}
	}
	server.Start()
	h := aHook(Webhook, server.URL)
	s := newSender(h, "1.2.3")
	for range 20 {
		if err := s.send(context.Background(), newMessage(h, []Event{anEvent(t, raisedBody)})); err != nil {
			t.Fatal(err)
		}
	}
	s.close()
	server.Close() // waits for the connections, and so for their states
	if opened != 1 || len(got) != 20 {
		t.Errorf("%d connections for %d requests", opened, len(got))
	}
}
