package survey

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// Values printed in the unit tests of confseq (Howard et al.), to their seven digits.
func TestMixtureKnownValues(t *testing.T) {
	if got := mixtureRho(100, 0.05); !near(got, 12.60056, 1e-6, 0) {
		t.Errorf("ρ = %v", got)
	}
	if got := mixtureBound(100, mixtureRho(100, 0.05), 0.05); !near(got, 30.35209, 1e-6, 0) {
		t.Errorf("bound %v", got)
	}
}

// Streams of window estimates whose truth wanders, looked at after each window from the 10th to the 3,000th. The sequence
// misses at least once in at most 5 % of the streams: with 1,000 streams a true 5 % exceeds 5 % + 4.75·√(.05·.95/1000) =
// 8.3 % with probability 1e-6. The fixed 95 % interval misses in far more than a fifth, which shows that the test can fail.
func TestRunningHoldsAtEveryLook(t *testing.T) {
	const streams, windows = 1000, 3000
	source := rand.New(rand.NewPCG(3, 14))
	missedSequence, missedFixed := 0, 0
	for range streams {
		var r Running
		truth, sequence, fixed := 0.0, false, false
		for w := 1; w <= windows; w++ {
			now := 20 + 5*math.Sin(float64(w)/48)
			truth += (now - truth) / float64(w)
			sigma := 0.5 + 0.4*math.Cos(float64(w)/48)
			r.Add(now+sigma*source.NormFloat64(), sigma*sigma)
			if w < 10 {
				continue
			}
			value, low, high := r.Interval(0.95)
			sequence = sequence || truth < low || truth > high
			fixed = fixed || math.Abs(value-truth) > 1.959964*math.Sqrt(r.Variance)/float64(w)
		}
		if sequence {
			missedSequence++
		}
		if fixed {
			missedFixed++
		}
	}
	t.Logf("of %d streams the sequence missed in %d, the fixed interval in %d", streams, missedSequence, missedFixed)
	if missedSequence > 83 {
		t.Errorf("the sequence missed in %d streams", missedSequence)
	}
	if missedFixed < 200 {
		t.Errorf("the fixed interval missed in %d streams only", missedFixed)
	}
}

func TestRunningMergesAndSurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var whole Running
		var parts [3]Running
		for range rapid.IntRange(0, 40).Draw(t, "windows") {
			x, v := rapid.Float64Range(-50, 50).Draw(t, "value"), rapid.Float64Range(0, 9).Draw(t, "variance")
			whole.Add(x, v)
			parts[rapid.IntRange(0, 2).Draw(t, "part")].Add(x, v)
		}
		parts[1].Merge(parts[2])
		parts[0].Merge(parts[1])
		text, err := json.Marshal(parts[0])
		if err != nil {
			t.Fatal(err)
		}
		var back Running
		if err := json.Unmarshal(text, &back); err != nil || back != parts[0] {
			t.Fatalf("%v, %v", back, err)
		}
		if back.Windows != whole.Windows || !near(back.Mean, whole.Mean, 1e-12, 50) ||
			!near(back.Variance, whole.Variance, 1e-12, 1) {
			t.Fatalf("%+v, want %+v", back, whole)
		}
		if value, low, high := back.Interval(0.95); !finite(value, low, high) || low > value || value > high {
			t.Fatalf("%v in [%v, %v]", value, low, high)
		}
	})
}

func TestRunningIgnoresWhatIsNoEstimate(t *testing.T) {
	var r Running
	r.Add(math.NaN(), 1)
	r.Add(1, math.Inf(1))
	r.Add(1, -1)
	if r != (Running{}) {
		t.Errorf("%+v", r)
	}
	if _, low, high := r.Interval(0.95); low != -math.MaxFloat64 || high != math.MaxFloat64 {
		t.Errorf("no window says [%v, %v]", low, high)
	}
	r.Add(1, 1)
	for _, confidence := range []float64{0, 1, math.NaN()} {
		if _, low, _ := r.Interval(confidence); low != -math.MaxFloat64 {
			t.Errorf("confidence %v", confidence)
		}
	}
}
