package privacy

import "math"

// Epsilon is a privacy loss in millionths: 1_000_000 is ε = 1. As the parameter
// of a mechanism it lies in (0, 20]; as a budget, a sum of such losses, it may
// be larger, up to MaxBudget. Build it with NewEpsilon, EpsilonOf, ParseEpsilon
// or NewBudget; the zero value is no valid parameter.
type Epsilon uint64

const (
	// MaxEpsilon is the largest ε of one report. Beyond it the noise protects
	// nobody.
	MaxEpsilon Epsilon = 20_000_000
	// MaxBudget is the largest sum of losses that a budget can name, ε = 10⁶.
	MaxBudget Epsilon = 1_000_000_000_000

	million = 1_000_000
	// slack is the part of a millionth by which a float may fall short of the
	// decimal that was meant, as 0.3 does.
	slack = 1e-3
)

// NewEpsilon returns e, rounded down to a millionth. It fails with ErrEpsilon
// unless 10⁻⁶ ≤ e ≤ 20.
func NewEpsilon(e float64) (Epsilon, error) {
	return limited(e, MaxEpsilon)
}

// NewBudget returns a sum of losses, rounded down to a millionth. It fails with
// ErrEpsilon unless 10⁻⁶ ≤ e ≤ 10⁶.
func NewBudget(e float64) (Epsilon, error) {
	return limited(e, MaxBudget)
}

// EpsilonOf returns the ε of so many millionths without any floating point:
// what a device does with the number in a plan.
func EpsilonOf(micro uint64) (Epsilon, error) {
	e := Epsilon(micro)
	if err := e.Validate(); err != nil {
		return 0, err
	}
	return e, nil
}

// ParseEpsilon reads a decimal such as "0.5" exactly. More than six decimals
// are rounded to the nearest millionth.
func ParseEpsilon(text string) (Epsilon, error) {
	m, err := ParseMicro(text)
	if err != nil {
		return 0, err
	}
	if m <= 0 {
		return 0, ErrEpsilon
	}
	return EpsilonOf(uint64(m))
}

// Validate returns ErrEpsilon unless e can be the parameter of a mechanism.
func (e Epsilon) Validate() error {
	if e == 0 || e > MaxEpsilon {
		return ErrEpsilon
	}
	return nil
}

// Float64 returns ε as a number.
func (e Epsilon) Float64() float64 { return float64(e) / million }

// Micro returns ε in millionths.
func (e Epsilon) Micro() uint64 { return uint64(e) }

// String returns ε as the shortest exact decimal: "1", "0.5".
func (e Epsilon) String() string {
	var buf [32]byte
	return string(appendDecimal(buf[:0], uint64(e)))
}

func limited(e float64, most Epsilon) (Epsilon, error) {
	if math.IsNaN(e) || e <= 0 || e > most.Float64() {
		return 0, ErrEpsilon
	}
	micro := Epsilon(math.Floor(e*million + slack))
	if micro == 0 || micro > most {
		return 0, ErrEpsilon
	}
	return micro, nil
}
