package design

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Code says why there is no design, or no number.
type Code uint8

// The codes of an [Error].
const (
	Invalid     Code = iota + 1 // a column breaks a law: a negative weight, a population below the sample, NaN
	Lonely                      // a stratum has one unit only, so its variance can't be estimated
	NoResponse                  // nobody of a class responded
	NoDomain                    // no row with a weight lies in the domain
	NoFreedom                   // fewer than one degree of freedom
	Negative                    // the variance estimate is negative, as the Horvitz–Thompson form can be
	Unsupported                 // the method doesn't fit the design or the statistic
	Missing                     // a value is missing
	Range                       // the numbers are too large for 64-bit floating point
)

var codeNames = [...]string{
	Invalid: "invalid input", Lonely: "one unit only", NoResponse: "no response", NoDomain: "no row in the domain",
	NoFreedom: "fewer than one degree of freedom", Negative: "negative variance estimate", Unsupported: "unsupported",
	Missing: "missing value", Range: "out of floating-point range",
}

// String returns the code's name in words.
func (c Code) String() string {
	if c == 0 || int(c) >= len(codeNames) {
		return fmt.Sprintf("code %d", uint8(c))
	}
	return codeNames[c]
}

// Role names what a column is for in an [Error].
type Role string

// The roles of columns.
const (
	RoleWeight  Role = "weight"
	RoleStratum Role = "stratum"
	RoleCluster Role = "cluster"
	RoleFPC     Role = "fpc"
	RolePi      Role = "pi"
	RoleJoint   Role = "joint"
	RolePhase2  Role = "phase2"
	RoleNoise   Role = "noise variance"
	RoleY       Role = "variable"
	RoleX       Role = "denominator"
)

// Error is the error type of the row-level packages. It holds names, rows and counts, never a value of the data.
type Error struct {
	Code    Code
	Role    Role   // the column that it speaks of, or empty
	Row     int    // the row, counted from 1, or 0
	Stage   int    // the stage, counted from 1, or 0
	Stratum string // the stratum or class, or empty
	Detail  string
}

// Error says code, column, row, stratum and detail.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Code.String())
	if e.Role != "" {
		fmt.Fprintf(&b, ": %s", e.Role)
		if e.Stage > 1 {
			fmt.Fprintf(&b, " of stage %d", e.Stage)
		}
	}
	if e.Row > 0 {
		fmt.Fprintf(&b, ": row %d", e.Row)
	}
	if e.Stratum != "" {
		fmt.Fprintf(&b, ": stratum %q", e.Stratum)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	return b.String()
}

// CodeOf returns the code of the *[Error] in err's chain, or 0 when there is none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return 0
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
