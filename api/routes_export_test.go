package api

import (
	"net/http"
	"slices"
	"strings"
)

// Route is a line of a table of routes, as tests outside of the package see it.
type Route struct {
	Mount   string // the first segment of its path, and where that has several tables, which of them
	Pattern string
	Served  bool // else it is answered with 501
	Method  string
}

// tables are all tables of routes by the mount and what stands before a path of theirs.
var tables = map[string][]routes{
	"v1":                     {ownRoutes},
	"compute":                {computeRoutes},
	"volume":                 {volumeRoutes["v3"]},
	"volume/v2":              {volumeRoutes["v2"]},
	"cloud-backup":           {cloudBackupRoutes},
	"backup-management":      {managementRoutes},
	"backup-management/orgs": {managementElsewhere},
}

// Routes are those of all tables; Mounts are the first segments of all paths that are served.
func Routes() (all []Route) {
	for mount, list := range tables {
		for _, rs := range list {
			for _, rt := range rs {
				method := http.MethodGet
				if rt.post {
					method = http.MethodPost
				}
				all = append(all, Route{mount, strings.Join(rt.parts, "/"), rt.handle != nil, method})
			}
		}
	}
	slices.SortFunc(all, func(a, b Route) int { return strings.Compare(a.Mount+" "+a.Pattern, b.Mount+" "+b.Pattern) })
	return all
}

func Mounts(h *Handler) (all []string) {
	for name := range h.mounts {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
