package api

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"time"

	sm "faultd/statemachine"
)

// caller is who asks.
type caller struct {
	tenant string // "": all tenants
	admin  bool
	token  *Token // that was shown; nil: none was asked for
}

// everyone is the rule without tokens: whoever reaches the API is an administrator.
func everyone(*http.Request) (caller, error) { return caller{admin: true}, nil }

// call is one request on its way to its answer. It belongs to the request's goroutine.
type call struct {
	h      *Handler
	r      *http.Request
	w      recorder
	id     string // of the request
	began  time.Time
	mount  *mount
	caller caller
	denied error      // why the caller is nobody: only what is open to everybody is answered
	open   bool       // its route is for everybody
	inside bool       // the gate has let it in
	args   [2]string  // what the placeholders of the route stand for
	params url.Values // of the query

	tenant  string // that the path names, or ""
	root    string // the address of the mount's version, without a slash at its end
	version int    // the minor of the compute microversion that was asked for

	contentType string // of the answer where the mount has types, "": none that the client takes
	xml         bool   // it is XML

	streams bool // it is open for as long as the client likes

	values [4]string // of headers: one place for them all
	body   *[]byte   // see [call.begin]
	seen   look      // as [call.look] gave it last
}

// recorder notes what was sent.
type recorder struct {
	http.ResponseWriter
	status int // 0: nothing was sent
}

// Unwrap is for [http.ResponseController].
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// newRequestID is req- and a random UUID. It is told to everybody, so that it need not be hard to guess.
func newRequestID() string {
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	id := append(make([]byte, 0, 40), "req-"...)
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			id = append(id, '-')
		}
		id = hex.AppendEncode(id, part)
	}
	return string(id)
}

// announce sets the headers that every answer has. The position is for those who may ask, and is read before the data, so that the data is
// never older than it says.
func (c *call) announce() {
	c.values[0] = c.id
	head := c.w.Header()
	head["X-Openstack-Request-Id"] = c.values[0:1:1]
	if c.mount.requestID != "" {
		head[c.mount.requestID] = c.values[0:1:1]
	}
	if c.denied == nil {
		c.values[1] = c.h.position(c.h.store.Position())
		head["X-Faultd-Position"] = c.values[1:2:2]
	}
	head["X-Content-Type-Options"] = nosniff
}

var nosniff = []string{"nosniff"}

// toldPosition is a position and how it was told.
type toldPosition struct {
	is   sm.Position
	text string
}

// position is how a position is told. Most requests between two commits tell the same.
func (h *Handler) position(p sm.Position) string {
	told := h.told.Load()
	if told == nil || told.is != p {
		told = &toldPosition{p, string(appendPosition(make([]byte, 0, 64), p))}
		h.told.Store(told)
	}
	return told.text
}

func appendPosition(dst []byte, p sm.Position) []byte {
	dst = append(append(dst, p.Stream...), '/')
	if p.Epoch != 0 {
		dst = p.Epoch.Std().AppendFormat(dst, time.RFC3339Nano)
	}
	return strconv.AppendUint(append(dst, '/'), p.Sequence, 10)
}

// reply sends a whole answer.
func (c *call) reply(status int, contentType string, body []byte) {
	c.values[2], c.values[3] = contentType, strconv.Itoa(len(body))
	head := c.w.Header()
	head["Content-Type"] = c.values[2:3:3]
	head["Content-Length"] = c.values[3:4:4]
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(body) // a client that has gone gets no answer
	}
}

// begin is an empty body that is there until the end of the call: to be used once, and by a handler that replies with
// one resource.
func (c *call) begin() []byte {
	c.body, _ = c.h.bodies.Get().(*[]byte)
	if c.body == nil {
		body := make([]byte, 0, 2048)
		c.body = &body
	}
	return *c.body
}

// json replies with a JSON body.
func (c *call) json(body []byte) error {
	c.reply(http.StatusOK, "application/json", body)
	return nil
}

// document replies with a body of the type that was chosen.
func (c *call) document(body []byte) error {
	c.reply(http.StatusOK, c.contentType, body)
	return nil
}

// fail replies with what went wrong, in the mount's dialect.
func (c *call) fail(err error) {
	p := c.problem(err)
	if c.w.status != 0 {
		return // too late to say so
	}
	head := c.w.Header()
	if p.allow != "" {
		head["Allow"] = []string{p.allow}
	}
	if p.status == http.StatusUnauthorized {
		head["Www-Authenticate"] = []string{`Bearer realm="faultd"`}
	}
	if p.retry > 0 {
		head["Retry-After"] = []string{strconv.Itoa(p.retrySeconds())}
	}
	say := c.mount.fault
	if c.xml {
		say = c.mount.faultXML
	}
	f := say(p, c.id, time.Now())
	if c.mount.types != nil {
		f.contentType = cmp.Or(c.contentType, c.mount.types[0]) + "; charset=UTF-8"
	}
	c.reply(f.status, f.contentType, f.body)
}

// finish turns a panic into an answer and counts the request.
func (c *call) finish() {
	if v := recover(); v != nil {
		c.rescue(v)
	}
	c.h.gate.leave(c)
	if c.body != nil {
		c.h.bodies.Put(c.body)
	}
	c.h.metrics.count(c.mount, c.w.status)
	if !c.streams {
		c.mount.seconds.Observe(time.Since(c.began).Seconds())
	}
}

// unlessDenied is the error of a request, or why its caller is nobody: who is not let in is not told what there is.
func (c *call) unlessDenied(err error) error {
	if err != nil && c.denied != nil && !c.open {
		return c.denied
	}
	return err
}

// rescue answers for a handler that panicked. Where part of the answer is out already, the connection is
// closed, so that nobody takes that part for the whole.
func (c *call) rescue(v any) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	c.h.log.Error().Str("request_id", c.id).Str("mount", c.mount.name).Interface("panic", v).
		Bytes("stack", debug.Stack()).Msg("a handler panicked; please report this as a bug")
	if c.w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	c.fail(broken)
}

// admin tells whether the caller may see what is not for tenants.
func (c *call) admin() bool { return c.caller.admin }

// host is the address that the request was sent to.
func (c *call) host() string { return c.scheme() + c.r.Host }

func (c *call) scheme() string {
	if c.r.TLS != nil {
		return "https://"
	}
	return "http://"
}
