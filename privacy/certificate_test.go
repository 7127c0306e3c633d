package privacy_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/duchi"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// TestExpLowerBound compares with an independent oracle: big.Float arithmetic
// of 400 bits, e^x as (e^(x/2⁶⁴))^(2⁶⁴) by repeated squaring of 1+y+y²/2.
func TestExpLowerBound(t *testing.T) {
	const precision = 600
	for _, e := range []privacy.Epsilon{1, 100_000, 500_000, 610_000, 1_000_000, 4_000_000, 16_000_000, 20_000_000} {
		y := new(big.Float).SetPrec(precision).SetRat(big.NewRat(int64(e), 1_000_000))
		y.SetMantExp(y, -200)
		// e^y = 1+y+y²/2 up to y³ < 2⁻⁵⁸⁰; squaring 200 times multiplies the
		// relative error by 2²⁰⁰.
		half := new(big.Float).SetPrec(precision).Mul(y, y)
		half.SetMantExp(half, -1)
		oracle := new(big.Float).SetPrec(precision).Add(half.Add(half, y), big.NewFloat(1))
		for range 200 {
			oracle.Mul(oracle, oracle)
		}
		bound := new(big.Float).SetPrec(precision).SetRat(privacy.ExpLowerBound(e))
		short := new(big.Float).Sub(oracle, bound)
		short.Quo(short, oracle)
		gap, _ := short.Float64()
		if gap < -math.Ldexp(1, -300) || gap >= math.Ldexp(1, -150) {
			t.Errorf("ε=%v: the bound is short by %v", e, gap)
		}
	}
}

// coin is a mechanism without noise, or with too little.
type coin struct {
	privacy.Exact

	truth *big.Rat
}

func (c coin) Probability(code, input uint32) *big.Rat {
	if code == input {
		return new(big.Rat).Set(c.truth)
	}
	return new(big.Rat).Sub(big.NewRat(1, 1), c.truth)
}

func TestEnumerateSeesNoNoise(t *testing.T) {
	m, err := mechanisms.ForBit(1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	exact, ok := m.(privacy.Exact)
	if !ok {
		t.Fatal("warner is not exact")
	}
	if _, err := privacy.Enumerate(coin{exact, big.NewRat(1, 1)}); !errors.Is(err, privacy.ErrCertificate) {
		t.Errorf("the truth has a certificate: %v", err)
	}
	if c, err := privacy.Enumerate(coin{exact, big.NewRat(3, 4)}); err != nil || c.Holds() {
		t.Errorf("ratio 3 passes at ε=1: %v", err)
	}
	big16, err := mechanisms.ByName("piecewise", 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := privacy.Enumerate(big16.(privacy.Exact)); !errors.Is(err, privacy.ErrTooLarge) {
		t.Errorf("a large matrix: %v", err)
	}
	if (privacy.Certificate{}).Holds() {
		t.Error("an empty certificate holds")
	}
}

// FuzzCertificates proves every mechanism at any ε.
func FuzzCertificates(f *testing.F) {
	for _, micro := range []uint64{1, 610_000, 610_001, 3_141_592, 20_000_000} {
		f.Add(micro)
	}
	f.Fuzz(func(t *testing.T, micro uint64) {
		e, err := privacy.EpsilonOf(micro%privacy.MaxEpsilon.Micro() + 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range mechanisms.Names() {
			m, err := mechanisms.ByName(name, e)
			if err != nil {
				t.Fatal(err)
			}
			if c, err := m.Certificate(); err != nil || !c.Holds() {
				t.Errorf("%s at ε=%v: %v", name, e, err)
			}
		}
	})
}

// A bounded number goes through the grid, the mechanism and back.
func Example() {
	epsilon, err := privacy.NewEpsilon(0.5)
	if err != nil {
		panic(err)
	}
	m, err := duchi.New(epsilon)
	if err != nil {
		panic(err)
	}
	bounds, err := privacy.NewBounds(10_000_000, 40_000_000)
	if err != nil {
		panic(err)
	}
	reading, err := privacy.ParseMicro("21.5")
	if err != nil {
		panic(err)
	}
	// On a device: privacy.NewSecure(rand.Reader).
	code, err := m.Randomise(bounds.Level(reading, m.Levels()), privacy.NewSeeded(1))
	if err != nil {
		panic(err)
	}
	// What the engine makes of the code.
	unit, err := m.Score(code)
	if err != nil {
		panic(err)
	}
	fmt.Printf("code %d, score %.2f ± %.2f\n", code, bounds.Score(unit), math.Sqrt(bounds.Variance(m.NoiseVariance())))
	// Output: code 0, score -36.24 ± 61.24
}
