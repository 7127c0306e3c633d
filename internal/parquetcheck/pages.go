package parquetcheck

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go/format"
)

const (
	pageBytesMost  = 1 << 30 // unpacked bytes of a page
	pageBytesFree  = 1 << 24 // unpacked bytes that a page of any length may claim
	pageRatioMost  = 1 << 15 // unpacked bytes for each byte beyond: Zstandard's 128 KiB for 4
	pageValuesMost = 1 << 26 // values of a page
	headerFirst    = 256     // bytes read at first for a page's header
)

// Pages checks the pages of a column of a row group in a file of size bytes: that they lie in the file one after the
// other, that every length in a header fits into the column, and that a page can unpack to what it says, a gigabyte at
// most. It only reads the metadata. It is safe for use by many goroutines.
func Pages(in io.ReaderAt, size int64, file *format.FileMetaData, group, column int) error {
	chunk := &file.RowGroups[group].Columns[column].MetaData
	start, length := chunk.DataPageOffset, chunk.TotalCompressedSize
	if chunk.DictionaryPageOffset != 0 {
		start = chunk.DictionaryPageOffset
	}
	if start < magicBytes || length < 0 || start > size || length > size-start {
		return fmt.Errorf("a column of %d bytes at byte %d in a file of %d", length, start, size)
	}
	codec := file.RowGroups[0].Columns[column].MetaData.Codec // the one that the decoder takes for all row groups
	r := pageReader{in: in, at: start, end: start + length}
	for r.at < r.end {
		at := r.at
		if err := r.page(codec); err != nil {
			return fmt.Errorf("the page at byte %d: %w", at, err)
		}
	}
	return nil
}

// pageHeader is what a page says of itself.
type pageHeader struct {
	kind, packed, unpacked int64
	values                 int64
	levels                 int64 // bytes before the packed ones, in a data page of version 2
	plain                  bool  // not packed, in a data page of version 2
}

// number keeps the fields that a reader makes room by.
func (h *pageHeader) number(path []int16, x int64) {
	switch len(path) {
	case 1:
		switch path[0] {
		case 1:
			h.kind = x
		case 2:
			h.unpacked = x
		case 3:
			h.packed = x
		}
	case 2:
		first, second := path[0], path[1]
		switch {
		case second == 1 && (first == 5 || first == 7 || first == 8):
			h.values = max(h.values, x)
		case first == 8 && (second == 5 || second == 6):
			h.levels += x
		case first == 8 && second == 7:
			h.plain = x == 0
		}
	}
}

func (h *pageHeader) check() error {
	switch {
	case h.packed < 0 || h.unpacked < 0 || h.values < 0 || h.levels < 0:
		return errors.New("a negative length")
	case h.values > pageValuesMost:
		return fmt.Errorf("%d values, more than %d", h.values, pageValuesMost)
	case h.unpacked > pageBytesMost:
		return fmt.Errorf("it claims to unpack to %d bytes, more than %d", h.unpacked, pageBytesMost)
	case h.unpacked > pageBytesFree && h.unpacked/pageRatioMost > h.packed:
		return fmt.Errorf("%d bytes claim to unpack to %d", h.packed, h.unpacked)
	}
	return nil
}

// pageReader goes from page to page.
type pageReader struct {
	in      io.ReaderAt
	at, end int64
	buffer  []byte
}

func (r *pageReader) page(codec format.CompressionCodec) error {
	h, err := r.header()
	if err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return err
	}
	if h.packed > r.end-r.at {
		return fmt.Errorf("%d bytes, of which the column has %d left", h.packed, r.end-r.at)
	}
	body := section{in: r.in, at: r.at, end: r.at + h.packed}
	r.at = body.end
	if format.PageType(h.kind) == format.DataPageV2 {
		if h.levels > h.packed {
			return fmt.Errorf("%d bytes of levels in a page of %d", h.levels, h.packed)
		}
		if body.at += h.levels; h.plain {
			return nil
		}
	}
	return body.check(codec, h.unpacked)
}

// header reads the header at r.at and steps over it.
func (r *pageReader) header() (pageHeader, error) {
	var room [nestMost]int16
	for n := int64(headerFirst); ; n *= 8 {
		n = min(n, r.end-r.at)
		if int64(len(r.buffer)) < n {
			r.buffer = make([]byte, n)
		}
		if err := readFull(r.in, r.buffer[:n], r.at); err != nil {
			return pageHeader{}, err
		}
		var h pageHeader
		w := walker{data: r.buffer[:n], number: h.number}
		err := w.structure(room[:0])
		if errors.Is(err, errShort) && n < r.end-r.at && n < math.MaxInt32 {
			continue
		}
		r.at += int64(w.at)
		return h, err
	}
}
