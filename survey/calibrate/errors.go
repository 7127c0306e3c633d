package calibrate

import (
	"errors"
	"fmt"
)

// Code says why there are no calibrated weights.
type Code uint8

// The codes of an [Error].
const (
	Invalid      Code = iota + 1 // a number that isn't one, lengths that differ, bounds that don't contain 1
	Infeasible                   // no weights within the bounds meet the total
	Collinear                    // a column is a combination of others, and its total contradicts theirs
	NotConverged                 // Newton's method found no solution
)

var codeNames = [...]string{
	Invalid: "invalid input", Infeasible: "infeasible", Collinear: "collinear columns with contradicting totals", NotConverged: "not converged",
}

// String returns the code's name in words.
func (c Code) String() string {
	if c == 0 || int(c) >= len(codeNames) {
		return fmt.Sprintf("code %d", uint8(c))
	}
	return codeNames[c]
}

// Error is the error type of this package. It names columns and rows, never a value of the data.
type Error struct {
	Code   Code
	Column string // as in Column.Name, or empty
	Row    int    // counted from 1, or 0
	Detail string
}

// Error says the code, the column, the row and the detail.
func (e *Error) Error() string {
	text := "calibration: " + e.Code.String()
	if e.Column != "" {
		text += fmt.Sprintf(": column %q", e.Column)
	}
	if e.Row > 0 {
		text += fmt.Sprintf(": row %d", e.Row)
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// CodeOf returns the code of the *[Error] in err's chain, or 0 when there is none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return 0
}
