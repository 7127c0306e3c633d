package tabular

import "strconv"

// Repeat returns a table in which each row stands as many times as times says, 1 or more, in order. The copies of a row that stands more
// than once have labels of their own in the column apart: the row's, a hash and a number. Errors still name the rows of the files.
func (t *Table) Repeat(times []int, apart string) *Table {
	out := &Table{Names: t.Names, numbers: map[string][]float64{}, labels: map[string]*Labels{}, parts: t.parts}
	for row, n := range times {
		for range n {
			out.origin = append(out.origin, int32(row))
		}
	}
	out.Rows = len(out.origin)
	for name := range t.numbers {
		from := t.Number(name)
		to := make([]float64, out.Rows)
		for i, row := range out.origin {
			to[i] = from[row]
		}
		out.numbers[name] = to
	}
	for name := range t.labels {
		from := t.Label(name)
		to := &Labels{Codes: make([]int32, out.Rows), Levels: append([]string(nil), from.Levels...)}
		for i, row := range out.origin {
			to.Codes[i] = from.Codes[row]
			if name == apart && times[row] > 1 && from.Codes[row] >= 0 {
				to.Codes[i] = int32(len(to.Levels))
				to.Levels = append(to.Levels, from.Levels[from.Codes[row]]+"#"+strconv.Itoa(i))
			}
		}
		out.labels[name] = to
	}
	return out
}
