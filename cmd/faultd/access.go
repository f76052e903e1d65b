package main

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"faultd/api"
)

// access is who may ask the daemon, how much, and over what.
type access struct {
	log          zerolog.Logger
	file         string      // of tokens; "": there are none
	tokens       []api.Token // nil: everyone is an administrator
	limits       api.Limits
	certificates *certificates // nil: no TLS
}

// loadAccess reads the files that say who may ask.
func loadAccess(s *settings, log zerolog.Logger) (*access, error) {
	a := &access{log: log, file: s.tokens, limits: s.limits}
	var err error
	if a.file != "" {
		if a.tokens, err = a.loadTokens(); err != nil {
			return nil, err
		}
	}
	if s.tlsCert != "" {
		a.certificates = &certificates{cert: s.tlsCert, key: s.tlsKey, clientCA: s.tlsClientCA}
		err = a.certificates.load()
	}
	return a, err
}

// loadTokens reads the file of tokens, and says which of them are of no use any more.
func (a *access) loadTokens() ([]api.Token, error) {
	tokens, err := api.LoadTokens(a.file)
	if err != nil {
		return nil, fmt.Errorf("--tokens: %w", err)
	}
	for i := range tokens {
		if tokens[i].Expired(time.Now()) {
			a.log.Warn().Str("name", tokens[i].Name).Time("expired", tokens[i].Expires).Msg("a token has expired")
		}
	}
	a.log.Info().Int("tokens", len(tokens)).Msg("tokens read")
	return tokens, nil
}

// files are those that may change while the daemon runs.
func (a *access) files(handler *api.Handler) (files []operatorFile) {
	if a.tokens != nil {
		files = append(files, operatorFile{a.file, func() error {
			tokens, err := a.loadTokens()
			if err == nil {
				handler.SetTokens(tokens)
			}
			return err
		}})
	}
	if a.certificates != nil {
		files = append(files, operatorFile{a.certificates.cert, a.certificates.load})
	}
	return files
}

func (a *access) scheme() string {
	if a.certificates == nil {
		return "http"
	}
	return "https"
}

func (a *access) tlsConfig() *tls.Config {
	if a.certificates == nil {
		return nil
	}
	return a.certificates.config()
}

// checkAddresses refuses a list of URLs with a malformed one. It says which by its number, since it may hold a
// password, and before anybody else reads the list, whose errors would print it.
func checkAddresses(flag, list string) error {
	for i, address := range strings.Split(list, ",") {
		address = strings.TrimSpace(address)
		if !strings.Contains(address, "://") {
			address = "nats://" + address
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			return usagef("%s: address %d is no URL such as nats://127.0.0.1:4222", flag, i+1)
		}
	}
	return nil
}
