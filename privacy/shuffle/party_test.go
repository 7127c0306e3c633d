package shuffle_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/shuffle"
)

var office = shuffle.Party{Name: "Statistics Office", Delta: 1e-6}

func TestPartyValidates(t *testing.T) {
	for _, good := range []shuffle.Party{{}, office, {Name: "x", Delta: 0.001}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, bad := range []shuffle.Party{
		{Name: "x"},
		{Delta: 1e-6},
		{Name: " ", Delta: 1e-6},
		{Name: "two\nlines", Delta: 1e-6},
		{Name: strings.Repeat("x", 201), Delta: 1e-6},
		{Name: "x", Delta: 0.0011},
		{Name: "x", Delta: -1},
		{Name: "x", Delta: math.NaN()},
	} {
		if err := bad.Validate(); !errors.Is(err, shuffle.ErrParty) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestFigures compares with the bounds of no more reports than there are, and holds that nothing is told without a gain.
func TestFigures(t *testing.T) {
	figures := shuffle.NewFigures(office)
	for _, c := range []struct {
		mechanism string
		reports   int
		least     int // as many as the bound is computed for
		bound     string
	}{
		{"hybrid", 10_000, 10_000, shuffle.NumericBound},
		{"hybrid", 10_999, 10_000, shuffle.NumericBound},
		{"warner", 10_999, 10_000, shuffle.ExactFigure},
		{"warner", 99, 99, shuffle.ExactFigure},
		{"subset", 1234, 1200, shuffle.NumericBound},
	} {
		got, ok := figures.Of(c.mechanism, 1_000_000, c.reports)
		s := shuffle.Setting{Reports: c.least, Local: 1_000_000, Delta: office.Delta}
		want, err := s.Epsilon()
		if c.bound == shuffle.ExactFigure {
			want, err = s.Warner()
		}
		if err != nil || !ok || got != (shuffle.Figure{Reports: c.reports, Epsilon: want, Delta: office.Delta, Bound: c.bound}) {
			t.Errorf("%+v: %+v, %v, want %g, %v", c, got, ok, want, err)
		}
		if again, _ := figures.Of(c.mechanism, 1_000_000, c.reports); again != got {
			t.Errorf("%+v: first %+v, then %+v", c, got, again)
		}
	}
	for _, c := range []struct {
		local   privacy.Epsilon
		reports int
	}{{1_000_000, 1}, {1_000_000, 0}, {1_000_000, -3}, {8_000_000, 300}, {0, 1000}} {
		if got, ok := figures.Of("hybrid", c.local, c.reports); ok {
			t.Errorf("%+v: %+v is no gain", c, got)
		}
	}
	if got, ok := shuffle.NewFigures(shuffle.Party{}).Of("hybrid", 1_000_000, 10_000); ok {
		t.Errorf("nobody shuffles, and yet %+v", got)
	}
}
