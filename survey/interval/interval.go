package interval

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Method is a kind of interval.
type Method uint8

// The methods. T and Z are for everything, Log is for variances, the others are for proportions.
const (
	T      Method = iota // value ± t_df · SE
	Z                    // value ± z · SE
	Wilson               // score interval with the effective sample size p(1−p)/v̂ (Wilson 1927; Kott and Carr 1997)
	Logit                // symmetric on the logit scale (Rust and Rao 1996)
	Asin                 // symmetric on the arcsine-square-root scale
	Beta                 // Clopper and Pearson with the effective sample size (Korn and Graubard 1998)
	Log                  // symmetric for the logarithm of value + noise that was taken out
)

var names = [...]string{T: "t", Z: "z", Wilson: "wilson", Logit: "logit", Asin: "asin", Beta: "beta", Log: "log"}

// String returns the name as in ParseMethod.
func (m Method) String() string {
	if int(m) < len(names) {
		return names[m]
	}
	return fmt.Sprintf("method %d", uint8(m))
}

// ParseMethod returns the method with a name: t, z, wilson, logit, asin, beta, log.
func ParseMethod(name string) (Method, error) {
	for m, n := range names {
		if n == name {
			return Method(m), nil
		}
	}
	return 0, fmt.Errorf("interval: unknown method %q", name)
}

// Proportion says whether the method is for proportions only.
func (m Method) Proportion() bool { return m > Z && m < Log }

// Input is what an interval needs.
type Input struct {
	Value      float64
	Variance   float64 // ≥ 0
	Degrees    float64 // of freedom, ≥ 1
	Rows       int     // rows in the domain, for Beta and for proportions of 0 and 1
	Confidence float64 // in (0, 1)
	// Wilson only: the part of Variance that is noise and doesn't move with p, 0 without noise, and the most that p(1−p)
	// can be multiplied by, Σ a²(1−π). It says what bits that all agree leave open; 0 when it isn't known.
	Noise, Kish float64
	// Log only: the variance of the noise that was taken out of Value, 0 without noise.
	Taken float64
}

// Of returns the interval. note says when another one had to take the method's place: without variance (all rows agree)
// an exact binomial interval for as many rows stands in for every method for proportions but Wilson's, which has a length
// of its own where Kish is given.
func Of(m Method, in Input) (low, high float64, note string, err error) {
	if !(in.Confidence > 0 && in.Confidence < 1) || !(in.Variance >= 0) || !(in.Degrees >= 1) || math.IsInf(in.Variance, 0) || math.IsNaN(in.Value) {
		return 0, 0, "", errors.New("interval: want a confidence in (0, 1), a variance ≥ 0 and at least one degree of freedom")
	}
	t, se := TQuantile(in.Confidence, in.Degrees), math.Sqrt(in.Variance)
	switch m {
	case T:
		return in.Value - t*se, in.Value + t*se, "", nil
	case Z:
		z := ZQuantile(in.Confidence)
		return in.Value - z*se, in.Value + z*se, "", nil
	case Log:
		low, high = logarithmic(in, t*se)
		return low, high, "", nil
	case Wilson, Logit, Asin, Beta:
	default:
		return 0, 0, "", fmt.Errorf("interval: unknown method %d", m)
	}
	p := in.Value
	if in.Noise > 0 {
		if m != Wilson {
			return 0, 0, "", fmt.Errorf("interval: %s can't be used with noisy scores; use wilson or t", m)
		}
		low, high = noisyWilson(in, t)
		return low, high, "", nil
	}
	if p < 0 || p > 1 {
		return 0, 0, "", fmt.Errorf("interval: %s is for proportions in [0, 1]", m)
	}
	switch agree := p == 0 || p == 1; {
	case agree && se > rounding:
		return 0, 0, "", fmt.Errorf("interval: %s is for proportions, and these values aren't 0 and 1", m)
	case se == 0 && !agree:
		return p, p, "no sampling variance", nil
	case agree:
		if m == Wilson && in.Kish > 0 {
			in.Variance = 0
			low, high = noisyWilson(in, t)
			return low, high, "all rows agree", nil
		}
		low, high = ClopperPearson(p*float64(in.Rows), float64(in.Rows), in.Confidence)
		return low, high, "all rows agree: exact binomial interval for as many rows", nil
	}
	low, high = smooth(m, p, se, t, in)
	return low, high, "", nil
}

