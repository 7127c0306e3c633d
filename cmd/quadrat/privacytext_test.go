package main

import (
	"math"
	"strconv"
	"strings"
	"testing"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

func TestPrivacyText(t *testing.T) {
	for _, c := range []struct {
		privacy *quadratv1.Privacy
		want    []string
	}{
		{&quadratv1.Privacy{Model: "none"}, []string{"without noise"}},
		{
			&quadratv1.Privacy{
				Model: "local", Unit: "device", Period: "24h", EpsilonPerReport: 1, EpsilonPerPeriod: 2, Delta: new(0.0), EpsilonToDate: new(8.0),
			},
			[]string{"each device adds the noise", "epsilon 1, delta 0: ", "factor of 2.72\n", "any 24h\tepsilon 2 at most", "7.39", "epsilon 8 at most, so far"},
		},
		{
			&quadratv1.Privacy{
				Model: "local", Unit: "device", Period: "ever", EpsilonPerReport: 1, EpsilonPerValue: 2, EpsilonPerPeriod: 16, Delta: new(0.0),
				EpsilonToDate: new(4.0),
			},
			[]string{
				"epsilon 1, delta 0: ", "one category\tepsilon 2 together", "factor of 7.39\n", "device ever\tepsilon 2 for each category", "16 at most",
				"not covered\twhen the category changed", "epsilon 4 at most, so far",
			},
		},
		{
			&quadratv1.Privacy{Model: "local", EpsilonPerReport: 1, Shuffle: &quadratv1.Shuffle{
				Assumes: "an office shuffles", Reports: 1000, Epsilon: 0.18249, Delta: 1e-6, Bound: "fmt21-numeric",
			}},
			[]string{"in a shuffled batch\tepsilon 0.183, delta 1e-06, among 1000 reports", "assumes\tan office shuffles"},
		},
		{&quadratv1.Privacy{Model: "local", EpsilonPerReport: 4}, []string{"epsilon 4: "}}, // a result of before delta was told
	} {
		var text strings.Builder
		printPrivacy(&text, c.privacy, "so far")
		for _, want := range c.want {
			if !strings.Contains(text.String(), want) {
				t.Errorf("no %q in\n%s", want, text.String())
			}
		}
		if c.privacy.EpsilonToDate == nil && strings.Contains(text.String(), "to date") {
			t.Errorf("what is not known is told:\n%s", text.String())
		}
	}
}

// TestFactorIsABound: what is printed is never less than e to the epsilon, and at most a hundredth more.
func TestFactorIsABound(t *testing.T) {
	for e := 0.01; e <= 40; e += 0.01 {
		got, err := strconv.ParseFloat(factor(e), 64)
		if err != nil {
			t.Fatal(err)
		}
		if want := math.Exp(e); got < want*(1-1e-12) || got > 1.0101*want {
			t.Fatalf("epsilon %g: %g, want %g", e, got, want)
		}
	}
}
