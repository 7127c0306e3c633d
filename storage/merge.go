package storage

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// gatherRows is how many rows of a merge are put together at once.
const gatherRows = 1 << 14

// mergeInto writes the rows of segments, in order, as the file of a new one, and fills in what the catalog says of it. Each
// row is written once: another number of rows than the segments have is an error, and so is one beside their windows.
func (s *Store) mergeInto(ctx context.Context, out *Segment, inputs []Segment) error {
	want := out.Rows
	m := &merger{ctx: ctx, store: s, out: out}
	defer m.close()
	for i := range inputs {
		if err := m.open(&inputs[i]); err != nil {
			return fmt.Errorf("%s: %w", inputs[i].Name, err)
		}
	}
	if err := s.writeSegment(out, m.kappa, m.rows); err != nil {
		return err
	}
	if out.Rows != want {
		return &Error{Code: Damaged, Detail: fmt.Sprintf("%d rows were merged, the catalog says %d", out.Rows, want)}
	}
	return nil
}

// merger merges sorted segments row by row.
type merger struct {
	ctx     context.Context //nolint:containedctx // the life of one merge
	store   *Store
	out     *Segment
	kappa   string
	sources sources
	picks   picks
	files   []io.Closer
}

// open adds a segment.
func (m *merger) open(seg *Segment) error {
	file, err := m.store.openSegment(m.ctx, seg)
	if err != nil {
		return err
	}
	m.files = append(m.files, file)
	size, err := file.Size()
	if err != nil {
		return err
	}
	table, err := openTable(file, size, seg.Kind, nil)
	if err != nil {
		return err
	}
	m.kappa = table.kappa
	src := &source{number: len(m.sources), next: m.groups(table)}
	if !table.ordered(seg.Kind) {
		src.next = m.sorted(table, seg.Kind)
	}
	if err := src.advance(seg.Kind); err != nil {
		return err
	}
	if src.rec != nil {
		m.sources = append(m.sources, src)
	}
	return nil
}

// groups reads one row group after the other; nil is the end.
func (m *merger) groups(table *tableFile) func() (arrow.Record, error) {
	at := 0
	return func() (arrow.Record, error) {
		if err := m.ctx.Err(); err != nil || at == len(table.file.RowGroups()) {
			return nil, err
		}
		at++
		return table.read(at-1, m.store.cfg.Allocator)
	}
}

// sorted reads all row groups of a file whose rows are in another order, and gives them as one sorted record.
func (m *merger) sorted(table *tableFile, k Kind) func() (arrow.Record, error) {
	next, done := m.groups(table), false
	return func() (arrow.Record, error) {
		if done {
			return nil, nil
		}
		done = true
		var p picks
		defer p.release()
		for {
			rec, err := next()
			if err != nil {
				return nil, err
			}
			if rec == nil {
				break
			}
			keys, err := keysOf(rec, k)
			if err != nil {
				rec.Release()
				return nil, err
			}
			p.add(rec, keys)
			rec.Release()
		}
		p.sort()
		return p.gather(table.schema, m.store.cfg.Allocator)
	}
}

// rows gives the rows of all segments in order, as records that are released after each call of use.
func (m *merger) rows(use func(arrow.Record) error) error {
	heap.Init(&m.sources)
	for len(m.sources) > 0 {
		src := m.sources[0]
		if src.picked < 0 {
			src.picked = m.picks.record(src.rec)
		}
		m.picks.pick(src.picked, src.row)
		src.row++
		if src.row == int(src.rec.NumRows()) {
			if err := src.advance(m.out.Kind); err != nil {
				return err
			}
		}
		if src.rec == nil {
			heap.Pop(&m.sources)
		} else {
			heap.Fix(&m.sources, 0)
		}
		if m.picks.len() == gatherRows || len(m.sources) == 0 {
			if err := m.flush(use); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush hands on the rows that were picked.
func (m *merger) flush(use func(arrow.Record) error) error {
	rec, err := m.picks.gather(Schema(m.out.Kind, m.kappa, m.out.Ref), m.store.cfg.Allocator)
	if err != nil {
		return err
	}
	defer rec.Release()
	m.picks.release()
	for _, src := range m.sources {
		src.picked = -1
	}
	return use(rec)
}

// close lets go of everything.
func (m *merger) close() {
	for _, src := range m.sources {
		if src.rec != nil {
			src.rec.Release()
		}
	}
	m.picks.release()
	for _, f := range m.files {
		_ = f.Close() // only read
	}
}

// source is one sorted segment of a merge.
type source struct {
	number int
	next   func() (arrow.Record, error)
	rec    arrow.Record // nil at the end
	keys   keys
	row    int
	picked int32 // number of rec among the picked records, −1 before one of its rows is
}

// advance goes to the next record that has rows.
func (s *source) advance(k Kind) error {
	for {
		if s.rec != nil {
			s.rec.Release()
			s.rec = nil
		}
		rec, err := s.next()
		if err != nil || rec == nil {
			return err
		}
		s.rec, s.row, s.picked = rec, 0, -1
		if s.keys, err = keysOf(rec, k); err != nil {
			s.rec = nil
			rec.Release()
			return err
		}
		if rec.NumRows() > 0 {
			return nil
		}
	}
}

// sources is a heap by the keys of their next rows; equal ones come in the order of the segments.
type sources []*source

// Len is the number of sources.
func (h sources) Len() int { return len(h) }

// Less is the order of two sources' next rows.
func (h sources) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(a.keys.compare(a.row, &b.keys, b.row), cmp.Compare(a.number, b.number)) < 0
}

// Swap swaps two sources.
func (h sources) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push adds a source.
func (h *sources) Push(x any) { *h = append(*h, x.(*source)) }

// Pop takes the last one.
func (h *sources) Pop() any {
	last := len(*h) - 1
	out := (*h)[last]
	*h = (*h)[:last]
	return out
}

// keys is the columns of a record that its rows are ordered by.
type keys struct{ columns []keyColumn }

// keyColumn is one of them; the field of its type is set.
type keyColumn struct {
	moments []arrow.Timestamp
	wholes  *array.Int64
	counts  []uint64
	numbers []float64
	texts   *array.String
}

func keysOf(rec arrow.Record, k Kind) (keys, error) {
	var out keys
	for _, name := range sortedBy(k) {
		var c keyColumn
		switch a := columnOf(rec, name).(type) {
		case *array.Timestamp:
			c.moments = a.TimestampValues()
		case *array.Int64:
			c.wholes = a
		case *array.Uint64:
			c.counts = a.Uint64Values()
		case *array.Float64:
			c.numbers = a.Float64Values()
		case *array.String:
			c.texts = a
		default:
			return out, &Error{Code: Damaged, Detail: "the column " + name + " has no order"}
		}
		out.columns = append(out.columns, c)
	}
	return out, nil
}

// compare compares row i with row j of another record of the same columns; a null comes first.
func (k *keys) compare(i int, other *keys, j int) int {
	for at := range k.columns {
		a, b := &k.columns[at], &other.columns[at]
		c := 0
		switch {
		case a.moments != nil:
			c = cmp.Compare(a.moments[i], b.moments[j])
		case a.numbers != nil:
			c = cmp.Compare(a.numbers[i], b.numbers[j])
		case a.texts != nil:
			c = cmp.Compare(a.texts.Value(i), b.texts.Value(j))
		case a.counts != nil:
			c = cmp.Compare(a.counts[i], b.counts[j])
		case a.wholes != nil:
			c = cmp.Compare(orLeast(a.wholes, i), orLeast(b.wholes, j))
		}
		if c != 0 {
			return c
		}
	}
	return 0
}
