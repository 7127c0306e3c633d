package storage

import (
	"cmp"
	"slices"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// sortedReports is reports of one segment in the order of its file: by window and, inside it, by their random numbers, then by
// device, then as they came.
type sortedReports struct {
	column.Batch            // in the order of the stream
	windows      []int64    // starts of the windows, sorted
	places       []numbered // the order
}

// numbered is a row of the batch with the number of its window above its random one, of 32 bits each.
type numbered struct {
	number uint64
	row    uint32
}

// random is what orders the row inside its window.
func (n numbered) random() float64 { return column.Fraction(uint32(n.number)) }

func (r *sortedReports) len() int       { return len(r.places) }
func (r *sortedReports) firstMs() int64 { return r.windows[r.places[0].number>>32] }
func (r *sortedReports) lastMs() int64  { return r.windows[r.places[len(r.places)-1].number>>32] }

// sortReports puts batches of one kappa, which come in the order of the stream, together and in order. Designs that are equal
// become one.
func sortReports(batches []*column.Batch) *sortedReports {
	out := &sortedReports{Batch: column.Batch{Kappa: batches[0].Kappa, Ref: batches[0].Ref}}
	known, rows := map[column.Report]uint32{}, 0
	for _, b := range batches {
		rows += b.Len()
	}
	out.Design, out.Device = make([]uint32, 0, rows), make([]uint64, 0, rows)
	out.Said, out.Sequence = make([]uint64, 0, rows), make([]uint64, 0, rows)
	for _, b := range batches {
		renumbered := make([]uint32, len(b.Designs))
		for i := range b.Designs {
			at, seen := known[b.Designs[i]]
			if !seen {
				at = uint32(len(out.Designs))
				known[b.Designs[i]] = at
				out.Designs = append(out.Designs, b.Designs[i])
			}
			renumbered[i] = at
		}
		for _, d := range b.Design {
			out.Design = append(out.Design, renumbered[d])
		}
		out.Device = append(out.Device, b.Device...)
		out.Said = append(out.Said, b.Said...)
		out.Sequence = append(out.Sequence, b.Sequence...)
	}
	out.order()
	return out
}

// order finds the places.
func (r *sortedReports) order() {
	for i := range r.Designs {
		r.windows = append(r.windows, r.Designs[i].WindowStartMs)
	}
	slices.Sort(r.windows)
	r.windows = slices.Compact(r.windows)
	shuffles := make([]column.Shuffle, len(r.windows))
	for i, start := range r.windows {
		shuffles[i] = column.ShuffleOf(r.Ref, start)
	}
	windowOf := make([]uint32, len(r.Designs))
	for i := range r.Designs {
		at, _ := slices.BinarySearch(r.windows, r.Designs[i].WindowStartMs)
		windowOf[i] = uint32(at)
	}
	r.places = make([]numbered, len(r.Device))
	for i, device := range r.Device {
		w := windowOf[r.Design[i]]
		r.places[i] = numbered{number: uint64(w)<<32 | uint64(shuffles[w].Number(device)), row: uint32(i)}
	}
	r.places = sortNumbers(r.places)
	for from := 0; from < len(r.places); {
		to := from + 1
		for to < len(r.places) && r.places[to].number == r.places[from].number {
			to++
		}
		if to > from+1 { // numbers of 32 bits meet now and then
			slices.SortStableFunc(r.places[from:to], func(a, b numbered) int { return cmp.Compare(r.Device[a.row], r.Device[b.row]) })
		}
		from = to
	}
}

// sortNumbers sorts by number, equal ones as they are, byte after byte from the lowest (radix sort): a few passes over memory where
// a sort by comparisons takes twenty. It may use the slice, and gives one of its length.
func sortNumbers(rows []numbered) []numbered {
	var counts [8][256]uint32
	for _, r := range rows {
		for b := range counts {
			counts[b][byte(r.number>>(8*b))]++
		}
	}
	other := make([]numbered, len(rows))
	for b := range counts {
		from, most := uint32(0), uint32(0)
		for i, n := range counts[b] {
			counts[b][i] = from
			from, most = from+n, max(most, n)
		}
		if int(most) == len(rows) {
			continue // all have the same byte here
		}
		for _, r := range rows {
			at := &counts[b][byte(r.number>>(8*b))]
			other[*at] = r
			*at++
		}
		rows, other = other, rows
	}
	return rows
}
