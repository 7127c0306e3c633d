package calibrate

import "math"

// Function is the rule g = F(u) by which weights move, u = x'λ/σ². F(0) = F'(0) = 1.
type Function uint8

// The functions (Deville and Särndal 1992, table 1).
const (
	Linear Function = iota // F = 1 + u: regression; can give negative weights. With bounds: cut at them
	Raking                 // F = exp u: never negative. With bounds: cut at them
	Logit                  // between the bounds, smooth; needs L < 1 < U
)

// Bounds are those of g. The zero value is none.
type Bounds struct{ Low, High float64 }

func (b Bounds) none() bool { return b == Bounds{} }

// at returns F(u) and F'(u).
func (f Function) at(u float64, b Bounds) (g, slope float64) {
	switch f {
	case Logit:
		a := (b.High - b.Low) / ((1 - b.Low) * (b.High - 1))
		e := math.Exp(-a * math.Abs(u)) // in (0, 1]: no overflow for any u
		// F = (L(U−1) + U(1−L)e^{au}) / ((U−1) + (1−L)e^{au}); for u > 0 divided by e^{au}.
		high, low := b.High-1, 1-b.Low
		if u > 0 {
			high *= e
		} else {
			low *= e
		}
		sum := high + low
		return (b.Low*high + b.High*low) / sum, a * (b.High - b.Low) * high / sum * (low / sum)
	case Raking:
		g = math.Exp(u)
		slope = g
	case Linear:
		g, slope = 1+u, 1
	}
	if !b.none() && (g < b.Low || g > b.High) {
		return min(max(g, b.Low), b.High), 0
	}
	return g, slope
}
