package api

import "strings"

var jsonTypes = []string{"application/json"}

// accepts tells whether a client that sent these Accept headers takes one of the types. A type */* stands for
// whatever it asks for.
func accepts(headers []string, types []string) bool {
	if len(headers) == 0 || types[0] == "*/*" {
		return true
	}
	said := false
	for _, header := range headers {
		for item := range strings.SplitSeq(header, ",") {
			item = strings.TrimSpace(item)
			if item == "" {
				continue
			}
			said = true
			if takes(item, types) {
				return true
			}
		}
	}
	return !said
}

// takes tells whether one item of an Accept header matches one of the types.
func takes(item string, types []string) bool {
	accepted, parameters, _ := strings.Cut(item, ";")
	if refused(parameters) {
		return false
	}
	accepted = strings.ToLower(strings.TrimSpace(accepted))
	if accepted == "*/*" {
		return true
	}
	family, all := strings.CutSuffix(accepted, "*")
	for _, t := range types {
		if accepted == t || all && strings.HasSuffix(family, "/") && strings.HasPrefix(t, family) {
			return true
		}
	}
	return false
}

// refused tells whether the parameters of an item say q=0.
func refused(parameters string) bool {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			return strings.Trim(strings.TrimSpace(value), "0.") == ""
		}
	}
	return false
}
