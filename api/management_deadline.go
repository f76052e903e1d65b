package api

import (
	"net/http"
	"time"
)

// DefaultReadLimit is how long an answer of backup management may take to read if nothing else is said.
const DefaultReadLimit = 10 * time.Second

var tooSlow = &problem{status: http.StatusGatewayTimeout, message: "The store did not answer within the time limit."}

// within reads from the store for as long as the request has time, then gives up: the reading goes on by itself, what
// it finds is dropped, and it must write to nothing but its results. A panic in it is the request's.
func within[T any](c *call, read func() (T, error)) (found T, err error) {
	type result struct {
		found T
		err   error
		panic any
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			r.panic = recover()
			done <- r
		}()
		r.found, r.err = read()
	}()
	timer := time.NewTimer(c.h.readLimit - time.Since(c.began))
	defer timer.Stop()
	select {
	case r := <-done:
		if r.panic != nil {
			panic(r.panic)
		}
		return r.found, r.err
	case <-timer.C:
		c.h.log.Warn().Str("request_id", c.id).Dur("limit", c.h.readLimit).Msg("the store did not answer in time")
		return found, tooSlow
	}
}
