package confseq

import (
	"fmt"
	"math"

	"github.com/quadrat-dev/quadrat/survey"
)

// invalid returns the error of a law that the input breaks.
func invalid(format string, args ...any) error {
	return &survey.Error{Code: survey.Invalid, Detail: "confidence sequence: " + fmt.Sprintf(format, args...)}
}

func positive(x float64) bool { return x > 0 && !math.IsInf(x, 1) }

func inside01(x float64) bool { return x > 0 && x < 1 }

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// precision is the relative width at which a search ends.
const precision = 1e-13

// root returns the point of [low, high] where the increasing f passes 0, by the Illinois form of false position with a
// bisection wherever that is slow. It returns an end when f has one sign throughout.
func root(f func(float64) float64, low, high float64) float64 {
	atLow, atHigh := f(low), f(high)
	if atLow >= 0 {
		return low
	}
	if atHigh <= 0 {
		return high
	}
	for turn := range 200 {
		width := high - low
		if width <= precision*math.Max(math.Abs(low), math.Abs(high)) {
			break
		}
		x := low + width/2
		if turn%3 != 2 && finite(atLow) && finite(atHigh) {
			x = low - atLow*width/(atHigh-atLow)
			// Step a little inside, so that the bracket shrinks from both sides.
			x = math.Min(math.Max(x, low+1e-12*width), high-1e-12*width)
		}
		switch y := f(x); {
		case y == 0:
			return x
		case y < 0:
			low, atLow = x, y
			atHigh /= 2
		default:
			high, atHigh = x, y
			atLow /= 2
		}
	}
	return low + (high-low)/2
}

// crossing returns the least s ≥ 0 at which the increasing logMixture reaches ln(1/alpha); most bounds s, and +Inf means
// that nothing does. When even most does not reach it, most is the answer, for no sum can be larger.
func crossing(logMixture func(s float64) float64, v, alpha, most float64) float64 {
	threshold := -math.Log(alpha)
	f := func(s float64) float64 { return logMixture(s) - threshold }
	if math.IsInf(most, 1) {
		most = math.Max(1, 2*math.Sqrt(v*(1+threshold)))
		for range 100 {
			if !(f(most) < 0) {
				break
			}
			most *= 2
		}
	}
	return root(f, 0, most)
}

// senseless says that no bound can be given for these arguments; the caller answers +Inf, which promises nothing.
func senseless(v, alpha float64) bool {
	return !(v >= 0) || math.IsInf(v, 1) || !inside01(alpha)
}
