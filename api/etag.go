package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// tagged replies with a JSON body and its entity tag, or with 304 and the tag alone where the client has that body
// already. The tag is a digest of the body: it changes when a byte of the answer does, what its reader may see
// included, and is the same on every replica.
func (c *call) tagged(body []byte) error {
	tag := entityTag(body)
	head := c.w.Header()
	head["Etag"] = []string{tag}
	head["Cache-Control"] = revalidate
	head["Vary"] = varyToken
	if hasTag(c.r.Header["If-None-Match"], tag) {
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return c.json(body)
}

var (
	revalidate = []string{"private, no-cache"}           // to be kept by its reader alone, who asks each time
	varyToken  = []string{"X-Auth-Token, Authorization"} // who asks decides what is seen
)

// entityTag is a strong one. Whoever could make two bodies of one tag would make them of one resource, and have its own
// clients see the older.
func entityTag(body []byte) string {
	tag := strconv.AppendUint(append(make([]byte, 0, 20), '"'), xxhash.Sum64(body), 16)
	return string(append(tag, '"'))
}

// hasTag tells whether If-None-Match names a tag. It is compared weakly, as RFC 9110 has it there; what is malformed
// names nothing from there on.
func hasTag(headers []string, tag string) bool {
	for _, list := range headers {
		if strings.TrimSpace(list) == "*" {
			return true
		}
		for {
			list = strings.TrimPrefix(strings.TrimLeft(list, " \t,"), "W/")
			if !strings.HasPrefix(list, `"`) {
				break
			}
			end := strings.IndexByte(list[1:], '"') + 2
			if end < 2 {
				break
			}
			if list[:end] == tag {
				return true
			}
			list = list[end:]
		}
	}
	return false
}
