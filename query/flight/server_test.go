package flight

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	arrowflight "github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	gen "github.com/apache/arrow/go/v17/arrow/flight/gen/flight"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// town is one kappa with strata, of which it gives as many records as it is told, each of a number of rows.
type town struct {
	alloc   memory.Allocator
	records int   // below 0 for no end
	rows    int   // of a record
	fails   error // after the last record
	ended   chan struct{}
}

func (town) ListKappas(context.Context, *quadratv1.ListKappasRequest) (*quadratv1.ListKappasResponse, error) {
	return &quadratv1.ListKappasResponse{Kappas: []*quadratv1.Kappa{{Ref: "k7f3q2", Name: "indoor"}, {Ref: "k22222"}}}, nil
}

func (town) Resolve(kappa string) (string, error) {
	if kappa == "indoor" || kappa == "k7f3q2" {
		return "k7f3q2", nil
	}
	return "", errors.New("nobody")
}

func (town) NameOf(string) string { return "indoor" }

// Query gives as many results as one message holds, and one more.
func (town) Query(context.Context, *quadratv1.QueryRequest) (*quadratv1.QueryResponse, error) {
	results := make([]*quadratv1.Result, messageRows+1)
	for i := range results {
		results[i] = &quadratv1.Result{Kappa: "indoor", Population: uint32(i)}
	}
	results[1].Warnings = []string{"few"}
	return &quadratv1.QueryResponse{Results: results, Notes: []string{"more is read than asked"}}, nil
}

// Scan numbers the rows in their population and gives them the strata a and b in turn. Each record is told in two slices.
func (v town) Scan(ctx context.Context, _ Span) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		if v.ended != nil {
			defer close(v.ended)
		}
		for n := 0; n != v.records; n++ {
			if ctx.Err() != nil {
				yield(nil, ctx.Err())
				return
			}
			if !v.tell(n, yield) {
				return
			}
		}
		if v.fails != nil {
			yield(nil, v.fails)
		}
	}
}

func (v town) tell(n int, yield func(arrow.Record, error) bool) bool {
	strata := make([]column.Stratum, v.rows)
	for i := range strata {
		strata[i] = column.Stratum{Statistic: "mean(t)", Stratum: string("ab"[i%2]), Population: int64(n*v.rows + i)}
	}
	record := column.NewStrata(v.alloc, "indoor", "k7f3q2", strata)
	defer record.Release()
	for _, bounds := range [][2]int64{{0, int64(v.rows / 3)}, {int64(v.rows / 3), int64(v.rows)}} {
		slice := record.NewSlice(bounds[0], bounds[1])
		more := yield(slice, nil)
		slice.Release()
		if !more {
			return false
		}
	}
	return true
}

// serve gives a client of a server over a town.
func serve(t *testing.T, v town) *flightsql.Client {
	t.Helper()
	return serveTown(t, Config{Kappas: v, Answers: v, Rows: v, Alloc: v.alloc})
}

