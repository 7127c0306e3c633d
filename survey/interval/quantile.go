package interval

import (
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// expansionDegrees is where the expansion about the normal quantile is exact to 1e-12 for quantiles up to 3; beyond it
// the incomplete beta function is the less accurate of the two.
const expansionDegrees = 1000

// TQuantile returns the t that a two-sided interval with this confidence and so many degrees of freedom needs. In the
// usual range it begins with the expansion about the normal quantile and ends with Newton's steps on the exact
// distribution function, which takes a fraction of the time of a search; elsewhere it searches.
func TQuantile(confidence, degrees float64) float64 {
	tail := (1 - confidence) / 2
	z := ZQuantile(confidence)
	t := expandT(z, degrees)
	if degrees >= expansionDegrees*max(1, z*z/9) {
		return t
	}
	if degrees < 8 || confidence < 0.5 || confidence > 0.999 {
		return searchT(tail, degrees)
	}
	logScale, _ := math.Lgamma((degrees + 1) / 2)
	logBelow, _ := math.Lgamma(degrees / 2)
	scale := math.Exp(logScale-logBelow) / math.Sqrt(degrees*math.Pi)
	for range 5 {
		above := mathext.RegIncBeta(degrees/2, 0.5, degrees/(degrees+t*t)) / 2
		density := scale * math.Exp(-(degrees+1)/2*math.Log1p(t*t/degrees))
		step := (above - tail) / density
		t += step
		if math.Abs(step) < 1e-9*t { // the next step would be of the order of this one's square
			return t
		}
	}
	return searchT(tail, degrees)
}

// searchT inverts the distribution function for any tail and degrees of freedom.
func searchT(tail, degrees float64) float64 {
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: degrees}
	return -t.Quantile(tail)
}

// expandT is the asymptotic expansion of the quantile (Abramowitz and Stegun 1964, 26.7.5), four terms.
func expandT(z, degrees float64) float64 {
	s := z * z
	first := z * (s + 1) / 4
	second := z * ((5*s+16)*s + 3) / 96
	third := z * (((3*s+19)*s+17)*s - 15) / 384
	fourth := z * ((((79*s+776)*s+1482)*s-1920)*s - 945) / 92160
	return z + (first+(second+(third+fourth/degrees)/degrees)/degrees)/degrees
}

// ZQuantile returns the same for the normal distribution.
func ZQuantile(confidence float64) float64 {
	return math.Sqrt2 * math.Erfinv(confidence)
}
