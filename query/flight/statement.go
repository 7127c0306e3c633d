package flight

import (
	"context"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	arrowflight "github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/script"
)

// messageRows bounds the rows of one message. The widest row, a result, has some 500 bytes, so that a message stays below the 4 MiB
// that gRPC clients take unless told otherwise.
const messageRows = 2048

// plan reads a statement and settles its columns, before anything is read from storage.
func (t *tables) plan(text string) (*answer, error) {
	statement, err := script.ParseSQL(text)
	switch {
	case err != nil:
		return nil, err
	case statement.Constant != nil:
		return t.constant(*statement.Constant), nil
	case statement.Stored != nil:
		return t.question(text, statement.Stored)
	}
	return t.rows(statement.Rows)
}

func (t *tables) constant(value int64) *answer {
	schema := arrow.NewSchema([]arrow.Field{{Name: strconv.FormatInt(value, 10), Type: arrow.PrimitiveTypes.Int64}}, nil)
	return whole(schema, func() arrow.Record {
		b := array.NewRecordBuilder(t.cfg.Alloc, schema)
		defer b.Release()
		b.Field(0).(*array.Int64Builder).Append(value)
		return b.NewRecord()
	})
}

// question is a question about stored reports. Its results have the columns of the table of results; what the reader should know of how
// it was answered stands among their warnings, since a table has no other place.
func (t *tables) question(text string, q *script.Stored) (*answer, error) {
	if _, err := t.cfg.Kappas.Resolve(q.Kappa.Text); err != nil {
		return nil, noKappa(q.Kappa)
	}
	all := wholeCut(column.ResultSchema())
	return &answer{all.schema, func(ctx context.Context) records {
		return all.of(t.results(ctx, text), t.cfg.Alloc)
	}}, nil
}

// results is the answer to a question, in records of bounded size.
func (t *tables) results(ctx context.Context, text string) records {
	return func(yield func(arrow.Record, error) bool) {
		reply, err := t.cfg.Answers.Query(ctx, &quadratv1.QueryRequest{Script: text})
		if err != nil {
			yield(nil, err)
			return
		}
		for _, result := range reply.GetResults() {
			result.Warnings = append(result.Warnings, reply.GetNotes()...)
		}
		for rest := reply.GetResults(); len(rest) > 0; {
			n := min(messageRows, len(rest))
			record := column.NewResults(t.cfg.Alloc, rest[:n])
			more := yield(record, nil)
			record.Release()
			if !more {
				return
			}
			rest = rest[n:]
		}
	}
}

func noKappa(kappa script.Ident) error {
	return kappa.At("the catalog lists them", "no kappa has the reference or name %q", kappa.Text)
}

// rows is stored rows of one kappa.
func (t *tables) rows(r *script.Rows) (*answer, error) {
	kind := kindOf(r.Schema.Text)
	if kind == nil {
		return nil, r.Schema.At("there are results, reports and strata", "no schema is called %q", r.Schema.Text)
	}
	ref, err := t.cfg.Kappas.Resolve(r.Kappa.Text)
	if err != nil {
		return nil, noKappa(r.Kappa)
	}
	all := kind.schema(t.cfg.Kappas.NameOf(ref), ref)
	cut, err := cutOf(r, all)
	if err != nil {
		return nil, err
	}
	cut.sortBytes = t.cfg.SortBytes
	span := Span{Kind: kind.name, Ref: ref}
	span.Since, span.Until = r.Span()
	return &answer{cut.schema, func(ctx context.Context) records {
		if r.Empty() || r.Limit == 0 {
			return none(cut.schema).records(ctx)
		}
		return cut.of(t.cfg.Rows.Scan(ctx, span), t.cfg.Alloc)
	}}, nil
}

// GetFlightInfoStatement checks a statement and gives its columns and the ticket of its rows.
func (t *tables) GetFlightInfoStatement(_ context.Context, q flightsql.StatementQuery, desc *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	if len(q.GetTransactionId()) > 0 {
		return nil, errNoTransaction()
	}
	planned, err := t.plan(q.GetQuery())
	if err != nil {
		return nil, err
	}
	ticket, err := flightsql.CreateStatementQueryTicket(handleOf(q.GetQuery()))
	if err != nil {
		return nil, err
	}
	info := t.told(desc, planned.schema)
	info.Endpoint[0].Ticket.Ticket = ticket
	return info, nil
}

// GetSchemaStatement gives the columns of a statement.
func (t *tables) GetSchemaStatement(_ context.Context, q flightsql.StatementQuery, _ *arrowflight.FlightDescriptor) (*arrowflight.SchemaResult, error) {
	return t.schemaOf(t.plan(q.GetQuery()))
}

// CreatePreparedStatement checks a statement. The handle holds it, so there is nothing to keep and nothing to close.
func (t *tables) CreatePreparedStatement(_ context.Context, q flightsql.ActionCreatePreparedStatementRequest) (flightsql.ActionCreatePreparedStatementResult, error) {
	var out flightsql.ActionCreatePreparedStatementResult
	if len(q.GetTransactionId()) > 0 {
		return out, errNoTransaction()
	}
	planned, err := t.plan(q.GetQuery())
	if err != nil {
		return out, err
	}
	out.Handle, out.DatasetSchema = handleOf(q.GetQuery()), planned.schema
	return out, nil
}

// ClosePreparedStatement has nothing to do.
func (t *tables) ClosePreparedStatement(context.Context, flightsql.ActionClosePreparedStatementRequest) error {
	return nil
}

// GetFlightInfoPreparedStatement gives the columns of a prepared statement; the command is the ticket.
func (t *tables) GetFlightInfoPreparedStatement(_ context.Context, q flightsql.PreparedStatementQuery, desc *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	planned, err := t.handled(q.GetPreparedStatementHandle())
	if err != nil {
		return nil, err
	}
	return t.told(desc, planned.schema), nil
}

// GetSchemaPreparedStatement gives the columns of a prepared statement.
func (t *tables) GetSchemaPreparedStatement(_ context.Context, q flightsql.PreparedStatementQuery, _ *arrowflight.FlightDescriptor) (*arrowflight.SchemaResult, error) {
	return t.schemaOf(t.handled(q.GetPreparedStatementHandle()))
}

func (t *tables) schemaOf(planned *answer, err error) (*arrowflight.SchemaResult, error) {
	if err != nil {
		return nil, err
	}
	return &arrowflight.SchemaResult{Schema: arrowflight.SerializeSchema(planned.schema, t.cfg.Alloc)}, nil
}

// told tells a client the columns of a command that is its own ticket. How many rows there are is not known before they are read.
func (t *tables) told(desc *arrowflight.FlightDescriptor, schema *arrow.Schema) *arrowflight.FlightInfo {
	return &arrowflight.FlightInfo{
		Schema: arrowflight.SerializeSchema(schema, t.cfg.Alloc), FlightDescriptor: desc, TotalRecords: -1, TotalBytes: -1,
		Endpoint: []*arrowflight.FlightEndpoint{{Ticket: &arrowflight.Ticket{Ticket: desc.GetCmd()}}},
	}
}

func errNoTransaction() error {
	return status.Error(codes.InvalidArgument, "there are no transactions: this server is read only")
}
