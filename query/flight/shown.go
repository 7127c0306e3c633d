package flight

import (
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/query/script"
)

// timestampNs is how moments go out. Grafana's plugin takes every number of a timestamp for nanoseconds, whatever its type says.
var timestampNs = &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}

// shownAs is the type by which clients get a stored one: each is a type of SQL, and one that Grafana's plugin can read. Whole numbers
// without a sign keep their 64 bits, and lists become JSON.
func shownAs(t arrow.DataType) arrow.DataType {
	switch t.ID() { //nolint:exhaustive // others go out as they are
	case arrow.TIMESTAMP:
		return timestampNs
	case arrow.UINT64:
		return arrow.PrimitiveTypes.Int64
	case arrow.LIST:
		return arrow.BinaryTypes.String
	}
	return t
}

// as is a column in the type by which clients get it. The caller releases it; the column stays his.
func as(column arrow.Array, t arrow.DataType, alloc memory.Allocator) arrow.Array {
	if arrow.TypeEqual(column.DataType(), t) {
		column.Retain()
		return column
	}
	switch c := column.(type) {
	case *array.Timestamp:
		return nanoseconds(c, alloc)
	case *array.Uint64:
		d := c.Data()
		signed := array.NewData(t, d.Len(), d.Buffers(), nil, d.NullN(), d.Offset())
		defer signed.Release()
		return array.NewInt64Data(signed)
	}
	b := array.NewStringBuilder(alloc)
	defer b.Release()
	b.Reserve(column.Len())
	for i := range column.Len() {
		if column.IsNull(i) {
			b.AppendNull()
			continue
		}
		b.Append(column.ValueStr(i))
	}
	return b.NewArray()
}

func nanoseconds(c *array.Timestamp, alloc memory.Allocator) arrow.Array {
	factor := arrow.Timestamp(c.DataType().(*arrow.TimestampType).Unit.Multiplier())
	b := array.NewTimestampBuilder(alloc, timestampNs)
	defer b.Release()
	b.Reserve(c.Len())
	for i, moment := range c.TimestampValues() {
		if c.IsNull(i) {
			b.UnsafeAppendBoolToBitmap(false)
			continue
		}
		b.UnsafeAppend(min(max(moment, math.MinInt64/factor), math.MaxInt64/factor) * factor)
	}
	return b.NewArray()
}

// wholeCut is all rows and columns of a stored schema. The column time comes before those that are stored: it is window_start once
// more, under the name by which Grafana's plugin looks for the time of a series.
func wholeCut(stored *arrow.Schema) *cut {
	starts := stored.FieldIndices(script.ColumnWindowStart)[0]
	c := &cut{stored: stored, starts: starts, columns: []int{starts}, limit: math.MaxInt64}
	fields := []arrow.Field{{Name: script.ColumnTime, Type: timestampNs}}
	for i, field := range stored.Fields() {
		field.Type = shownAs(field.Type)
		c.columns, fields = append(c.columns, i), append(fields, field)
	}
	meta := stored.Metadata()
	c.schema = arrow.NewSchema(fields, &meta)
	return c
}
