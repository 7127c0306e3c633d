package frequency_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/frequency"
)

// repetitions is how often the survey of ages is repeated: few in every run, more
// for the table in docs/privacy-measured.md.
var repetitions = flag.Int("repetitions", 4, "repetitions of the survey of ages")

// ages is the attribute age of UCI Adult, complete rows: how many people have each
// of the 74 ages 17…90; and what others found for it.
type ages struct {
	Counts []int `json:"counts"`
	// ClosedForm is the mean squared error of the unbiased estimates by formula, by
	// ε and mechanism.
	ClosedForm map[string]map[string]float64 `json:"closed_form"`
	// Published is read off the figure of multi-freq-ldpy by eye: estimates clipped
	// at 0 and renormalised.
	Published map[string]map[string]float64 `json:"published_clipped"`
}

// TestAdultAge surveys 45,222 people and compares the mean squared error with the
// closed forms, exactly for the formula and within chance for the draws.
func TestAdultAge(t *testing.T) {
	raw, err := os.ReadFile("testdata/adult_age.json")
	if err != nil {
		t.Fatal(err)
	}
	var data ages
	if err := json.Unmarshal(raw, &data); err != nil {
		t.Fatal(err)
	}
	k := uint32(len(data.Counts))
	truth, people := make([]float64, k), 0
	for _, n := range data.Counts {
		people += n
	}
	for c, n := range data.Counts {
		truth[c] = float64(n) / float64(people)
	}
	t.Log("| ε | mechanism | formula | closed form | measured | clipped | published | on the simplex |")
	for _, text := range []string{"0.5", "1", "2", "4"} {
		e, err := privacy.ParseEpsilon(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"subset", "grr", "oue", "olh"} {
			m := mechanism(t, name, e, k)
			formula := m.Rates().TotalVariance(k) / float64(k) / float64(people)
			// The reference has six digits.
			if closed := data.ClosedForm[text][name]; formula > closed*1.001 {
				t.Errorf("%s, ε=%s: formula %v, closed form %v", name, text, formula, closed)
			}
			measured, clipped, simplex := surveyAges(t, m, data.Counts, truth)
			// A mean of 74 squares, repeated, of standard error √(2/74) of it each;
			// correlation between cells widens it by less than a fifth. 16 tests.
			if z := (measured/formula - 1) / math.Sqrt(2/float64(k)/float64(*repetitions)) / 1.2; z > 6 {
				t.Errorf("%s, ε=%s: mean squared error %v, formula %v", name, text, measured, formula)
			}
			published := "–"
			if p, ok := data.Published[text][name]; ok {
				published = fmt.Sprintf("%.3g", p)
			}
			t.Logf("| %s | %s | %.3g | %.3g | %.3g | %.3g | %s | %.3g |", text, name, formula,
				data.ClosedForm[text][name], measured, clipped, published, simplex)
		}
	}
}

// surveyAges asks everybody once per repetition and returns mean squared errors:
// of the unbiased estimates, of these clipped at 0 and renormalised as others
// publish them, and of their projection.
func surveyAges(t *testing.T, m privacy.Categorical, counts []int, truth []float64) (raw, clipped, simplex float64) {
	t.Helper()
	var buf []byte
	var supported []uint32
	for repetition := range *repetitions {
		src := privacy.NewSeeded(uint64(repetition) + 1)
		tally := frequency.NewTally(m.Categories())
		for category, n := range counts {
			for range n {
				var err error
				if buf, err = m.Randomise(uint32(category), src, buf[:0]); err != nil {
					t.Fatal(err)
				}
				if supported, err = m.Supported(buf, supported[:0]); err != nil {
					t.Fatal(err)
				}
				tally.Add(supported)
			}
		}
		estimates, err := tally.Estimates(m.Rates())
		if err != nil {
			t.Fatal(err)
		}
		shares := make([]float64, len(estimates))
		for c, e := range estimates {
			shares[c] = e.Share
		}
		raw += squaredError(shares, truth) / float64(*repetitions)
		clipped += squaredError(clip(shares), truth) / float64(*repetitions)
		simplex += squaredError(frequency.Consistent(shares), truth) / float64(*repetitions)
	}
	return raw, clipped, simplex
}

func squaredError(shares, truth []float64) (mean float64) {
	for c := range shares {
		mean += (shares[c] - truth[c]) * (shares[c] - truth[c]) / float64(len(shares))
	}
	return mean
}

func clip(shares []float64) []float64 {
	clipped, sum := make([]float64, len(shares)), 0.0
	for c, share := range shares {
		clipped[c] = math.Max(0, share)
		sum += clipped[c]
	}
	for c := range clipped {
		clipped[c] /= sum
	}
	return clipped
}
