package api

import (
	"net/http"
	"time"
)

// NewServer is a server for that address with all its limits set: no client holds a connection, or memory, for
// longer than these say. Streams set deadlines of their own. The caller may set ErrorLog.
func NewServer(addr string, handler http.Handler) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		// OPTIONS * gets its answer from the handler, like everything else.
		DisableGeneralOptionsHandler: true,
	}
}
