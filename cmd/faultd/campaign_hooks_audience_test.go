//go:build campaign

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"faultd/testdata/campaign"
)

// listener is the receiver of one hook: it answers as told, and remembers what it was told.
type listener struct {
	name   string
	url    string
	says   string // part of the error of each message on its dead list; empty: it takes everything in the end
	extra  string // further lines of its entry in the file
	answer func(w http.ResponseWriter, r *http.Request, nth int) answer

	mu     sync.Mutex // guards what follows
	clock  int        // requests and answers so far
	heard  map[string]*hearing
	odd    []string // what should not have come
	spoilt int      // requests that were answered badly on purpose
}

// answer is what a listener does with a request.
type answer struct {
	takes bool   // the message counts as received
	send  func() // after that is noted; nil: 200
}

// hearing is what a listener knows of a message. Times are the listener's clock, 0 for never.
type hearing struct {
	kind     string
	count    int // of events
	data     [32]byte
	requests int
	asked    int // when it first came
	took     int // when it was first taken
	at       time.Time
}

// newListeners starts receivers of every kind, and returns what a daemon needs beside to believe those with TLS.
func newListeners(t testing.TB) (all []*listener, env string) {
	t.Helper()
	issuer := newIssuer(t)
	for name, l := range map[string]*listener{
		"healthy-1": {}, "healthy-2": {},
		"healthy-tls": {},
		"grouped":     {extra: "group_by: [fingerprint]\ngroup_interval: 1s"},
		"slow":        {answer: slowly(100 * time.Millisecond)},
		"failing":     {answer: firstTwo(http.StatusInternalServerError)},
		"busy":        {answer: sometimesBusy},
		"reset":       {answer: resetFirst},
		"endless":     {answer: endless(http.StatusOK)},
		"endless-bad": {answer: endless(http.StatusBadGateway), says: "502"},
		"redirecting": {answer: redirecting, says: "301"},
		"expired-tls": {says: "certificate has expired"},
		"dead":        {says: "refused"},
	} {
		l.name, l.heard = name, map[string]*hearing{}
		switch name {
		case "dead":
			l.url = "http://" + campaign.FreeAddr(t)
		case "healthy-tls":
			l.url = issuer.serve(t, l, time.Now().Add(time.Hour))
		case "expired-tls":
			l.url = issuer.serve(t, l, time.Now().Add(-time.Minute))
		default:
			l.url = serving(t, l.ServeHTTP)
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *listener) int { return strings.Compare(a.name, b.name) })
	return all, "SSL_CERT_FILE=" + issuer.file
}

// takes tells whether the listener takes everything in the end.
func (l *listener) takes() bool { return l.says == "" }

// healthy tells whether it does so at once.
func (l *listener) healthy() bool { return strings.HasPrefix(l.name, "healthy") }

// grouped tells whether its messages may be of several events.
func (l *listener) grouped() bool { return l.extra != "" }

func (l *listener) entry() string { return webhook(l.name, l.url) + "\n" + l.extra }

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // whoever sent it is gone
	}
	a := answer{takes: true}
	nth, id := l.note(r.Header, body)
	if l.answer != nil {
		a = l.answer(w, r, nth)
	}
	l.mu.Lock()
	l.clock++
	if h := l.heard[id]; a.takes && h != nil && h.took == 0 {
		h.took, h.at = l.clock, time.Now()
	} else if !a.takes {
		l.spoilt++
	}
	l.mu.Unlock()
	if a.send != nil {
		a.send()
	}
}

// note takes note of a request, and returns which one of its message it is.
func (l *listener) note(header http.Header, body []byte) (nth int, id string) {
	var event struct {
		ID, Type string
		Data     json.RawMessage
	}
	var group struct{ Count int }
	err := json.Unmarshal(body, &event)
	if err == nil {
		err = json.Unmarshal(event.Data, &group)
	}
	id = header.Get("Webhook-Id")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	signed := header.Get("Webhook-Signature") == signature(id, header.Get("Webhook-Timestamp"), string(body))
	if err != nil || id != event.ID || !signed {
		l.wonder("message %q: %v, signed %t: %.300s", id, err, signed, body)
		return 0, ""
	}
	h := l.heard[id]
	if h == nil {
		h = &hearing{kind: event.Type, count: max(group.Count, 1), data: sha256.Sum256(event.Data), asked: l.clock}
		l.heard[id] = h
	}
	if h.kind != event.Type || h.data != sha256.Sum256(event.Data) {
		l.wonder("message %s comes again as another one: %.300s", id, body)
	}
	h.requests++
	return h.requests, id
}

// wonder remembers what should not have come.
func (l *listener) wonder(format string, args ...any) {
	l.odd = append(l.odd, fmt.Sprintf(format, args...))
}

// events is how many events the listener has taken, each counted once.
func (l *listener) events() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.heard {
		if h.took > 0 {
			n += h.count
		}
	}
	return n
}

// copy is what the listener knows of each message, by its id.
func (l *listener) copy() map[string]hearing {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]hearing, len(l.heard))
	for id, h := range l.heard {
		all[id] = *h
	}
	return all
}

func slowly(d time.Duration) func(http.ResponseWriter, *http.Request, int) answer {
	return func(http.ResponseWriter, *http.Request, int) answer {
		time.Sleep(d)
		return answer{takes: true}
	}
}

// firstTwo answers the first two requests of each message with an error.
func firstTwo(status int) func(http.ResponseWriter, *http.Request, int) answer {
	return func(w http.ResponseWriter, _ *http.Request, nth int) answer {
		return answer{takes: nth > 2, send: func() {
			if nth <= 2 {
				w.WriteHeader(status)
			}
		}}
	}
}

// sometimesBusy asks for a second of peace, at one message of some hundred.
func sometimesBusy(w http.ResponseWriter, r *http.Request, nth int) answer {
	if nth > 1 || !strings.HasPrefix(r.Header.Get("Webhook-Id"), "00") && !strings.HasPrefix(r.Header.Get("Webhook-Id"), "8") {
		return answer{takes: true}
	}
	if strings.HasPrefix(r.Header.Get("Webhook-Id"), "8") {
		return answer{send: func() { w.WriteHeader(http.StatusServiceUnavailable) }}
	}
	return answer{send: func() {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	}}
}

// resetFirst resets the connection on the first request of each message.
func resetFirst(w http.ResponseWriter, _ *http.Request, nth int) answer {
	return answer{takes: nth > 1, send: func() {
		if nth > 1 {
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}}
}

// endless answers with a body that ends only when nobody listens any more.
func endless(status int) func(http.ResponseWriter, *http.Request, int) answer {
	return func(w http.ResponseWriter, r *http.Request, _ int) answer {
		return answer{takes: status == http.StatusOK, send: func() {
			w.WriteHeader(status)
			for chunk := make([]byte, 16<<10); r.Context().Err() == nil; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}}
	}
}

// redirecting sends on to where clouds keep what is nobody else's business.
func redirecting(w http.ResponseWriter, _ *http.Request, _ int) answer {
	return answer{send: func() {
		w.Header().Set("Location", "http://169.254.169.254/latest/meta-data/iam/security-credentials/")
		w.WriteHeader(http.StatusMovedPermanently)
	}}
}

// issuer signs certificates.
type issuer struct {
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	a := &issuer{file: filepath.Join(t.TempDir(), "ca.pem"), cert: &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "campaign"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, a.file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return a
}

// serve serves with a certificate that is good until then, and returns the URL.
func (a *issuer) serve(t testing.TB, handler http.Handler, until time.Time) string {
	t.Helper()
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of each handshake that fails
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}
