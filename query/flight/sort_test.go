package flight

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	arrowflight "github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// calendar is a town whose rows come by days and, inside a day, in any order.
type calendar struct {
	town

	days [][]column.Stratum
	size int // rows of a record
}

// Scan gives the days.
func (c calendar) Scan(context.Context, Span) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		for _, day := range c.days {
			for rows := range slices.Chunk(day, c.size) {
				record := column.NewStrata(c.alloc, "indoor", "k7f3q2", rows)
				more := yield(record, nil)
				record.Release()
				if !more {
					return
				}
			}
		}
	}
}

// calendarOf makes days of rows, which are numbered in the order in which they come. Several share a window.
func calendarOf(alloc memory.Allocator, days, rows, size int) (calendar, []column.Stratum) {
	rng := rand.New(rand.NewPCG(3, 5))
	c := calendar{town: town{alloc: alloc}, size: size}
	var all []column.Stratum
	for day := range days {
		var of []column.Stratum
		for range rows {
			starts := int64(day)*dayMs + rng.Int64N(24*60)*60_000
			of = append(of, column.Stratum{
				WindowStartMs: starts, WindowEndMs: starts + 60_000, Statistic: "mean(t)", Stratum: string("abc"[rng.IntN(3)]),
				Population: int64(len(all) + len(of)),
			})
		}
		c.days, all = append(c.days, of), append(all, of...)
	}
	return c, all
}

// TestRowsInOrder holds ORDER BY against a stable sort of the rows.
func TestRowsInOrder(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	c, all := calendarOf(alloc, 3, 5000, 700)
	client := serveRows(t, c)
	for _, q := range []struct {
		clauses       string
		strata        string
		sign          int
		offset, limit int
	}{
		{"ORDER BY time", "abc", 1, 0, len(all)},
		{"ORDER BY window_start ASC LIMIT 5500 OFFSET 3001", "abc", 1, 3001, 5500},
		{"WHERE stratum IN ('a', 'c') ORDER BY x.time ASC", "ac", 1, 0, len(all)},
		{"WHERE stratum = 'b' ORDER BY window_start DESC LIMIT 7", "b", -1, 0, 7},
		{"ORDER BY time DESC", "abc", -1, 0, len(all)},
		{"WHERE stratum = 'd' ORDER BY time", "", 1, 0, 0},
	} {
		want := slices.DeleteFunc(slices.Clone(all), func(s column.Stratum) bool { return !slices.Contains([]byte(q.strata), s.Stratum[0]) })
		slices.SortStableFunc(want, func(a, b column.Stratum) int { return q.sign * cmp.Compare(a.WindowStartMs, b.WindowStartMs) })
		want = want[min(q.offset, len(want)):]
		want = want[:min(q.limit, len(want))]
		var numbers []int64
		for _, s := range want {
			numbers = append(numbers, s.Population)
		}
		got, sizes, err := read(t, client, "SELECT stratum, stratum_population AS n, stratum_population AS again FROM strata.indoor x "+q.clauses)
		if err != nil || !slices.Equal(got, numbers) {
			t.Errorf("%s: %d rows of %d, in order or not, %v", q.clauses, len(got), len(numbers), err)
		}
		if len(sizes) > 0 && slices.Max(sizes) > messageRows {
			t.Errorf("%s: a message of %d rows", q.clauses, slices.Max(sizes))
		}
	}
	alloc.AssertSize(t, 0)
}

// TestOrderIsBounded asks for more in order than the server holds for anybody: of a day, or of all when the newest come first.
func TestOrderIsBounded(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	c, all := calendarOf(alloc, 5, 5000, 500)
	client := serveTown(t, Config{Kappas: c, Answers: c, Rows: c, Alloc: alloc, SortBytes: 1 << 20})
	const columns = "SELECT time, window_start, window_end, statistic, stratum, panel, stratum_population AS n FROM strata.indoor "
	if got, _, err := read(t, client, columns+"ORDER BY time"); err != nil || len(got) != len(all) {
		t.Errorf("%d rows of %d, though no day is too much, %v", len(got), len(all), err)
	}
	for _, text := range []string{
		columns + "ORDER BY time DESC",
		"SELECT * FROM strata.indoor ORDER BY time DESC LIMIT 1",
	} {
		info, err := client.Execute(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		in, err := client.DoGet(t.Context(), info.GetEndpoint()[0].GetTicket())
		if err == nil {
			for in.Next() {
				t.Errorf("%s: rows", text)
			}
			err = in.Err()
			in.Release()
		}
		if status.Code(err) != codes.ResourceExhausted {
			t.Errorf("%s: %v", text, err)
		}
	}
	alloc.AssertSize(t, 0)
}

func serveRows(t *testing.T, c calendar) *flightsql.Client {
	t.Helper()
	return serveTown(t, Config{Kappas: c, Answers: c, Rows: c, Alloc: c.alloc})
}

// everyKind is one row of each kind, with what is hard to show.
type everyKind struct {
	town
}

const aWindow = int64(1_795_000_000_123) // in milliseconds

// Scan gives the row.
func (k everyKind) Scan(_ context.Context, s Span) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		var record arrow.Record
		switch s.Kind {
		case "results":
			result := &quadratv1.Result{Kappa: "indoor", Warnings: []string{`says "few"`, "é"}, Privacy: &quadratv1.Privacy{}}
			result.WindowStart = timestamppb.New(time.UnixMilli(aWindow))
			record = column.NewResults(k.alloc, []*quadratv1.Result{result, {Kappa: "indoor", Privacy: &quadratv1.Privacy{}}})
		case "reports":
			rows := column.NewReports(k.alloc, "indoor", "k7f3q2")
			defer rows.Release()
			rows.Append(&column.Report{WindowStartMs: aWindow, Sequence: 1<<63 + 5, Cell: "{}"})
			record = rows.NewRecord()
		default:
			record = column.NewStrata(k.alloc, "indoor", "k7f3q2", []column.Stratum{{WindowStartMs: aWindow}})
		}
		defer record.Release()
		yield(record, nil)
	}
}

