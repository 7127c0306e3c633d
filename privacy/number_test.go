package privacy_test

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

func TestParseMicro(t *testing.T) {
	for text, want := range map[string]privacy.Micro{
		"0": 0, "-0": 0, "21.5": 21_500_000, "+3": 3_000_000, "-3.000001": -3_000_001, ".5": 500_000, "7.": 7_000_000,
		"2.15e1": 21_500_000, "21500E-3": 21_500_000, "1e-6": 1, "4.9e-7": 0, "5e-7": 1, "-5e-7": -1,
		"0.0000004999999999999999999999999999999999999999999999999": 0,
		"0000000000000000000000000000000000000000000000000000001.5": 1_500_000,
		"9223372036854.775807": math.MaxInt64, "-9223372036854.775807": -math.MaxInt64,
		"1e12": 1_000_000_000_000_000_000, "0e9999": 0, "1e-9999": 0, "23.799999237": 23_799_999, "23.7999995": 23_800_000,
	} {
		if got, err := privacy.ParseMicro(text); err != nil || got != want {
			t.Errorf("%s gives %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "-", "+", ".", "e5", "1e", "1e+", "1e99999", "1.2.3", "1,5", " 1", "1 ", "0x10", "NaN", "inf", "1_000", "--1",
		"9223372036854.775808", "9223372036854.7758075", "1e13", "1e9999", "٣",
	} {
		got, err := privacy.ParseMicro(text)
		if !errors.Is(err, privacy.ErrNumber) || got != 0 {
			t.Errorf("%q gives %d, %v", text, got, err)
		}
		if len(text) > 3 && err != nil && strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats %q", text)
		}
	}
}

// FuzzParseMicro compares with exact rationals wherever those read the text.
func FuzzParseMicro(f *testing.F) {
	for _, seed := range []string{"1", "-21.5", "1e-6", "9223372036854.775807", "00.00000050", "5E2", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := privacy.ParseMicro(text)
		if err != nil {
			return
		}
		if len(text) > 40 || strings.Contains(strings.ToLower(text), "e") {
			return // exponents of the oracle take unbounded time
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%q was read as %d", text, got)
		}
		want.Mul(want, big.NewRat(1_000_000, 1))
		off := new(big.Rat).Sub(want, new(big.Rat).SetInt64(int64(got)))
		if off.Abs(off).Cmp(big.NewRat(1, 2)) > 0 {
			t.Errorf("%q was read as %d", text, got)
		}
		if again, err := privacy.ParseMicro(got.String()); err != nil || again != got {
			t.Errorf("%d is printed as %s and read as %d, %v", got, got, again, err)
		}
	})
}

func TestMicroOf(t *testing.T) {
	for x, want := range map[float64]privacy.Micro{10: 10_000_000, -0.3: -300_000, 1e-7: 0, 9.2e12: 9_200_000_000_000_000_000} {
		if got, err := privacy.MicroOf(x); err != nil || got != want {
			t.Errorf("%v gives %d, %v", x, got, err)
		}
	}
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e13, -1e13} {
		if _, err := privacy.MicroOf(x); !errors.Is(err, privacy.ErrNumber) {
			t.Errorf("%v: %v", x, err)
		}
	}
	if got := privacy.Micro(math.MinInt64).String(); got != "-9223372036854.775808" {
		t.Errorf("least Micro is printed as %s", got)
	}
}

func TestEpsilon(t *testing.T) {
	for e, text := range map[float64]string{1: "1", 0.5: "0.5", 0.1: "0.1", 0.3: "0.3", 20: "20", 1e-6: "0.000001", 0.610001: "0.610001", 0.1234569: "0.123456"} {
		got, err := privacy.NewEpsilon(e)
		if err != nil || got.String() != text {
			t.Errorf("%v gives %v, %v; want %s", e, got, err, text)
		}
		if again, err := privacy.ParseEpsilon(text); err != nil || again != got {
			t.Errorf("%s is read as %v, %v", text, again, err)
		}
		if got.Float64() > e+1e-9 {
			t.Errorf("%v became the larger %v", e, got)
		}
	}
	for _, e := range []float64{0, -1, 20.000001, 1e-7, math.NaN(), math.Inf(1)} {
		if got, err := privacy.NewEpsilon(e); !errors.Is(err, privacy.ErrEpsilon) || got != 0 {
			t.Errorf("%v gives %v, %v", e, got, err)
		}
	}
	if b, err := privacy.NewBudget(365); err != nil || b.Micro() != 365_000_000 || b.Validate() == nil {
		t.Errorf("a budget of 365 is %v, %v, and may be no parameter", b, err)
	}
	for _, text := range []string{"0", "-1", "20.000001", "1e9", "one"} {
		if _, err := privacy.ParseEpsilon(text); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}

func TestBounds(t *testing.T) {
	for _, b := range [][2]privacy.Micro{{0, 0}, {1, 0}, {math.MinInt64, 0}, {-1 << 62, 1 << 62}} {
		if _, err := privacy.NewBounds(b[0], b[1]); !errors.Is(err, privacy.ErrBounds) {
			t.Errorf("bounds %v: %v", b, err)
		}
	}
	b, err := privacy.NewBounds(10_000_000, 40_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if b.Score(0.5) != 25 || b.Variance(0.01) != 9 {
		t.Errorf("score %v, variance %v", b.Score(0.5), b.Variance(0.01))
	}
	for x, clipped := range map[privacy.Micro]bool{9_999_999: true, 10_000_000: false, 40_000_000: false, 40_000_001: true} {
		if b.Clipped(x) != clipped {
			t.Errorf("Clipped(%v) is %v", x, !clipped)
		}
	}
	if got := (privacy.Bounds{}).Level(5, 10); got != 0 {
		t.Errorf("no bounds give level %d", got)
	}
}

// FuzzLevel compares the rounding with exact rationals.
func FuzzLevel(f *testing.F) {
	f.Add(int64(10_000_000), int64(40_000_000), int64(21_500_000), uint32(65536))
	f.Add(int64(0), int64(math.MaxInt64), int64(math.MaxInt64), uint32(math.MaxUint32))
	f.Add(int64(math.MinInt64), int64(-1), int64(-2), uint32(1))
	f.Add(int64(0), int64(1), int64(1), uint32(math.MaxUint32))
	f.Add(int64(0), int64(3), int64(1), uint32(0))
	f.Fuzz(func(t *testing.T, lo, hi, x int64, levels uint32) {
		b, err := privacy.NewBounds(privacy.Micro(lo), privacy.Micro(hi))
		if err != nil {
			return
		}
		got := b.Level(privacy.Micro(x), levels)
		x = max(lo, min(hi, x))
		exact := new(big.Rat).SetFrac(new(big.Int).SetInt64(x-lo), new(big.Int).SetInt64(hi-lo))
		exact.Mul(exact, new(big.Rat).SetInt64(int64(levels)))
		// Floor of exact + ½ for an odd span too: the divisor is the span itself.
		off := exact.Sub(new(big.Rat).SetInt64(int64(got)), exact)
		if half := big.NewRat(1, 2); off.Cmp(half) > 0 || off.Neg(off).Cmp(half) >= 0 && got != levels {
			t.Errorf("[%d, %d] level %d of %d at %d is off by %v", lo, hi, got, levels, x, off)
		}
	})
}