// rounding is the most that it makes of a standard error of 0.
const rounding = 1e-9

// smooth is for 0 < p < 1 and a positive variance.
func smooth(m Method, p, se, t float64, in Input) (low, high float64) {
	switch m {
	case Wilson:
		n := p * (1 - p) / in.Variance
		centre, half := p+t*t/(2*n), t/(2*n)*math.Sqrt(4*n*p*(1-p)+t*t)
		return (centre - half) / (1 + t*t/n), (centre + half) / (1 + t*t/n)
	case Logit:
		x, half := math.Log(p/(1-p)), t*se/(p*(1-p))
		return 1 / (1 + math.Exp(half-x)), 1 / (1 + math.Exp(-half-x))
	case Asin:
		x, half := math.Asin(math.Sqrt(p)), t*se/(2*math.Sqrt(p*(1-p)))
		low, high = math.Sin(max(x-half, 0)), math.Sin(min(x+half, math.Pi/2))
		return low * low, high * high
	default:
		return KornGraubard(p, in.Variance, in.Degrees, in.Rows, in.Confidence)
	}
}

// KornGraubard returns the interval of Clopper and Pearson with n_e = p(1−p)/v̂ · (t_{n−1}/t_df)² observations (Korn and
// Graubard 1998), for 0 < p < 1 and v > 0.
func KornGraubard(p, variance, degrees float64, rows int, confidence float64) (low, high float64) {
	n := p * (1 - p) / variance
	if rows > 1 {
		q := TQuantile(confidence, float64(rows-1)) / TQuantile(confidence, degrees)
		n *= q * q
	}
	return ClopperPearson(n*p, n, confidence)
}

// ClopperPearson returns the exact binomial interval for x out of n, which need not be whole (Clopper and Pearson 1934).
func ClopperPearson(x, n, confidence float64) (low, high float64) {
	tail := (1 - confidence) / 2
	high = 1
	if x > 0 {
		low = distuv.Beta{Alpha: x, Beta: n - x + 1}.Quantile(tail)
	}
	if x < n {
		high = distuv.Beta{Alpha: x + 1, Beta: n - x}.Quantile(1 - tail)
	}
	return low, high
}

// noisyWilson is the score interval for scores whose noise does not depend on p: all p with (value − p)² ≤ t²·V(p), where
// V(p) = V̂ + A(p(1−p) − p̂(1−p̂)) and A·p̂(1−p̂) is the sampling part of V̂, A at most Kish's Σ a²(1−π). An end is cut at
// 0 or 1 when the value lies on the feasible side of it, and the interval always holds the value.
func noisyWilson(in Input, t float64) (low, high float64) {
	p, bits := in.Value, in.Value*(1-in.Value) // negative outside [0, 1], where V̂ falls short of the noise
	a := in.Kish
	if bits > 0 {
		a = min(max(0, in.Variance-in.Noise)/bits, in.Kish)
	}
	b := t * t * (in.Variance - a*bits)
	a *= t * t
	root := a*a/4 + a*p*(1-p) + b*(1+a)
	half := t * math.Sqrt(in.Variance)
	low, high = p-half, p+half
	if root >= 0 {
		centre, width := (p+a/2)/(1+a), math.Sqrt(root)/(1+a)
		low, high = min(centre-width, p), max(centre+width, p)
	}
	if p >= 0 {
		low = max(low, 0)
	}
	if p <= 1 {
		high = min(high, 1)
	}
	return low, high
}

// logarithmic is for variances, whose sampling distribution is skewed. The variance with its noise is positive even where
// what is left without isn't; where nothing spreads at all the interval is that of T.
func logarithmic(in Input, half float64) (low, high float64) {
	whole := in.Value + in.Taken
	if !(whole > 0) {
		return in.Value - half, in.Value + half
	}
	reach := math.Exp(half / whole)
	return whole/reach - in.Taken, whole*reach - in.Taken
}
