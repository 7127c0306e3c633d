// Package external tests Quadrat from outside, as its users meet it: the built program, its wire and its files, with
// DuckDB as an independent reader. It is a module of its own, so that nobody who runs `go test ./...` in the main one
// has to fetch DuckDB.
package external
