package squarewave

import "math"

const (
	// segments is the number of pieces between 0 and 1 of the splines of a log density: twice as many change no error of
	// docs/privacy-measured.md in its fourth digit but that of an atom at ε = 2.
	segments = 32
	// order is one more than the degree of the splines, and how many of them are not 0 at a place.
	order = 4
	// coefficients is the number of splines.
	coefficients = segments + order - 1
)

// vector holds a number for each spline.
type vector [coefficients]float64

// dot returns the inner product.
func (v *vector) dot(w *vector) float64 {
	sum := 0.0
	for c := range v {
		sum += v[c] * w[c]
	}
	return sum
}

// matrix holds a number for each pair of splines. The methods want it symmetric.
type matrix [coefficients]vector

// add adds a matrix.
func (m *matrix) add(o *matrix) {
	for r := range m {
		for c, x := range o[r] {
			m[r][c] += x
		}
	}
}

// factor puts the Cholesky factor L, m = LL', into the lower triangle and returns the logarithm of the determinant of m. It is not ok
// when m isn't positive definite.
func (m *matrix) factor() (logDeterminant float64, ok bool) {
	for c := range m {
		for r := c; r < coefficients; r++ {
			sum := m[r][c]
			for k := range c {
				sum -= m[r][k] * m[c][k]
			}
			switch {
			case r > c:
				m[r][c] = sum / m[c][c]
			case sum > 0:
				m[c][c] = math.Sqrt(sum)
				logDeterminant += math.Log(sum)
			default:
				return 0, false
			}
		}
	}
	return logDeterminant, true
}

// solve returns x with LL'x = b of a factored matrix.
func (m *matrix) solve(b vector) vector {
	for r := range m {
		for k := range r {
			b[r] -= m[r][k] * b[k] //nolint:gosec // r is a row
		}
		b[r] /= m[r][r] //nolint:gosec // r is a row
	}
	for r := coefficients - 1; r >= 0; r-- {
		for k := r + 1; k < coefficients; k++ {
			b[r] -= m[k][r] * b[k]
		}
		b[r] /= m[r][r]
	}
	return b
}

// bump says which splines are not 0 in the middle of a bin, from the first one on, and what they are there. They sum to 1.
type bump struct {
	first int
	value [order]float64
}

// bumps returns the cubic B-splines with uniform knots (de Boor 1978) in the middles of so many bins.
func bumps(bins int) []bump {
	out := make([]bump, bins)
	for j := range out {
		place := (float64(j) + 0.5) / float64(bins) * segments
		out[j].first = int(place)
		u := place - math.Floor(place)
		out[j].value = [order]float64{
			(1 - u) * (1 - u) * (1 - u) / 6, (3*u*u*u - 6*u*u + 4) / 6, (-3*u*u*u + 3*u*u + 3*u + 1) / 6, u * u * u / 6,
		}
	}
	return out
}

// weak is the precision of every coefficient beyond what the differences say: a standard deviation of 100, which makes what has
// no third difference a proper law, and decides nothing.
const weak = 1e-4

// difference takes the third difference of neighbours.
var difference = [...]float64{-1, 3, -3, 1}

// penalty is half of (its strength · the sum of the squared third differences of a vector + weak · that of its squares): a vector has a
// normal law whose precision is matrix.
type penalty float64

// pull returns the matrix times a vector, by the differences: their products with a large strength leave rounding only where
// the penalty is stiff.
func (p penalty) pull(v *vector) (out vector) {
	for c := range out {
		out[c] = weak * v[c]
	}
	for at := 0; at+len(difference) <= coefficients; at++ {
		sum := 0.0
		for a, x := range difference {
			sum += x * v[at+a]
		}
		for a, x := range difference {
			out[at+a] += float64(p) * x * sum
		}
	}
	return out
}

func (p penalty) matrix() *matrix {
	m := new(matrix)
	for at := 0; at+len(difference) <= coefficients; at++ {
		for a, x := range difference {
			for b, y := range difference {
				m[at+a][at+b] += float64(p) * x * y
			}
		}
	}
	for c := range m {
		m[c][c] += weak
	}
	return m
}
