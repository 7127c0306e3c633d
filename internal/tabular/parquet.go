package tabular

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// parquetFile is an open Parquet file; only flat columns count.
type parquetFile struct {
	file    *parquet.File
	columns []*parquet.Column
}

// mostRows bounds what a file may claim to hold.
const mostRows = math.MaxInt32

func openParquet(in *os.File) (p *parquetFile, err error) {
	defer recovered(&err)
	info, err := in.Stat()
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	file, err := parquet.OpenFile(in, info.Size(), parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true))
	if err != nil {
		return nil, &Error{Cause: "it can't be opened as Parquet: " + err.Error()}
	}
	p = &parquetFile{file: file}
	for _, c := range file.Root().Columns() {
		if c.Leaf() && !c.Repeated() {
			p.columns = append(p.columns, c)
		}
	}
	return p, nil
}

// recovered turns a panic into an error: the decoder of damaged pages may panic.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = &Error{Cause: fmt.Sprint("it can't be decoded as Parquet: ", r)}
	}
}

func (p *parquetFile) names() []string {
	names := make([]string, len(p.columns))
	for i, c := range p.columns {
		names[i] = c.Name()
	}
	return names
}

func (p *parquetFile) column(name string) *parquet.Column {
	for _, c := range p.columns {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

func (p *parquetFile) read(t *Table, numbers, labels []string) (rows int, err error) {
	defer recovered(&err)
	if n := p.file.NumRows(); n < 0 || n > mostRows {
		return 0, &Error{Cause: "it claims more rows than can be read"}
	}
	rows = int(p.file.NumRows())
	for _, name := range numbers {
		c := p.column(name)
		n := len(t.numbers[name])
		if t.numbers[name], err = p.numbers(c, t.numbers[name], rows); err != nil {
			return 0, err
		}
		if len(t.numbers[name])-n != rows {
			return 0, &Error{Column: name, Cause: "it has another number of rows than the file"}
		}
	}
	for _, name := range labels {
		c, l := p.column(name), t.labels[name]
		n := len(l.Codes)
		if err := p.labels(c, l, rows); err != nil {
			return 0, err
		}
		if len(l.Codes)-n != rows {
			return 0, &Error{Column: name, Cause: "it has another number of rows than the file"}
		}
	}
	return rows, nil
}

// each visits the values of a column, at most so many.
func (p *parquetFile) each(c *parquet.Column, most int, visit func([]parquet.Value) error) error {
	seen := 0
	values := make([]parquet.Value, 4096)
	for _, group := range p.file.RowGroups() {
		pages := group.ColumnChunks()[c.Index()].Pages()
		err := func() error {
			defer func() { _ = pages.Close() }() // nothing was written
			for {
				page, err := pages.ReadPage()
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err //nolint:wrapcheck // wrapped below
				}
				reader := page.Values()
				for err == nil {
					var n int
					n, err = reader.ReadValues(values)
					if seen += n; seen > most || (n == 0 && err == nil) {
						return errors.New("more values than rows")
					}
					if failed := visit(values[:n]); failed != nil {
						return failed
					}
				}
				parquet.Release(page)
				if !errors.Is(err, io.EOF) {
					return err //nolint:wrapcheck // wrapped below
				}
			}
		}()
		if e, ok := errors.AsType[*Error](err); ok {
			return e
		}
		if err != nil {
			return &Error{Column: c.Name(), Cause: "it can't be read: " + err.Error()}
		}
	}
	return nil
}

func (p *parquetFile) numbers(c *parquet.Column, to []float64, rows int) ([]float64, error) {
	start := len(to)
	convert, ok := numberOf(c.Type().Kind())
	if !ok {
		return nil, &Error{Column: c.Name(), Cause: "not a column of numbers"}
	}
	if logical := c.Type().LogicalType(); logical != nil {
		if _, decimal := logical.Value.(*format.DecimalType); decimal {
			return nil, &Error{Column: c.Name(), Cause: "decimals are not supported; cast them to doubles"}
		}
	}
	err := p.each(c, rows, func(values []parquet.Value) error {
		for _, v := range values {
			x := missing
			if !v.IsNull() {
				x = convert(v)
				if math.IsNaN(x) || math.IsInf(x, 0) {
					return &Error{Column: c.Name(), Row: len(to) - start + 1, Cause: "not a finite number"}
				}
			}
			to = append(to, x)
		}
		return nil
	})
	return to, err
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

func (p *parquetFile) labels(c *parquet.Column, to *Labels, rows int) error {
	text, ok := textOf(c)
	if !ok {
		return &Error{Column: c.Name(), Cause: "not a column of labels"}
	}
	return p.each(c, rows, func(values []parquet.Value) error {
		for _, v := range values {
			switch {
			case v.IsNull():
				to.Codes = append(to.Codes, -1)
			case text == nil:
				to.Codes = append(to.Codes, to.codeBytes(v.ByteArray()))
			default:
				to.Codes = append(to.Codes, to.code(text(v)))
			}
		}
		return nil
	})
}

// textOf says how a value is written as a label; nil for text itself.
func textOf(c *parquet.Column) (func(parquet.Value) string, bool) {
	var unit time.Duration
	date := false
	if logical := c.Type().LogicalType(); logical != nil {
		switch l := logical.Value.(type) {
		case *format.TimestampType:
			if l.Unit.Value != nil {
				unit = l.Unit.Value.Duration()
			}
		case *format.DateType:
			date = true
		}
	}
	switch kind := c.Type().Kind(); {
	case kind == parquet.ByteArray:
		return nil, true
	case kind == parquet.Boolean:
		return func(v parquet.Value) string { return strconv.FormatBool(v.Boolean()) }, true
	case kind == parquet.Int64 && unit > 0:
		return func(v parquet.Value) string { return moment(v.Int64(), unit).Format(time.RFC3339Nano) }, true
	case kind == parquet.Int32 && date:
		return func(v parquet.Value) string { return time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly) }, true
	case kind == parquet.Int32:
		return func(v parquet.Value) string { return strconv.FormatInt(int64(v.Int32()), 10) }, true
	case kind == parquet.Int64:
		return func(v parquet.Value) string { return strconv.FormatInt(v.Int64(), 10) }, true
	case kind == parquet.Double:
		return func(v parquet.Value) string { return strconv.FormatFloat(v.Double(), 'g', -1, 64) }, true
	case kind == parquet.Float:
		return func(v parquet.Value) string { return strconv.FormatFloat(float64(v.Float()), 'g', -1, 32) }, true
	}
	return nil, false
}

// moment is so many units after the epoch, without overflow for coarse units.
func moment(x int64, unit time.Duration) time.Time {
	perSecond := int64(time.Second / unit)
	return time.Unix(x/perSecond, x%perSecond*int64(unit)).UTC()
}
