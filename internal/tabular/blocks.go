package tabular

import (
	"errors"
	"io"

	"github.com/parquet-go/parquet-go"
)

// blockRows is the most rows of a block: few enough that they stay in a core's cache.
const blockRows = 1 << 14

// ErrNoBlocks says that a table can only be read whole: it has a file that isn't Parquet, or wants partitions as columns.
var ErrNoBlocks = errors.New("tabular: not to be read in blocks")

// Blocks reads a table of Parquet files block by block, the row groups side by side on so many readers, and keeps none of
// it. It calls begin once for each reader, before any reads, and hands that reader's blocks to what begin returned;
// reader i has the row groups i, i + readers, and so on. A block is good during the call only; codes of labels mean the same in all blocks of a reader. It stops at the
// first error and returns it; what is wrong with which row, [Read] says.
func Blocks(path string, want Want, readers int, begin func() func(*Table) error) error {
	files, err := list(path)
	if err != nil {
		return err
	}
	opened, err := OpenPaths(files)
	if err != nil {
		return err
	}
	defer opened.Close()
	return opened.Blocks(want, Part{}, readers, begin)
}

// Bound is a half-open span of a column of whole numbers or moments. Row groups whose statistics tell that no row lies in it are not
// read; rows outside it in other row groups come all the same.
type Bound struct {
	Column      string
	Least, Most int64 // Most is exclusive
}

// blockReader reads row groups into the blocks of one reader.
type blockReader struct {
	table   *Table
	want    Want
	visit   func(*Table) error
	numbers []numberBlocks
	labels  []labelBlocks
	cut     *Cut         // nil for all rows
	groups  numberBlocks // the column that the cut groups by
}

func newBlockReader(want Want, cut *Cut, visit func(*Table) error) *blockReader {
	t := newTable(want)
	t.coded = make(map[string]*coded)
	for _, name := range want.Numbers {
		t.coded[name] = &coded{}
	}
	return &blockReader{
		table: t, want: want, visit: visit, cut: cut,
		numbers: make([]numberBlocks, len(want.Numbers)), labels: make([]labelBlocks, len(want.Labels)),
	}
}

// numberBlocks is a column of numbers on its way: what is left of a page, as numbers or as indices into a dictionary.
type numberBlocks struct {
	pages   parquet.Pages
	decode  numberPages
	nulls   bool         // the page has some
	page    parquet.Page // whose memory plain or indices are; nil when they have their own
	plain   []float64
	indices []int32
	entries []float64
	buffer  []float64
}

// labelBlocks is a column of labels on its way.
type labelBlocks struct {
	pages        parquet.Pages
	decode       labelPages
	left, buffer []int32
}

// read visits the blocks of a row group.
func (r *blockReader) read(g rowGroup) error {
	wanted := []span{{0, g.NumRows()}}
	if r.cut != nil {
		var err error
		if wanted, err = r.spans(g, r.cut); err != nil || len(wanted) == 0 {
			return err
		}
	}
	part := len(wanted) > 1 || wanted[0] != span{0, g.NumRows()}
	for i, name := range r.want.Numbers {
		c, n := g.file.column(name), &r.numbers[i]
		if err := n.decode.of(c); err != nil {
			return err
		}
		n.pages = pagesFrom(g, c, part)
		defer n.close()
	}
	for i, name := range r.want.Labels {
		c, l := g.file.column(name), &r.labels[i]
		if err := l.decode.of(c, r.table.labels[name]); err != nil {
			return err
		}
		l.left, l.pages = nil, pagesFrom(g, c, part)
		defer l.pages.Close()
	}
	for _, s := range wanted {
		if part {
			if err := r.seek(s.from); err != nil {
				return err
			}
		}
		if err := r.rows(s.to - s.from); err != nil {
			return err
		}
	}
	if part {
		return nil
	}
	return r.ended()
}

// rows visits the next rows.
func (r *blockReader) rows(rows int64) error {
	for ; rows > 0; rows -= int64(r.table.Rows) {
		if err := r.block(rows); err != nil {
			return err
		}
		if err := r.visit(r.table); err != nil {
			return err
		}
	}
	return nil
}

