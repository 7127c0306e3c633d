package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/service"
	"github.com/quadrat-dev/quadrat/storage"
)

// archive lets the service read what storage keeps.
type archive struct {
	rows  *storage.Rows
	desks desks
	// settle returns once everything that was counted before the call is in the store.
	settle func(context.Context) error
	// name is the name of a kappa, for what an export says of itself.
	name func(ref string) string
}

// Results gives the stored results of a span, newest windows first kept.
func (a archive) Results(ctx context.Context, span service.Span) ([]*quadratv1.Result, error) {
	leave, err := a.desks.sit()
	if err != nil {
		return nil, err
	}
	defer leave()
	var results []*quadratv1.Result
	for record, err := range a.rows.ScanResults(ctx, span.Ref, span.Since, span.Until, true) {
		if err != nil {
			return nil, fmt.Errorf("stored results: %w", err)
		}
		read, err := resultsOf(record)
		if err != nil {
			return nil, fmt.Errorf("stored results: %w", err)
		}
		results = append(results, read...)
	}
	service.SortResults(results)
	if span.Limit > 0 && len(results) > span.Limit {
		results = results[len(results)-span.Limit:]
	}
	return results, nil
}

// Export writes one Arrow IPC stream of what the store has of a span.
func (a archive) Export(ctx context.Context, w io.Writer, what string, span service.Span) error {
	leave, err := a.desks.sit()
	if err != nil {
		return err
	}
	defer leave()
	if err := a.settle(ctx); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	kind, records := storage.KindReports, a.rows.ScanWeighted(ctx, span.Ref, span.Since, span.Until)
	switch storage.Kind(what) { //nolint:exhaustive // others are no exports, and the service refuses them
	case storage.KindResults:
		kind, records = storage.KindResults, a.rows.ScanResults(ctx, span.Ref, span.Since, span.Until, false)
	case storage.KindStrata:
		kind, records = storage.KindStrata, a.rows.ScanStrata(ctx, span.Ref, span.Since, span.Until)
	}
	schema, err := a.named(ctx, kind, span)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := storage.WriteStream(w, schema, records); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// named is the schema of an export, whose metadata tells the kappa, also where its columns do, and what retention has removed of
// the span.
func (a archive) named(ctx context.Context, kind storage.Kind, span service.Span) (*arrow.Schema, error) {
	kappa := a.name(span.Ref)
	keys, values := []string{column.MetaKappa, column.MetaRef}, []string{kappa, span.Ref}
	gone, ok, err := a.rows.Gone(ctx, kind, span.Ref)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller wraps
	}
	if ok && (span.Since.IsZero() || span.Since.UTC().Format(time.DateOnly) < gone.Before) {
		keys, values = append(keys, column.MetaGoneBefore), append(values, gone.Before)
	}
	meta := arrow.NewMetadata(keys, values)
	return arrow.NewSchema(storage.Schema(kind, kappa, span.Ref).Fields(), &meta), nil
}

// resultsOf reads a record of results back into messages: a column has the name of its field, or that of a nested
// message and its field joined by "_".
func resultsOf(record arrow.Record) ([]*quadratv1.Result, error) {
	results := make([]*quadratv1.Result, record.NumRows())
	for i := range results {
		results[i] = &quadratv1.Result{}
	}
	fields := (&quadratv1.Result{}).ProtoReflect().Descriptor().Fields()
	for at, values := range record.Columns() {
		name := record.ColumnName(at)
		field, nested := fields.ByName(protoreflect.Name(name)), protoreflect.FieldDescriptor(nil)
		if outer, inner, ok := strings.Cut(name, "_"); field == nil && ok {
			if field = fields.ByName(protoreflect.Name(outer)); field != nil && field.Message() != nil {
				nested = field.Message().Fields().ByName(protoreflect.Name(inner))
			}
		}
		if field == nil {
			return nil, fmt.Errorf("column %q: not a result's", name)
		}
		for row, r := range results {
			if values.IsNull(row) {
				continue
			}
			message, target := r.ProtoReflect(), field
			if nested != nil {
				message, target = message.Mutable(field).Message(), nested
			}
			if err := setField(message, target, values, row); err != nil {
				return nil, fmt.Errorf("column %q: %w", name, err)
			}
		}
	}
	return results, nil
}

// setField sets a field from a value that is not null.
func setField(m protoreflect.Message, field protoreflect.FieldDescriptor, column arrow.Array, row int) error {
	switch values := column.(type) {
	case *array.Timestamp:
		unit := values.DataType().(*arrow.TimestampType).Unit
		m.Set(field, protoreflect.ValueOfMessage(timestamppb.New(values.Value(row).ToTime(unit)).ProtoReflect()))
	case *array.Int64:
		m.Set(field, protoreflect.ValueOfUint32(uint32(values.Value(row))))
	case *array.Float64:
		m.Set(field, protoreflect.ValueOfFloat64(values.Value(row)))
	case *array.Boolean:
		m.Set(field, protoreflect.ValueOfBool(values.Value(row)))
	case *array.String:
		if !field.IsMap() {
			m.Set(field, protoreflect.ValueOfString(strings.Clone(values.Value(row))))
			return nil
		}
		var cell map[string]string
		if err := json.Unmarshal([]byte(values.Value(row)), &cell); err != nil {
			return fmt.Errorf("cell: %w", err)
		}
		for k, v := range cell {
			m.Mutable(field).Map().Set(protoreflect.ValueOfString(k).MapKey(), protoreflect.ValueOfString(v))
		}
	case *array.List:
		from, to := values.ValueOffsets(row)
		texts, ok := values.ListValues().(*array.String)
		if !ok {
			return fmt.Errorf("%s is not expected", column.DataType())
		}
		for i := from; i < to; i++ {
			m.Mutable(field).List().Append(protoreflect.ValueOfString(strings.Clone(texts.Value(int(i)))))
		}
	default:
		return fmt.Errorf("%s is not expected", column.DataType())
	}
	return nil
}
