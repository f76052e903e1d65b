package api

import (
	"slices"
	"testing"
)

func TestBestType(t *testing.T) {
	const (
		json       = "application/json"
		vendorJSON = "application/vnd.openstack.compute+json"
		xml        = "application/xml"
		vendorXML  = "application/vnd.openstack.compute+xml"
	)
	for accept, want := range map[string]string{
		"":                              json,
		",":                             json,
		"*/*":                           json,
		"application/json":              json,
		"Application/JSON; charset=x":   json,
		"application/*;q=0.5":           json,
		"application/xml":               xml,
		" APPLICATION/XML ":             xml,
		vendorJSON:                      vendorJSON,
		vendorXML + ";version=2":        vendorXML,
		"application/xml,*/*;q=0.8":     xml,
		"application/xml,*/*":           json,
		"*/*, application/json;q=0":     vendorJSON,
		"application/*, */*;q=0.1":      json,
		"application/json;q=0, */*;q=0": "",
		"application/json;q=0.3, application/xml;q=0.4":                   xml,
		"application/json;q=0.3, application/xml;q=0.25":                  json,
		"application/xml;q=.2, application/*;q=.1":                        xml,
		"application/xml; Q = 0.2 ; x=y, application/json;q=0.1":          xml,
		"application/json;q=0.5, application/xml;q=nonsense":              xml,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": xml,
		"text/html,application/xhtml+xml,*/*;q=0.8":                       json,
		"application/json;q=NaN":                                          "",
		"application/json;q=-1":                                           "",
		"application/json;q=0":                                            "",
		"application/json; q=0.000":                                       "",
		"text/html":                                                       "",
		"image/png, text/*":                                               "",
		"nonsense":                                                        "",
		"appl*":                                                           "",
		"*":                                                               "",
		"application":                                                     "",
		"application/vnd.openstack.compute+yaml, application/json;q=0.00001": json,
	} {
		if got := bestType([]string{accept}, computeTypes); got != want {
			t.Errorf("%q: %q, want %q", accept, got, want)
		}
	}
	if got := bestType([]string{"application/json;q=0.1", "application/xml"}, computeTypes); got != xml {
		t.Errorf("two headers: %q", got)
	}
	if got := bestType(nil, computeTypes); got != json {
		t.Errorf("no header: %q", got)
	}
}

func TestAccepts(t *testing.T) {
	for accept, want := range map[string]bool{"": true, "application/*": true, "application/xml": false, "nonsense": false} {
		if got := accepts([]string{accept}, jsonTypes); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
	if !accepts([]string{"nonsense"}, []string{"*/*"}) {
		t.Error("what is served whatever is asked for is refused")
	}
}

func TestBySuffix_TakesItOff(t *testing.T) {
	for _, c := range []struct {
		path, left []string
		want       string
	}{
		{[]string{"servers.xml"}, []string{"servers"}, "application/xml"},
		{[]string{"servers", "a.json"}, []string{"servers", "a"}, "application/json"},
		{[]string{"servers", "a.json.xml"}, []string{"servers", "a.json"}, "application/xml"},
		{[]string{"servers.xml", "a"}, []string{"servers.xml", "a"}, ""},
		{[]string{"servers", ".xml"}, []string{"servers", ".xml"}, ""},
		{[]string{"servers", "a.XML"}, []string{"servers", "a.XML"}, ""},
		{[]string{"servers", "axml"}, []string{"servers", "axml"}, ""},
		{[]string{""}, []string{""}, ""},
		{nil, nil, ""},
	} {
		path := slices.Clone(c.path)
		if got := bySuffix(path); got != c.want || !slices.Equal(path, c.left) {
			t.Errorf("%q: %q and %q left, want %q and %q", c.path, got, path, c.want, c.left)
		}
	}
}
