package tabular

import (
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Read reads a file or a folder. Errors are *[Error], or those of the file system.
func Read(path string, want Want) (*Table, error) {
	files, err := list(path)
	if err != nil {
		return nil, err
	}
	t := newTable(want)
	for i, file := range files {
		hive := partitions(file)
		names, err := t.append(file, want, hive)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			t.Names = names
		}
	}
	if t.Rows == 0 {
		return nil, &Error{File: filepath.Base(path), Cause: "no rows"}
	}
	return t, nil
}

// Columns returns the names of all columns of the first file.
func Columns(path string) ([]string, error) {
	files, err := list(path)
	if err != nil {
		return nil, err
	}
	in, err := os.Open(files[0])
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	defer in.Close()
	s, err := open(in)
	if err != nil {
		return nil, named(err, files[0])
	}
	return withPartitions(s.names(), partitions(files[0])), nil
}

// list returns the files of a table in order.
func list(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := name != path && (strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_"))
		switch {
		case hidden && d.IsDir():
			return filepath.SkipDir
		case !hidden && !d.IsDir() && (strings.HasSuffix(name, ".parquet") || strings.HasSuffix(name, ".csv")):
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("folder: %w", err)
	}
	if len(files) == 0 {
		return nil, &Error{File: filepath.Base(path), Cause: "no .parquet or .csv files in it"}
	}
	return files, nil
}

// pair is a hive partition: a folder named key=value.
type pair struct{ key, value string }

func partitions(file string) []pair {
	var pairs []pair
	for folder := range strings.SplitSeq(filepath.ToSlash(filepath.Dir(file)), "/") {
		key, value, ok := strings.Cut(folder, "=")
		if !ok || key == "" {
			continue
		}
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		pairs = append(pairs, pair{key, value})
	}
	return pairs
}

func withPartitions(names []string, hive []pair) []string {
	names = slices.Clone(names)
	for _, p := range hive {
		if !slices.Contains(names, p.key) {
			names = append(names, p.key)
		}
	}
	return names
}

// source is an open file.
type source interface {
	names() []string
	// read appends the rows of the wanted columns, which the file has, and returns how many there are.
	read(t *Table, numbers, labels []string) (int, error)
}

// append reads one file and returns the names of its columns.
func (t *Table) append(file string, want Want, hive []pair) ([]string, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	defer in.Close()
	s, err := open(in)
	if err != nil {
		return nil, named(err, file)
	}
	own := s.names()
	all := withPartitions(own, hive)
	var numbers, labels []string
	for _, name := range want.Numbers {
		if !slices.Contains(own, name) {
			return nil, &Error{File: filepath.Base(file), Column: name, Cause: lacking(name, all)}
		}
		numbers = append(numbers, name)
	}
	for _, name := range want.Labels {
		if slices.Contains(own, name) {
			labels = append(labels, name)
		} else if !slices.Contains(all, name) {
			return nil, &Error{File: filepath.Base(file), Column: name, Cause: lacking(name, all)}
		}
	}
	rows, err := s.read(t, numbers, labels)
	if err != nil {
		return nil, named(err, file)
	}
	for _, p := range hive {
		if l := t.labels[p.key]; l != nil && !slices.Contains(own, p.key) {
			l.Codes = append(l.Codes, slices.Repeat([]int32{l.code(p.value)}, rows)...)
		}
	}
	t.parts = append(t.parts, part{file: filepath.Base(file), start: t.Rows})
	t.Rows += rows
	return all, nil
}

func lacking(name string, all []string) string {
	if slices.Contains(all, name) {
		return "a partition's name, not a number"
	}
	return "there is no such column"
}

// open tells the format by the first bytes.
func open(in *os.File) (source, error) {
	if !isParquet(in) {
		return openCSV(in)
	}
	size, err := onDisk{in}.Size()
	if err != nil {
		return nil, err
	}
	return openParquet(onDisk{in}, size)
}

func isParquet(in io.ReaderAt) bool {
	var magic [4]byte
	n, _ := in.ReadAt(magic[:], 0)
	return n == len(magic) && string(magic[:]) == "PAR1"
}

// named puts the file's name into an error.
func named(err error, file string) error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // it comes straight from this package
		e.File = filepath.Base(file)
		return e
	}
	return fmt.Errorf("%s: %w", filepath.Base(file), err)
}
