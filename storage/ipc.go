package storage

import (
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
)

// WriteStream writes records as one Arrow IPC stream, compressed by zstd, under a schema with the fields of theirs and metadata of its own. After
// an error the stream has no end.
func WriteStream(w io.Writer, schema *arrow.Schema, records Records) error {
	out := ipc.NewWriter(w, ipc.WithSchema(schema), ipc.WithZstd())
	for rec, err := range records {
		if err == nil {
			err = writeUnder(out, schema, rec)
		}
		if err != nil {
			return err
		}
	}
	return out.Close() //nolint:wrapcheck // of the writer that the caller gave
}

// writeUnder writes a record under a schema of the same fields.
func writeUnder(out *ipc.Writer, schema *arrow.Schema, rec arrow.Record) error {
	same := array.NewRecord(schema, rec.Columns(), rec.NumRows())
	defer same.Release()
	return out.Write(same) //nolint:wrapcheck // of the writer that the caller gave
}
