package tabular

import "fmt"

// Error says what is wrong with a table. It never holds a value.
type Error struct {
	File   string // base name, or empty
	Column string // or empty
	Row    int    // in the file, counted from 1 without the header, or 0
	Cause  string

	reason error // where another error is the cause
}

// Unwrap is what caused it, or nil.
func (e *Error) Unwrap() error { return e.reason }

// Error says file, column, row and cause.
func (e *Error) Error() string {
	text := ""
	if e.File != "" {
		text = e.File + ": "
	}
	if e.Column != "" {
		text += fmt.Sprintf("column %q: ", e.Column)
	}
	if e.Row > 0 {
		text += fmt.Sprintf("row %d: ", e.Row)
	}
	return text + e.Cause
}
