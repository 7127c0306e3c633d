package survey

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// quantileT returns the t that a two-sided interval with this confidence and so many degrees of freedom needs.
func quantileT(confidence, degrees float64) float64 {
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: degrees}
	return -t.Quantile((1 - confidence) / 2)
}

// quantileZ returns the same for the normal distribution.
func quantileZ(confidence float64) float64 {
	return math.Sqrt2 * math.Erfinv(confidence)
}
