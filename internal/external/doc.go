// Package external tests Quadrat from outside, as its users meet it: the built program, its wire and its files, with
// DuckDB and R as independent readers, ADBC and Grafana's SDK as clients of its tables, and object stores that others wrote. It is a
// module of its own, so that nobody who runs `go test ./...` in the main one has to fetch DuckDB.
package external
