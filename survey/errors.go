package survey

import (
	"errors"
	"fmt"
	"math"
)

// Code says why there is no number.
type Code uint8

// The codes of an [Error].
const (
	Invalid     Code = iota + 1 // the input breaks a law: a negative count, more responses than due, NaN, a confidence outside (0, 1)
	NoReports                   // a stratum with population has no report at all
	Lonely                      // a stratum has one response and more than one unit, so its variance can't be estimated
	NoDomain                    // no report lies in the domain
	NoFreedom                   // fewer than one degree of freedom
	Infeasible                  // no sample size or allocation does what was asked; Best says what can be had
	Range                       // the numbers are too large for 64-bit floating point
	Denominator                 // a ratio's denominator can't be told from 0: its interval holds 0
)

var codeNames = [...]string{
	Invalid: "invalid input", NoReports: "no reports", Lonely: "one response only", NoDomain: "no report in the domain",
	NoFreedom: "fewer than one degree of freedom", Infeasible: "infeasible",
	Range: "out of floating-point range", Denominator: "the interval of the denominator holds 0",
}

// String returns the code's name in words.
func (c Code) String() string {
	if c == 0 || int(c) >= len(codeNames) {
		return fmt.Sprintf("code %d", uint8(c))
	}
	return codeNames[c]
}

// Error is the one error type of this package. It holds names and counts, never a score.
type Error struct {
	Code    Code
	Stratum string  // the stratum that it speaks of, or empty
	Detail  string  // what was wrong, or what was found
	Best    float64 // Infeasible only: the smallest margin, or the nearest sample size, that can be had
}

// Error says the code, the stratum and the detail.
func (e *Error) Error() string {
	text := "survey: " + e.Code.String()
	if e.Stratum != "" {
		text += fmt.Sprintf(": stratum %q", e.Stratum)
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

// finite says whether every x is a number.
func finite(xs ...float64) bool {
	for _, x := range xs {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}
