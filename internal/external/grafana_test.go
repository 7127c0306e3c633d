package external_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/scalar"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// dataSource makes the calls of the backend of Grafana's data source "Flight SQL" (influxdata-flightsql-datasource), in its order and with its
// options, over the module of Flight SQL that it uses, and makes frames of the rows as it does. Series are made of frames by Grafana's own SDK.
// The plugin's module can't be had through the module proxy.
type dataSource struct {
	sql *flightsql.Client
	md  metadata.MD
}

// openDataSource is what the plugin does when its settings are saved: with a user it shakes hands, and keeps the token that it gets.
func openDataSource(t *testing.T, address, user, password, token string) (*dataSource, error) {
	t.Helper()
	client, err := flightsql.NewClient(address, nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	d := &dataSource{sql: client, md: metadata.Pairs("Authorization", "Bearer "+token)}
	if user != "" {
		ctx, err := client.Client.AuthenticateBasicToken(context.Background(), user, password)
		if err != nil {
			return nil, err
		}
		d.md, _ = metadata.FromOutgoingContext(ctx)
	}
	return d, nil
}

// frame reads what stands behind the one ticket of an answer.
func (d *dataSource) frame(ctx context.Context, info *flight.FlightInfo, err error) (*data.Frame, error) {
	if err != nil {
		return nil, err
	}
	if len(info.GetEndpoint()) != 1 {
		return nil, fmt.Errorf("%d endpoints", len(info.GetEndpoint()))
	}
	in, err := d.sql.DoGet(ctx, info.GetEndpoint()[0].GetTicket())
	if err != nil {
		return nil, err
	}
	defer in.Release()
	frame, err := frameOf(in.Schema())
	if err != nil {
		return nil, err
	}
	for in.Next() {
		for i, column := range in.RecordBatch().Columns() {
			if err := appendColumn(frame.Fields[i], column); err != nil {
				return nil, err
			}
		}
	}
	if err := in.Err(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return frame, nil
}

// frameOf makes an empty frame. The plugin knows these types alone, and breaks at others.
func frameOf(schema *arrow.Schema) (*data.Frame, error) {
	frame := &data.Frame{Meta: &data.FrameMeta{}}
	for _, column := range schema.Fields() {
		kind := map[arrow.Type]data.FieldType{
			arrow.STRING: data.FieldTypeString, arrow.FLOAT64: data.FieldTypeFloat64, arrow.UINT32: data.FieldTypeUint32,
			arrow.INT64: data.FieldTypeInt64, arrow.BOOL: data.FieldTypeBool, arrow.TIMESTAMP: data.FieldTypeTime,
			arrow.DENSE_UNION: data.FieldTypeJSON,
		}[column.Type.ID()]
		if kind == data.FieldTypeUnknown {
			return nil, fmt.Errorf("column %s: the plugin knows no %s", column.Name, column.Type)
		}
		if column.Nullable {
			kind = kind.NullableType()
		}
		field := data.NewFieldFromFieldType(kind, 0)
		field.Name = column.Name
		frame.Fields = append(frame.Fields, field)
	}
	return frame, nil
}

// appendColumn takes a timestamp for nanoseconds whatever its type says, as the plugin does.
func appendColumn(field *data.Field, column arrow.Array) error {
	for row := range column.Len() {
		field.Extend(1)
		at := field.Len() - 1
		if column.IsNull(row) {
			continue
		}
		switch c := column.(type) {
		case *array.String:
			field.SetConcrete(at, c.Value(row))
		case *array.Float64:
			field.SetConcrete(at, c.Value(row))
		case *array.Uint32:
			field.SetConcrete(at, c.Value(row))
		case *array.Int64:
			field.SetConcrete(at, c.Value(row))
		case *array.Boolean:
			field.SetConcrete(at, c.Value(row))
		case *array.Timestamp:
			field.SetConcrete(at, c.Value(row).ToTime(arrow.Nanosecond))
		case *array.DenseUnion:
			value, err := scalar.GetScalar(c, row)
			if err != nil {
				return err
			}
			text, err := json.Marshal(value.(*scalar.DenseUnion).ChildValue().String())
			if err != nil {
				return err
			}
			field.SetConcrete(at, json.RawMessage(text))
		}
	}
	return nil
}

// query runs a panel's statement; the macro of the dashboard's time range is replaced as Grafana's SDK does.
func (d *dataSource) query(ctx context.Context, text string, from, to time.Time) (*data.Frame, error) {
	for _, column := range []string{"time", "window_start"} {
		text = strings.ReplaceAll(text, "$__timeFilter("+column+")", fmt.Sprintf("%s >= '%s' AND %s <= '%s'",
			column, from.UTC().Format(time.RFC3339), column, to.UTC().Format(time.RFC3339)))
	}
	ctx = metadata.NewOutgoingContext(ctx, d.md)
	info, err := d.sql.Execute(ctx, text)
	return d.frame(ctx, info, err)
}

// series is query with the format "time series".
func (d *dataSource) series(ctx context.Context, text string, from, to time.Time) (*data.Frame, error) {
	frame, err := d.query(ctx, text, from, to)
	if err != nil {
		return nil, err
	}
	if _, at := frame.FieldByName("time"); at < 0 {
		return nil, errors.New("no time column found")
	}
	if frame.TimeSeriesSchema().Type == data.TimeSeriesTypeLong {
		return data.LongToWide(frame, nil)
	}
	return frame, nil
}

// tables lists what the query builder offers to pick from: schema and name.
func (d *dataSource) tables(ctx context.Context) ([][2]string, error) {
	ctx = metadata.NewOutgoingContext(ctx, d.md)
	info, err := d.sql.GetTables(ctx, &flightsql.GetTablesOpts{TableTypes: []string{"BASE TABLE"}})
	frame, err := d.frame(ctx, info, err)
	if err != nil {
		return nil, err
	}
	var out [][2]string
	for row := range frame.Rows() {
		schema, _ := frame.Fields[1].ConcreteAt(row)
		name, _ := frame.Fields[2].ConcreteAt(row)
		out = append(out, [2]string{schema.(string), name.(string)})
	}
	return out, nil
}

// columns lists the columns that the query builder offers once a table was picked, of which it tells its name alone.
func (d *dataSource) columns(ctx context.Context, table string) (names []string, err error) {
	ctx = metadata.NewOutgoingContext(ctx, d.md)
	info, err := d.sql.GetTables(ctx, &flightsql.GetTablesOpts{TableNameFilterPattern: &table, IncludeSchema: true})
	if err != nil {
		return nil, err
	}
	in, err := d.sql.DoGet(ctx, info.GetEndpoint()[0].GetTicket())
	if err != nil {
		return nil, err
	}
	defer in.Release()
	if !in.Next() {
		return nil, errors.New("table not found")
	}
	column := in.RecordBatch().Column(in.Schema().FieldIndices("table_schema")[0]).(*array.Binary)
	schema, err := flight.DeserializeSchema(column.Value(0), memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	for _, field := range schema.Fields() {
		names = append(names, field.Name)
	}
	return names, nil
}

// Clients of tables that others wrote read what the server serves otherwise.
func TestOthersReadTables(t *testing.T) {
	t.Parallel()
	server := serve(t)
	_, served := ask(t, server, script, "--windows", "3")
	t.Run("Grafana", func(t *testing.T) { grafanaDraws(t, server, served) })
	t.Run("ADBC", func(t *testing.T) { driverReads(t, server, served) })
}

// grafanaDraws does what an analyst does in Grafana, who picks a table and its columns and draws a time series of a result with its interval:
// the numbers are those that are served, at their times.
func grafanaDraws(t *testing.T, server *program, served []result) {
	t.Helper()
	source, err := openDataSource(t, server.grpcAddress, "", "", "any")
	if err != nil {
		t.Fatal(err)
	}
	from, to := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	tables, err := source.tables(t.Context())
	if err != nil || !slices.Equal(tables, [][2]string{{"results", "indoor"}, {"reports", "indoor"}, {"strata", "indoor"}}) {
		t.Fatalf("tables %v, %v", tables, err)
	}
	columns, err := source.columns(t.Context(), tables[0][1])
	if err != nil {
		t.Fatal(err)
	}
	picked := []string{"time", "value", "ci_low", "ci_high", "cell"}
	for _, name := range append(picked, "window_start", "warnings") {
		if !slices.Contains(columns, name) {
			t.Errorf("no column %s among %v", name, columns)
		}
	}
	for _, table := range []string{"results.indoor", "indoor"} { // a saved panel has lost the schema
		text := fmt.Sprintf("SELECT %s FROM %s WHERE $__timeFilter(time) and statistic = 'mean(temperature)' ORDER BY time",
			strings.Join(picked, ","), table)
		wide, err := source.series(t.Context(), text, from, to)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if n := compareSeries(t, wide, served); n < 6 {
			t.Errorf("%s: only %d numbers were compared", text, n)
		}
	}
	// Every table can be shown as it is.
	for _, table := range tables {
		frame, err := source.query(t.Context(), "SELECT * FROM "+table[0]+"."+table[1]+" WHERE $__timeFilter(window_start) LIMIT 100", from, to)
		if err != nil || frame.Rows() == 0 {
			t.Errorf("%v: %v", table, err)
			continue
		}
		if first, _ := frame.Fields[0].ConcreteAt(0); first.(time.Time).Before(from) || first.(time.Time).After(to) {
			t.Errorf("%v: the first row is of %v", table, first)
		}
		if _, err := data.FrameToJSON(frame, data.IncludeAll); err != nil {
			t.Errorf("%v: %v", table, err)
		}
	}
	// So is a question about stored reports.
	answer, err := source.query(t.Context(), fmt.Sprintf("SELECT mean(temperature) FROM kappa.indoor WINDOW 6s SINCE '%s' UNTIL '%s'",
		from.UTC().Format("2006-01-02T15:04:05.000Z"), to.UTC().Format("2006-01-02T15:04:05.000Z")), from, to)
	if err != nil || answer.Rows() == 0 || answer.Fields[0].Name != "time" {
		t.Errorf("an answer: %v, %v", answer, err)
	}
	_, err = source.query(t.Context(), "SELECT date_bin(interval '60 second', time, timestamp '1970-01-01T00:00:00Z') FROM indoor", from, to)
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "functions are for stored reports") {
		t.Errorf("$__dateBin: %v", err)
	}
}

// compareSeries holds a frame with a column for each of value, ci_low and ci_high of each cell against what is served, and tells how many
// values were compared.
func compareSeries(t *testing.T, wide *data.Frame, served []result) (compared int) {
	t.Helper()
	drawn := map[string]float64{}
	for _, field := range wide.Fields[1:] {
		for row := range field.Len() {
			if x, ok := field.ConcreteAt(row); ok {
				moment, _ := wide.Fields[0].ConcreteAt(row)
				drawn[fmt.Sprint(moment.(time.Time).UTC().Format(time.RFC3339), field.Name, field.Labels["cell"])] = x.(float64)
			}
		}
	}
	for _, r := range served {
		if r.Statistic != "mean(temperature)" || r.Value == nil {
			continue
		}
		cell, err := json.Marshal(r.Cell)
		if err != nil {
			t.Fatal(err)
		}
		at := func(name string) float64 {
			x, ok := drawn[fmt.Sprint(r.WindowStart, name, string(cell))]
			if !ok {
				return math.NaN()
			}
			return x
		}
		if at("value") != *r.Value || !(at("ci_low") < *r.Value && *r.Value < at("ci_high")) {
			t.Errorf("%s: drawn %g in [%g, %g], served %g", r.name(), at("value"), at("ci_low"), at("ci_high"), *r.Value)
		}
		compared++
	}
	return compared
}

// "Save & test" of the data source, with the token as token and as password, and with a wrong one; then what the editor asks for its hints.
func TestGrafanaIsLetInByTheToken(t *testing.T) {
	t.Parallel()
	const token = "a-token-of-the-test"
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := serve(t, "--token-file", file)
	for _, c := range []struct {
		user, password, token string
		want                  codes.Code
	}{{"", "", token, codes.OK}, {"grafana", token, "", codes.OK}, {"", "", "wrong", codes.Unauthenticated}, {"grafana", "wrong", "", codes.Unauthenticated}} {
		source, err := openDataSource(t, server.grpcAddress, c.user, c.password, c.token)
		if err == nil {
			_, err = source.query(t.Context(), "select 1", time.Time{}, time.Time{})
		}
		if status.Code(err) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
		if c.want != codes.OK {
			continue
		}
		ctx := metadata.NewOutgoingContext(t.Context(), source.md)
		info, err := source.sql.GetSqlInfo(ctx, []flightsql.SqlInfo{})
		if frame, err := source.frame(ctx, info, err); err != nil || frame.Rows() < 50 {
			t.Errorf("information: %v", err)
		}
	}
}
