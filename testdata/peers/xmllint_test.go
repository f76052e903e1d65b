//go:build packages

package peers

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const computeSamples = "../samples-compute/"

// The schema of faults of the Compute API, and the one beside it for what that leaves to others: see its comment.
const (
	faultSchema    = computeSamples + "faults.xsd"
	documentSchema = computeSamples + "documents.xsd"
)

// xmllint tells whether a document is valid, by the command of the Debian package libxml2-utils.
func xmllint(t *testing.T, schema string, document []byte) (valid bool, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "xmllint", "--nonet", "--noout", "--schema", schema, "-")
	cmd.Stdin = bytes.NewReader(document)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("xmllint does not run: %v (it is in the Debian package libxml2-utils)", err)
	}
	return err == nil, string(out)
}

// Every fault that the Compute API can say here, as the tests of package api keep them.
func TestXMLLint_EveryFaultIsValid(t *testing.T) {
	kept, err := filepath.Glob(computeSamples + "faultd/*.xml")
	if err != nil || len(kept) < 20 {
		t.Fatalf("%d documents are kept: %v", len(kept), err)
	}
	notThere := []string{"resizeNotAllowed.xml", "server.xml", "image.xml"} // in the schema of faults
	for _, path := range kept {
		schema := faultSchema
		if slices.Contains(notThere, filepath.Base(path)) {
			schema = documentSchema
		}
		document, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if valid, said := xmllint(t, schema, document); !valid {
			t.Errorf("%s: %s", path, said)
		}
	}
}

// What is not valid must not pass, or the test above would say nothing. The sample of a limit exceeded is among it: its
// attribute has another name than in the schema.
func TestXMLLint_RefusesWhatIsNotValid(t *testing.T) {
	sample, err := os.ReadFile(computeSamples + "overlimit.xml")
	if err != nil {
		t.Fatal(err)
	}
	const in = ` xmlns="http://docs.openstack.org/compute/api/v1.1"`
	for schema, documents := range map[string][]string{
		faultSchema: {string(sample), `<itemNotFound` + in + ` code="404"/>`, `<itemNotFound` + in + `><message>m</message></itemNotFound>`,
			`<itemNotFound code="404"><message>m</message></itemNotFound>`},
		documentSchema: {`<server` + in + `><fault code="404" created="yesterday"><message>m</message></fault></server>`,
			`<resizeNotAllowed` + in + ` code="no"><message>m</message></resizeNotAllowed>`},
	} {
		for _, document := range documents {
			if valid, _ := xmllint(t, schema, []byte(document)); valid {
				t.Errorf("%s accepts %s", schema, document)
			}
		}
	}
}

// What a daemon answers: faults of requests by the schema of faults, and those inside of resources.
func TestXMLLint_AnswersAreValid(t *testing.T) {
	url := start(t) + "/compute/v2.1/" + tenant
	for _, c := range []struct {
		path, header, value string
		status              int
	}{
		{path: "/servers?limit=-1", status: http.StatusBadRequest},
		{path: "/servers/nothing", status: http.StatusNotFound},
		{path: "/servers", header: "OpenStack-API-Version", value: "compute 2.999", status: http.StatusNotAcceptable},
		{path: "/flavors", status: http.StatusNotImplemented},
		{path: "/" + strings.Repeat("x", 200), status: http.StatusNotFound},
		{path: "/servers/" + faultyServer, status: http.StatusOK},
		{path: "/servers", status: http.StatusOK},
		{path: "/servers/detail", status: http.StatusOK},
		{path: "/images/" + faultyImage, status: http.StatusOK},
		{path: "/images/detail", status: http.StatusOK},
	} {
		schema := faultSchema
		if c.status == http.StatusOK {
			schema = documentSchema
		}
		body := answer(t, http.MethodGet, url+c.path, c.status, c.header, c.value)
		if valid, said := xmllint(t, schema, body); !valid {
			t.Errorf("%s: %s\n%s", c.path, said, body)
		}
	}
	if valid, said := xmllint(t, faultSchema, answer(t, http.MethodPost, url+"/servers", http.StatusMethodNotAllowed, "", "")); !valid {
		t.Errorf("POST: %s", said)
	}
}

// answer asks for XML and returns the body.
func answer(t *testing.T, method, url string, status int, header, value string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/xml")
	if header != "" {
		r.Header.Set(header, value)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode != status || !strings.HasPrefix(got.Header.Get("Content-Type"), "application/xml") {
		t.Errorf("%s %s: %s %v %s, want %d in XML", method, url, got.Status, err, body, status)
	}
	return body
}
