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
			return &Error{Column: c.Name(), Cause: "it can't be read: " + err.Error(), reason: err}
		}
		pages := group.ColumnChunks()[c.Index()].Pages()
		err := eachOf(pages, visit)
		_ = pages.Close() // nothing was written
		if e, ok := errors.AsType[*Error](err); ok {
			return e
		}
		if err != nil {
			return &Error{Column: c.Name(), Cause: "it can't be read: " + err.Error(), reason: err}
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
	var decode numberPages
	if err := decode.of(c); err != nil {
		return nil, err
	}
	start := len(to)
	to = slices.Grow(to, min(rows, roomAtOnce))
	err := p.each(c, func(page parquet.Page) error {
		first := len(to)
		var err error
		if to, err = decode.append(page, to); err != nil {
			return err
		}
		if len(to)-start > rows {
			return errTooMany
		}
		if at := notFinite(to[first:], page.NumNulls() > 0); at >= 0 {
			return &Error{Column: c.Name(), Row: first + at - start + 1, Cause: "not a finite number"}
		}
		return nil
	})
	if err == nil && len(to)-start != rows {
		err = &Error{Column: c.Name(), Cause: errTooMany.Error()}
	}
	return to, err
}

// notFinite returns the place of the first number that is none, and −1 when there is no such one. Only among values with
// nulls may there be NaN, which stands for them.
func notFinite(values []float64, nulls bool) int {
	for k, x := range values {
		if x-x != 0 && (!nulls || !math.IsNaN(x)) {
			return k
		}
	}
	return -1
}

// numberPages decodes the pages of a column of numbers.
type numberPages struct {
	convert func(parquet.Value) float64
	known   parquet.Dictionary
	entries []float64 // of known; its own memory when it holds floating-point numbers
	buffer  []float64
}

// of sets the column.
func (d *numberPages) of(c *parquet.Column) error {
	convert, ok := numberOf(c.Type().Kind())
	if logical := c.Type().LogicalType(); ok && logical != nil {
		_, decimal := logical.Value.(*format.DecimalType)
		ok = !decimal
	}
	if !ok {
		return &Error{Column: c.Name(), Cause: "not a column of numbers"}
	}
	d.convert, d.known = convert, nil
	return nil
}

// append appends the numbers of a page. NaN stands for a null; a NaN of a page with nulls becomes infinite.
func (d *numberPages) append(page parquet.Page, to []float64) ([]float64, error) {
	if indices, entries, ok := d.indexed(page); ok {
		from := len(to)
		to = slices.Grow(to, len(indices))[:from+len(indices)]
		look(to[from:], indices, entries)
		return to, nil
	}
	if plain, ok := plainNumbers(page, to); ok {
		return plain, nil
	}
	err := values(page, func(v parquet.Value) error {
		to = append(to, d.number(v))
		return nil
	})
	return to, err
}

func (d *numberPages) number(v parquet.Value) float64 {
	if v.IsNull() {
		return missing
	}
	if x := d.convert(v); !math.IsNaN(x) {
		return x
	}
	return math.Inf(1) // not a missing one
}

// indexed returns the indices of a page without nulls and the entries of its dictionary.
func (d *numberPages) indexed(page parquet.Page) (indices []int32, entries []float64, ok bool) {
	dictionary := page.Dictionary()
	if dictionary == nil || page.NumNulls() != 0 {
		return nil, nil, false
	}
	if dictionary != d.known {
		d.known = dictionary
		all := dictionary.Page()
		if data := all.Data(); all.Type().Kind() == parquet.Double {
			d.entries = data.Double()
		} else {
			d.buffer = d.buffer[:0]
			for i := range dictionary.Len() {
				d.buffer = append(d.buffer, d.number(dictionary.Index(int32(i))))
			}
			d.entries = d.buffer
		}
	}
	data := page.Data()
	return data.Int32(), d.entries, true
}

// look sets to[i] to the entry of indices[i].
func look[T any](to []T, indices []int32, entries []T) {
	to = to[:len(indices)]
	for i, index := range indices {
		to[i] = entries[index]
	}
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

// labels appends a column of labels.
func (p *parquetFile) labels(c *parquet.Column, to *Labels, rows int) error {
	var decode labelPages
	if err := decode.of(c, to); err != nil {
		return err
	}
	start := len(to.Codes)
	to.Codes = slices.Grow(to.Codes, min(rows, roomAtOnce))
	err := p.each(c, func(page parquet.Page) (err error) {
		if int64(len(to.Codes)-start)+page.NumValues() > int64(rows) {
			return errTooMany
		}
		to.Codes, err = decode.append(page, to.Codes)
		return err
	})
	if err == nil && len(to.Codes)-start != rows {
		err = &Error{Column: c.Name(), Cause: errTooMany.Error()}
	}
	return err
}

// labelPages decodes the pages of a column of labels. The entries of a dictionary are coded once.
type labelPages struct {
	text   func(parquet.Value) string // nil for text itself
	labels *Labels
	known  parquet.Dictionary
	codes  []int32 // of the entries of known
}

// of sets the column, and where its labels are coded.
func (d *labelPages) of(c *parquet.Column, labels *Labels) error {
	text, ok := textOf(c)
	if !ok {
		return &Error{Column: c.Name(), Cause: "not a column of labels"}
	}
	d.text, d.labels, d.known = text, labels, nil
	return nil
}

func (d *labelPages) code(v parquet.Value) int32 {
	switch {
	case v.IsNull():
		return -1
	case d.text == nil:
		return d.labels.codeBytes(v.ByteArray())
	}
	return d.labels.code(d.text(v))
}

// append appends the codes of a page.
func (d *labelPages) append(page parquet.Page, to []int32) ([]int32, error) {
	dictionary := page.Dictionary()
	if dictionary == nil || page.NumNulls() != 0 {
		err := values(page, func(v parquet.Value) error {
			to = append(to, d.code(v))
			return nil
		})
		return to, err
	}
	if dictionary != d.known {
		d.known, d.codes = dictionary, d.codes[:0]
		for i := range dictionary.Len() {
			d.codes = append(d.codes, d.code(dictionary.Index(int32(i))))
		}
	}
	data := page.Data()
	indices := data.Int32()
	from := len(to)
	to = slices.Grow(to, len(indices))[:from+len(indices)]
	look(to[from:], indices, d.codes)
	return to, nil
}
