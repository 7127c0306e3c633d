package tabular

import (
	"encoding/csv"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// csvFile is RFC 4180 with a header. Empty cells and NA are missing.
type csvFile struct {
	in     *csv.Reader
	header []string
}

func openCSV(in io.Reader) (*csvFile, error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &Error{Cause: "the file is empty"}
		}
		return nil, &Error{Cause: csvCause(err)}
	}
	f := &csvFile{in: r, header: slices.Clone(header)}
	f.header[0] = strings.TrimPrefix(f.header[0], "\ufeff")
	for i, name := range f.header {
		if slices.Contains(f.header[:i], name) {
			return nil, &Error{Column: name, Cause: "the header has it twice"}
		}
	}
	return f, nil
}

func (f *csvFile) names() []string { return f.header }

func (f *csvFile) read(t *Table, numbers, labels []string) (int, error) {
	type cell struct {
		at      int
		name    string
		numbers []float64
		labels  *Labels
	}
	var cells []cell
	for _, name := range numbers {
		cells = append(cells, cell{at: slices.Index(f.header, name), name: name, numbers: t.numbers[name]})
	}
	for _, name := range labels {
		cells = append(cells, cell{at: slices.Index(f.header, name), name: name, labels: t.labels[name]})
	}
	for row := 1; ; row++ {
		record, err := f.in.Read()
		if errors.Is(err, io.EOF) {
			for _, c := range cells {
				if c.labels == nil {
					t.numbers[c.name] = c.numbers
				}
			}
			return row - 1, nil
		}
		if err != nil {
			return 0, &Error{Row: row, Cause: csvCause(err)}
		}
		for i := range cells {
			c := &cells[i]
			text := record[c.at]
			if text == "NA" {
				text = ""
			}
			if c.labels != nil {
				c.labels.Codes = append(c.labels.Codes, c.labels.code(strings.Clone(text)))
				continue
			}
			x, ok := parseNumber(text)
			if !ok {
				return 0, &Error{Column: c.name, Row: row, Cause: "not a finite number"}
			}
			c.numbers = append(c.numbers, x)
		}
	}
}

// csvCause says what is wrong without the text that is.
func csvCause(err error) string {
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// parseNumber takes finite numbers, true and false; an empty text is a missing number.
func parseNumber(text string) (float64, bool) {
	switch text = strings.TrimSpace(text); text {
	case "":
		return missing, true
	case "TRUE", "True", "true":
		return 1, true
	case "FALSE", "False", "false":
		return 0, true
	}
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil && !math.IsNaN(x) && !math.IsInf(x, 0)
}
