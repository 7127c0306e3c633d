package squarewave

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

func sample(t *testing.T, e privacy.Epsilon, n int, seed uint64) *Tally {
	t.Helper()
	m, err := New(e)
	if err != nil {
		t.Fatal(err)
	}
	tally, err := m.NewTally(256)
	if err != nil {
		t.Fatal(err)
	}
	rng, src := rand.New(rand.NewPCG(seed, 3)), privacy.NewSeeded(seed)
	for range n {
		code, err := m.Randomise(uint32(math.Round(secondOfSix(rng)*Levels)), src)
		if err != nil {
			t.Fatal(err)
		}
		if err := tally.Add(code, 1); err != nil {
			t.Fatal(err)
		}
	}
	return tally
}

// TestTransitions compares the closed form with the sum over inputs and codes.
func TestTransitions(t *testing.T) {
	for _, e := range []privacy.Epsilon{100_000, 1_000_000, 4_000_000} {
		m, err := newOnGrid(e, 1<<10)
		if err != nil {
			t.Fatal(err)
		}
		const bins = 8
		matrix := m.transitions(bins)
		inside, _ := m.Probability(0, 0).Float64()
		outside, _ := m.Probability(m.Codes()-1, 0).Float64()
		want, column := make([]float64, bins*bins), make([]float64, bins)
		inputs := m.Levels() / bins
		for input := range m.Levels() {
			for code := range m.Codes() {
				p := outside
				if code >= input && code < input+m.Window() {
					p = inside
				}
				i := code * bins / m.Codes()
				want[i*bins+input/inputs] += p / float64(inputs)
			}
		}
		for i := range bins {
			for j := range bins {
				column[j] += matrix[i*bins+j]
				// A code on the border of bins is counted whole in one of them.
				if off := math.Abs(matrix[i*bins+j] - want[i*bins+j]); off > 2*inside {
					t.Errorf("ε=%v: bin %d of input %d has %v, want %v", e, i, j, matrix[i*bins+j], want[i*bins+j])
				}
			}
		}
		for j, sum := range column {
			if math.Abs(sum-1) > 1e-12 {
				t.Errorf("ε=%v: input bin %d has %v in all", e, j, sum)
			}
		}
	}
}

// TestShape looks at what a shape promises.
func TestShape(t *testing.T) {
	tally := sample(t, 2_000_000, 20_000, 1)
	smooth, err := tally.Shape(Smoothed)
	if err != nil {
		t.Fatal(err)
	}
	likely, err := tally.Shape(Likelihood)
	if err != nil {
		t.Fatal(err)
	}
	if likely.LogLikelihood <= smooth.LogLikelihood {
		t.Errorf("likelihood %v is below that of the smoothed shape, %v", likely.LogLikelihood, smooth.LogLikelihood)
	}
	penalised, err := tally.Shape(Penalised)
	if err != nil {
		t.Fatal(err)
	}
	if likely.LogLikelihood <= penalised.LogLikelihood {
		t.Errorf("likelihood %v is below that of the penalised shape, %v", likely.LogLikelihood, penalised.LogLikelihood)
	}
	for _, s := range []Shape{smooth, likely, penalised} {
		if got := s.Below(1); math.Abs(got-1) > 1e-9 || s.Below(0) != 0 {
			t.Errorf("all of the shape is %v", got)
		}
		for _, p := range []float64{0.01, 0.3, 0.5, 0.95} {
			if got := s.Below(s.Quantile(p)); math.Abs(got-p) > 1e-9 {
				t.Errorf("below the quantile %v lies %v", p, got)
			}
		}
	}
	// The mean of Beta(5, 2) is 5/7; a standard error of 20,000 scores is 0.01.
	for _, s := range []Shape{smooth, penalised} {
		if got := s.Mean(); math.Abs(got-5.0/7) > 0.05 {
			t.Errorf("mean %v", got)
		}
	}
}

// TestWeights counts a code of weight 3 as three codes.
func TestWeights(t *testing.T) {
	one, three := sample(t, 1_000_000, 500, 1), sample(t, 1_000_000, 500, 1)
	for range 2 {
		if err := one.Add(17, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := three.Add(17, 2); err != nil {
		t.Fatal(err)
	}
	for _, how := range []Method{Smoothed, Penalised} {
		a, errA := one.Shape(how)
		b, errB := three.Shape(how)
		if errA != nil || errB != nil || !slices.Equal(a.Share, b.Share) {
			t.Errorf("method %d: a weight of 2 is not two codes: %v, %v", how, errA, errB)
		}
	}
}

// TestTallyOf makes a tally of counts by Bin: it is that of the codes.
func TestTallyOf(t *testing.T) {
	m, err := New(1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	const bins = 100
	one, err := m.NewTally(bins)
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]float64, bins)
	for code := uint32(0); code < m.Codes(); code += 97 {
		bin, err := m.Bin(code, bins)
		if err != nil || one.Add(code, 2) != nil {
			t.Fatal(err)
		}
		if below, above := float64(bin)/bins, float64(bin+1)/bins; float64(code) < below*float64(m.Codes()) || float64(code) >= above*float64(m.Codes()) {
			t.Fatalf("code %d of %d is in bin %d of %d", code, m.Codes(), bin, bins)
		}
		counts[bin] += 2
	}
	two, err := m.TallyOf(counts)
	if err != nil || !slices.Equal(one.counts, two.counts) {
		t.Errorf("%v, %v and %v", err, one.counts, two.counts)
	}
	if counts[0]++; slices.Equal(counts, two.counts) {
		t.Error("the tally holds the caller's slice")
	}
	for _, bad := range [][]float64{{1}, {1, -1}, {1, math.NaN()}, {1, math.Inf(1)}, make([]float64, BinsMax+1)} {
		if _, err := m.TallyOf(bad); !errors.Is(err, privacy.ErrInput) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := m.Bin(m.Codes(), bins); !errors.Is(err, privacy.ErrCode) {
		t.Errorf("a code too many: %v", err)
	}
}

func TestTallyRefuses(t *testing.T) {
	m, err := New(1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, bins := range []int{-1, 0, 1, BinsMax + 1} {
		if _, err := m.NewTally(bins); !errors.Is(err, privacy.ErrInput) {
			t.Errorf("%d bins: %v", bins, err)
		}
	}
	tally, err := m.NewTally(16)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tally.Shape(Smoothed); !errors.Is(err, privacy.ErrInput) {
		t.Errorf("an empty tally: %v", err)
	}
	if err := tally.Add(m.Codes(), 1); !errors.Is(err, privacy.ErrCode) {
		t.Errorf("a code out of range: %v", err)
	}
	for _, weight := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if err := tally.Add(0, weight); !errors.Is(err, privacy.ErrInput) {
			t.Errorf("weight %v: %v", weight, err)
		}
	}
}
