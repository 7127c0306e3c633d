package column

import (
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Batch is counted reports of one kappa in columns of what each of them says alone; what reports share stands once. A row takes
// 28 bytes, whatever its names are. Nobody changes a batch that was handed on.
type Batch struct {
	Kappa, Ref string   // name and reference
	Designs    []Report // what rows share; device, sequence, score, answer and code are 0
	Design     []uint32 // of each row: its place in Designs
	Device     []uint64 // pseudonyms
	Said       []uint64 // bits of the score, or the answer, or the code, as the design has it
	Sequence   []uint64 // positions in REPORTS
}

// Len is the number of reports.
func (b *Batch) Len() int { return len(b.Device) }

// What a row and a design take, in bytes.
const (
	rowBytes    = 28
	designBytes = 320
)

// Bytes is about what the batch takes in memory.
func (b *Batch) Bytes() int64 { return rowBytes*int64(b.Len()) + designBytes*int64(len(b.Designs)) }

// Row is one report as a whole.
func (b *Batch) Row(i int) Report {
	row := b.Designs[b.Design[i]]
	row.Device, row.Sequence = b.Device[i], b.Sequence[i]
	switch said := b.Said[i]; {
	case row.Categories == 0:
		row.Score = math.Float64frombits(said)
	case row.Coded:
		row.Code = said
	default:
		row.Answer = said
	}
	return row
}

// Record is the reports as a record of [ReportSchema], which the caller releases.
func (b *Batch) Record(alloc memory.Allocator) arrow.Record {
	rows := NewReports(alloc, b.Kappa, b.Ref)
	defer rows.Release()
	for i := range b.Device {
		row := b.Row(i)
		rows.Append(&row)
	}
	return rows.NewRecord()
}

// Pick is the rows at the given places, in their order. It shares the designs.
func (b *Batch) Pick(places []int) *Batch {
	out := &Batch{Kappa: b.Kappa, Ref: b.Ref, Designs: b.Designs}
	for _, i := range places {
		out.add(b.Design[i], b.Device[i], b.Said[i], b.Sequence[i])
	}
	return out
}

func (b *Batch) add(design uint32, device, said, sequence uint64) {
	b.Design = append(b.Design, design)
	b.Device = append(b.Device, device)
	b.Said = append(b.Said, said)
	b.Sequence = append(b.Sequence, sequence)
}

// Rows builds batches of one kappa's reports. It is for one goroutine at a time.
type Rows struct {
	batch   Batch
	windows map[int64][]uint32 // by start, see Designs
	newest  []uint32           // of the window newestMs
	startMs int64
}

// NewRows makes an empty builder.
func NewRows(kappa, ref string) *Rows {
	return &Rows{batch: Batch{Kappa: kappa, Ref: ref}, windows: map[int64][]uint32{}}
}

// Designs is a place for each of n groups of a window, for the caller to remember in it the number that Share gave, plus 1. All
// are 0 at first. It holds until the next NewBatch. A window has the same n each time.
func (r *Rows) Designs(windowStartMs int64, n int) []uint32 {
	if r.newest != nil && windowStartMs == r.startMs {
		return r.newest
	}
	designs, known := r.windows[windowStartMs]
	if !known {
		designs = make([]uint32, n)
		r.windows[windowStartMs] = designs
	}
	r.newest, r.startMs = designs, windowStartMs
	return designs
}

// Share takes what reports of one window, statistic and group have in common, and gives its number for Add. Device, sequence and
// what is said are left out. Pi must be above 0.
func (r *Rows) Share(design *Report) uint32 {
	shared := *design
	shared.Device, shared.Sequence, shared.Score, shared.Answer, shared.Code = 0, 0, 0, 0, 0
	if last := len(r.batch.Designs) - 1; last >= 0 && r.batch.Designs[last] == shared {
		return uint32(last)
	}
	r.batch.Designs = append(r.batch.Designs, shared)
	return uint32(len(r.batch.Designs) - 1)
}

// Add adds a report of a design. It allocates only when the columns grow.
func (r *Rows) Add(design uint32, device, said, sequence uint64) {
	r.batch.add(design, device, said, sequence)
}

// Room is columns for n reports more. The caller fills the first of them, each column alike, and tells Take how many. It holds
// until the next call of any other method but Share.
func (r *Rows) Room(n int) Room {
	b := &r.batch
	at := len(b.Device)
	b.Design, b.Device = slices.Grow(b.Design, n), slices.Grow(b.Device, n)
	b.Said, b.Sequence = slices.Grow(b.Said, n), slices.Grow(b.Sequence, n)
	return Room{Design: b.Design[at : at+n], Device: b.Device[at : at+n], Said: b.Said[at : at+n], Sequence: b.Sequence[at : at+n]}
}

// Room is columns to be filled, see [Batch].
type Room struct {
	Design                 []uint32
	Device, Said, Sequence []uint64
}

// Take adds the first n reports of the newest Room.
func (r *Rows) Take(n int) {
	b := &r.batch
	end := len(b.Device) + n
	b.Design, b.Device, b.Said, b.Sequence = b.Design[:end], b.Device[:end], b.Said[:end], b.Sequence[:end]
}

// Append adds a whole report; the row is not kept.
func (r *Rows) Append(row *Report) {
	said := row.Answer
	switch {
	case row.Categories == 0:
		said = math.Float64bits(row.Score)
	case row.Coded:
		said = row.Code
	}
	r.Add(r.Share(row), row.Device, said, row.Sequence)
}

// Len is the number of reports since the last batch.
func (r *Rows) Len() int { return r.batch.Len() }

// Bytes is what NewBatch will take, about.
func (r *Rows) Bytes() int64 { return r.batch.Bytes() }

// NewBatch takes the reports out. The batch has the memory that was filled with them, unless more than half of that is empty: then it
// is a copy of just their size, and the builder goes on with its memory.
func (r *Rows) NewBatch() *Batch {
	b := &r.batch
	n := len(b.Device)
	out := &Batch{Kappa: b.Kappa, Ref: b.Ref, Designs: slices.Clone(b.Designs)}
	if n > cap(b.Device)/2 {
		out.Design, out.Device, out.Said, out.Sequence = b.Design, b.Device, b.Said, b.Sequence
		b.Design, b.Device, b.Said, b.Sequence = make([]uint32, 0, n), make([]uint64, 0, n), make([]uint64, 0, n), make([]uint64, 0, n)
	} else {
		out.Design, out.Device = slices.Clone(b.Design), slices.Clone(b.Device)
		out.Said, out.Sequence = slices.Clone(b.Said), slices.Clone(b.Sequence)
		b.Design, b.Device, b.Said, b.Sequence = b.Design[:0], b.Device[:0], b.Said[:0], b.Sequence[:0]
	}
	clear(b.Designs) // their texts
	b.Designs = b.Designs[:0]
	clear(r.windows)
	r.newest = nil
	return out
}
