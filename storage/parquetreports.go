package storage

import (
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// keyDigits is how long a pseudonym is in a file.
const keyDigits = 16

// reportsWriter writes sorted reports column by column, with the bytes that write gives for the same rows. Of a column that rows
// share, each design's value is made once, and rows copy it.
type reportsWriter struct {
	*tableWriter
	rows    *sortedReports
	designs arrow.Record    // a row for each design, for the columns that rows share
	shared  []parquet.Value // of one column, by design
	design  []uint32        // of the rows of the row group, in their order
	digits  []byte          // of the pseudonyms of one call
}

// writeReports appends sorted reports.
func (w *tableWriter) writeReports(rows *sortedReports) error {
	build := column.NewReports(memory.DefaultAllocator, rows.Kappa, rows.Ref)
	defer build.Release()
	for i := range rows.Designs {
		build.Append(&rows.Designs[i])
	}
	r := &reportsWriter{tableWriter: w, rows: rows, designs: build.NewRecord(), digits: make([]byte, valuesAtOnce*keyDigits)}
	defer r.designs.Release()
	for from := 0; from < rows.len(); {
		to := min(rows.len(), from+rowGroupRows-int(w.rows))
		r.design = r.design[:0]
		for _, p := range rows.places[from:to] {
			r.design = append(r.design, rows.Design[p.row])
		}
		for i, out := range w.out.ColumnWriters() {
			if err := r.column(out, i, rows.places[from:to]); err != nil {
				return fmt.Errorf("column %s: %w", w.fields[i].Name, err)
			}
		}
		if err := w.wrote(to - from); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// column writes the values of some rows of the file's column with that number.
func (r *reportsWriter) column(out *parquet.ColumnWriter, index int, places []numbered) error {
	of, level := r.columns[index], 0
	if r.fields[index].Nullable {
		level = 1
	}
	if err := r.share(of, index, level); err != nil {
		return err
	}
	same, constant := 0, r.constant(of) // same is how many values of a constant column are there already
	for from := 0; from < len(places); {
		n := min(len(places)-from, valuesAtOnce)
		values := r.values[:n]
		if n > same {
			r.fill(values, of, places[from:from+n], r.design[from:from+n])
		}
		if constant {
			same = n
		}
		if _, err := out.WriteRowValues(values); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// share makes the values of a column by design. Where each row has a value of its own, what stands there is only whether it is null.
func (r *reportsWriter) share(of, index, level int) error {
	a := r.designs.Column(of)
	value, err := parquetValues(a)
	if err != nil {
		return err
	}
	r.shared = r.shared[:0]
	for i := range a.Len() {
		if a.IsNull(i) {
			r.shared = append(r.shared, parquet.Value{}.Level(0, 0, index))
		} else {
			r.shared = append(r.shared, value(i).Level(0, level, index))
		}
	}
	return nil
}

// constant tells whether all rows have the same value of a column.
func (r *reportsWriter) constant(of int) bool {
	switch of {
	case column.ReportDevice, column.ReportSequence, column.ReportRandom:
		return false
	case column.ReportScore, column.ReportAnswer, column.ReportAnswerCode:
		return !slices.ContainsFunc(r.shared, func(v parquet.Value) bool { return !v.IsNull() })
	}
	return !slices.ContainsFunc(r.shared, func(v parquet.Value) bool { return !parquet.DeepEqual(v, r.shared[0]) })
}

// fill sets the values of a column for some rows of those designs.
func (r *reportsWriter) fill(values []parquet.Value, of int, places []numbered, design []uint32) {
	switch of {
	case column.ReportDevice:
		for i, p := range places {
			digits := r.digits[i*keyDigits : (i+1)*keyDigits : (i+1)*keyDigits]
			column.Hexadecimal((*[keyDigits]byte)(digits), r.rows.Device[p.row])
			values[i] = parquet.ByteArrayValue(digits)
		}
	case column.ReportSequence:
		for i, p := range places {
			values[i] = parquet.Int64Value(int64(r.rows.Sequence[p.row]))
		}
	case column.ReportRandom:
		for i, p := range places {
			values[i] = parquet.DoubleValue(p.random())
		}
	case column.ReportScore:
		r.said(values, places, design, func(said uint64) parquet.Value { return parquet.DoubleValue(math.Float64frombits(said)) })
	case column.ReportAnswer, column.ReportAnswerCode:
		r.said(values, places, design, func(said uint64) parquet.Value { return parquet.Int64Value(int64(said)) })
	default:
		for i, d := range design {
			values[i] = r.shared[d]
		}
	}
}

// said sets what each row says, or the null of its design.
func (r *reportsWriter) said(values []parquet.Value, places []numbered, design []uint32, value func(uint64) parquet.Value) {
	for i, d := range design {
		if values[i] = r.shared[d]; !values[i].IsNull() {
			values[i] = value(r.rows.Said[places[i].row])
			values[i].SetDefinitionLevel(1) // a column that may be null
		}
	}
}
