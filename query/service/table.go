package service

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// writeArrow writes results as one Arrow IPC stream.
func writeArrow(w io.Writer, results []*quadratv1.Result) error {
	record := column.NewResults(memory.DefaultAllocator, results)
	defer record.Release()
	out := ipc.NewWriter(w, ipc.WithSchema(record.Schema()))
	if err := out.Write(record); err != nil {
		return fmt.Errorf("arrow: %w", err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("arrow: %w", err)
	}
	return nil
}

// writeCSV writes results with one line of names, in the columns of Arrow and Parquet.
func writeCSV(w io.Writer, results []*quadratv1.Result) error {
	record := column.NewResults(memory.DefaultAllocator, results)
	defer record.Release()
	out := csv.NewWriter(w)
	line := make([]string, record.NumCols())
	for i, f := range record.Schema().Fields() {
		line[i] = f.Name
	}
	if err := out.Write(line); err != nil {
		return fmt.Errorf("csv: %w", err)
	}
	for row := range int(record.NumRows()) {
		for i, c := range record.Columns() {
			line[i] = cellValue(c, row)
		}
		if err := out.Write(line); err != nil {
			return fmt.Errorf("csv: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("csv: %w", err)
	}
	return nil
}

// cellValue is one value as text: empty for null, RFC 3339 for a moment.
func cellValue(c arrow.Array, row int) string {
	if c.IsNull(row) {
		return ""
	}
	switch values := c.(type) {
	case *array.Timestamp:
		unit := values.DataType().(*arrow.TimestampType).Unit
		return values.Value(row).ToTime(unit).UTC().Format(time.RFC3339Nano)
	case *array.Float64:
		return strconv.FormatFloat(values.Value(row), 'g', -1, 64)
	}
	return c.ValueStr(row)
}