// pagesFrom gives the pages of a column. When only a part is read, their places are looked up, so that the others are passed over
// without being decoded; without an index, they are decoded.
func pagesFrom(g rowGroup, c *parquet.Column, part bool) parquet.Pages {
	chunk := g.ColumnChunks()[c.Index()]
	if part {
		_, _ = chunk.OffsetIndex() // kept by the chunk
	}
	return chunk.Pages()
}

// seek goes to a row of the row group.
func (r *blockReader) seek(row int64) error {
	for i := range r.numbers {
		n := &r.numbers[i]
		n.release()
		n.plain, n.indices = nil, nil
		if err := n.pages.SeekToRow(row); err != nil {
			return err //nolint:wrapcheck // the rows are read again for what the user is told
		}
	}
	for i := range r.labels {
		r.labels[i].left = nil
		if err := r.labels[i].pages.SeekToRow(row); err != nil {
			return err //nolint:wrapcheck // the rows are read again for what the user is told
		}
	}
	return nil
}

// ended says whether the columns end where the row group does.
func (r *blockReader) ended() error {
	for i := range r.numbers {
		if rest, err := r.numbers[i].fill(); rest > 0 || !errors.Is(err, io.EOF) {
			return errTooMany
		}
	}
	for i := range r.labels {
		if rest, err := r.labels[i].fill(); rest > 0 || !errors.Is(err, io.EOF) {
			return errTooMany
		}
	}
	return nil
}

// block sets the table to the next rows that every column has at hand.
func (r *blockReader) block(most int64) error {
	rows := int(min(most, blockRows))
	for i := range r.numbers {
		rest, err := r.numbers[i].fill()
		if err != nil {
			return err
		}
		rows = min(rows, rest)
	}
	for i := range r.labels {
		rest, err := r.labels[i].fill()
		if err != nil {
			return err
		}
		rows = min(rows, rest)
	}
	for i, name := range r.want.Numbers {
		n, c := &r.numbers[i], r.table.coded[name]
		if c.indices = nil; len(n.indices) > 0 {
			c.indices, c.entries, n.indices = n.indices[:rows], n.entries, n.indices[rows:]
			continue
		}
		values := n.plain[:rows]
		if n.plain = n.plain[rows:]; notFinite(values, n.nulls) >= 0 {
			return &Error{Column: name, Cause: "not a finite number"}
		}
		r.table.numbers[name] = values
	}
	for i, name := range r.want.Labels {
		l := &r.labels[i]
		r.table.labels[name].Codes, l.left = l.left[:rows], l.left[rows:]
	}
	r.table.Rows = rows
	return nil
}

// fill reads on until there are rows, and returns how many of them there are.
func (n *numberBlocks) fill() (int, error) {
	for len(n.plain)+len(n.indices) == 0 {
		n.release()
		page, err := n.pages.ReadPage()
		if err != nil {
			return 0, err //nolint:wrapcheck // the rows are read again for what the user is told
		}
		n.page, n.nulls = page, page.NumNulls() > 0
		known := n.decode.known
		var ok bool
		if n.indices, n.entries, ok = n.decode.indexed(page); ok {
			if known != n.decode.known && notFinite(n.entries, false) >= 0 {
				return 0, &Error{Cause: "not a finite number"}
			}
			continue
		}
		if !n.nulls && page.Type().Kind() == parquet.Double {
			data := page.Data()
			n.plain = data.Double()
			continue
		}
		if n.buffer, err = n.decode.append(page, n.buffer[:0]); err != nil {
			return 0, err
		}
		n.plain = n.buffer
	}
	return len(n.plain) + len(n.indices), nil
}

func (n *numberBlocks) release() {
	if n.page != nil {
		parquet.Release(n.page)
		n.page = nil
	}
}

func (n *numberBlocks) close() {
	n.release()
	n.plain, n.indices = nil, nil
	_ = n.pages.Close() // nothing was written
}

func (l *labelBlocks) fill() (int, error) {
	for len(l.left) == 0 {
		page, err := l.pages.ReadPage()
		if err != nil {
			return 0, err //nolint:wrapcheck // the rows are read again for what the user is told
		}
		l.buffer, err = l.decode.append(page, l.buffer[:0])
		parquet.Release(page)
		if err != nil {
			return 0, err
		}
		l.left = l.buffer
	}
	return len(l.left), nil
}
