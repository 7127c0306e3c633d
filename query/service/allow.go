package service

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// methodsOf tells the methods of each path of an API description, sorted, in capitals.
func methodsOf(document []byte) (map[string][]string, error) {
	var described struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(document, &described); err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	out := map[string][]string{}
	for path, operations := range described.Paths {
		for method := range operations {
			out[path] = append(out[path], strings.ToUpper(method))
		}
		slices.Sort(out[path])
	}
	return out, nil
}

// allowed is the methods that a path takes; none when there is no such path.
func (s *Service) allowed(path string) []string {
	parts := strings.Split(path, "/")
	for pattern, methods := range s.methods {
		named := strings.Split(pattern, "/")
		if slices.EqualFunc(named, parts, func(name, part string) bool {
			return name == part || strings.HasPrefix(name, "{") && part != ""
		}) {
			return methods
		}
	}
	return nil
}
