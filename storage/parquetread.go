package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/parquetcheck"
)

// span is a half-open span of window starts, in milliseconds.
type span struct{ since, until int64 }

// overlaps tells whether a window between least and most, inclusive, may lie in the span.
func (s span) overlaps(least, most int64) bool { return least < s.until && most >= s.since }

// tableFile is an open Parquet file.
type tableFile struct {
	in      io.ReaderAt
	size    int64
	file    *parquet.File
	schema  *arrow.Schema
	kappa   string
	ref     string
	version int
	columns []int // leaf of each field of the schema, or one of the following
}

// Columns that a file does not have.
const (
	kappaColumn  = -1 // the kappa's name
	nullColumn   = -2 // one that its version had not
	randomColumn = -3 // the random number, which its version had not and which follows from window and device
)

// openTable opens a Parquet file of a kind, for some of its columns, or all when names is empty.
func openTable(in io.ReaderAt, size int64, k Kind, names []string) (t *tableFile, err error) {
	defer recovered(&err)
	if err := parquetcheck.Footer(in, size); err != nil {
		return nil, damagedBy(err, "a Parquet file can't be opened")
	}
	file, err := parquet.OpenFile(in, size, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true))
	if err != nil {
		return nil, damagedBy(err, "a Parquet file can't be opened")
	}
	text, _ := file.Lookup(metaFormat)
	version, err := strconv.Atoi(text)
	if err != nil || version < 1 || version > k.version() {
		return nil, &Error{Code: Damaged, Detail: "a Parquet file has an unknown format version"}
	}
	kappa, _ := file.Lookup(metaKappa)
	ref, _ := file.Lookup(metaRef)
	t = &tableFile{in: in, size: size, file: file, kappa: kappa, ref: ref, version: version, schema: Schema(k, kappa, ref)}
	if len(names) > 0 {
		t.schema = project(t.schema, names)
	}
	for _, f := range t.schema.Fields() {
		path := []string{f.Name}
		if f.Type.ID() == arrow.LIST {
			path = append(path, "list", "element")
		}
		leaf, ok := file.Schema().Lookup(path...)
		switch {
		case ok:
			t.columns = append(t.columns, leaf.ColumnIndex)
		case f.Name == colKappa:
			t.columns = append(t.columns, kappaColumn)
		case f.Nullable && version < k.version():
			t.columns = append(t.columns, nullColumn)
		case f.Name == colRandom && version < k.sortedSince():
			t.columns = append(t.columns, randomColumn)
		default:
			return nil, &Error{Code: Damaged, Detail: "a Parquet file lacks the column " + f.Name}
		}
	}
	return t, nil
}

// damagedBy is what is wrong with a file that can't be read, unless that is told already: by who fetches its parts.
func damagedBy(err error, what string) error {
	if told := new(Error); errors.As(err, &told) {
		return err
	}
	return fmt.Errorf("%w: %w", &Error{Code: Damaged, Detail: what}, err)
}

// ordered tells whether the rows are in the order of sortedBy.
func (t *tableFile) ordered(k Kind) bool { return t.version >= k.sortedSince() }

func project(s *arrow.Schema, names []string) *arrow.Schema {
	var fields []arrow.Field
	for _, f := range s.Fields() {
		if slices.Contains(names, f.Name) {
			fields = append(fields, f)
		}
	}
	meta := s.Metadata()
	return arrow.NewSchema(fields, &meta)
}

// recovered turns a panic into an error: the decoder of damaged pages may panic.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = &Error{Code: Damaged, Detail: fmt.Sprint("a Parquet file can't be decoded: ", r)}
	}
}

// groups is the row groups that may hold a window of the span, told by their statistics.
func (t *tableFile) groups(windows span) []int {
	var out []int
	leaf, ok := t.file.Schema().Lookup(colWindowStart)
	for i := range t.file.RowGroups() {
		if ok {
			stats := t.file.Metadata().RowGroups[i].Columns[leaf.ColumnIndex].MetaData.Statistics
			if len(stats.MinValue) == 8 && len(stats.MaxValue) == 8 && !windows.overlaps(
				int64(binary.LittleEndian.Uint64(stats.MinValue)), int64(binary.LittleEndian.Uint64(stats.MaxValue))) {
				continue
			}
		}
		out = append(out, i)
	}
	return out
}

// read is one row group as a record, which the caller releases.
func (t *tableFile) read(at int, alloc memory.Allocator) (rec arrow.Record, err error) {
	defer recovered(&err)
	group := t.file.RowGroups()[at]
	if n := group.NumRows(); n < 0 || n > rowGroupRows {
		return nil, &Error{Code: Damaged, Detail: "a row group has more rows than any that was written"}
	}
	b := array.NewRecordBuilder(alloc, t.schema)
	defer b.Release()
	b.Reserve(int(group.NumRows()))
	for i, leaf := range t.columns {
		if err := t.readField(at, leaf, t.schema.Field(i).Name, b.Field(i)); err != nil {
			return nil, err
		}
		if int64(b.Field(i).Len()) != group.NumRows() {
			return nil, &Error{Code: Damaged, Detail: "a column has another number of rows than its row group"}
		}
	}
	return b.NewRecord(), nil
}

