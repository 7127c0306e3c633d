package server_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parquet-go/parquet-go"

	"github.com/quadrat-dev/quadrat/query/client"
)

// arrow keeps the columns of an export, as bytes and as text.
func (o *outside) arrow(api *client.Client, ref, what string) {
	o.t.Helper()
	body, err := api.Export(o.t.Context(), ref, what, client.Span{})
	if err != nil {
		o.t.Fatal(err)
	}
	defer body.Close()
	in, err := ipc.NewReader(body)
	if err != nil {
		o.t.Fatal(err)
	}
	defer in.Release()
	for in.Next() {
		for _, column := range in.Record().Columns() {
			for _, buffer := range column.Data().Buffers() {
				if buffer != nil {
					o.add("arrow "+what, buffer.Bytes())
				}
			}
			for i := range column.Len() {
				o.add("arrow "+what, []byte(column.ValueStr(i)))
			}
		}
	}
}

// streams keeps the messages of every stream, whatever their files look like.
func (o *outside) streams(conn *nats.Conn) {
	o.t.Helper()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		o.t.Fatal(err)
	}
	list := js.ListStreams(o.t.Context())
	for info := range list.Info() {
		stream, err := js.Stream(o.t.Context(), info.Config.Name)
		if err != nil {
			o.t.Fatal(err)
		}
		for n := info.State.FirstSeq; n <= info.State.LastSeq; n++ {
			if m, err := stream.GetMsg(o.t.Context(), n); err == nil {
				o.add("stream "+info.Config.Name, fmt.Appendf(nil, "%s %v %s", m.Subject, m.Header, m.Data))
			}
		}
	}
	if err := list.Err(); err != nil {
		o.t.Fatal(err)
	}
}

// files keeps every file as it is, and Parquet through its columns, too.
func (o *outside) files(dir string) {
	o.t.Helper()
	tables := 0
	if err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		o.add(name, content)
		if filepath.Ext(path) == ".parquet" {
			tables++
			return o.parquet("columns of "+name, content)
		}
		return nil
	}); err != nil {
		o.t.Fatal(err)
	}
	if tables < 2 {
		o.t.Errorf("%d Parquet files were searched", tables)
	}
}

func (o *outside) parquet(place string, content []byte) error {
	file, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return err
	}
	for _, group := range file.RowGroups() {
		rows := group.Rows()
		buffer := make([]parquet.Row, 64)
		for err == nil {
			var n int
			n, err = rows.ReadRows(buffer)
			for _, row := range buffer[:n] {
				for _, value := range row {
					o.add(place, value.AppendBytes(nil))
					o.add(place, []byte(value.String()))
				}
			}
		}
		if err := rows.Close(); err != nil {
			return err
		}
		if err != io.EOF {
			return err
		}
		err = nil
	}
	return nil
}
