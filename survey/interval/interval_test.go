package interval_test

import (
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/survey/interval"
)

// An interval holds its value, lies in [0, 1] where it speaks of shares, and shrinks with the variance.
func TestIntervalsHoldTheirValue(t *testing.T) {
	for m := interval.T; m <= interval.Beta; m++ {
		for _, p := range []float64{0.001, 0.02, 0.3, 0.5, 0.77, 0.999} {
			last := math.Inf(1)
			for _, n := range []float64{5, 50, 5000} {
				low, high, _, err := interval.Of(m, interval.Input{Value: p, Variance: p * (1 - p) / n, Degrees: 12, Rows: int(n), Confidence: 0.9})
				if err != nil {
					t.Fatal(err)
				}
				if !(low <= p && p <= high) || (m.Proportion() && (low < 0 || high > 1)) || high-low >= last {
					t.Errorf("%v at %v with n = %v: [%v, %v] after a length of %v", m, p, n, low, high, last)
				}
				last = high - low
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	good := interval.Input{Value: 0.5, Variance: 0.01, Degrees: 10, Rows: 20, Confidence: 0.95}
	for name, change := range map[string]func(*interval.Input){
		"negative variance": func(in *interval.Input) { in.Variance = -1 },
		"no variance":       func(in *interval.Input) { in.Variance = math.NaN() },
		"no freedom":        func(in *interval.Input) { in.Degrees = 0 },
		"confidence of one": func(in *interval.Input) { in.Confidence = 1 },
		"no share":          func(in *interval.Input) { in.Value = 1.2 },
	} {
		in := good
		change(&in)
		if _, _, _, err := interval.Of(interval.Wilson, in); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	noisy := good
	noisy.Noise, noisy.Kish = 0.005, 0.02
	if _, _, _, err := interval.Of(interval.Beta, noisy); err == nil {
		t.Error("a beta interval for noisy scores")
	}
	noisy.Value = -0.1
	low, high, _, err := interval.Of(interval.Wilson, noisy)
	if err != nil || low > -0.1 || high < -0.1 {
		t.Errorf("[%v, %v] for a noisy share of -0.1, %v", low, high, err)
	}
}

func TestParseMethod(t *testing.T) {
	for m := interval.T; m <= interval.Beta; m++ {
		if got, err := interval.ParseMethod(m.String()); err != nil || got != m {
			t.Errorf("%v: %v, %v", m, got, err)
		}
	}
	if _, err := interval.ParseMethod("wald"); err == nil {
		t.Error("wald is known")
	}
}
