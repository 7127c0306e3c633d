package tabular

import (
	"errors"
	"io"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/quadrat-dev/quadrat/internal/parquetcheck"
)

// roomAtOnce bounds the rows for which room is made on a file's word alone.
const roomAtOnce = 1 << 24

// each visits the pages of a column.
func (p *parquetFile) each(c *parquet.Column, visit func(parquet.Page) error) error {
	for i, group := range p.file.RowGroups() {
		if err := parquetcheck.Pages(p.in, p.size, p.file.Metadata(), i, c.Index()); err != nil {
			return &Error{Column: c.Name(), Cause: "it can't be read: " + err.Error()}
		}
		pages := group.ColumnChunks()[c.Index()].Pages()
		err := eachOf(pages, visit)
		_ = pages.Close() // nothing was written
		if e, ok := errors.AsType[*Error](err); ok {
			return e
		}
		if err != nil {
			return &Error{Column: c.Name(), Cause: "it can't be read: " + err.Error()}
		}
	}
	return nil
}

func eachOf(pages parquet.Pages, visit func(parquet.Page) error) error {
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err //nolint:wrapcheck // wrapped by the caller
		}
		err = visit(page)
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
}

// values visits the values of a page one buffer after the other.
func values(page parquet.Page, visit func(parquet.Value) error) error {
	var buffer [1024]parquet.Value
	reader := page.Values()
	for {
		n, err := reader.ReadValues(buffer[:])
		for _, v := range buffer[:n] {
			if failed := visit(v); failed != nil {
				return failed
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err //nolint:wrapcheck // wrapped by the caller
		case n == 0:
			return io.ErrNoProgress
		}
	}
}

var errTooMany = errors.New("it has another number of values than the file has rows")

// numbers appends a column of numbers.
func (p *parquetFile) numbers(c *parquet.Column, to []float64, rows int) ([]float64, error) {
	convert, ok := numberOf(c.Type().Kind())
	if logical := c.Type().LogicalType(); ok && logical != nil {
		_, decimal := logical.Value.(*format.DecimalType)
		ok = !decimal
	}
	if !ok {
		return nil, &Error{Column: c.Name(), Cause: "not a column of numbers"}
	}
	start := len(to)
	to = slices.Grow(to, min(rows, roomAtOnce))
	err := p.each(c, func(page parquet.Page) error {
		first := len(to)
		if plain, ok := plainNumbers(page, to); ok {
			to = plain
		} else if err := values(page, func(v parquet.Value) error {
			x := missing
			if !v.IsNull() {
				if x = convert(v); math.IsNaN(x) {
					x = math.Inf(1) // not a missing one
				}
			}
			to = append(to, x)
			return nil
		}); err != nil {
			return err
		}
		if len(to)-start > rows {
			return errTooMany
		}
		nulls := page.NumNulls() > 0
		for k := first; k < len(to); k++ {
			if x := to[k]; x-x != 0 && (!nulls || !math.IsNaN(x)) {
				return &Error{Column: c.Name(), Row: k - start + 1, Cause: "not a finite number"}
			}
		}
		return nil
	})
	if err == nil && len(to)-start != rows {
		err = &Error{Column: c.Name(), Cause: errTooMany.Error()}
	}
	return to, err
}

// plainNumbers appends the numbers of a page that is an array of them.
func plainNumbers(page parquet.Page, to []float64) ([]float64, bool) {
	if page.Dictionary() != nil || page.NumNulls() != 0 {
		return to, false
	}
	data := page.Data()
	switch page.Type().Kind() {
	case parquet.Double:
		return append(to, data.Double()...), true
	case parquet.Int64:
		for _, x := range data.Int64() {
			to = append(to, float64(x))
		}
		return to, true
	default:
		return to, false
	}
}

func numberOf(kind parquet.Kind) (func(parquet.Value) float64, bool) {
	switch kind {
	case parquet.Double:
		return parquet.Value.Double, true
	case parquet.Float:
		return func(v parquet.Value) float64 { return float64(v.Float()) }, true
	case parquet.Int32:
		return func(v parquet.Value) float64 { return float64(v.Int32()) }, true
	case parquet.Int64:
		return func(v parquet.Value) float64 { return float64(v.Int64()) }, true
	case parquet.Boolean:
		return func(v parquet.Value) float64 {
			if v.Boolean() {
				return 1
			}
			return 0
		}, true
	default:
		return nil, false
	}
}

// labels appends a column of labels. The entries of a page's dictionary are coded once.
func (p *parquetFile) labels(c *parquet.Column, to *Labels, rows int) error {
	text, ok := textOf(c)
	if !ok {
		return &Error{Column: c.Name(), Cause: "not a column of labels"}
	}
	code := func(v parquet.Value) int32 {
		switch {
		case v.IsNull():
			return -1
		case text == nil:
			return to.codeBytes(v.ByteArray())
		}
		return to.code(text(v))
	}
	start := len(to.Codes)
	to.Codes = slices.Grow(to.Codes, min(rows, roomAtOnce))
	var known parquet.Dictionary
	var codes []int32 // of the entries of known
	err := p.each(c, func(page parquet.Page) error {
		if int64(len(to.Codes)-start)+page.NumValues() > int64(rows) {
			return errTooMany
		}
		dictionary := page.Dictionary()
		if dictionary == nil || page.NumNulls() != 0 {
			return values(page, func(v parquet.Value) error {
				to.Codes = append(to.Codes, code(v))
				return nil
			})
		}
		if dictionary != known {
			known, codes = dictionary, codes[:0]
			for i := range dictionary.Len() {
				codes = append(codes, code(dictionary.Index(int32(i))))
			}
		}
		data := page.Data()
		for _, index := range data.Int32() {
			to.Codes = append(to.Codes, codes[index])
		}
		return nil
	})
	if err == nil && len(to.Codes)-start != rows {
		err = &Error{Column: c.Name(), Cause: errTooMany.Error()}
	}
	return err
}
