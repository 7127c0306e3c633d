package flight

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/query/script"
)

// cut is which rows and columns of stored rows a statement asks for, beside its span.
type cut struct {
	stored        *arrow.Schema // of what comes
	schema        *arrow.Schema // of what goes out; a column becomes what its type says
	columns       []int         // positions of its columns among those that are stored
	same          []same
	starts        int // position of the starts of the windows
	order         script.Order
	sortBytes     int64 // most that putting them in order may hold
	offset, limit int64
}

// same is the condition that a column of texts holds one of some.
type same struct {
	column int
	texts  []string
}

// cutOf settles the columns of a statement about stored rows of a schema. It fails with a *script.Error.
func cutOf(r *script.Rows, stored *arrow.Schema) (*cut, error) {
	c := wholeCut(stored)
	c.order, c.offset, c.limit = r.Order, r.Offset, r.Limit
	all := *c
	var names []string
	for _, field := range all.schema.Fields() {
		names = append(names, field.Name)
	}
	if r.Columns != nil {
		c.columns = nil
	}
	var fields []arrow.Field
	for _, asked := range r.Columns {
		at, err := r.Find(asked.Name, names)
		if err != nil {
			return nil, err
		}
		field := all.schema.Field(at)
		if asked.As != asked.Name {
			field.Name = asked.As.Text
		}
		c.columns, fields = append(c.columns, all.columns[at]), append(fields, field)
	}
	if r.Columns != nil {
		meta := stored.Metadata()
		c.schema = arrow.NewSchema(fields, &meta)
	}
	for _, condition := range r.Same {
		at, err := r.Find(condition.Column, names)
		if err != nil {
			return nil, err
		}
		if stored.Field(all.columns[at]).Type.ID() != arrow.STRING {
			return nil, condition.Column.At("columns of texts, and window_start, can stand in WHERE", "%s holds no texts", names[at])
		}
		c.same = append(c.same, same{all.columns[at], condition.Texts})
	}
	return c, nil
}

// of gives the rows in messages of bounded size.
func (c *cut) of(stored records, alloc memory.Allocator) records {
	if c.order == script.AsStored {
		return c.inTurn(stored, alloc)
	}
	return c.ordered().inTurn(sorted(c.wanted().inTurn(stored, alloc), c.order, c.sortBytes, alloc), alloc)
}

// inTurn gives the rows in the order in which they come.
func (c *cut) inTurn(stored records, alloc memory.Allocator) records {
	return func(yield func(arrow.Record, error) bool) {
		out := &packer{cut: c, alloc: alloc, yield: yield}
		defer out.drop()
		skip, left := c.offset, c.limit
		for record, err := range stored {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, run := range c.runs(record) {
				passed := min(skip, run.to-run.from)
				skip -= passed
				run.from += passed
				run.to = run.from + min(run.to-run.from, left)
				left -= run.to - run.from
				if !out.add(record, run) {
					return
				}
			}
			if left == 0 {
				break
			}
		}
		out.flush()
	}
}

// run is neighbouring rows of a record.
type run struct{ from, to int64 }

// runs are the rows of a record that fulfil the conditions.
func (c *cut) runs(record arrow.Record) (runs []run) {
	if len(c.same) == 0 {
		return []run{{0, record.NumRows()}}
	}
	columns := make([]*array.String, len(c.same))
	for i, s := range c.same {
		columns[i] = record.Column(s.column).(*array.String)
	}
	for row := range record.NumRows() {
		if !c.holds(columns, int(row)) {
			continue
		}
		if last := len(runs) - 1; last >= 0 && runs[last].to == row {
			runs[last].to++
		} else {
			runs = append(runs, run{row, row + 1})
		}
	}
	return runs
}

func (c *cut) holds(columns []*array.String, row int) bool {
	for i, s := range c.same {
		if columns[i].IsNull(row) || !slices.Contains(s.texts, columns[i].Value(row)) {
			return false
		}
	}
	return true
}
