package storage

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// puller reads a stream of records by runs of rows of one date.
type puller struct {
	next func() (arrow.Record, error, bool)
	stop func()
	rec  arrow.Record // current record, nil at the end
	row  int          // first row of it that was not used
	err  error
}

func newPuller(records Records) *puller {
	next, stop := iter.Pull2(records)
	p := &puller{next: next, stop: stop}
	p.advance()
	return p
}

// advance goes to the next record that has rows.
func (p *puller) advance() {
	for {
		rec, err, ok := p.next()
		p.rec, p.row = nil, 0
		if !ok || err != nil {
			p.err = err
			return
		}
		if rec.NumRows() > 0 {
			p.rec = rec
			return
		}
	}
}

func (p *puller) starts() *array.Timestamp {
	return p.rec.Column(p.rec.Schema().FieldIndices(colWindowStart)[0]).(*array.Timestamp)
}

// date is the date of the next row; ok is false at the end.
func (p *puller) date() (date string, ok bool) {
	if p.rec == nil {
		return "", false
	}
	return day(int64(p.starts().Value(p.row))), true
}

// run gives the next rows, as long as they are of a date.
func (p *puller) run(date string, use func(arrow.Record) error) error {
	for {
		if d, ok := p.date(); !ok || d != date {
			return p.err
		}
		starts := p.starts()
		to := p.row + 1
		for to < starts.Len() && int64(starts.Value(to))/dayLengthMs == int64(starts.Value(p.row))/dayLengthMs {
			to++
		}
		run := p.rec.NewSlice(int64(p.row), int64(to))
		err := use(run)
		run.Release()
		if err != nil {
			return err
		}
		if p.row = to; to == starts.Len() {
			p.advance()
		}
	}
}

// csvWriter writes records as CSV.
type csvWriter struct {
	out *csv.Writer
	row []string
}

func newCSVWriter(to io.Writer) *csvWriter { return &csvWriter{out: csv.NewWriter(to)} }

func (w *csvWriter) header(s *arrow.Schema) error {
	for _, f := range s.Fields() {
		w.row = append(w.row, f.Name)
	}
	return w.out.Write(w.row)
}

func (w *csvWriter) write(rec arrow.Record) error {
	for i := range int(rec.NumRows()) {
		w.row = w.row[:0]
		for _, a := range rec.Columns() {
			text, err := csvText(a, i)
			if err != nil {
				return err
			}
			w.row = append(w.row, text)
		}
		if err := w.out.Write(w.row); err != nil {
			return err
		}
	}
	return nil
}

func (w *csvWriter) finish() error {
	w.out.Flush()
	return w.out.Error()
}

// csvText is one value: numbers in the shortest form that reads back the same, moments as RFC 3339, lists as JSON.
func csvText(a arrow.Array, i int) (string, error) {
	if a.IsNull(i) {
		return "", nil
	}
	switch a := a.(type) {
	case *array.String:
		return a.Value(i), nil
	case *array.Int64:
		return strconv.FormatInt(a.Value(i), 10), nil
	case *array.Uint64:
		return strconv.FormatUint(a.Value(i), 10), nil
	case *array.Float64:
		return strconv.FormatFloat(a.Value(i), 'g', -1, 64), nil
	case *array.Boolean:
		return strconv.FormatBool(a.Value(i)), nil
	case *array.Timestamp:
		return time.UnixMilli(int64(a.Value(i))).UTC().Format("2006-01-02T15:04:05.000Z"), nil
	case *array.List:
		first, last := a.ValueOffsets(i)
		words := a.ListValues().(*array.String)
		list := make([]string, 0, last-first)
		for j := first; j < last; j++ {
			list = append(list, words.Value(int(j)))
		}
		b, err := json.Marshal(list)
		return string(b), err
	}
	return "", &Error{Code: Malformed, Detail: "a column has a type that CSV has no form for"}
}