// TestColumnsAreOfTypesOfSQL reads every column of every table: all are of the few types that every client reads, and hold what is stored.
func TestColumnsAreOfTypesOfSQL(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	v := everyKind{town{alloc: alloc}}
	client := serveTown(t, Config{Kappas: v, Answers: v, Rows: v, Alloc: alloc})
	for _, kind := range kinds() {
		record := one(t, client, "SELECT * FROM "+kind.name+".indoor")
		for i, field := range record.Schema().Fields() {
			switch field.Type.ID() {
			case arrow.STRING, arrow.FLOAT64, arrow.INT64, arrow.BOOL:
			case arrow.TIMESTAMP:
				if field.Type.(*arrow.TimestampType).Unit != arrow.Nanosecond {
					t.Errorf("%s.%s is %s", kind.name, field.Name, field.Type)
				}
			default:
				t.Errorf("%s.%s is %s", kind.name, field.Name, field.Type)
			}
			if field.Name == "time" && i != 0 {
				t.Errorf("time is column %d of %s", i, kind.name)
			}
		}
		for _, name := range []string{"time", "window_start"} {
			if got := record.Column(record.Schema().FieldIndices(name)[0]).(*array.Timestamp).Value(0); int64(got) != aWindow*1_000_000 {
				t.Errorf("%s of %s is %d", name, kind.name, got)
			}
		}
		record.Release()
	}
	record := one(t, client, "SELECT change_since, warnings FROM results.indoor")
	if record.NumRows() != 2 || !record.Column(0).IsNull(0) {
		t.Errorf("change_since is %s", record.Column(0))
	}
	for row, want := range []string{`["says \"few\"","é"]`, "[]"} {
		if got := record.Column(1).(*array.String).Value(row); got != want {
			t.Errorf("warnings are %s, want %s", got, want)
		}
	}
	record.Release()
	record = one(t, client, "SELECT sequence FROM reports.indoor")
	if got := record.Column(0).(*array.Int64).Value(0); uint64(got) != 1<<63+5 {
		t.Errorf("64 bits became %x", uint64(got))
	}
	record.Release()
	alloc.AssertSize(t, 0)
}

// one is the one record that answers a statement. The caller releases it.
func one(t *testing.T, client *flightsql.Client, text string) arrow.Record {
	t.Helper()
	info, err := client.Execute(t.Context(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	in, err := client.DoGet(t.Context(), info.GetEndpoint()[0].GetTicket())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Release()
	if !in.Next() {
		t.Fatalf("%s: %v", text, in.Err())
	}
	record := in.Record()
	record.Retain()
	if in.Next() || in.Err() != nil {
		t.Fatalf("%s: more, or %v", text, in.Err())
	}
	return record
}

// TestTablesOfAName lists tables as Grafana's plugin does: it asks for base tables, and takes the columns of the first of a name for those of the
// table that the name alone means.
func TestTablesOfAName(t *testing.T) {
	client := serve(t, town{alloc: memory.DefaultAllocator})
	name := "indoor"
	for _, c := range []struct {
		types []string
		name  *string
		want  []string
	}{
		{[]string{"BASE TABLE"}, nil, []string{
			"results.indoor BASE TABLE", "results.k22222 BASE TABLE", "reports.indoor BASE TABLE", "reports.k22222 BASE TABLE",
			"strata.indoor BASE TABLE", "strata.k22222 BASE TABLE",
		}},
		{[]string{"VIEW", "TABLE", "BASE TABLE"}, &name, []string{"results.indoor TABLE", "reports.indoor TABLE", "strata.indoor TABLE"}},
		{nil, &name, []string{"results.indoor TABLE", "reports.indoor TABLE", "strata.indoor TABLE"}},
		{[]string{"VIEW"}, nil, nil},
	} {
		info, err := client.GetTables(t.Context(), &flightsql.GetTablesOpts{TableTypes: c.types, TableNameFilterPattern: c.name, IncludeSchema: true})
		if err != nil {
			t.Fatal(err)
		}
		in, err := client.DoGet(t.Context(), info.GetEndpoint()[0].GetTicket())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for in.Next() {
			r := in.Record()
			for row := range int(r.NumRows()) {
				got = append(got, fmt.Sprintf("%s.%s %s", r.Column(1).ValueStr(row), r.Column(2).ValueStr(row), r.Column(3).ValueStr(row)))
				columns, err := arrowflight.DeserializeSchema(r.Column(4).(*array.Binary).Value(row), memory.DefaultAllocator)
				if err != nil || columns.Field(0).Name != "time" {
					t.Errorf("%s: columns %v, %v", got[len(got)-1], columns, err)
				}
			}
		}
		if in.Err() != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, %v", c.types, got, in.Err())
		}
		in.Release()
	}
}