func serveTown(t *testing.T, c Config) *flightsql.Client {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	s.Register(server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &flightsql.Client{Client: arrowflight.NewClientFromConn(conn, nil), Alloc: memory.DefaultAllocator}
}

// read gives the numbers of the rows of a statement and the sizes of the messages that they came in.
func read(t *testing.T, client *flightsql.Client, text string) (numbers []int64, sizes []int64, err error) {
	t.Helper()
	info, err := client.Execute(t.Context(), text)
	if err != nil {
		return nil, nil, err
	}
	in, err := client.DoGet(t.Context(), info.GetEndpoint()[0].GetTicket())
	if err != nil {
		return nil, nil, err
	}
	defer in.Release()
	for in.Next() {
		sizes = append(sizes, in.Record().NumRows())
		at := in.Schema().FieldIndices("n")[0]
		numbers = append(numbers, in.Record().Column(at).(*array.Int64).Int64Values()...)
	}
	return numbers, sizes, in.Err()
}

// TestRowsOfAStatement cuts, joins, passes over and leaves out rows, and holds them against a loop over their numbers.
func TestRowsOfAStatement(t *testing.T) {
	const records, size = 3, 3*messageRows - 7
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	client := serve(t, town{alloc: alloc, records: records, rows: size})
	for _, c := range []struct {
		where, page   string
		keep          func(int64) bool
		offset, limit int
	}{
		{"", "", func(int64) bool { return true }, 0, records * size},
		{"WHERE stratum = 'b'", "", func(n int64) bool { return n%size%2 == 1 }, 0, records * size},
		{"", "LIMIT 10", func(int64) bool { return true }, 0, 10},
		{"", "LIMIT 10 OFFSET 6000", func(int64) bool { return true }, 6000, 10},
		{"WHERE stratum = 'b'", "LIMIT 5000 OFFSET 3001", func(n int64) bool { return n%size%2 == 1 }, 3001, 5000},
		{"", "LIMIT 0", func(int64) bool { return true }, 0, 0},
		{"", "OFFSET 9223372036854775807", func(int64) bool { return false }, 0, 0},
		{"WHERE stratum = 'b' AND stratum = 'a'", "", func(int64) bool { return false }, 0, 0},
	} {
		var want []int64
		for n := range int64(records * size) {
			if c.keep(n) {
				want = append(want, n)
			}
		}
		want = want[min(c.offset, len(want)):]
		want = want[:min(c.limit, len(want))]
		got, sizes, err := read(t, client, fmt.Sprintf("SELECT stratum_population AS n FROM strata.indoor %s %s", c.where, c.page))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s %s: %d rows of %d, %v", c.where, c.page, len(got), len(want), err)
		}
		if len(sizes) > 0 && slices.Max(sizes) > messageRows {
			t.Errorf("%s %s: a message of %d rows", c.where, c.page, slices.Max(sizes))
		}
		// Of each record one message may be short.
		if len(sizes) > len(want)/messageRows+records+1 {
			t.Errorf("%s %s: %d rows in %d messages", c.where, c.page, len(want), len(sizes))
		}
	}
	alloc.AssertSize(t, 0)
}

// TestAnswersComeInMessages asks for more results than one message holds.
func TestAnswersComeInMessages(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	client := serve(t, town{alloc: alloc})
	info, err := client.Execute(t.Context(), "SELECT mean(t) FROM kappa.indoor")
	if err != nil {
		t.Fatal(err)
	}
	in, err := client.DoGet(t.Context(), info.GetEndpoint()[0].GetTicket())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Release()
	var next int64
	for in.Next() {
		warnings := in.Record().Column(in.Schema().FieldIndices("warnings")[0])
		if got := warnings.ValueStr(0); got != `["more is read than asked"]` {
			t.Errorf("an answer with a note warns of %s", got)
		}
		if got := warnings.ValueStr(min(1, warnings.Len()-1)); next == 0 && got != `["few","more is read than asked"]` {
			t.Errorf("a warning and a note become %s", got)
		}
		numbers := in.Record().Column(in.Schema().FieldIndices("population")[0]).(*array.Int64).Int64Values()
		if len(numbers) > messageRows {
			t.Errorf("a message of %d rows", len(numbers))
		}
		for _, n := range numbers {
			if n != next {
				t.Fatalf("result %d comes as number %d", n, next)
			}
			next++
		}
	}
	if in.Err() != nil || next != messageRows+1 {
		t.Errorf("%d results, %v", next, in.Err())
	}
	alloc.AssertSize(t, 0)
}

// TestErrorsEndTheRows lets reading fail in the middle.
func TestErrorsEndTheRows(t *testing.T) {
	broken := status.Error(codes.DataLoss, "a damaged file")
	client := serve(t, town{alloc: memory.DefaultAllocator, records: 1, rows: 10, fails: broken})
	numbers, _, err := read(t, client, "SELECT stratum_population AS n FROM strata.indoor")
	if status.Code(err) != codes.DataLoss {
		t.Errorf("%d rows and %v", len(numbers), err)
	}
	if _, _, err := read(t, client, "SELECT stratum_population AS n FROM strata.indoor LIMIT 10"); err != nil {
		t.Errorf("what was asked came before the damage: %v", err)
	}
}

