// Package rules holds the rules of the house as tests: which room may import which, what no file may contain, and that
// every suite that should run is there to run. It has no code of its own; a rule that is broken fails `go test`.
package rules
