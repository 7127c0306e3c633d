package calibrate

import (
	"fmt"
	"math"
)

// Margin returns one column for each level of a factor: 1 where a row has the level, 0 elsewhere, with the known number of
// units that have it. Post-stratification is calibration to one margin, raking to several. codes gives each row's index
// into levels, and −1 where the label is missing, which is refused; so are levels without a total or with a
// negative one. A level with a total
// that no row has is a column of zeros, which New refuses as infeasible.
func Margin(name string, codes []int32, levels []string, totals map[string]float64) ([]Column, error) {
	columns := make([]Column, len(levels))
	known := make(map[string]bool, len(levels))
	for j, level := range levels {
		total, ok := totals[level]
		if !ok {
			return nil, &Error{Code: Invalid, Column: name, Detail: fmt.Sprintf("no total for level %q", level)}
		}
		if !(total >= 0) || math.IsInf(total, 0) {
			return nil, &Error{Code: Invalid, Column: name, Detail: fmt.Sprintf("the total of level %q is negative or no number", level)}
		}
		known[level] = true
		columns[j] = Column{Name: name + "=" + level, Values: make([]float64, len(codes)), Total: total}
	}
	for level := range totals {
		if !known[level] {
			return nil, &Error{Code: Infeasible, Column: name, Detail: fmt.Sprintf("no row has the level %q", level)}
		}
	}
	for k, code := range codes {
		if code < 0 {
			return nil, &Error{Code: Invalid, Column: name, Row: k + 1, Detail: "missing"}
		}
		columns[code].Values[k] = 1
	}
	return columns, nil
}
