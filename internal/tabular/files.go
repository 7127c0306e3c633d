package tabular

import (
	"io"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/parquet-go/parquet-go"
)

// Files are open Parquet files that are read in blocks, whole or in part, as often as one likes. They are safe for one goroutine.
type Files struct{ files []*parquetFile }

// File is an open Parquet file, wherever it lies. It is safe for use by many goroutines.
type File interface {
	io.ReaderAt
	io.Closer
	// Size is the length in bytes.
	Size() (int64, error)
}

// onDisk is a file of this machine.
type onDisk struct{ *os.File }

// Size is the length in bytes.
func (f onDisk) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err //nolint:wrapcheck // it names the file
	}
	return info.Size(), nil
}

// AtPaths opens files of this machine. The caller closes them; after an error none is open.
func AtPaths(paths ...string) ([]File, error) {
	out := make([]File, 0, len(paths))
	for _, path := range paths {
		in, err := os.Open(path)
		if err != nil {
			for _, f := range out {
				_ = f.Close() // nothing was written
			}
			return nil, err //nolint:wrapcheck // it names the file
		}
		out = append(out, onDisk{in})
	}
	return out, nil
}

// OpenPaths is OpenFiles for files of this machine.
func OpenPaths(paths []string) (*Files, error) {
	files, err := AtPaths(paths...)
	if err != nil {
		return nil, err
	}
	return OpenFiles(files)
}

// OpenFiles reads the footers of Parquet files side by side. A file of another kind gives [ErrNoBlocks]. The files are the result's,
// which the caller closes; after an error they are closed.
func OpenFiles(files []File) (*Files, error) {
	out := &Files{files: make([]*parquetFile, len(files))}
	faults := make([]error, len(files))
	var work sync.WaitGroup
	for i, file := range files {
		work.Go(func() { out.files[i], faults[i] = openBlocks(file) })
	}
	work.Wait()
	for _, err := range faults {
		if err != nil {
			out.Close()
			return nil, err
		}
	}
	return out, nil
}

func openBlocks(in File) (*parquetFile, error) {
	var file *parquetFile
	size, err := in.Size()
	if err == nil && !isParquet(in) {
		err = ErrNoBlocks
	}
	if err == nil {
		file, err = openParquet(in, size)
	}
	if err != nil {
		_ = in.Close() // nothing was written
		return nil, err
	}
	return file, nil
}

// Close closes the files, also those that [Files.Having] parted.
func (f *Files) Close() {
	for _, p := range f.files {
		if p != nil {
			_ = p.in.Close() // nothing was written
		}
	}
}

// Having parts the files into those that have a column and those that lack it. They stay open until f is closed.
func (f *Files) Having(column string) (with, without *Files) {
	with, without = &Files{}, &Files{}
	for _, p := range f.files {
		if p.column(column) != nil {
			with.files = append(with.files, p)
		} else {
			without.files = append(without.files, p)
		}
	}
	return with, without
}

// Rows is how many rows stand in the row groups that a bound may have rows in, which is what [Files.Blocks] visits without a cut.
func (f *Files) Rows(bound *Bound) int64 {
	rows := int64(0)
	for _, p := range f.files {
		for i, group := range p.file.RowGroups() {
			if bound == nil || p.mayHold(i, bound) {
				rows += group.NumRows()
			}
		}
	}
	return rows
}

// Spans gives the least and the greatest value of the bound's column in each row group that the bound may have rows in. Where
// a row group doesn't tell, they are those of the bound.
func (f *Files) Spans(bound *Bound) [][2]int64 {
	var out [][2]int64
	for _, p := range f.files {
		for i := range p.file.RowGroups() {
			if !p.mayHold(i, bound) {
				continue
			}
			least, most, ok := p.ends(i, bound.Column)
			if !ok {
				least, most = bound.Least, bound.Most
			}
			out = append(out, [2]int64{least, most})
		}
	}
	return out
}

// Part says which rows are wanted; others may come with them.
type Part struct {
	Bound *Bound // nil for all
	Cut   *Cut   // nil for all
}

// Blocks reads the wanted part block by block, as [Blocks] does.
func (f *Files) Blocks(want Want, part Part, readers int, begin func() func(*Table) error) error {
	groups, err := f.groups(want, part)
	if err != nil {
		return err
	}
	var failed atomic.Bool
	var work sync.WaitGroup
	faults := make([]error, min(readers, len(groups)))
	for i := range faults {
		r := newBlockReader(want, part.Cut, begin())
		work.Go(func() {
			defer recovered(&faults[i])
			for at := i; at < len(groups) && !failed.Load(); at += len(faults) {
				if faults[i] = r.read(groups[at]); faults[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	work.Wait()
	for _, err := range faults {
		if err != nil {
			return err
		}
	}
	return nil
}

// rowGroup is a row group with the wanted columns of its file.
type rowGroup struct {
	parquet.RowGroup

	file *parquetFile
	at   int // in its file
}

// groups are the row groups that may have wanted rows, as their statistics tell.
func (f *Files) groups(want Want, part Part) ([]rowGroup, error) {
	var groups []rowGroup
	for _, p := range f.files {
		columns := slices.Concat(want.Numbers, want.Labels)
		if part.Cut != nil {
			columns = append(columns, part.Cut.Group, part.Cut.Order)
		}
		for _, name := range columns {
			if p.column(name) == nil {
				return nil, ErrNoBlocks
			}
		}
		for i, group := range p.file.RowGroups() {
			if (part.Bound == nil || p.mayHold(i, part.Bound)) && (part.Cut == nil || p.mayWant(i, part.Cut)) {
				groups = append(groups, rowGroup{RowGroup: group, file: p, at: i})
			}
		}
	}
	return groups, nil
}

// mayHold says whether a row group may have rows in a bound; one without statistics may.
func (p *parquetFile) mayHold(group int, b *Bound) bool {
	least, most, ok := p.ends(group, b.Column)
	return !ok || least < b.Most && most >= b.Least
}

// ends is the least and the greatest value of a column of whole numbers in a row group; false where they aren't told.
func (p *parquetFile) ends(group int, column string) (least, most int64, ok bool) {
	low, high, ok := p.bounds(group, column, parquet.Int64)
	if !ok {
		return 0, 0, false
	}
	return low.Int64(), high.Int64(), true
}

// bounds is what the statistics of a row group tell of a column.
func (p *parquetFile) bounds(group int, column string, kind parquet.Kind) (low, high parquet.Value, ok bool) {
	c := p.column(column)
	if c == nil || c.Type().Kind() != kind {
		return low, high, false
	}
	stats := p.file.Metadata().RowGroups[group].Columns[c.Index()].MetaData.Statistics
	if len(stats.MinValue) != 8 || len(stats.MaxValue) != 8 {
		return low, high, false
	}
	return kind.Value(stats.MinValue), kind.Value(stats.MaxValue), true
}

// mayWant says whether a row group may have rows that a cut leaves in.
func (p *parquetFile) mayWant(group int, cut *Cut) bool {
	least, most, ok := p.ends(group, cut.Group)
	if !ok || least != most {
		return true
	}
	low, high := math.Inf(-1), math.Inf(1)
	if a, b, ok := p.bounds(group, cut.Order, parquet.Double); ok {
		low, high = a.Double(), b.Double()
	}
	return cut.wants(least, low, high)
}
