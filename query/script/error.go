package script

import "fmt"

// Pos is a place in a script: line and column, both from 1, columns counted in characters. The zero Pos stands for a
// part that was not written.
type Pos struct{ Line, Column int }

// Error says what is wrong with a script, where, and what to do about it. It never holds a reading: a script has none.
type Error struct {
	Line    int    // from 1
	Column  int    // in characters, from 1
	Message string // what was expected and what was found, or which rule is broken
	Hint    string // what to do; empty when the message says it all
}

// Error gives "line 3, column 7: message (hint)".
func (e *Error) Error() string {
	text := fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// UnsupportedError names a part of the language that the engine can't run yet.
type UnsupportedError struct {
	Line    int    // from 1
	Column  int    // in characters, from 1
	Feature string // as written in a script, e.g. "CLUSTERED BY"
	Hint    string // what can be used in its place; may be empty
}

// Error gives "line 3, column 7: FEATURE can't be run yet (hint)".
func (e *UnsupportedError) Error() string {
	text := fmt.Sprintf("line %d, column %d: %s can't be run yet", e.Line, e.Column, e.Feature)
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

func errorAt(pos Pos, hint, format string, args ...any) *Error {
	return &Error{Line: pos.Line, Column: pos.Column, Message: fmt.Sprintf(format, args...), Hint: hint}
}
