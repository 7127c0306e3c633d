package storage

import (
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// picks is rows of records, in the order in which they are to stand. It retains the records.
type picks struct {
	records []arrow.Record
	keys    []keys // of the records, only when they are to be sorted
	rows    []pickedRow
}

// pickedRow is one row of one of the records.
type pickedRow struct {
	record, row int32
}

func (p *picks) len() int { return len(p.rows) }

// record retains a record and gives its number, for pick.
func (p *picks) record(rec arrow.Record) int32 {
	rec.Retain()
	p.records = append(p.records, rec)
	return int32(len(p.records) - 1)
}

// pick adds a row of a record.
func (p *picks) pick(record int32, row int) {
	p.rows = append(p.rows, pickedRow{record: record, row: int32(row)})
}

// add adds all rows of a record, for sort.
func (p *picks) add(rec arrow.Record, k keys) {
	number := p.record(rec)
	p.keys = append(p.keys, k)
	for i := range int(rec.NumRows()) {
		p.pick(number, i)
	}
}

// sort puts added rows in the order of their keys; equal ones stay as they are.
func (p *picks) sort() {
	slices.SortStableFunc(p.rows, func(a, b pickedRow) int {
		return p.keys[a.record].compare(int(a.row), &p.keys[b.record], int(b.row))
	})
}

// release forgets all.
func (p *picks) release() {
	for _, rec := range p.records {
		rec.Release()
	}
	p.records, p.keys, p.rows = p.records[:0], nil, p.rows[:0]
}

// gather is a record of the rows, which the caller releases. All records have the columns of the schema.
func (p *picks) gather(schema *arrow.Schema, alloc memory.Allocator) (arrow.Record, error) {
	b := array.NewRecordBuilder(alloc, schema)
	defer b.Release()
	b.Reserve(len(p.rows))
	from := make([]arrow.Array, len(p.records))
	for i, f := range schema.Fields() {
		for at, rec := range p.records {
			from[at] = rec.Column(i)
		}
		if err := gatherColumn(b.Field(i), from, p.rows); err != nil {
			return nil, err
		}
		if b.Field(i).Len() != len(p.rows) {
			return nil, &Error{Code: Damaged, Detail: "the column " + f.Name + " has an unexpected type"}
		}
	}
	return b.NewRecord(), nil
}

// gatherColumn copies the values of rows of arrays into a builder of the same type.
func gatherColumn(to array.Builder, from []arrow.Array, rows []pickedRow) error {
	switch b := to.(type) {
	case *array.StringBuilder:
		gatherValues(b, b.Append, from, rows, (*array.String).Value)
	case *array.Int64Builder:
		gatherValues(b, b.Append, from, rows, (*array.Int64).Value)
	case *array.Uint64Builder:
		gatherValues(b, b.Append, from, rows, (*array.Uint64).Value)
	case *array.Float64Builder:
		gatherValues(b, b.Append, from, rows, (*array.Float64).Value)
	case *array.TimestampBuilder:
		gatherValues(b, b.Append, from, rows, (*array.Timestamp).Value)
	case *array.BooleanBuilder:
		gatherValues(b, b.Append, from, rows, (*array.Boolean).Value)
	case *array.ListBuilder:
		words, ok := b.ValueBuilder().(*array.StringBuilder)
		if !ok {
			return &Error{Code: Malformed, Detail: "a list is not of text"}
		}
		gatherLists(b, words, from, rows)
	default:
		return &Error{Code: Malformed, Detail: "a column has a type that can't be merged"}
	}
	return nil
}

// gatherValues appends values of arrays of type A; arrays of another type leave the builder short.
func gatherValues[A arrow.Array, V any](b array.Builder, put func(V), from []arrow.Array, rows []pickedRow, value func(A, int) V) {
	typed := make([]A, len(from))
	for i, a := range from {
		t, ok := a.(A)
		if !ok {
			return
		}
		typed[i] = t
	}
	for _, r := range rows {
		if a := typed[r.record]; a.IsNull(int(r.row)) {
			b.AppendNull()
		} else {
			put(value(a, int(r.row)))
		}
	}
}

// gatherLists appends lists of text.
func gatherLists(b *array.ListBuilder, words *array.StringBuilder, from []arrow.Array, rows []pickedRow) {
	for _, r := range rows {
		list, ok := from[r.record].(*array.List)
		if !ok {
			return
		}
		texts, ok := list.ListValues().(*array.String)
		if !ok {
			return
		}
		b.Append(true)
		first, last := list.ValueOffsets(int(r.row))
		for i := first; i < last; i++ {
			words.Append(texts.Value(int(i)))
		}
	}
}

// orLeast is a whole number, the least one for a null.
func orLeast(a *array.Int64, i int) int64 {
	if a.IsNull(i) {
		return math.MinInt64
	}
	return a.Value(i)
}
