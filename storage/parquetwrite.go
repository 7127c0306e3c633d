package storage

import (
	"fmt"
	"io"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding"
)

const (
	rowGroupRows  = 1 << 16   // most rows in a row group, and in a record of a scan
	dictionaryMax = 256 << 10 // bytes; a column with more distinct values is stored plain from there on
	valuesAtOnce  = 4096      // values handed to a column at once
	pageBytes     = 64 << 10  // of a column before it is compressed: a question about a part of a window decodes whole pages
)

// orderedGroup is a parquet.Group whose columns stand in the order of names, not in alphabetical order.
type orderedGroup struct {
	parquet.Group
	names []string
}

// Fields is the columns in order.
func (g orderedGroup) Fields() []parquet.Field {
	byName := make(map[string]parquet.Field, len(g.names))
	for _, f := range g.Group.Fields() {
		byName[f.Name()] = f
	}
	out := make([]parquet.Field, len(g.names))
	for i, name := range g.names {
		out[i] = byName[name]
	}
	return out
}

// parquetSchema is the Parquet schema of Arrow fields that are text, lists of text, whole numbers, numbers, truth values
// or moments. Pseudonyms are stored plain, positions of the stream as differences, random numbers byte by byte,
// all else by dictionary.
func parquetSchema(fields []arrow.Field) (*parquet.Schema, error) {
	g := orderedGroup{Group: parquet.Group{}}
	for _, f := range fields {
		node, err := parquetNode(f)
		if err != nil {
			return nil, err
		}
		if f.Nullable {
			node = parquet.Optional(node)
		}
		g.Group[f.Name] = node
		g.names = append(g.names, f.Name)
	}
	return parquet.NewSchema("quadrat", g), nil
}

func parquetNode(f arrow.Field) (parquet.Node, error) {
	var node parquet.Node
	var enc encoding.Encoding = &parquet.RLEDictionary
	switch f.Type.ID() {
	case arrow.STRING:
		node = parquet.String()
	case arrow.INT64:
		node = parquet.Int(64)
	case arrow.UINT64:
		node = parquet.Uint(64)
	case arrow.FLOAT64:
		node = parquet.Leaf(parquet.DoubleType)
	case arrow.TIMESTAMP:
		node = parquet.Timestamp(parquet.Millisecond)
	case arrow.BOOL:
		return parquet.Leaf(parquet.BooleanType), nil
	case arrow.LIST:
		return parquet.List(parquet.String()), nil
	default:
		return nil, &Error{Code: Malformed, Detail: "column " + f.Name + " has a type that Parquet files here don't have"}
	}
	switch f.Name {
	case colDevice:
		enc = &parquet.Plain
	case colSequence:
		enc = &parquet.DeltaBinaryPacked
	case colRandom:
		enc = &parquet.ByteStreamSplit
	}
	return parquet.Encoded(node, enc), nil
}

// tableSpec says what one Parquet file holds.
type tableSpec struct {
	kind       Kind
	kappa, ref string
	sorted     bool // rows come in the order of sortedBy
	zst        *zstd.Codec
}

// newCodec is the compression of all Parquet files.
func newCodec() *zstd.Codec { return &zstd.Codec{Level: zstd.SpeedFastest, Concurrency: 1} }

// tableWriter writes records of one kind as one Parquet file.
type tableWriter struct {
	out     *parquet.GenericWriter[any]
	columns []int // position in the records of each column of the file
	fields  []arrow.Field
	values  []parquet.Value
	rows    int64 // in the open row group
}

func newTableWriter(out io.Writer, t tableSpec) (*tableWriter, error) {
	schema := Schema(t.kind, t.kappa, t.ref)
	w := &tableWriter{fields: stored(schema), values: make([]parquet.Value, 0, valuesAtOnce)}
	for _, f := range w.fields {
		w.columns = append(w.columns, schema.FieldIndices(f.Name)[0])
	}
	ps, err := parquetSchema(w.fields)
	if err != nil {
		return nil, err
	}
	version := strconv.Itoa(t.kind.version())
	options := []parquet.WriterOption{
		ps, parquet.Compression(t.zst),
		parquet.CreatedBy("quadrat", "format "+version, "none"), parquet.DictionaryMaxBytes(dictionaryMax), parquet.PageBufferSize(pageBytes),
		parquet.KeyValueMetadata(metaFormat, version), parquet.KeyValueMetadata(metaKind, string(t.kind)),
		parquet.KeyValueMetadata(metaKappa, t.kappa), parquet.KeyValueMetadata(metaRef, t.ref),
	}
	if t.sorted {
		var columns []parquet.SortingColumn
		for _, name := range sortedBy(t.kind) {
			columns = append(columns, parquet.Ascending(name))
		}
		options = append(options, parquet.SortingWriterConfig(parquet.SortingColumns(columns...)))
	}
	w.out = parquet.NewGenericWriter[any](out, options...)
	return w, nil
}

