package flight

import (
	"cmp"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/quadrat-dev/quadrat/query/script"
)

// wanted is the rows that a statement wants and the columns that it takes to put them in order: its own as they are stored, and the starts
// of the windows.
func (c *cut) wanted() *cut {
	out := &cut{same: c.same, limit: math.MaxInt64, columns: append(slices.Clone(c.columns), c.starts)}
	var fields []arrow.Field
	for _, at := range out.columns {
		fields = append(fields, c.stored.Field(at))
	}
	out.schema = arrow.NewSchema(fields, nil)
	return out
}

// ordered is what a statement asks for of the rows that it wants, once they are in order.
func (c *cut) ordered() *cut {
	out := &cut{schema: c.schema, offset: c.offset, limit: c.limit}
	for i := range c.columns {
		out.columns = append(out.columns, i)
	}
	return out
}

// sorted puts rows, whose last column is the starts of their windows, in an order by them; those of one window stay as they came. Rows
// must come by days, UTC, of these starts. What it holds is bounded.
func sorted(rows records, order script.Order, bytesMost int64, alloc memory.Allocator) records {
	return func(yield func(arrow.Record, error) bool) {
		held := &pile{order: order, bytesMost: bytesMost, alloc: alloc}
		defer held.drop()
		for record, err := range rows {
			if err != nil {
				yield(nil, err)
				return
			}
			if order == script.Ascending && held.before(record) && !held.give(yield) {
				return
			}
			if err := held.add(record); err != nil {
				yield(nil, err)
				return
			}
		}
		held.give(yield)
	}
}

// pile is rows that wait for those that may come before them.
type pile struct {
	order     script.Order
	bytesMost int64
	alloc     memory.Allocator

	records []arrow.Record
	places  []place
	bytes   int64
}

// place is where a row lies in the pile.
type place struct {
	starts      int64 // of its window, in milliseconds
	record, row int32
}

const dayMs = 24 * 60 * 60 * 1000

func startsOf(record arrow.Record) []arrow.Timestamp {
	return record.Column(int(record.NumCols()) - 1).(*array.Timestamp).TimestampValues()
}

// before tells whether all that waits is of an earlier day than a record, none of which is empty.
func (p *pile) before(record arrow.Record) bool {
	return len(p.places) > 0 && p.places[len(p.places)-1].starts/dayMs < int64(startsOf(record)[0])/dayMs
}

// add takes a copy of a record, so that no more waits than was asked for.
func (p *pile) add(record arrow.Record) error {
	columns := make([]arrow.Array, record.NumCols())
	defer func() { release(slices.DeleteFunc(columns, func(c arrow.Array) bool { return c == nil })) }()
	for i, column := range record.Columns() {
		var err error
		if columns[i], err = array.Concatenate([]arrow.Array{column}, p.alloc); err != nil {
			return err
		}
		p.bytes += int64(columns[i].Data().SizeInBytes())
	}
	for row, starts := range startsOf(record) {
		p.places = append(p.places, place{int64(starts), int32(len(p.records)), int32(row)})
	}
	p.records = append(p.records, array.NewRecord(record.Schema(), columns, record.NumRows()))
	if p.bytes+16*int64(len(p.places)) > p.bytesMost {
		return status.Errorf(codes.ResourceExhausted, "ORDER BY would hold more than %d bytes of rows: "+
			"ask for a shorter span, for fewer columns, or without ORDER BY", p.bytesMost)
	}
	return nil
}

// give gives all that waits, in order, and tells whether more is wanted.
func (p *pile) give(yield func(arrow.Record, error) bool) bool {
	defer p.drop()
	slices.SortStableFunc(p.places, func(a, b place) int { return int(p.order) * cmp.Compare(a.starts, b.starts) })
	for places := range slices.Chunk(p.places, messageRows) {
		record, err := p.take(places)
		if err != nil {
			yield(nil, err)
			return false
		}
		more := yield(record, nil)
		record.Release()
		if !more {
			return false
		}
	}
	return true
}

// take is some rows as a record.
func (p *pile) take(places []place) (arrow.Record, error) {
	columns := make([]arrow.Array, p.records[0].NumCols())
	defer func() { release(slices.DeleteFunc(columns, func(c arrow.Array) bool { return c == nil })) }()
	for i := range columns {
		var parts []arrow.Array
		for from := 0; from < len(places); {
			to := from + 1
			for to < len(places) && places[to].record == places[from].record && places[to].row == places[to-1].row+1 {
				to++
			}
			column := p.records[places[from].record].Column(i)
			parts = append(parts, array.NewSlice(column, int64(places[from].row), int64(places[to-1].row)+1))
			from = to
		}
		var err error
		columns[i], err = array.Concatenate(parts, p.alloc)
		release(parts)
		if err != nil {
			return nil, err
		}
	}
	return array.NewRecord(p.records[0].Schema(), columns, int64(len(places))), nil
}

// drop forgets what waits.
func (p *pile) drop() {
	for _, record := range p.records {
		record.Release()
	}
	p.records, p.places, p.bytes = nil, nil, 0
}
