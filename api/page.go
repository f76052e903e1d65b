package api

import (
	"bytes"
	"html/template"
	"net/http"
	"strings"
)

// place is a line of the page.
type place struct{ Path, Text string }

// Whole tells whether the path can be followed as it stands.
func (p place) Whole() bool { return !strings.Contains(p.Path, "{") }

var places = []place{
	{"/compute/v2.1", "Compute API: servers and images with their faults"},
	{"/compute/v2.1/servers/detail?status=ERROR", "servers in ERROR"},
	{"/compute/v2.1/images/detail?status=ERROR", "images in ERROR"},
	{"/volume/v3/backups/detail?status=error", "Block Storage API: backups in error"},
	{"/volume/v3/messages", "Block Storage API: every fault of every kind, as a message"},
	{"/cloud-backup/v2/{tenant}/backups", "Cloud Backup; restores likewise"},
	{"/backup-management/v1/orgs/{org}/clouds/{cloud}/backups", "backup management; exports, imports, restores and migrations likewise"},
	{"/v1/faults", "everything that is in ERROR now, newest first"},
	{"/v1/faults/groups", "failures: the faults that are alike, and what their resources share"},
	{"/v1/resources", "all resources"},
	{"/v1/summary", "how many there are of each kind and status"},
	{"/v1/rejected", "messages that could not be understood"},
	{"/v1/position", "how far the job stream has been applied"},
	{"/v1/stream", "transitions as they happen, as server-sent events"},
	{"/openapi.json", "the description of all of it (OpenAPI 3.1)"},
	{"/readyz", "whether this is up to date, and why not"},
	{"/livez", "whether the process answers"},
	{"/metrics", "for Prometheus"},
}

var pageTemplate = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>faultd</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark }
td { padding: .2rem 1.5rem .2rem 0; vertical-align: top }
</style>
<h1>faultd</h1>
<p>Jobs that build, back up and move things, and why they failed. State: {{.Health.State}}{{range .Health.Reasons}}; {{.}}{{end}}.
<table>
{{range .Places}}<tr><td>{{if .Whole}}<a href="{{.Path}}">{{.Path}}</a>{{else}}{{.Path}}{{end}}<td>{{.Text}}
{{end}}</table>
</html>
`))

// page lists the mounts for whoever comes with a browser.
func page(c *call) error {
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, struct {
		Health Health
		Places []place
	}{c.h.health(), places}); err != nil {
		return err
	}
	c.w.Header()["Content-Security-Policy"] = []string{"default-src 'none'; style-src 'unsafe-inline'"}
	c.reply(http.StatusOK, "text/html; charset=utf-8", body.Bytes())
	return nil
}
