//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package verify

import (
	"math/big"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/central"
)

// TestGateways makes releases of a gateway by the code of real ones: they follow the law, whatever the units read.
func TestGateways(t *testing.T) {
	checks, err := gatewayDraws(t.Context(), Config{Draws: 40_000})
	if err != nil || len(checks) != len(releases()) {
		t.Fatal(err, checks)
	}
	for _, check := range checks {
		if check.Verdict != Pass {
			t.Errorf("%+v", check)
		}
	}
}

// TestExponents: the law spends all of ε but what rounding leaves; noise for half the sensitivity would spend more.
func TestExponents(t *testing.T) {
	const e = privacy.Epsilon(1_000_000)
	for _, sensitivity := range []int64{1, 2, 30_000_000, 1 << 44} {
		law, err := central.New(sensitivity, e)
		if err != nil {
			t.Fatal(err)
		}
		got := exponent(sensitivity, e, law.Granularity())
		if got.Cmp(fraction(e)) > 0 || got.Cmp(big.NewRat(999_999, 1_000_000)) < 0 {
			t.Errorf("sensitivity %d: %s", sensitivity, got.FloatString(9))
		}
		if twice := exponent(2*sensitivity, 2*e, law.Granularity()); twice.Cmp(fraction(e)) <= 0 {
			t.Errorf("sensitivity %d: noise for half of it is taken", sensitivity)
		}
	}
	if check, err := gatewayLaws(); err != nil || check.Verdict != Pass {
		t.Error(check, err)
	}
}

// TestCells: the cells have what the law says, and noise of another scale is seen.
func TestCells(t *testing.T) {
	law, err := central.New(1, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for scale, pass := range map[int64]bool{1: true, 2: false} {
		c := newCells(law, 1, 1_000_000)
		for value := int64(-60); value <= 60; value++ {
			for range int(100_000 * law.Probability(value)) {
				c.add(value * scale)
			}
		}
		if p := c.fit().PValue; (p > 0.5) != pass || !pass && p > falseAlarm {
			t.Errorf("noise times %d: p = %g", scale, p)
		}
	}
}
