package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority makes certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	a := &authority{key: newKey(t)}
	a.cert = sign(t, template, template, a.key, a.key)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issue makes a certificate of 127.0.0.1, in PEM form with its key.
func (a *authority) issue(t testing.TB, name string) (cert, key string) {
	t.Helper()
	k := newKey(t)
	c := sign(t, &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, a.cert, k, a.key)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return inPEM("CERTIFICATE", c.Raw), inPEM("PRIVATE KEY", der)
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// client trusts the authority, and shows a certificate of another one if that is given.
func (a *authority) client(t testing.TB, show *authority) *http.Client {
	t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(a.cert)
	if show != nil {
		pair, err := tls.X509KeyPair(func() ([]byte, []byte) { c, k := show.issue(t, "client"); return []byte(c), []byte(k) }())
		if err != nil {
			t.Fatal(err)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil } // wanted or not
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// reach asks over a connection of its own, and returns what the daemon showed of itself.
func reach(t testing.TB, client *http.Client, url string) (*http.Response, error) {
	t.Helper()
	client.CloseIdleConnections()
	answer, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer, answer.Body.Close()
}

// TestServe_TLS has real clients: of HTTP/2, of HTTP/1.1, of an old TLS, and of none.
func TestServe_TLS(t *testing.T) {
	dir, ours := t.TempDir(), newAuthority(t, "ours")
	cert, key := ours.issue(t, "first")
	certFile, keyFile := writeFile(t, filepath.Join(dir, "cert.pem"), cert), writeFile(t, filepath.Join(dir, "key.pem"), key)
	d := startDaemon(t, t.TempDir(), "--tls-cert", certFile, "--tls-key", keyFile)
	if !strings.HasPrefix(d.http, "https://127.0.0.1:") {
		t.Fatalf("it serves at %s", d.http)
	}
	client := ours.client(t, nil)
	answer, err := reach(t, client, d.http+"/livez")
	if err != nil || answer.StatusCode != 200 || answer.ProtoMajor != 2 || answer.TLS.PeerCertificates[0].Subject.CommonName != "first" {
		t.Fatalf("%v, %v", answer, err)
	}
	if _, body := askWith(t, client, d.http+"/compute/v2.1/", ""); !strings.Contains(body, `"href":"`+d.http+`/compute/v2.1/"`) {
		t.Errorf("the links are not of HTTPS: %s", body)
	}
	var unknown x509.UnknownAuthorityError
	if _, err := reach(t, newAuthority(t, "others").client(t, nil), d.http+"/livez"); !errors.As(err, &unknown) {
		t.Errorf("a client that trusts another authority: %v", err)
	}
	if answer, err := reach(t, http.DefaultClient, strings.Replace(d.http, "https", "http", 1)+"/livez"); err != nil || answer.StatusCode != 400 {
		t.Errorf("a client without TLS: %v, %v", answer, err)
	}
	old := ours.client(t, nil)
	old.Transport.(*http.Transport).ForceAttemptHTTP2 = false // which would need a newer one
	config := old.Transport.(*http.Transport).TLSClientConfig
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if _, err := reach(t, old, d.http+"/livez"); err == nil {
		t.Error("a client of TLS 1.1 is served")
	}

	cert, key = ours.issue(t, "second")
	writeFile(t, certFile, cert)
	d.hangup(t, "the file is bad", 1) // the key is still that of the first
	if answer, err := reach(t, client, d.http+"/livez"); err != nil || answer.TLS.PeerCertificates[0].Subject.CommonName != "first" {
		t.Errorf("after a bad pair: %v, %v", answer, err)
	}
	writeFile(t, keyFile, key)
	d.hangup(t, `"message":"read again"`, 1)
	if answer, err := reach(t, client, d.http+"/livez"); err != nil || answer.TLS.PeerCertificates[0].Subject.CommonName != "second" {
		t.Errorf("after a new pair: %v, %v", answer, err)
	}
}

// TestServe_ClientCertificates lets in those of one authority, and after a signal those of another, which hold even for
// a client that takes up a session of before.
func TestServe_ClientCertificates(t *testing.T) {
	dir, ours, theirs := t.TempDir(), newAuthority(t, "ours"), newAuthority(t, "theirs")
	cert, key := ours.issue(t, "daemon")
	authorities := writeFile(t, filepath.Join(dir, "ca.pem"), inPEM("CERTIFICATE", ours.cert.Raw))
	tokens := writeFile(t, filepath.Join(dir, "tokens.yaml"), tokenRows("a/1234/reader"))
	d := startDaemon(t, t.TempDir(), "--tokens", tokens, "--tls-client-ca", authorities,
		"--tls-cert", writeFile(t, filepath.Join(dir, "cert.pem"), cert), "--tls-key", writeFile(t, filepath.Join(dir, "key.pem"), key))
	none, with, other := ours.client(t, nil), ours.client(t, ours), ours.client(t, theirs)
	with.Transport.(*http.Transport).TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(10)
	for name, client := range map[string]*http.Client{"no certificate": none, "another authority's": other} {
		if answer, err := reach(t, client, d.http+"/livez"); err == nil {
			t.Errorf("%s: %s", name, answer.Status)
		}
	}
	if answer, err := reach(t, with, d.http+"/livez"); err != nil || answer.StatusCode != 200 {
		t.Errorf("a good certificate: %v, %v", answer, err)
	}
	if status, _ := askWith(t, with, d.http+"/v1/resources", ""); status != 401 {
		t.Errorf("a good certificate without a token: %d", status)
	}
	if status, _ := askWith(t, with, d.http+"/v1/resources", "a"); status != 200 {
		t.Errorf("a good certificate with a token: %d", status)
	}

	writeFile(t, authorities, "none")
	d.hangup(t, "there is no certificate in PEM form", 1)
	if answer, err := reach(t, with, d.http+"/livez"); err != nil || answer.StatusCode != 200 {
		t.Errorf("after a bad file: %v, %v", answer, err)
	}
	writeFile(t, authorities, inPEM("CERTIFICATE", theirs.cert.Raw))
	d.hangup(t, `"message":"read again"`, 3) // twice the tokens, once the certificates
	if answer, err := reach(t, other, d.http+"/livez"); err != nil || answer.StatusCode != 200 {
		t.Errorf("the new authority's: %v, %v", answer, err)
	}
	if answer, err := reach(t, with, d.http+"/livez"); err == nil {
		t.Errorf("the old authority's: %s", answer.Status)
	}
}

func TestServe_TLSRefused(t *testing.T) {
	dir, ours := t.TempDir(), newAuthority(t, "ours")
	cert, key := ours.issue(t, "a")
	_, otherKey := ours.issue(t, "b")
	certFile, keyFile := writeFile(t, filepath.Join(dir, "cert.pem"), cert), writeFile(t, filepath.Join(dir, "key.pem"), key)
	for name, files := range map[string][3]string{
		"no certificate":  {filepath.Join(dir, "none"), keyFile, ""},
		"no key":          {certFile, filepath.Join(dir, "none"), ""},
		"another's key":   {certFile, writeFile(t, filepath.Join(dir, "other.pem"), otherKey), ""},
		"no authorities":  {certFile, keyFile, filepath.Join(dir, "none")},
		"bad authorities": {certFile, keyFile, keyFile},
	} {
		args := []string{"serve", "--data-dir", filepath.Join(dir, "data"), "--http-addr", "127.0.0.1:0", "--nats-addr", "127.0.0.1:0", "--tls-cert", files[0], "--tls-key", files[1]}
		if files[2] != "" {
			args = append(args, "--tls-client-ca", files[2])
		}
		if r := faultd(t, args...); r.code != exitFailed || !strings.Contains(r.stderr, "--tls-") {
			t.Errorf("%s: exit code %d\n%s", name, r.code, r.stderr)
		}
	}
}
