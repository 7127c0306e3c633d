package external_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/apache/arrow-adbc/go/adbc"
	adbcflight "github.com/apache/arrow-adbc/go/adbc/driver/flightsql"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// driverReads makes the calls of ADBC: what there is, which columns it has, and rows by statements that are prepared and that are not.
func driverReads(t *testing.T, server *program, served []result) {
	t.Helper()
	database, err := adbcflight.NewDriver(memory.DefaultAllocator).NewDatabase(map[string]string{adbc.OptionKeyURI: "grpc://" + server.grpcAddress})
	if err != nil {
		t.Fatal(err)
	}
	connection, err := database.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
	}()
	all := func(in array.RecordReader, err error) (records []arrow.Record) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for in.Next() {
			in.Record().Retain()
			records = append(records, in.Record())
		}
		if err := in.Err(); err != nil {
			t.Fatal(err)
		}
		return records
	}
	all(connection.GetInfo(t.Context(), nil))
	all(connection.GetTableTypes(t.Context()))
	objects := all(connection.GetObjects(t.Context(), adbc.ObjectDepthColumns, nil, nil, nil, nil, nil))
	text, err := json.Marshal(objects[0])
	if err != nil {
		t.Fatal(err)
	}
	for what, n := range map[string]int{`"table_name":"indoor"`: 3, `"column_name":"time"`: 3, `"column_name":"ci_low"`: 1, `"column_name":"device"`: 1} {
		if got := strings.Count(string(text), what); got != n {
			t.Errorf("among the objects %s stands %d times, not %d", what, got, n)
		}
	}
	schema := "reports"
	columns, err := connection.GetTableSchema(t.Context(), nil, &schema, "indoor")
	if err != nil || !columns.HasField("score") {
		t.Errorf("columns of reports: %v, %v", columns, err)
	}
	statement, err := connection.NewStatement()
	if err != nil {
		t.Fatal(err)
	}
	rows := func(query string, prepared bool) (records []arrow.Record) {
		t.Helper()
		if err := statement.SetSqlQuery(query); err != nil {
			t.Fatal(err)
		}
		if prepared {
			if err := statement.Prepare(t.Context()); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
		}
		in, _, err := statement.ExecuteQuery(t.Context())
		return all(in, err)
	}
	reports := 0
	for _, r := range served {
		if len(r.Cell) == 0 {
			reports += r.Reports
		}
	}
	for _, prepared := range []bool{false, true} {
		n := 0
		for _, record := range rows("SELECT * FROM reports.indoor", prepared) {
			n += int(record.NumRows())
		}
		if n != reports {
			t.Errorf("%d reports of %d", n, reports)
		}
		values := map[float64]bool{}
		for _, record := range rows("SELECT value FROM indoor ORDER BY time DESC", prepared) {
			for i := range int(record.NumRows()) {
				values[record.Column(0).(*array.Float64).Value(i)] = true
			}
		}
		for _, r := range served {
			if r.Value != nil && !values[*r.Value] {
				t.Errorf("%s: the value %g is not among the rows", r.name(), *r.Value)
			}
		}
		if answer := rows("SELECT mean(temperature) FROM kappa.indoor WINDOW 6s", prepared); len(answer) == 0 {
			t.Error("a question has no answer")
		}
	}
}
