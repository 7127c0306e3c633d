package server_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	arrowflight "github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/server"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
)

// reader reads tables over Flight SQL.
type reader struct {
	t   *testing.T
	sql *flightsql.Client
}

func readerOf(t *testing.T, address string) *reader {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return &reader{t, &flightsql.Client{Client: arrowflight.NewClientFromConn(conn, nil), Alloc: memory.DefaultAllocator}}
}

// lines are the rows of records as texts, a NULL as such.
func lines(record arrow.Record) (out []string) {
	for row := range int(record.NumRows()) {
		var cells []string
		for i, column := range record.Columns() {
			cells = append(cells, record.ColumnName(i)+"="+column.ValueStr(row))
		}
		out = append(out, strings.Join(cells, "\t"))
	}
	return out
}

// fetch gives the columns that were announced and the rows that came.
func (r *reader) fetch(info *arrowflight.FlightInfo, err error) (*arrow.Schema, []string) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	announced, err := arrowflight.DeserializeSchema(info.GetSchema(), memory.DefaultAllocator)
	if err != nil {
		r.t.Fatal(err)
	}
	in, err := r.sql.DoGet(r.t.Context(), info.GetEndpoint()[0].GetTicket())
	if err != nil {
		r.t.Fatal(err)
	}
	defer in.Release()
	if !in.Schema().Equal(announced) {
		r.t.Errorf("announced were the columns %s, there came %s", announced, in.Schema())
	}
	var out []string
	for in.Next() {
		out = append(out, lines(in.Record())...)
	}
	if err := in.Err(); err != nil {
		r.t.Fatal(err)
	}
	return announced, out
}

func (r *reader) ask(text string) []string {
	r.t.Helper()
	_, rows := r.fetch(r.sql.Execute(r.t.Context(), text))
	return rows
}

// sameRows compares rows without regard to their order.
func sameRows(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("%s: %d rows that differ from the %d expected", what, len(got), len(want))
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("%s: got  %s\nwant %s", what, got[i], want[i])
			}
		}
	}
}

// linesOf are the lines of results as a table has them.
func linesOf(results []*quadratv1.Result) []string {
	record := column.NewResults(memory.DefaultAllocator, results)
	defer record.Release()
	return tableLines(record)
}

// tableLines are the lines of stored rows as a table has them: time stands before them.
func tableLines(record arrow.Record) []string {
	out := lines(record)
	starts := record.Column(record.Schema().FieldIndices("window_start")[0])
	for row := range out {
		out[row] = "time=" + starts.ValueStr(row) + "\t" + out[row]
	}
	return out
}

