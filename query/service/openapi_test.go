package service_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestOpenAPI holds the description against the routes: every reference resolves, every path answers.
func TestOpenAPI(t *testing.T) {
	s := newStack(t, nil)
	doc := s.object(http.StatusOK, http.MethodGet, "/openapi.json", "")
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				if name, ok := strings.CutPrefix(ref, "#/components/schemas/"); !ok || schemas[name] == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(doc)
	paths := doc["paths"].(map[string]any)
	for path, want := range map[string][]string{
		"/kappa": {"get", "put"}, "/kappa/{ref}": {"delete", "get", "post"}, "/kappa/{ref}/plan": {"get"}, "/explain": {"post"},
		"/devices": {"get"}, "/devices/{id}": {"get"}, "/dead": {"delete", "get"}, "/dead/{sequence}": {"get"}, "/dead/replay": {"post"}, "/kappa/{ref}/export": {"get"}, "/healthz": {"get"}, "/readyz": {"get"},
		"/metrics": {"get"}, "/openapi.json": {"get"}, "/": {"get"},
	} {
		item, ok := paths[path].(map[string]any)
		for _, method := range want {
			if !ok || item[method] == nil {
				t.Errorf("%s %s is not described", method, path)
			}
		}
	}
	for path, item := range paths {
		if item.(map[string]any)["get"] == nil || strings.Contains(path, "{") {
			continue
		}
		if status, _, body := s.call(http.MethodGet, path, ""); status != http.StatusOK {
			t.Errorf("%s is described, and answers %d %s", path, status, body)
		}
	}
	put := paths["/kappa"].(map[string]any)["put"].(map[string]any)
	codes := []string{}
	for code := range put["responses"].(map[string]any) {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	if fmt.Sprint(codes) != "[200 201 400 401 409 413 422 429 default]" {
		t.Errorf("PUT /kappa answers %v", codes)
	}
	body := put["requestBody"].(map[string]any)["content"].(map[string]any)
	if body["text/plain"] == nil || body["application/json"] == nil {
		t.Errorf("PUT /kappa takes %v", body)
	}
}

func TestPage(t *testing.T) {
	s := newStack(t, nil)
	ref := s.put(indoor)
	status, header, body := s.call(http.MethodGet, "/", "")
	if status != http.StatusOK || !strings.Contains(body, `<a href="/kappa/`+ref+`">`) || header.Get("Content-Security-Policy") == "" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := s.call(http.MethodGet, "/readyz", ""); status != http.StatusOK {
		t.Errorf("not ready: %d", status)
	}
}
