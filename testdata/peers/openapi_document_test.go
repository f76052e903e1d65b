package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// described is a daemon and what it says of itself.
type described struct {
	url    string
	doc    *openapi3.T
	router routers.Router
	asked  map[string]map[int]bool // the statuses that each operation was answered with
}

// describe reads the document of a daemon.
func describe(t *testing.T, at string) *described {
	answer := fetch(t, http.MethodGet, at+"/openapi.json", nil)
	loader := openapi3.NewLoader()
	whole, err := loader.LoadFromData(answer.body)
	if err != nil {
		t.Fatal(err)
	}
	if err := whole.Validate(t.Context()); err != nil {
		t.Fatalf("the document is not OpenAPI %s: %v", whole.OpenAPI, err)
	}
	doc, err := loader.LoadFromData(closed(t, answer.body))
	if err != nil {
		t.Fatal(err)
	}
	doc.Servers = openapi3.Servers{{URL: at}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &described{at, doc, router, map[string]map[int]bool{}}
}

// closed is the document with every object closed: programs that read answers are to bear more than is described, so
// the document leaves them open, but what is answered now is to be described.
func closed(t *testing.T, document []byte) []byte {
	var whole map[string]any
	if err := json.Unmarshal(document, &whole); err != nil {
		t.Fatal(err)
	}
	closeObjects(whole["paths"])
	closeObjects(whole["components"])
	document, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func closeObjects(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			closeObjects(item)
		}
	case map[string]any:
		for _, item := range v {
			closeObjects(item)
		}
		if v["type"] == nil || v["properties"] == nil || v["additionalProperties"] != nil || v["$ref"] != nil {
			return
		}
		v["additionalProperties"] = false
	}
}

// reply is an answer.
type reply struct {
	request *http.Request
	status  int
	header  http.Header
	body    []byte
}

func fetch(t *testing.T, method, target string, header map[string]string) reply {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if method == http.MethodGet && answer.Header.Get("Content-Type") == "text/event-stream" {
		return reply{r, answer.StatusCode, answer.Header, readEvents(t, answer.Body)}
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{r, answer.StatusCode, answer.Header, body}
}

// readEvents reads the beginning of a stream, which has no end: some events, or a sign of life.
func readEvents(t *testing.T, stream io.Reader) []byte {
	t.Helper()
	some := make([]byte, 64<<10)
	n, err := stream.Read(some)
	if err != nil {
		t.Fatal(err)
	}
	return some[:n]
}

// check holds an answer to the operation that the document has for a path.
func (d *described) check(t *testing.T, got reply, path string) reply {
	t.Helper()
	item := d.doc.Paths.Value(path)
	method, operation := operation(item)
	route := &routers.Route{Spec: d.doc, Path: path, PathItem: item, Method: method, Operation: operation}
	if found, _, err := d.router.FindRoute(got.request); err == nil && found.Path != path {
		t.Errorf("%s: the document leads to %s, want %s", got.request.URL, found.Path, path)
	} else if err != nil && got.request.Method == method && !errors.Is(err, routers.ErrPathNotFound) {
		t.Errorf("%s: %v", got.request.URL, err)
	}
	d.fits(t, got, route)
	if got.status == http.StatusOK && got.request.Method == method {
		d.allows(t, got.request, route)
	}
	op := route.Operation.OperationID
	if d.asked[op] == nil {
		d.asked[op] = map[int]bool{}
	}
	d.asked[op][got.status] = true
	if got.status == http.StatusNotModified && (len(got.body) > 0 || got.header.Get("ETag") == "") {
		t.Errorf("%s: 304 with %v %s", got.request.URL, got.header, got.body)
	}
	return got
}

// fits holds an answer to an operation.
func (d *described) fits(t *testing.T, got reply, route *routers.Route) {
	t.Helper()
	err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: got.request, Route: route},
		Status:                 got.status,
		Header:                 got.header,
		Body:                   io.NopCloser(bytes.NewReader(got.body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		t.Errorf("%s %s: %d %v\n%s\n%v", got.request.Method, got.request.URL, got.status, got.header, got.body, err)
	}
	if got.status >= 500 && got.status != http.StatusNotImplemented && got.status != http.StatusServiceUnavailable {
		t.Errorf("%s %s: %d %s", got.request.Method, got.request.URL, got.status, got.body)
	}
}

// allows holds a request that was answered to the parameters of its operation.
func (d *described) allows(t *testing.T, r *http.Request, route *routers.Route) {
	t.Helper()
	_, params, err := d.router.FindRoute(r)
	if err == nil {
		err = openapi3filter.ValidateRequest(t.Context(), &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}})
	}
	if err != nil {
		t.Errorf("%s is answered, and is not what the document allows: %v", r.URL, err)
	}
}

// faultsOf are what each mount says a fault in.
var faultsOf = map[string]string{"compute": "ComputeFault", "volume": "VolumeFault", "cloud-backup": "CloudBackupFault", "backup-management": "ManagementFault"}

// fault holds an answer that is of no operation to the faults of its mount.
func (d *described) fault(t *testing.T, got reply, status int) {
	t.Helper()
	name := faultsOf[strings.Split(got.request.URL.Path, "/")[1]]
	if name == "" {
		name = "Problem"
	}
	r := &openapi3.ResponseRef{Value: d.doc.Components.Responses[name].Value}
	op := &openapi3.Operation{Responses: openapi3.NewResponses(openapi3.WithName("4XX", r.Value), openapi3.WithName("5XX", r.Value))}
	d.fits(t, got, &routers.Route{Spec: d.doc, Method: http.MethodGet, Operation: op})
	if got.status != status {
		t.Errorf("%s: %d %s, want %d", got.request.URL, got.status, got.body, status)
	}
}

func init() {
	for _, contentType := range []string{"application/xml", "application/vnd.openstack.compute+xml", "application/vnd.openstack.volume+xml"} {
		openapi3filter.RegisterBodyDecoder(contentType, decodeXML)
	}
	for _, contentType := range []string{"application/vnd.openstack.compute+json", "application/vnd.openstack.volume+json"} {
		openapi3filter.RegisterBodyDecoder(contentType, openapi3filter.JSONBodyDecoder)
	}
	for _, contentType := range []string{"text/html", "text/event-stream", "application/openmetrics-text"} {
		openapi3filter.RegisterBodyDecoder(contentType, openapi3filter.PlainBodyDecoder)
	}
}

// decodeXML takes a document that is well formed for a text: what is in it, schemas in XML say.
func decodeXML(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	for tokens := xml.NewDecoder(bytes.NewReader(text)); ; {
		if _, err := tokens.Token(); err == io.EOF {
			return string(text), nil
		} else if err != nil {
			return nil, err
		}
	}
}
