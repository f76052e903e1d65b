package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// certificates are what the daemon shows of itself over TLS, and what it asks of clients. They may be loaded again
// while it serves; connections that stand keep what they began with.
type certificates struct {
	cert, key string // files
	clientCA  string // file of the authorities whose certificates clients must have; "": clients need none
	current   atomic.Pointer[tls.Config]
}

// load reads the files; where one is bad, nothing changes.
func (c *certificates) load() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("reading --tls-cert %s and --tls-key %s: %w", c.cert, c.key, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if c.clientCA != "" {
		if config.ClientCAs, err = authorities(c.clientCA); err != nil {
			return err
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	c.current.Store(config)
	return nil
}

func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading --tls-client-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading --tls-client-ca %s: %w", file, errNoCertificate)
	}
	return pool, nil
}

// errNoCertificate is returned when a file of authorities holds no certificate in PEM form.
var errNoCertificate = errors.New("there is no certificate in PEM form")

// config asks for each connection what was loaded last.
func (c *certificates) config() *tls.Config {
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return c.current.Load(), nil
	}}
}
