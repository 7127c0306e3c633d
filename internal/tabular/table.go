package tabular

import (
	"math"
	"slices"
)

// Want is which columns to read, and as what. A column may be wanted as both.
type Want struct{ Numbers, Labels []string }

// Labels is a column of labels, coded in the order in which they first appear.
type Labels struct {
	Codes  []int32 // for each row an index into Levels, −1 where the label is missing
	Levels []string
	index  map[string]int32
}

// Table is what was read. The caller must not change its columns.
type Table struct {
	Rows    int
	Names   []string // every column of the files, also those that were not wanted
	numbers map[string][]float64
	coded   map[string]*coded // of a block
	labels  map[string]*Labels
	parts   []part
	origin  []int32 // of a table of repeated rows, the row that each was
}

// part is one file's place in the table.
type part struct {
	file  string
	start int
}

// Number returns a column that was wanted as numbers; NaN stands for a missing one. It is nil for another column.
func (t *Table) Number(name string) []float64 {
	if c := t.coded[name]; c != nil && c.indices != nil {
		c.buffer = slices.Grow(c.buffer[:0], t.Rows)[:t.Rows]
		look(c.buffer, c.indices, c.entries)
		return c.buffer
	}
	return t.numbers[name]
}

// Coded returns a column of numbers that a block has by dictionary, for each row an index into the entries; nil for
// another one.
func (t *Table) Coded(name string) (indices []int32, entries []float64) {
	if c := t.coded[name]; c != nil {
		return c.indices, c.entries
	}
	return nil, nil
}

// coded is a column of a block by dictionary.
type coded struct {
	indices         []int32 // nil when this block isn't
	entries, buffer []float64
}

// Label returns a column that was wanted as labels, and nil for another column.
func (t *Table) Label(name string) *Labels { return t.labels[name] }

// Has says whether the files have a column.
func (t *Table) Has(name string) bool { return slices.Contains(t.Names, name) }

// At is an Error that speaks of a row of the table (counted from 1).
func (t *Table) At(column string, row int, cause string) *Error {
	if t.origin != nil && row > 0 {
		row = int(t.origin[row-1]) + 1
	}
	e := &Error{Column: column, Row: row, Cause: cause}
	for _, p := range t.parts {
		if row > p.start && len(t.parts) > 1 {
			e.File, e.Row = p.file, row-p.start
		}
	}
	return e
}

func newTable(want Want) *Table {
	t := &Table{numbers: make(map[string][]float64), labels: make(map[string]*Labels)}
	for _, name := range want.Numbers {
		t.numbers[name] = []float64{}
	}
	for _, name := range want.Labels {
		t.labels[name] = &Labels{index: make(map[string]int32)}
	}
	return t
}

// code returns the code of a label; an empty one is missing.
func (l *Labels) code(label string) int32 {
	if label == "" {
		return -1
	}
	code, ok := l.index[label]
	if !ok {
		code = int32(len(l.Levels))
		l.index[label] = code
		l.Levels = append(l.Levels, label)
	}
	return code
}

// codeBytes is code without a copy of labels that are known.
func (l *Labels) codeBytes(label []byte) int32 {
	if len(label) == 0 {
		return -1
	}
	if code, ok := l.index[string(label)]; ok {
		return code
	}
	return l.code(string(label))
}

// missing is how a number that isn't there is kept.
var missing = math.NaN()

// Distinct returns a Want without repetitions.
func (w Want) Distinct() Want {
	return Want{Numbers: distinct(w.Numbers), Labels: distinct(w.Labels)}
}

func distinct(names []string) []string {
	var out []string
	for _, name := range names {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
