package flight

import (
	"context"
	"iter"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql/schema_ref"
	gen "github.com/apache/arrow/go/v17/arrow/flight/gen/flight"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// records is a stream of records of one schema. A record is valid until the next one; an error ends the stream.
type records = iter.Seq2[arrow.Record, error]

// answer is what a ticket stands for. Nothing is read before records is called.
type answer struct {
	schema  *arrow.Schema
	records func(context.Context) records
}

// whole is an answer of one record, which build makes and whole releases.
func whole(schema *arrow.Schema, build func() arrow.Record) *answer {
	return &answer{schema, func(context.Context) records {
		return func(yield func(arrow.Record, error) bool) {
			record := build()
			defer record.Release()
			if record.NumRows() > 0 {
				yield(record, nil)
			}
		}
	}}
}

// none is an answer without rows.
func none(schema *arrow.Schema) *answer {
	return &answer{schema, func(context.Context) records { return func(func(arrow.Record, error) bool) {} }}
}

// answer reads a ticket: that of a statement, or a command of the catalog, which is its own ticket.
func (t *tables) answer(ctx context.Context, ticket []byte) (*answer, error) {
	var wrapped anypb.Any
	if err := proto.Unmarshal(ticket, &wrapped); err != nil {
		return nil, status.Error(codes.InvalidArgument, "the ticket can't be read; ask for the statement again")
	}
	command, err := wrapped.UnmarshalNew()
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "the ticket holds no command of Flight SQL")
	}
	switch c := command.(type) {
	case *gen.TicketStatementQuery:
		return t.handled(c.GetStatementHandle())
	case *gen.CommandPreparedStatementQuery:
		return t.handled(c.GetPreparedStatementHandle())
	case *gen.CommandGetCatalogs:
		return t.catalogs(), nil
	case *gen.CommandGetDbSchemas:
		return t.schemas(c), nil
	case *gen.CommandGetTables:
		return t.listed(ctx, c)
	case *gen.CommandGetTableTypes:
		return t.types(), nil
	case *gen.CommandGetXdbcTypeInfo:
		return t.typeInfo(c), nil
	case *gen.CommandGetSqlInfo:
		return t.info(c), nil
	case *gen.CommandGetPrimaryKeys:
		return none(schema_ref.PrimaryKeys), nil
	case *gen.CommandGetExportedKeys, *gen.CommandGetImportedKeys, *gen.CommandGetCrossReference:
		return none(schema_ref.ExportedKeys), nil
	}
	return nil, status.Errorf(codes.Unimplemented, "%s is not understood", wrapped.MessageName())
}

// handled is the answer to the statement of a handle.
func (t *tables) handled(handle []byte) (*answer, error) {
	text, err := textOf(handle)
	if err != nil {
		return nil, err
	}
	return t.plan(text)
}
