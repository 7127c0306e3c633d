package audit_test

import (
	"errors"
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
)

// codes draws the codes of a mechanism for one input.
func codes(m privacy.Mechanism, input uint32, seed uint64) audit.Draw {
	src := privacy.NewSeeded(seed)
	return func() (uint64, error) {
		code, err := m.Randomise(input, src)
		return uint64(code), err
	}
}

// TestLowerBound: a correct mechanism stays below its ε, and not far below; one
// with a larger ε than claimed is caught.
func TestLowerBound(t *testing.T) {
	for _, c := range []struct {
		name      string
		e         privacy.Epsilon
		low, high float64
	}{
		{"warner", 1_000_000, 0.9, 1},
		{"duchi", 1_000_000, 0.9, 1},
		{"piecewise", 1_000_000, 0.85, 1},
		{"square-wave", 1_000_000, 0.85, 1},
		{"hybrid", 1_000_000, 0.7, 1},
		{"duchi", 1_100_000, 1, 1.1},
	} {
		m := mechanism(t, c.name, c.e)
		b, err := audit.LowerBound(codes(m, 0, 1), codes(m, m.Levels(), 2), uint64(m.Codes()), draws, falseAlarm)
		if err != nil || b.Epsilon < c.low || b.Epsilon > c.high {
			t.Errorf("%s at ε=%v: %+v, want %v…%v, %v", c.name, c.e, b, c.low, c.high, err)
		}
	}
}

// TestLowerBoundOfNothing: equal inputs show no loss.
func TestLowerBoundOfNothing(t *testing.T) {
	m := mechanism(t, "piecewise", 4_000_000)
	b, err := audit.LowerBound(codes(m, 7, 1), codes(m, 7, 2), uint64(m.Codes()), draws, falseAlarm)
	if err != nil || b.Epsilon > 0.1 {
		t.Errorf("%+v, %v", b, err)
	}
}

// TestLowerBoundSeesSilence draws from a device that says nothing at one input.
func TestLowerBoundSeesSilence(t *testing.T) {
	m := mechanism(t, "warner", 1_000_000)
	silent := func() (uint64, error) { return 2, nil }
	b, err := audit.LowerBound(codes(m, 1, 1), silent, 3, draws, falseAlarm)
	if err != nil || b.Epsilon < 5 {
		t.Errorf("%+v, %v", b, err)
	}
	if _, err := audit.LowerBound(codes(m, 1, 1), silent, 2, draws, falseAlarm); !errors.Is(err, privacy.ErrCode) {
		t.Errorf("an output above the limit: %v", err)
	}
	broken := func() (uint64, error) { return 0, privacy.ErrEntropy }
	if _, err := audit.LowerBound(silent, broken, 3, draws, falseAlarm); !errors.Is(err, privacy.ErrEntropy) {
		t.Errorf("no entropy: %v", err)
	}
}

// TestBinomial compares the tails with sums of the probabilities.
func TestBinomial(t *testing.T) {
	const n, p = 40, 0.3
	sum := 0.0
	for k := range n + 1 {
		logs, _ := math.Lgamma(n + 1)
		in, _ := math.Lgamma(float64(k) + 1)
		out, _ := math.Lgamma(float64(n-k) + 1)
		below := sum
		sum += math.Exp(logs - in - out + float64(k)*math.Log(p) + float64(n-k)*math.Log(1-p))
		if got := audit.AtMost(k, n, p); math.Abs(got-sum) > 1e-10 {
			t.Errorf("P(X ≤ %d) is %v, want %v", k, got, sum)
		}
		if got := audit.AtLeast(k, n, p); math.Abs(got-1+below) > 1e-10 {
			t.Errorf("P(X ≥ %d) is %v, want %v", k, got, 1-below)
		}
	}
	if got := audit.BinomialTails(12, n, p); got != 1 {
		t.Errorf("the middle has p=%v", got)
	}
}
