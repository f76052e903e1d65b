package api

import (
	"slices"
	"strconv"
	"strings"
)

var jsonTypes = []string{"application/json"}

// suffixes at the end of a path ask for a type more plainly than any header can.
var suffixes = []struct{ suffix, contentType string }{
	{".json", "application/json"},
	{".xml", "application/xml"},
}

var varyAccept = []string{"Accept"}

// chooseType finds the type of the answers of a mount that speaks JSON and XML, errors included: the one that the
// suffix of the path names, which is taken off, else the one that the client likes best.
func (c *call) chooseType(path []string) {
	c.w.Header()["Vary"] = varyAccept
	c.contentType = bySuffix(path)
	if c.contentType == "" {
		c.contentType = bestType(c.r.Header["Accept"], c.mount.types)
	}
	c.xml = strings.HasSuffix(c.contentType, "xml")
}

// bySuffix takes the suffix off the end of the path and returns its type, "" where there is none.
func bySuffix(path []string) string {
	last := len(path) - 1
	if last < 0 {
		return ""
	}
	for _, s := range suffixes {
		if name, ok := strings.CutSuffix(path[last], s.suffix); ok && name != "" {
			path[last] = name
			return s.contentType
		}
	}
	return ""
}

// accepts tells whether a client that sent these Accept headers takes one of the types. A type */* stands for
// whatever it asks for.
func accepts(headers []string, types []string) bool {
	return types[0] == "*/*" || bestType(headers, types) != ""
}

// bestType is the one of the types that a client which sent these Accept headers likes best, of equals the first. It is
// "" where it takes none of them.
func bestType(headers []string, types []string) (best string) {
	if len(headers) == 0 {
		return types[0]
	}
	ranges := parseAccept(headers)
	if len(ranges) == 0 {
		return types[0]
	}
	most := 0.0
	for _, t := range types {
		if q := quality(ranges, t); q > most {
			best, most = t, q
		}
	}
	return best
}

// mediaRange is an item of an Accept header.
type mediaRange struct {
	pattern string // type/subtype, type/* or */*
	quality float64
}

func parseAccept(headers []string) (ranges []mediaRange) {
	for _, header := range headers {
		for item := range strings.SplitSeq(header, ",") {
			pattern, parameters, _ := strings.Cut(item, ";")
			if pattern = strings.ToLower(strings.TrimSpace(pattern)); pattern != "" {
				ranges = append(ranges, mediaRange{pattern, qualityOf(parameters)})
			}
		}
	}
	return ranges
}

// qualityOf reads the q among an item's parameters. One that is no number is taken for 1, as if it were not there.
func qualityOf(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
			return q
		}
	}
	return 1
}

// quality is that of the range which says most precisely that it means the type; 0 where none does.
func quality(ranges []mediaRange, contentType string) float64 {
	family, _, _ := strings.Cut(contentType, "/")
	for _, pattern := range [...]string{contentType, family + "/*", "*/*"} {
		if i := slices.IndexFunc(ranges, func(r mediaRange) bool { return r.pattern == pattern }); i >= 0 {
			return ranges[i].quality
		}
	}
	return 0
}
