package api

import (
	_ "embed"
	"net/http"
)

// openAPIDocument describes all mounts in the form of OpenAPI 3.1. It is written by hand; tests compare it with the
// tables of routes, and what is answered with it.
//
//go:embed openapi.json
var openAPIDocument []byte

// openAPI answers with the description of the API.
func openAPI(c *call) error {
	c.reply(http.StatusOK, "application/json", openAPIDocument)
	return nil
}