// write appends a record; full row groups go out at once, so memory is bounded by one of them.
func (w *tableWriter) write(rec arrow.Record) error {
	for from := int64(0); from < rec.NumRows(); {
		to := min(rec.NumRows(), from+rowGroupRows-w.rows)
		for i, out := range w.out.ColumnWriters() {
			if err := w.writeColumn(out, rec.Column(w.columns[i]), i, int(from), int(to)); err != nil {
				return fmt.Errorf("column %s: %w", w.fields[i].Name, err)
			}
		}
		if err := w.wrote(int(to - from)); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// wrote ends the row group when so many more rows have made it full.
func (w *tableWriter) wrote(rows int) error {
	w.rows += int64(rows)
	if w.rows < rowGroupRows {
		return nil
	}
	w.rows = 0
	return w.out.Flush()
}

func (w *tableWriter) writeColumn(out *parquet.ColumnWriter, a arrow.Array, index, from, to int) error {
	if list, ok := a.(*array.List); ok {
		return writeLists(out, list, index, from, to)
	}
	value, err := parquetValues(a)
	if err != nil {
		return err
	}
	level := 0
	if w.fields[index].Nullable {
		level = 1
	}
	for i := from; i < to; {
		values := w.values[:0]
		for ; i < to && len(values) < valuesAtOnce; i++ {
			if a.IsNull(i) {
				values = append(values, parquet.Value{}.Level(0, 0, index))
				continue
			}
			values = append(values, value(i).Level(0, level, index))
		}
		if _, err := out.WriteRowValues(values); err != nil {
			return err
		}
	}
	return nil
}

// writeLists writes lists of text, row after row.
func writeLists(out *parquet.ColumnWriter, a *array.List, index, from, to int) error {
	words, ok := a.ListValues().(*array.String)
	if !ok {
		return &Error{Code: Malformed, Detail: "a list is not of text"}
	}
	value, err := parquetValues(words)
	if err != nil {
		return err
	}
	var row []parquet.Value
	for i := from; i < to; i++ {
		row = row[:0]
		first, last := a.ValueOffsets(i)
		for j := first; j < last; j++ {
			row = append(row, value(int(j)).Level(min(len(row), 1), 1, index))
		}
		if len(row) == 0 {
			row = append(row, parquet.Value{}.Level(0, 0, index))
		}
		if _, err := out.WriteRowValues(row); err != nil {
			return err
		}
	}
	return nil
}

// parquetValues is how to read one value of a column; texts alias the array.
func parquetValues(a arrow.Array) (func(int) parquet.Value, error) {
	switch a := a.(type) {
	case *array.String:
		bytes, base := a.ValueBytes(), 0
		if a.Len() > 0 {
			base = a.ValueOffset(0)
		}
		return func(i int) parquet.Value {
			return parquet.ByteArrayValue(bytes[a.ValueOffset(i)-base : a.ValueOffset(i+1)-base])
		}, nil
	case *array.Int64:
		return func(i int) parquet.Value { return parquet.Int64Value(a.Value(i)) }, nil
	case *array.Uint64:
		return func(i int) parquet.Value { return parquet.Int64Value(int64(a.Value(i))) }, nil
	case *array.Float64:
		return func(i int) parquet.Value { return parquet.DoubleValue(a.Value(i)) }, nil
	case *array.Timestamp:
		return func(i int) parquet.Value { return parquet.Int64Value(int64(a.Value(i))) }, nil
	case *array.Boolean:
		return func(i int) parquet.Value { return parquet.BooleanValue(a.Value(i)) }, nil
	}
	return nil, &Error{Code: Malformed, Detail: "a column has a type that Parquet files here don't have"}
}

// close writes the last row group and the footer.
func (w *tableWriter) close() error { return w.out.Close() }
