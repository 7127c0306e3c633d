package flight

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// packer makes messages of runs of rows: long runs are cut, short ones joined, as long as they are slices of the same arrays. It
// thereby keeps no more in memory than the record that is read and one message.
type packer struct {
	cut   *cut
	alloc memory.Allocator
	yield func(arrow.Record, error) bool

	parts [][]arrow.Array // a slice of each column, for each run that waits
	rows  int64           // that wait
	of    *memory.Buffer  // what tells the arrays that they are slices of
}

// add takes a run of rows and tells whether more are wanted.
func (p *packer) add(record arrow.Record, r run) bool {
	if r.from >= r.to {
		return true
	}
	if of := identity(record); of != p.of {
		if !p.flush() {
			return false
		}
		p.of = of
	}
	for r.from < r.to {
		n := min(r.to-r.from, messageRows-p.rows)
		part := make([]arrow.Array, len(p.cut.columns))
		for i, at := range p.cut.columns {
			part[i] = array.NewSlice(record.Column(at), r.from, r.from+n)
		}
		p.parts, p.rows, r.from = append(p.parts, part), p.rows+n, r.from+n
		if p.rows == messageRows && !p.flush() {
			return false
		}
	}
	return true
}

// identity is a buffer that two records share when they are slices of one; every kind of rows begins with columns of fixed width or
// of texts, which have their values or offsets there.
func identity(record arrow.Record) *memory.Buffer { return record.Column(0).Data().Buffers()[1] }

// flush sends what waits and tells whether more is wanted.
func (p *packer) flush() bool {
	if len(p.parts) == 0 {
		return true
	}
	defer p.drop()
	columns := make([]arrow.Array, len(p.cut.columns))
	for i := range columns {
		joined, err := p.joined(i)
		if err != nil {
			release(columns[:i])
			p.yield(nil, err)
			return false
		}
		columns[i] = joined
	}
	record := array.NewRecord(p.cut.schema, columns, p.rows)
	release(columns)
	defer record.Release()
	return p.yield(record, nil)
}

// joined is a column of all that waits, as it goes out.
func (p *packer) joined(column int) (arrow.Array, error) {
	slices := make([]arrow.Array, len(p.parts))
	for i, part := range p.parts {
		slices[i] = part[column]
	}
	joined := slices[0]
	if len(slices) > 1 {
		var err error
		if joined, err = array.Concatenate(slices, p.alloc); err != nil {
			return nil, err
		}
		defer joined.Release()
	}
	return as(joined, p.cut.schema.Field(column).Type, p.alloc), nil
}

// drop forgets what waits.
func (p *packer) drop() {
	for _, part := range p.parts {
		release(part)
	}
	p.parts, p.rows = nil, 0
}

func release(columns []arrow.Array) {
	for _, column := range columns {
		column.Release()
	}
}
