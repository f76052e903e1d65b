package api

import (
	"net/http"
	"net/url"
	"strings"
)

// splitPath cuts a path at its slashes and decodes each segment once, so that an escaped slash is part of a name.
// There is always a first segment.
func splitPath(u *url.URL) []string {
	if u.RawPath == "" {
		return strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	}
	path := strings.Split(strings.TrimPrefix(u.RawPath, "/"), "/")
	for i, s := range path {
		if decoded, err := url.PathUnescape(s); err == nil {
			path[i] = decoded
		}
	}
	return path
}

// maxName is the longest tenant or id, in bytes.
const maxName = 128

// validName tells whether a tenant or a resource can be called that.
func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// handler answers a request whose route is found, or says what is wrong with it.
type handler func(c *call) error

// route leads from a path to its handler.
type route struct {
	// parts are compared with the segments: {} stands for any, ** for any number of any at the end.
	parts  []string
	handle handler // nil: the upstream API has the path and a read-only tracker does not
	types  []string
	to     audience
	post   bool // it is a command, and POST its only method
}

// byPost is the route as a command.
func (rt route) byPost() route {
	rt.post = true
	return rt
}

// openTo is the route with another audience than every tenant.
func (rt route) openTo(a audience) route {
	rt.to = a
	return rt
}

// routes are asked in their order.
type routes []route

// to makes a route. types are the media types that it serves where its mount does not choose, JSON if none is given.
func to(pattern string, handle handler, types ...string) route {
	if len(types) == 0 {
		types = jsonTypes
	}
	return route{parts: strings.Split(pattern, "/"), handle: handle, types: types}
}

func (rs routes) find(path []string, args *[2]string) *route {
	for i := range rs {
		if rs[i].match(path, args) {
			return &rs[i]
		}
	}
	return nil
}

func (rt *route) match(path []string, args *[2]string) bool {
	n := 0
	for i, part := range rt.parts {
		switch {
		case part == "**":
			return true
		case i == len(path), part != "{}" && part != path[i], part == "{}" && path[i] == "":
			return false
		case part == "{}" && n < len(args):
			args[n] = path[i]
			n++
		}
	}
	return len(path) == len(rt.parts)
}

// serve finds the route and follows it.
func (rs routes) serve(c *call, path []string) error {
	rt := rs.find(path, &c.args)
	if rt == nil {
		return notFound
	}
	return rt.follow(c)
}

// follow calls the handler if the request is one that it can answer.
func (rt *route) follow(c *call) error {
	c.open = rt.to == everybody
	if err := c.admit(rt.to); err != nil {
		return err
	}
	switch {
	case rt.handle == nil:
		return notImplemented
	case rt.post && c.r.Method != http.MethodPost:
		return commandByPost
	case !rt.post && c.r.Method != http.MethodGet && c.r.Method != http.MethodHead:
		return methodNotAllowed
	case c.mount.types == nil && !accepts(c.r.Header["Accept"], rt.types), c.mount.types != nil && c.contentType == "":
		return wrongType
	}
	if c.r.URL.RawQuery != "" {
		var err error
		if c.params, err = url.ParseQuery(c.r.URL.RawQuery); err != nil {
			return badRequest("the query string is malformed")
		}
	}
	return rt.handle(c)
}

// alone is a mount that has no paths below it.
func alone(handle handler, who audience) func(*call, []string) error {
	rt := to("", handle, "*/*").openTo(who)
	return func(c *call, path []string) error {
		if len(path) > 0 {
			return notFound
		}
		return rt.follow(c)
	}
}