// TestTablesHoldWhatTheAPITells reads results, reports and an answer as tables and otherwise.
func TestTablesHoldWhatTheAPITells(t *testing.T) {
	const windows = 4
	w := asked(t, windows)
	w.told(windows)
	r := readerOf(t, w.server.Addresses().GRPC)
	results := r.ask("SELECT * FROM results.indoor")
	live, err := w.api.Results(t.Context(), "indoor", client.Span{Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	sameRows(t, "results", results, linesOf(live))

	ref := live[0].GetRef()
	body, err := w.api.Export(t.Context(), ref, "reports", client.Span{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	in, err := ipc.NewReader(body)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Release()
	var exported []string
	for in.Next() {
		exported = append(exported, tableLines(in.Record())...)
	}
	if err := in.Err(); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	sameRows(t, "reports by reference", r.ask("SELECT * FROM reports."+ref), exported)

	const question = "SELECT mean(temperature) FROM kappa.indoor GROUP BY cooling_type WINDOW 2m"
	answer, err := w.api.Query(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	sameRows(t, "an answer", r.ask(question), linesOf(answer.GetResults()))

	population := map[string]int{}
	for _, row := range r.ask("SELECT window_start, statistic, stratum_population AS n FROM strata.indoor") {
		var n int
		cells := strings.Split(row, "\t")
		if _, err := fmt.Sscanf(cells[2], "n=%d", &n); err != nil {
			t.Fatal(err)
		}
		population[cells[0]+cells[1]] += n
	}
	for of, n := range population {
		if n != 4000 {
			t.Errorf("the strata of %s have %d devices of 4000", of, n)
		}
	}
	if len(population) != windows*2 {
		t.Errorf("strata of %d windows and statistics", len(population))
	}
	w.pages(r, results)
}

// pages reads parts of the results.
func (w *world) pages(r *reader, all []string) {
	w.t.Helper()
	var paged []string
	for len(paged) < len(all) {
		page := r.ask(fmt.Sprintf("SELECT * FROM results.indoor LIMIT 7 OFFSET %d", len(paged)))
		if len(page) == 0 || len(page) > 7 {
			w.t.Fatalf("a page of %d rows behind %d of %d", len(page), len(paged), len(all))
		}
		paged = append(paged, page...)
	}
	if !slices.Equal(paged, all) {
		w.t.Error("the pages together differ from the whole")
	}
	if rest := r.ask(fmt.Sprintf("SELECT * FROM results.indoor OFFSET %d", len(all))); len(rest) != 0 {
		w.t.Errorf("%d rows behind the last", len(rest))
	}
	from, to := time.Date(2026, 11, 20, 10, 1, 0, 0, time.UTC), time.Date(2026, 11, 20, 10, 3, 0, 0, time.UTC)
	var want []string
	live, err := w.api.Results(w.t.Context(), "indoor", client.Span{Since: from, Until: to, Limit: 10_000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, result := range live {
		if result.GetStatistic() == "mean(temperature)" {
			want = append(want, fmt.Sprintf("at=%s\tcell=%s", result.GetWindowStart().AsTime().Format("2006-01-02 15:04:05Z"), column.Cell(result.GetCell())))
		}
	}
	sameRows(w.t, "a part", r.ask(`SELECT x.window_start AS at, cell FROM "results".indoor x
WHERE window_start >= TIMESTAMP '2026-11-20 10:01:00' AND x.window_start < '2026-11-20T10:03:00Z' AND statistic = 'mean(temperature)'`), want)
	if none := r.ask("SELECT * FROM results.indoor WHERE window_start < '1960-01-01'"); len(none) != 0 {
		w.t.Errorf("%d rows from before there were any", len(none))
	}
}

// TestTablesSpeakToDrivers does what drivers do before they ask.
func TestTablesSpeakToDrivers(t *testing.T) {
	w := asked(t, 1)
	w.told(1)
	r := readerOf(t, w.server.Addresses().GRPC)
	if rows := r.ask("SELECT 1"); !slices.Equal(rows, []string{"1=1"}) {
		t.Errorf("SELECT 1 gives %q", rows)
	}
	if _, rows := r.fetch(r.sql.GetCatalogs(t.Context())); !slices.Equal(rows, []string{"catalog_name=quadrat"}) {
		t.Errorf("catalogs %q", rows)
	}
	pattern := "re%s"
	if _, rows := r.fetch(r.sql.GetDBSchemas(t.Context(), &flightsql.GetDBSchemasOpts{DbSchemaFilterPattern: &pattern})); len(rows) != 2 {
		t.Errorf("schemas %q", rows)
	}
	schema := "results"
	info, err := r.sql.GetTables(t.Context(), &flightsql.GetTablesOpts{DbSchemaFilterPattern: &schema, IncludeSchema: true, TableTypes: []string{"TABLE"}})
	if err != nil {
		t.Fatal(err)
	}
	in, err := r.sql.DoGet(t.Context(), info.GetEndpoint()[0].GetTicket())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Release()
	if !in.Next() || in.Record().NumRows() != 1 || in.Record().Column(2).ValueStr(0) != "indoor" {
		t.Fatalf("tables %v", in.Record())
	}
	columns, err := arrowflight.DeserializeSchema(in.Record().Column(4).(*array.Binary).Value(0), memory.DefaultAllocator)
	if err != nil || columns.NumFields() != 1+len(column.ResultFields()) || columns.Field(0).Name != "time" {
		t.Errorf("columns of the table: %v, %v", columns, err)
	}
	for what, asked := range map[string]func() (*arrowflight.FlightInfo, error){
		"types of tables": func() (*arrowflight.FlightInfo, error) { return r.sql.GetTableTypes(t.Context()) },
		"types":           func() (*arrowflight.FlightInfo, error) { return r.sql.GetXdbcTypeInfo(t.Context(), nil) },
		"information": func() (*arrowflight.FlightInfo, error) {
			return r.sql.GetSqlInfo(t.Context(), []flightsql.SqlInfo{flightsql.SqlInfoFlightSqlServerReadOnly, 99_999})
		},
		"all information": func() (*arrowflight.FlightInfo, error) { return r.sql.GetSqlInfo(t.Context(), nil) },
	} {
		if _, rows := r.fetch(asked()); len(rows) == 0 {
			t.Errorf("no %s", what)
		}
	}
	indoor := flightsql.TableRef{Table: "indoor"}
	for what, asked := range map[string]func() (*arrowflight.FlightInfo, error){
		"primary":  func() (*arrowflight.FlightInfo, error) { return r.sql.GetPrimaryKeys(t.Context(), indoor) },
		"exported": func() (*arrowflight.FlightInfo, error) { return r.sql.GetExportedKeys(t.Context(), indoor) },
		"imported": func() (*arrowflight.FlightInfo, error) { return r.sql.GetImportedKeys(t.Context(), indoor) },
		"crossing": func() (*arrowflight.FlightInfo, error) { return r.sql.GetCrossReference(t.Context(), indoor, indoor) },
	} {
		if _, keys := r.fetch(asked()); len(keys) != 0 {
			t.Errorf("%s keys %q", what, keys)
		}
	}
	if _, err := r.sql.BeginTransaction(t.Context()); status.Code(err) != codes.Unimplemented {
		t.Errorf("a transaction: %v", err)
	}
	prepared, err := r.sql.Prepare(t.Context(), "SELECT statistic, value FROM quadrat.results.indoor")
	if err != nil {
		t.Fatal(err)
	}
	if got := prepared.DatasetSchema(); got == nil || got.NumFields() != 2 {
		t.Errorf("a prepared statement has the columns %v", got)
	}
	for range 2 {
		_, rows := r.fetch(prepared.Execute(t.Context()))
		sameRows(t, "a prepared statement", rows, r.ask("SELECT statistic, value FROM results.indoor"))
	}
	if err := prepared.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestTablesRefuse asks what can't be answered, and shows tickets that are none.
func TestTablesRefuse(t *testing.T) {
	w := asked(t, 1)
	w.told(1)
	r := readerOf(t, w.server.Addresses().GRPC)
	for text, want := range map[string]string{
		"SELECT * FROM results.nobody":                   "line 1, column 23: no kappa has the reference or name \"nobody\"",
		"SELECT valeu\nFROM results.indoor":              "line 1, column 8: results.indoor has no column \"valeu\" (did you mean value?)",
		"SELECT *\nFROM shuffled.indoor":                 "line 2, column 6: no schema is called \"shuffled\"",
		"SELECT * FROM results.indoor WHERE value = 'a'": "line 1, column 36: value holds no texts",
		"SELECT * FROM results.indoor ORDER BY value":    "line 1, column 39: expected window_start, found value",
		"SELECT * FROM nobody":                           "line 1, column 15: no kappa has the reference or name \"nobody\"",
		"DROP TABLE results.indoor":                      "line 1, column 1: expected SELECT",
		"SELECT mean(temperature) FROM kappa.nobody":     "line 1, column 37: no kappa",
	} {
		_, err := r.sql.Execute(t.Context(), text)
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(status.Convert(err).Message(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
		details := status.Convert(err).Details()
		if len(details) != 1 || details[0].(*quadratv1.ScriptError).GetLine() == 0 {
			t.Errorf("%s: details %v", text, details)
		}
		if _, err := r.sql.Prepare(t.Context(), text); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s, prepared: %v", text, err)
		}
	}
	// What only the rows can tell comes with them.
	info, err := r.sql.Execute(t.Context(), "SELECT mean(humidity) FROM kappa.indoor")
	if err != nil {
		t.Fatal(err)
	}
	in, err := r.sql.DoGet(t.Context(), info.GetEndpoint()[0].GetTicket())
	if err == nil {
		for in.Next() {
			t.Error("rows of what isn't measured")
		}
		err = in.Err()
	}
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "line 1, column 8") {
		t.Errorf("a statistic that there isn't: %v", err)
	}
	if _, err := r.sql.ExecuteUpdate(t.Context(), "DELETE FROM results.indoor"); status.Code(err) != codes.Unimplemented {
		t.Errorf("an update: %v", err)
	}
	for _, ticket := range []string{"", "x", "\x0a\x00", "\x0a\xff\xff\xff\xff\x0f"} {
		in, err := r.sql.DoGet(t.Context(), &arrowflight.Ticket{Ticket: []byte(ticket)})
		if err == nil {
			in.Next()
			err = in.Err()
		}
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("ticket %q: %v", ticket, err)
		}
	}
}

// TestTablesNeedTheToken calls with and without it, and changes a password into one.
func TestTablesNeedTheToken(t *testing.T) {
	const token, free = "a-token-of-the-test", "127.0.0.1:0"
	s, err := server.Start(t.Context(), server.Config{
		Data: t.TempDir(), HTTP: free, GRPC: free, NATSListen: free, Token: token, Entropy: rand.NewChaCha8([32]byte{7}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r := readerOf(t, s.Addresses().GRPC)
	basic := func(password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("anyone:"+password))
	}
	for _, header := range []string{"", "Bearer wrong", "Bearer ", basic(token), basic("")} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", header)
		if _, err := r.sql.Execute(ctx, "SELECT 1"); status.Code(err) != codes.Unauthenticated {
			t.Errorf("a statement with %q: %v", header, err)
		}
		if err := r.drain(ctx); status.Code(err) != codes.Unauthenticated {
			t.Errorf("rows with %q: %v", header, err)
		}
	}
	if err := r.drain(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)); err != nil {
		t.Errorf("with the token: %v", err)
	}
	for _, password := range []string{"", "wrong", token + "x"} {
		if _, err := r.sql.Client.AuthenticateBasicToken(t.Context(), "anyone", password); status.Code(err) != codes.Unauthenticated {
			t.Errorf("the password %q: %v", password, err)
		}
	}
	ctx, err := r.sql.Client.AuthenticateBasicToken(t.Context(), "anyone", token)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.drain(ctx); err != nil {
		t.Errorf("after a handshake: %v", err)
	}
}

// drain reads a ticket whose rows need no kappa.
func (r *reader) drain(ctx context.Context) error {
	r.t.Helper()
	ticket, err := flightsql.CreateStatementQueryTicket([]byte("\x01SELECT 1"))
	if err != nil {
		r.t.Fatal(err)
	}
	in, err := r.sql.DoGet(ctx, &arrowflight.Ticket{Ticket: ticket})
	if err != nil {
		return err
	}
	defer in.Release()
	for in.Next() {
	}
	return in.Err()
}
