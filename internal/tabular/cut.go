package tabular

import (
	"errors"
	"math"

	"github.com/parquet-go/parquet-go"
)

// Cut leaves out rows of files that are sorted by one column and then by another, without reading most of them. It is only a saving:
// rows that it leaves out may come with those that it doesn't, and a file in another order gives the same rows, more slowly.
type Cut struct {
	Group, Order string // columns of whole numbers or moments, and of floating-point numbers, that have no nulls
	// Between says which numbers of Order are wanted among the rows of a group: from ≤ x < below. It is called by many goroutines.
	Between func(group int64) (from, below float64)
}

// wants says whether rows of a group with numbers of Order in [low, high] may be wanted.
func (c *Cut) wants(group int64, low, high float64) bool {
	from, below := c.Between(group)
	return from < below && low < below && high >= from
}

// span is rows of a row group, half-open.
type span struct{ from, to int64 }

// spans are the rows of a row group that a cut wants, ascending and apart: pages of Order of which none is wanted are left out.
func (r *blockReader) spans(g rowGroup, cut *Cut) ([]span, error) {
	runs, err := r.runs(g, cut.Group)
	if err != nil {
		return nil, err
	}
	pages, err := pagesOf(g, cut.Order)
	if err != nil {
		return nil, err
	}
	var out []span
	add := func(s span) {
		if n := len(out); n > 0 && out[n-1].to == s.from {
			out[n-1].to = s.to
		} else {
			out = append(out, s)
		}
	}
	next := 0
	for _, run := range runs {
		for next > 0 && pages[next-1].to > run.from {
			next-- // the last page reaches into this run
		}
		for ; next < len(pages) && pages[next].from < run.to; next++ {
			page := pages[next]
			if cut.wants(run.group, page.low, page.high) { // so it is too of the page's part in this run
				add(span{max(page.from, run.from), min(page.to, run.to)})
			}
		}
	}
	return out, nil
}

// run is rows of one group that stand together.
type run struct {
	span

	group int64
}

// runs finds the runs of a row group: from its statistics when it has one group only, and else from the column.
func (r *blockReader) runs(g rowGroup, column string) ([]run, error) {
	if least, most, ok := g.file.ends(g.at, column); ok && least == most {
		return []run{{span{0, g.NumRows()}, least}}, nil
	}
	var out []run
	c := g.file.column(column)
	n := &r.groups
	if err := n.decode.of(c); err != nil {
		return nil, err
	}
	n.pages = g.ColumnChunks()[c.Index()].Pages()
	defer n.close()
	for at := int64(0); at < g.NumRows(); {
		rows, err := n.fill()
		if err != nil {
			return nil, err
		}
		for i := range rows {
			x := n.at(i)
			if k := len(out); k > 0 && out[k-1].group == x {
				out[k-1].to++
			} else {
				out = append(out, run{span{at + int64(i), at + int64(i) + 1}, x})
			}
		}
		n.plain, n.indices = nil, nil
		at += int64(rows)
	}
	return out, nil
}

// at is the number of a row that waits.
func (n *numberBlocks) at(i int) int64 {
	if len(n.indices) > 0 {
		return int64(n.entries[n.indices[i]])
	}
	return int64(n.plain[i])
}

// pageEnds is the rows of a page, and the least and the greatest number in it.
type pageEnds struct {
	span

	low, high float64
}

// pagesOf are the pages of a column of numbers; a row group without an index of its pages counts as one.
func pagesOf(g rowGroup, column string) ([]pageEnds, error) {
	c := g.file.column(column)
	whole := []pageEnds{{span{0, g.NumRows()}, math.Inf(-1), math.Inf(1)}}
	if c.Type().Kind() != parquet.Double {
		return nil, &Error{Column: column, Cause: "not a column of floating-point numbers"}
	}
	chunk := g.ColumnChunks()[c.Index()]
	places, err := chunk.OffsetIndex()
	if errors.Is(err, parquet.ErrMissingOffsetIndex) {
		return whole, nil
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller names the file
	}
	ends, err := chunk.ColumnIndex()
	if errors.Is(err, parquet.ErrMissingColumnIndex) || err == nil && ends.NumPages() != places.NumPages() {
		return whole, nil
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller names the file
	}
	out := make([]pageEnds, places.NumPages())
	for i := range out {
		to := g.NumRows()
		if i+1 < len(out) {
			to = places.FirstRowIndex(i + 1)
		}
		out[i] = pageEnds{span{places.FirstRowIndex(i), to}, ends.MinValue(i).Double(), ends.MaxValue(i).Double()}
		if s := out[i].span; s.from >= s.to || i == 0 && s.from != 0 || s.to > g.NumRows() {
			return nil, &Error{Column: column, Cause: "its index of pages is broken"}
		}
	}
	return out, nil
}
