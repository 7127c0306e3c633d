package parquetcheck_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/quadrat-dev/quadrat/internal/parquetcheck"
)

type row struct {
	Number float64  `parquet:"number"`
	Whole  *int64   `parquet:"whole,optional"`
	Text   string   `parquet:"text,dict"`
	Words  []string `parquet:"words,list"`
}

// written is a file of many pages and row groups.
func written(t *testing.T, codec compress.Codec, version int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, parquet.Compression(codec), parquet.DataPageVersion(version),
		parquet.PageBufferSize(4<<10), parquet.MaxRowsPerRowGroup(3000))
	rows := make([]row, 7000)
	for i := range rows {
		rows[i] = row{Number: math.Sqrt(float64(i)), Text: strings.Repeat("ab", i%7), Words: slices.Repeat([]string{"w"}, i%3)}
		if i%5 > 0 {
			rows[i].Whole = new(int64)
			*rows[i].Whole = int64(i * i)
		}
	}
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// checked is the first fault of a file.
func checked(t *testing.T, b []byte) error {
	t.Helper()
	in, size := bytes.NewReader(b), int64(len(b))
	if err := parquetcheck.Footer(in, size); err != nil {
		return err
	}
	file, err := parquet.OpenFile(in, size)
	if err != nil {
		t.Fatal(err)
	}
	meta := file.Metadata()
	for g := range meta.RowGroups {
		for c := range meta.RowGroups[g].Columns {
			if err := parquetcheck.Pages(in, size, meta, g, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func codecs() []compress.Codec {
	return []compress.Codec{
		&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Brotli, &parquet.Zstd, &parquet.Lz4Raw,
	}
}

func TestWhatIsWrittenPasses(t *testing.T) {
	for _, codec := range codecs() {
		for _, version := range []int{1, 2} {
			if err := checked(t, written(t, codec, version)); err != nil {
				t.Errorf("%s, pages of version %d: %v", codec, version, err)
			}
		}
	}
}

// withFooter is a file that is nothing but a footer.
func withFooter(footer []byte) []byte {
	b := append([]byte("PAR1"), footer...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(footer)))
	return append(b, "PAR1"...)
}

// encoded is a footer as the format's own encoder writes it.
func encoded(t *testing.T, meta any) []byte {
	t.Helper()
	b, err := thrift.Marshal(new(thrift.CompactProtocol), meta)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// nested is a schema in which every group holds the next.
func nested(levels int) []format.SchemaElement {
	schema := make([]format.SchemaElement, levels+1)
	for i := range schema {
		schema[i].Name = "x"
		if i < levels {
			schema[i].NumChildren = thrift.New[int32](1)
		} else {
			schema[i].Type = thrift.New(format.Int64)
		}
	}
	return schema
}

func TestHostileFooters(t *testing.T) {
	huge := binary.AppendUvarint([]byte{0x29, 0xfc}, math.MaxInt32) // field 2: a list of structs
	groups := format.FileMetaData{Schema: nested(1), RowGroups: make([]format.RowGroup, 1000)}
	wide := format.FileMetaData{Schema: make([]format.SchemaElement, 3000), RowGroups: make([]format.RowGroup, 1000)}
	for name, c := range map[string]struct {
		file []byte
		want string // empty for one that passes
	}{
		"none":              {[]byte("PAR1PAR1"), "too short"},
		"beyond the file":   {append([]byte("PAR1"), "\xff\xff\xff\x7fPAR1"...), "in a file of 12"},
		"a huge list":       {withFooter(huge), "beyond the bytes"},
		"a huge name":       {withFooter(binary.AppendUvarint([]byte{0x18}, math.MaxInt32)), "beyond the bytes"},
		"nested structs":    {withFooter(bytes.Repeat([]byte{0x1c}, 1000)), "nesting"},
		"nested lists":      {withFooter(append([]byte{0x19}, bytes.Repeat([]byte{0x19}, 1000)...)), "nesting"},
		"a field twice":     {withFooter([]byte{0x15, 2, 5, 2, 2, 0}), "twice"},
		"unknown type":      {withFooter([]byte{0x1e}), "unknown type"},
		"empty structs":     {withFooter(slices.Concat([]byte{0x49, 0xfc, 0x80, 0x80, 0x40}, make([]byte, 1<<20+1))), "structs"},
		"no end":            {withFooter([]byte{0x15, 2}), "beyond the bytes"},
		"deep schema":       {withFooter(encoded(t, &format.FileMetaData{Schema: nested(200)})), "levels"},
		"as deep as it may": {withFooter(encoded(t, &format.FileMetaData{Schema: nested(128)})), ""},
		"columns × groups":  {withFooter(encoded(t, &wide)), "row groups"},
		"many groups":       {withFooter(encoded(t, &groups)), ""},
	} {
		err := parquetcheck.Footer(bytes.NewReader(c.file), int64(len(c.file)))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// page is a page and its header.
func page(t *testing.T, h format.PageHeader, body string) string {
	t.Helper()
	h.CompressedPageSize = int32(len(body))
	return string(encoded(t, &h)) + body
}

func TestHostilePages(t *testing.T) {
	data := func(unpacked, values int32, body string) string {
		return page(t, format.PageHeader{
			Type: format.DataPage, UncompressedPageSize: unpacked,
			DataPageHeader: thrift.New(format.DataPageHeader{NumValues: values}),
		}, body)
	}
	long := format.DataPageHeader{Statistics: format.Statistics{MaxValue: bytes.Repeat([]byte("x"), 5000)}}
	zstd := "\x28\xb5\x2f\xfd"
	single := func(length string) string { return zstd + "\xe0" + length } // eight bytes of length
	for name, c := range map[string]struct {
		codec format.CompressionCodec
		pages string
		want  string // empty for those that pass
	}{
		"two pages":          {format.Uncompressed, data(3, 1, "abc") + data(2, 1, "de"), ""},
		"a long header":      {format.Uncompressed, page(t, format.PageHeader{DataPageHeader: thrift.New(long)}, ""), ""},
		"no header":          {format.Uncompressed, "\x15", "beyond the bytes"},
		"beyond the column":  {format.Uncompressed, strings.TrimSuffix(data(30, 1, strings.Repeat("a", 30)), "a"), "has"},
		"a gigabyte":         {format.Gzip, data(math.MaxInt32, 1, "abc"), "unpack"},
		"a ratio":            {format.Gzip, data(1<<28, 1, "abc"), "unpack"},
		"values":             {format.Uncompressed, data(3, math.MaxInt32, "abc"), "values"},
		"a negative length":  {format.Uncompressed, data(-3, 1, "abc"), "negative"},
		"snappy":             {format.Snappy, data(3, 1, "\x03\x08abc"), ""},
		"snappy, long":       {format.Snappy, data(3, 1, "\xff\xff\xff\xff\x0f\x08abc"), "Snappy"},
		"snappy, longer":     {format.Snappy, data(3, 1, "\x04\x08abc"), "unpack"},
		"zstd":               {format.Zstd, data(3, 1, zstd+"\x20\x03\x19\x00\x00abc"), ""},
		"zstd, no length":    {format.Zstd, data(3, 1, zstd+"\x00\x00\x19\x00\x00abc"), ""},
		"zstd, long":         {format.Zstd, data(3, 1, single("\x00\x00\x00\x00\x0f\x00\x00\x00")+"\x19\x00\x00abc"), "Zstandard"},
		"zstd, twice":        {format.Zstd, data(3, 1, strings.Repeat(zstd+"\x20\x03\x19\x00\x00abc", 2)), "Zstandard"},
		"zstd, skipped":      {format.Zstd, data(3, 1, "\x50\x2a\x4d\x18\x01\x00\x00\x00x"+zstd+"\x20\x03\x19\x00\x00abc"), ""},
		"zstd, a bomb":       {format.Zstd, data(3, 1, zstd+"\x00\x00"+strings.Repeat("\x02\x00\x10x", 9000)+"\x01\x00\x00"), "Zstandard"},
		"zstd, no end":       {format.Zstd, data(3, 1, zstd+"\x00\x00\x18\x00\x00abc"), "end"},
		"zstd, no frame":     {format.Zstd, data(3, 1, "abcdefgh"), "Zstandard"},
		"lz4":                {format.Lz4Raw, data(12, 1, "\x31abc\x03\x00\x40wxyz"), ""},
		"lz4, a long match":  {format.Lz4Raw, data(279, 1, "\x1fa\x01\x00\xff\x00\x40wxyz"), ""},
		"lz4, empty":         {format.Lz4Raw, data(0, 0, ""), "LZ4"},
		"lz4, no offset":     {format.Lz4Raw, data(12, 1, "\x31abc\x00\x00\x40wxyz"), "LZ4"},
		"lz4, before itself": {format.Lz4Raw, data(12, 1, "\x31abc\x04\x00\x40wxyz"), "LZ4"},
		"lz4, cut":           {format.Lz4Raw, data(12, 1, "\x31abc\x03\x00\x40wxy"), "LZ4"},
		"lz4, a bomb":        {format.Lz4Raw, data(12, 1, "\x1fa\x01\x00"+strings.Repeat("\xff", 99)+"\x00\x10w"), "LZ4"},
	} {
		in := "PAR1" + c.pages
		meta := format.FileMetaData{RowGroups: []format.RowGroup{{Columns: []format.ColumnChunk{{MetaData: format.ColumnMetaData{
			Codec: c.codec, DataPageOffset: 4, TotalCompressedSize: int64(len(c.pages)),
		}}}}}}
		err := parquetcheck.Pages(strings.NewReader(in), int64(len(in)), &meta, 0, 0)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestColumnsLieInTheFile(t *testing.T) {
	for _, c := range [][2]int64{{0, 4}, {4, -1}, {4, 97}, {101, 0}, {math.MaxInt64, 1}, {5, math.MaxInt64}, {-1, 5}} {
		meta := format.FileMetaData{RowGroups: []format.RowGroup{{Columns: []format.ColumnChunk{{MetaData: format.ColumnMetaData{
			DataPageOffset: c[0], TotalCompressedSize: c[1],
		}}}}}}
		if err := parquetcheck.Pages(bytes.NewReader(make([]byte, 100)), 100, &meta, 0, 0); err == nil {
			t.Errorf("%d bytes at byte %d pass in a file of 100", c[1], c[0])
		}
	}
}