// readField fills a column of a record from a row group.
func (t *tableFile) readField(at, leaf int, name string, to array.Builder) error {
	group := t.file.RowGroups()[at]
	switch leaf {
	case nullColumn:
		to.AppendNulls(int(group.NumRows()))
		return nil
	case kappaColumn:
		for range group.NumRows() {
			to.(*array.StringBuilder).Append(t.kappa)
		}
		return nil
	case randomColumn:
		return t.readRandom(at, to.(*array.Float64Builder))
	}
	if err := parquetcheck.Pages(t.in, t.size, t.file.Metadata(), at, leaf); err != nil {
		return damagedBy(fmt.Errorf("column %s: %w", name, err), "a Parquet file can't be decoded")
	}
	if err := readColumn(group.ColumnChunks()[leaf], to, int(group.NumRows())); err != nil {
		return fmt.Errorf("column %s: %w", name, err)
	}
	return nil
}

// readRandom makes the random numbers of a file that was written without, from the windows and devices of its rows.
func (t *tableFile) readRandom(at int, to *array.Float64Builder) error {
	starts, devices := array.NewTimestampBuilder(memory.DefaultAllocator, &arrow.TimestampType{Unit: arrow.Millisecond}),
		array.NewStringBuilder(memory.DefaultAllocator)
	defer starts.Release()
	defer devices.Release()
	for name, from := range map[string]array.Builder{colWindowStart: starts, colDevice: devices} {
		leaf, ok := t.file.Schema().Lookup(name)
		if !ok {
			return &Error{Code: Damaged, Detail: "a Parquet file lacks the column " + name}
		}
		if err := t.readField(at, leaf.ColumnIndex, name, from); err != nil {
			return err
		}
	}
	if starts.Len() != devices.Len() {
		return &Error{Code: Damaged, Detail: "a column has another number of rows than its row group"}
	}
	windows, texts := starts.NewTimestampArray(), devices.NewStringArray()
	defer windows.Release()
	defer texts.Release()
	for i := range texts.Len() {
		key, ok := parseKey(texts.Value(i))
		if !ok {
			return &Error{Code: Damaged, Detail: "a pseudonym is not 16 hexadecimal digits"}
		}
		to.Append(column.ShuffleOf(t.ref, int64(windows.Value(i))).Of(key))
	}
	return nil
}

func readColumn(chunk parquet.ColumnChunk, to array.Builder, rows int) error {
	appendOne, err := appender(to, chunk.Type().Kind())
	if err != nil {
		return err
	}
	pages := chunk.Pages()
	defer func() { _ = pages.Close() }() // nothing was written
	var values [1024]parquet.Value
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		reader := page.Values()
		for err == nil {
			var n int
			n, err = reader.ReadValues(values[:])
			for _, v := range values[:n] {
				appendOne(v)
			}
			if to.Len() > rows || n == 0 && err == nil {
				err = &Error{Code: Damaged, Detail: "a column has more values than its row group has rows"}
			}
		}
		parquet.Release(page)
		if !errors.Is(err, io.EOF) {
			return err
		}
	}
}

// appender is how to put a value of a physical kind into a builder.
func appender(to array.Builder, kind parquet.Kind) (func(parquet.Value), error) {
	var put func(parquet.Value)
	switch b := to.(type) {
	case *array.StringBuilder:
		if kind == parquet.ByteArray {
			put = func(v parquet.Value) { b.BinaryBuilder.Append(v.ByteArray()) }
		}
	case *array.Int64Builder:
		if kind == parquet.Int64 {
			put = func(v parquet.Value) { b.Append(v.Int64()) }
		}
	case *array.Uint64Builder:
		if kind == parquet.Int64 {
			put = func(v parquet.Value) { b.Append(v.Uint64()) }
		}
	case *array.Float64Builder:
		if kind == parquet.Double {
			put = func(v parquet.Value) { b.Append(v.Double()) }
		}
	case *array.TimestampBuilder:
		if kind == parquet.Int64 {
			put = func(v parquet.Value) { b.Append(arrow.Timestamp(v.Int64())) }
		}
	case *array.BooleanBuilder:
		if kind == parquet.Boolean {
			put = func(v parquet.Value) { b.Append(v.Boolean()) }
		}
	case *array.ListBuilder:
		if words, ok := b.ValueBuilder().(*array.StringBuilder); ok && kind == parquet.ByteArray {
			return listAppender(b, words), nil
		}
	}
	if put == nil {
		return nil, &Error{Code: Damaged, Detail: "a column has an unexpected type"}
	}
	return func(v parquet.Value) {
		if v.IsNull() {
			to.AppendNull()
			return
		}
		put(v)
	}, nil
}

// listAppender begins a list at each value that begins a row; a null there is an empty list.
func listAppender(to *array.ListBuilder, words *array.StringBuilder) func(parquet.Value) {
	return func(v parquet.Value) {
		if v.RepetitionLevel() == 0 {
			to.Append(true)
		}
		if !v.IsNull() {
			words.BinaryBuilder.Append(v.ByteArray())
		}
	}
}
