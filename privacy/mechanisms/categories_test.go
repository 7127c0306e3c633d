package mechanisms_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

func categorical(t *testing.T, name string, e float64, k uint32) privacy.Categorical {
	t.Helper()
	epsilon, err := privacy.NewEpsilon(e)
	if err != nil {
		t.Fatal(err)
	}
	m, err := mechanisms.CategoricalByName(name, epsilon, k)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// eachCategorical runs over all mechanisms, numbers of categories that are small,
// odd and large, and the ε of the list.
func eachCategorical(t *testing.T, ks []uint32, epsilons []float64, run func(t *testing.T, m privacy.Categorical)) {
	t.Helper()
	for _, name := range mechanisms.CategoricalNames() {
		for _, k := range ks {
			for _, e := range epsilons {
				m := categorical(t, name, e, k)
				t.Run(fmt.Sprintf("%s/%d/%v", name, k, m.Epsilon()), func(t *testing.T) { run(t, m) })
			}
		}
	}
}

func TestEveryCategoricalCertificateHolds(t *testing.T) {
	eachCategorical(t, []uint32{2, 3, 8, 64, 74, 1000, 1024}, grid, func(t *testing.T, m privacy.Categorical) {
		c, err := m.Certificate()
		if err != nil {
			t.Fatal(err)
		}
		ratio, _ := c.WorstRatio.Float64()
		if !c.Holds() {
			t.Fatalf("certificate fails: ratio %v at ε=%v, rows %v, unbiased %v", ratio, m.Epsilon(), c.RowsSumToOne, c.Unbiased)
		}
		// A certificate far from the limit wastes budget.
		if loss := math.Log(ratio); loss < m.Epsilon().Float64()-1e-6 {
			t.Errorf("only ε=%v of %v is used", loss, m.Epsilon())
		}
		if c.Mechanism != m.Name() || c.Epsilon != m.Epsilon() || c.Levels != m.Categories()-1 {
			t.Errorf("certificate describes %s with %d levels", c.Mechanism, c.Levels)
		}
	})
}

func TestReportsFollowTheExactDistribution(t *testing.T) {
	sample := func(draws int) func(t *testing.T, m privacy.Categorical) {
		return func(t *testing.T, m privacy.Categorical) {
			for i, category := range []uint32{0, m.Categories() / 2, m.Categories() - 1} {
				r, err := audit.SampleCategories(m, category, draws, privacy.NewSeeded(uint64(i)+1))
				if err != nil {
					t.Fatal(err)
				}
				if r.Fit.PValue < falseAlarm {
					t.Errorf("category %d: χ²=%v on %d, p=%v", category, r.Fit.Statistic, r.Fit.DegreesOfFreedom, r.Fit.PValue)
				}
				if r.Support.PValue < falseAlarm {
					t.Errorf("category %d: a support is %v standard errors off", category, r.Support.Statistic)
				}
				if r.Pairs.PValue < falseAlarm {
					t.Errorf("category %d: a pair is %v standard errors off", category, r.Pairs.Statistic)
				}
			}
		}
	}
	eachCategorical(t, []uint32{2, 5, 8}, []float64{0.25, 1, 4}, sample(100_000))
	eachCategorical(t, []uint32{70, 1024}, []float64{1}, sample(10_000))
}

// TestCategoricalVariances checks the formulas of the literature, on the grid, to
// 1 %: the score's variance for the true category and for another one.
func TestCategoricalVariances(t *testing.T) {
	type rates struct{ p, q float64 }
	for _, e := range grid {
		x := math.Exp(e)
		for _, k := range []uint32{2, 8, 64, 256, 1024} {
			n := float64(k)
			want := map[string]rates{
				"grr": {x / (x + n - 1), 1 / (x + n - 1)},
				"oue": {0.5, 1 / (x + 1)},
			}
			best := math.Inf(1)
			for w := 1.0; w < n; w++ {
				p := w * x / (w*x + n - w)
				q := (w*x*(w-1) + (n-w)*w) / ((n - 1) * (w*x + n - w))
				if total := (p*(1-p) + (n-1)*q*(1-q)) / (p - q) / (p - q); total < best*(1-1e-12) {
					best, want["subset"] = total, rates{p, q}
				}
			}
			for name, r := range want {
				got := categorical(t, name, e, k).Rates()
				gap := (r.p - r.q) * (r.p - r.q)
				if v := r.p * (1 - r.p) / gap; math.Abs(got.NoiseVariance(1)-v) > 0.01*v {
					t.Errorf("%s, ε=%v, k=%d: true category %v, formula %v", name, e, k, got.NoiseVariance(1), v)
				}
				if v := r.q * (1 - r.q) / gap; math.Abs(got.NoiseVariance(0)-v) > 0.01*v {
					t.Errorf("%s, ε=%v, k=%d: other category %v, formula %v", name, e, k, got.NoiseVariance(0), v)
				}
			}
			if total := categorical(t, "subset", e, k).Rates().TotalVariance(k); math.Abs(total-best) > 0.01*best {
				t.Errorf("subset, ε=%v, k=%d: total %v, formula %v", e, k, total, best)
			}
		}
	}
}

// TestScoresAverageToTheTruth multiplies scores with exact rates.
func TestScoresAverageToTheTruth(t *testing.T) {
	eachCategorical(t, []uint32{2, 64, 1024}, []float64{0.1, 1, 8}, func(t *testing.T, m privacy.Categorical) {
		r := m.Rates()
		for want, rate := range []float64{r.Other, r.Truth} {
			mean := rate*r.Score(true) + (1-rate)*r.Score(false)
			// Rounding of rates near each other, against their distance.
			tolerance := 1e-14 * r.Score(true)
			if math.Abs(mean-float64(want)) > tolerance {
				t.Errorf("mean score %v, want %d", mean, want)
			}
			second := rate*r.Score(true)*r.Score(true) + (1-rate)*r.Score(false)*r.Score(false)
			if v := second - mean*mean; math.Abs(v-r.NoiseVariance(float64(want))) > 1e-9*v {
				t.Errorf("variance %v, NoiseVariance %v", v, r.NoiseVariance(float64(want)))
			}
		}
		for _, share := range []float64{0, 0.2, 1} {
			if got, want := r.ScoreVariance(share), r.NoiseVariance(share)+share*(1-share); math.Abs(got-want) > 1e-9*want {
				t.Errorf("share %v: variances %v and %v", share, got, want)
			}
		}
	})
}

// TestWordsDontDependOnTheCategory draws with one seed for every category: the
// source must stand at the same place afterwards.
func TestWordsDontDependOnTheCategory(t *testing.T) {
	eachCategorical(t, []uint32{2, 9, 200}, []float64{0.25, 1, 8}, func(t *testing.T, m privacy.Categorical) {
		for seed := range uint64(20) {
			var next uint64
			for category := range m.Categories() {
				src := privacy.NewSeeded(seed)
				if _, err := m.Randomise(category, src, nil); err != nil {
					t.Fatal(err)
				}
				word, err := src.Uint64()
				if err != nil {
					t.Fatal(err)
				}
				if category > 0 && word != next {
					t.Fatalf("seed %d: category %d draws another number of words", seed, category)
				}
				next = word
			}
		}
	})
}

func TestCategoricalRefusals(t *testing.T) {
	if m, err := mechanisms.CategoricalByName("sue", 1_000_000, 8); !errors.Is(err, privacy.ErrMechanism) || m != nil {
		t.Errorf("unknown name gave %v, %v", m, err)
	}
	for _, name := range mechanisms.CategoricalNames() {
		for _, e := range []privacy.Epsilon{0, privacy.MaxEpsilon + 1} {
			if m, err := mechanisms.CategoricalByName(name, e, 8); !errors.Is(err, privacy.ErrEpsilon) || m != nil {
				t.Errorf("%s at %d gave %v, %v", name, e, m, err)
			}
		}
		for _, k := range []uint32{0, 1, 1<<16 + 1} {
			if m, err := mechanisms.CategoricalByName(name, 1_000_000, k); !errors.Is(err, privacy.ErrCategories) || m != nil {
				t.Errorf("%s with %d categories gave %v, %v", name, k, m, err)
			}
		}
	}
	eachCategorical(t, []uint32{2, 9, 100}, []float64{0.5, 1, 8}, func(t *testing.T, m privacy.Categorical) {
		if r, err := m.Randomise(m.Categories(), privacy.NewSecure(nil), nil); !errors.Is(err, privacy.ErrInput) || r != nil {
			t.Errorf("a category out of range: %v", err)
		}
		if r, err := m.Randomise(0, privacy.NewSecure(nil), make([]byte, 3, 200)); !errors.Is(err, privacy.ErrEntropy) || r != nil {
			t.Errorf("no entropy: %x, %v", r, err)
		}
		for _, wrong := range [][]byte{nil, make([]byte, m.Bytes()+1)} {
			found, err := m.Supported(wrong, []uint32{7})
			if !errors.Is(err, privacy.ErrCode) || len(found) != 1 {
				t.Errorf("%d bytes support %v, %v", len(wrong), found, err)
			}
			if p := m.Probability(wrong, 0); p.Sign() != 0 {
				t.Errorf("%d bytes have probability %v", len(wrong), p)
			}
		}
		if p := m.Both(0, 1, m.Categories()); p.Sign() != 0 {
			t.Errorf("a category out of range is supported with %v", p)
		}
		if p := m.Both(0, 1, 1); p.Sign() != 0 {
			t.Errorf("a pair of one has %v", p)
		}
	})
}

func TestReportsAppendWithoutAllocation(t *testing.T) {
	eachCategorical(t, []uint32{8, 1024}, []float64{1, 4}, func(t *testing.T, m privacy.Categorical) {
		src := privacy.NewSeeded(1)
		buf := append(make([]byte, 0, 1+m.Bytes()), 0xaa)
		found := make([]uint32, 0, m.Categories())
		allocations := testing.AllocsPerRun(100, func() {
			report, err := m.Randomise(1, src, buf)
			if err != nil || len(report) != 1+m.Bytes() || report[0] != 0xaa {
				t.Fatalf("%x, %v", report, err)
			}
			if _, err := m.Supported(report[1:], found); err != nil {
				t.Fatal(err)
			}
		})
		if allocations != 0 {
			t.Errorf("%v allocations", allocations)
		}
	})
}

func TestForCategories(t *testing.T) {
	for _, c := range []struct {
		epsilon float64
		k       uint32
		name    string
	}{{0.5, 2, "subset"}, {8, 1024, "subset"}, {1, 1025, "olh"}, {4, 5000, "olh"}, {9, 1025, "grr"}, {1, 65_536, "olh"}} {
		e, err := privacy.NewEpsilon(c.epsilon)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := mechanisms.ForCategories(e, c.k); err != nil || m.Name() != c.name {
			t.Errorf("ε=%v, k=%d: %v, want %s", c.epsilon, c.k, err, c.name)
		}
	}
	if m, err := mechanisms.ForCategories(1_000_000, 1<<16+1); !errors.Is(err, privacy.ErrCategories) || m != nil {
		t.Errorf("too many categories: %v", err)
	}
}

// FuzzReports reads any bytes as a report of any mechanism: they are refused and
// have probability 0, or they support categories in order and are possible.
func FuzzReports(f *testing.F) {
	f.Add(uint8(0), uint64(1_000_000), uint32(300), []byte{1, 1})
	f.Add(uint8(1), uint64(1_000_000), uint32(74), []byte{1, 1})
	f.Add(uint8(2), uint64(500_000), uint32(9), []byte{0xff, 0x01})
	f.Add(uint8(3), uint64(4_000_000), uint32(64), []byte{0x41})
	f.Fuzz(func(t *testing.T, which uint8, micro uint64, k uint32, report []byte) {
		names := mechanisms.CategoricalNames()
		name := names[int(which)%len(names)]
		e, k := privacy.Epsilon(micro%privacy.MaxEpsilon.Micro()+1), 2+k%1023
		m, err := mechanisms.CategoricalByName(name, e, k)
		if err != nil {
			t.Fatal(err)
		}
		found, err := m.Supported(report, nil)
		possible := m.Probability(report, k-1).Sign() > 0
		if err != nil {
			if !errors.Is(err, privacy.ErrCode) || len(found) != 0 || possible {
				t.Errorf("%s, ε=%v, k=%d: %x: %v, %v, possible %v", name, e, k, report, found, err, possible)
			}
			return
		}
		if len(report) != m.Bytes() || !possible {
			t.Errorf("%s, ε=%v, k=%d: %x is taken for a report", name, e, k, report)
		}
		for i, c := range found {
			if c >= k || i > 0 && c <= found[i-1] {
				t.Errorf("%s, ε=%v, k=%d: %x supports %v", name, e, k, report, found)
			}
		}
	})
}