// TestClientThatLeaves takes one message of rows without end and cancels. The reading must end, or the test does not.
func TestClientThatLeaves(t *testing.T) {
	v := town{alloc: memory.DefaultAllocator, records: -1, rows: messageRows, ended: make(chan struct{})}
	client := serve(t, v)
	info, err := client.Execute(t.Context(), "SELECT * FROM strata.indoor")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	in, err := client.DoGet(ctx, info.GetEndpoint()[0].GetTicket())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Release()
	if !in.Next() {
		t.Fatal(in.Err())
	}
	cancel()
	<-v.ended
	for in.Next() {
	}
	if status.Code(in.Err()) != codes.Canceled {
		t.Errorf("the client sees %v", in.Err())
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"%", "", true},
		{"%", "indoor", true},
		{"in%r", "indoor", true},
		{"in%x", "indoor", false},
		{"_ndoor", "indoor", true},
		{"_", "", false},
		{`in\_door`, "in_door", true},
		{`in\_door`, "inxdoor", false},
		{`100\%`, "100%", true},
		{`100\%`, "1000", false},
		{"%ü_", "überüb", true},
		{strings.Repeat("%a", 200) + "b", strings.Repeat("a", 5000), false},
	} {
		if got := matches(&c.pattern, c.name); got != c.want {
			t.Errorf("%q matches %q: %v", c.name, c.pattern, got)
		}
	}
	if !matches(nil, "indoor") {
		t.Error("no pattern keeps something out")
	}
}

// TestHandleIsAPromise keeps the form of handles: tickets of an older server may be shown to a newer one.
func TestHandleIsAPromise(t *testing.T) {
	if got := handleOf("SELECT 1"); string(got) != "\x01SELECT 1" {
		t.Errorf("%q", got)
	}
	for _, handle := range []string{"", "\x01", "SELECT 1", "\x02SELECT 1"} {
		if text, err := textOf([]byte(handle)); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%q is read as %q, %v", handle, text, err)
		}
	}
}

// FuzzTicket shows tickets. Whatever they hold, there is an answer or an error, and the answer can be read.
func FuzzTicket(f *testing.F) {
	for _, command := range []proto.Message{
		&gen.TicketStatementQuery{StatementHandle: handleOf("SELECT stratum FROM strata.indoor WHERE window_start < '2026-11-20' LIMIT 1")},
		&gen.TicketStatementQuery{StatementHandle: handleOf("SELECT time FROM strata.indoor WHERE stratum IN ('a', 'b') ORDER BY time DESC")},
		&gen.CommandPreparedStatementQuery{PreparedStatementHandle: handleOf("SELECT mean(t) FROM kappa.indoor")},
		&gen.CommandGetTables{IncludeSchema: true, TableTypes: []string{"TABLE"}, TableNameFilterPattern: new("%d__r")},
		&gen.CommandGetDbSchemas{}, &gen.CommandGetSqlInfo{Info: []uint32{0, 508}}, &gen.CommandGetXdbcTypeInfo{}, &gen.CommandGetCatalogs{},
	} {
		wrapped, err := anypb.New(command)
		if err != nil {
			f.Fatal(err)
		}
		ticket, err := proto.Marshal(wrapped)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(ticket)
	}
	v := town{alloc: memory.DefaultAllocator, records: 1, rows: 5}
	s, err := New(Config{Kappas: v, Answers: v, Rows: v})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, ticket []byte) {
		answer, err := s.tables.answer(t.Context(), ticket)
		if err != nil {
			return
		}
		for record, err := range answer.records(t.Context()) {
			if err != nil {
				t.Fatalf("%x: %v", ticket, err)
			}
			if !record.Schema().Equal(answer.schema) {
				t.Fatalf("%x: columns %s, announced %s", ticket, record.Schema(), answer.schema)
			}
		}
	})
}
