package tabular

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/quadrat-dev/quadrat/internal/parquetcheck"
)

// parquetFile is an open Parquet file; only flat columns count.
type parquetFile struct {
	in interface {
		io.ReaderAt
		io.Closer
	}
	size    int64
	file    *parquet.File
	columns []*parquet.Column
}

// mostRows bounds what a file may claim to hold.
const mostRows = math.MaxInt32

func openParquet(in File, size int64) (p *parquetFile, err error) {
	defer recovered(&err)
	if err := parquetcheck.Footer(in, size); err != nil {
		return nil, notParquet(err)
	}
	file, err := parquet.OpenFile(in, size, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true))
	if err != nil {
		return nil, notParquet(err)
	}
	p = &parquetFile{in: in, size: size, file: file}
	for _, c := range file.Root().Columns() {
		if c.Leaf() && !c.Repeated() {
			p.columns = append(p.columns, c)
		}
	}
	return p, nil
}

func notParquet(err error) error {
	return &Error{Cause: "it can't be opened as Parquet: " + err.Error(), reason: err}
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

func (p *parquetFile) read(t *Table, numbers, labels []string) (int, error) {
	if n := p.file.NumRows(); n < 0 || n > mostRows {
		return 0, &Error{Cause: "it claims more rows than can be read"}
	}
	rows := int(p.file.NumRows())
	columns, faults := make([][]float64, len(numbers)), make([]error, len(numbers)+len(labels))
	var work sync.WaitGroup // a goroutine for each column
	for i, name := range numbers {
		columns[i] = t.numbers[name]
		work.Go(func() {
			defer recovered(&faults[i])
			columns[i], faults[i] = p.numbers(p.column(name), columns[i], rows)
		})
	}
	for i, name := range labels {
		l, fault := t.labels[name], &faults[len(numbers)+i]
		work.Go(func() {
			defer recovered(fault)
			*fault = p.labels(p.column(name), l, rows)
		})
	}
	work.Wait()
	for _, err := range faults {
		if err != nil {
			return 0, err
		}
	}
	for i, name := range numbers {
		t.numbers[name] = columns[i]
	}
	return rows, nil
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
