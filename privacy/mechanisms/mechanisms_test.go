package mechanisms_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// grid is the ε at which everything is certified and sampled.
var grid = []float64{0.1, 0.25, 0.5, 0.61, 0.62, 1, 2, 4, 8, 16}

// falseAlarm is the probability with which a correct mechanism fails one test.
const falseAlarm = 1e-6

// draws is the sample of one test.
const draws = 200_000

func each(t *testing.T, run func(t *testing.T, m privacy.Mechanism)) {
	t.Helper()
	for _, name := range mechanisms.Names() {
		for _, e := range grid {
			epsilon, err := privacy.NewEpsilon(e)
			if err != nil {
				t.Fatal(err)
			}
			m, err := mechanisms.ByName(name, epsilon)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(name+"/"+epsilon.String(), func(t *testing.T) { run(t, m) })
		}
	}
}

func TestEveryCertificateHolds(t *testing.T) {
	each(t, func(t *testing.T, m privacy.Mechanism) {
		c, err := m.Certificate()
		if err != nil {
			t.Fatal(err)
		}
		if !c.Holds() {
			ratio, _ := c.WorstRatio.Float64()
			t.Fatalf("certificate fails: ratio %v at ε=%v, rows %v, unbiased %v", ratio, m.Epsilon(), c.RowsSumToOne, c.Unbiased)
		}
		// A certificate that is far from the limit wastes budget: ln of the ratio
		// is within a millionth of ε. FlipEven costs most at ε = 16, 10⁻⁷.
		ratio, _ := c.WorstRatio.Float64()
		if loss := math.Log(ratio); loss < m.Epsilon().Float64()-1e-6 {
			t.Errorf("only ε=%v of %v is used", loss, m.Epsilon())
		}
		if c.Codes != m.Codes() || c.Mechanism != m.Name() || c.Epsilon != m.Epsilon() {
			t.Errorf("certificate describes %s with %d codes", c.Mechanism, c.Codes)
		}
	})
}

// sampled is the part of the grid at which codes are drawn: on both sides of
// the crossing, and where windows are wide, narrow and tiny.
func sampled(m privacy.Mechanism) bool {
	switch m.Epsilon().Micro() {
	case 250_000, 610_000, 1_000_000, 4_000_000, 16_000_000:
		return true
	default:
		return false
	}
}

func TestDrawsFollowTheExactDistribution(t *testing.T) {
	each(t, func(t *testing.T, m privacy.Mechanism) {
		if !sampled(m) {
			return
		}
		worst, least := 0.0, math.Inf(1)
		for i, input := range inputs(m) {
			r, err := audit.Sample(m, input, draws, privacy.NewSeeded(uint64(i)+1))
			if err != nil {
				t.Fatal(err)
			}
			if r.Fit.PValue < falseAlarm {
				t.Errorf("input %d: χ²=%v on %d, p=%v", input, r.Fit.Statistic, r.Fit.DegreesOfFreedom, r.Fit.PValue)
			}
			if r.Bias.PValue < falseAlarm {
				t.Errorf("input %d: z=%v", input, r.Bias.Statistic)
			}
			worst, least = math.Max(worst, r.Variance), math.Min(least, r.Variance)
		}
		// 131,074 products of doubles keep ten digits.
		if got := m.NoiseVariance(); math.Abs(got-worst) > 1e-9*worst {
			t.Errorf("NoiseVariance %v, largest exact variance %v", got, worst)
		}
		if got, want := m.ConstantVariance(), worst-least <= 1e-6*worst; got != want {
			t.Errorf("ConstantVariance %v, but variances span %v…%v", got, least, worst)
		}
	})
}

// inputs returns both bits, or both ends, the middle, a place between and that of the largest variance.
func inputs(m privacy.Mechanism) []uint32 {
	if m.Levels() == 1 {
		return []uint32{0, 1}
	}
	list := []uint32{0, m.Levels() / 5, m.Levels() / 2, m.Levels()}
	if v, ok := m.(interface{ VarianceAt(input uint32) float64 }); ok {
		worst := uint32(0)
		for input := range m.Levels() {
			if v.VarianceAt(input) > v.VarianceAt(worst) {
				worst = input
			}
		}
		list = append(list, worst)
	}
	return list
}

// three is the largest variance of the mechanism of three outputs in closed form: in the middle, or at the top of the parabola
// beside it or, when that is out of reach, at the end.
func three(x float64) float64 {
	r := 1 / x
	a := 1.0 / 256
	if r < 0.5 {
		a = max(a, 2*(1-2*r)/(1-3*r*r+math.Sqrt((1-3*r*r)*(1-3*r*r)+2*r*(1+2*r-r*r)*(1-2*r))))
	}
	c := (x + 1) / (x - 1) / (1 - a*r)
	top := min(1, c/2)
	return max(c*c*(1-a), c*c*(1-a*r)-c*(1-top)-top*top)
}

// TestVarianceTable checks the formulas of Duchi et al. 2018, Wang et al. 2019
// and Warner 1965, and that of privacy/threeoutput/PROOF.md, on [-1, 1], to 1 %.
func TestVarianceTable(t *testing.T) {
	for _, e := range grid {
		s, x := math.Exp(e/2), math.Exp(e)
		c := (x + 1) / (x - 1)
		duchi := c * c
		piecewise := 4 * s / (3 * (s - 1) * (s - 1))
		hybrid := duchi
		if e > 0.61 {
			a := 1 - math.Exp(-e/2)
			hybrid = a*(s+3)/(3*(s-1)*(s-1)) + (1-a)*duchi
		}
		bit := x / ((x - 1) * (x - 1))
		for name, want := range map[string]float64{
			"duchi": duchi / 4, "piecewise": piecewise / 4, "hybrid": hybrid / 4, "warner": bit, "three-output": three(x) / 4,
		} {
			epsilon, err := privacy.NewEpsilon(e)
			if err != nil {
				t.Fatal(err)
			}
			m, err := mechanisms.ByName(name, epsilon)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.NoiseVariance(); math.Abs(got-want) > 0.01*want {
				t.Errorf("%s at ε=%v: variance %v, formula %v", name, e, got, want)
			}
		}
	}
}

func TestChoice(t *testing.T) {
	for _, c := range []struct {
		epsilon float64
		name    string
	}{{0.1, "duchi"}, {0.61, "duchi"}, {0.610001, "hybrid"}, {0.8, "three-output"}, {1, "three-output"}, {3.78, "three-output"}, {4, "hybrid"}} {
		e, err := privacy.NewEpsilon(c.epsilon)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mechanisms.ForMean(e)
		if err != nil {
			t.Fatal(err)
		}
		if m.Name() != c.name {
			t.Errorf("ForMean(%v) is %s, want %s", c.epsilon, m.Name(), c.name)
		}
		every, err := mechanisms.ForEvery(e)
		if err != nil || slices.Contains(mechanisms.Announced(), every.Name()) || every.ConstantVariance() != (c.epsilon > 0.61) {
			t.Errorf("ForEvery(%v) is %v, %v", c.epsilon, every, err)
		}
		bit, err := mechanisms.ForBit(e)
		if err != nil || bit.Name() != "warner" {
			t.Errorf("ForBit(%v) is %v, %v", c.epsilon, bit, err)
		}
	}
}

// folder is where a mechanism's proof stands.
func folder(name string) string {
	switch name {
	case "square-wave":
		return "squarewave"
	case "discrete-laplace":
		return "laplace"
	case "three-output":
		return "threeoutput"
	default:
		return name
	}
}

// TestNoDraftIsReached checks that every mechanism that is given by name, and every one that takes an opt-in, says in its
// proof that the proof is complete, and that no folder with a draft is reached.
func TestNoDraftIsReached(t *testing.T) {
	proofs, err := filepath.Glob(filepath.Join("..", "*", "PROOF.md"))
	if err != nil {
		t.Fatal(err)
	}
	complete := map[string]bool{}
	for _, path := range proofs {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		complete[filepath.Base(filepath.Dir(path))] = strings.Contains(string(text), "\nStatus: complete.")
	}
	for _, name := range slices.Concat(mechanisms.Names(), mechanisms.OptIns(), mechanisms.CategoricalNames()) {
		if !complete[folder(name)] {
			t.Errorf("%s is reached, and its proof is not complete", name)
		}
	}
}

// TestOptIns: what takes an opt-in is given in no other way, and nothing else is given so.
func TestOptIns(t *testing.T) {
	for _, name := range mechanisms.Names() {
		if m, err := mechanisms.OptIn(name, 1_000_000); !errors.Is(err, privacy.ErrMechanism) || m != nil {
			t.Errorf("%s takes no opt-in, and OptIn gave %v, %v", name, m, err)
		}
	}
	for _, name := range mechanisms.OptIns() {
		if m, err := mechanisms.ByName(name, 1_000_000); !errors.Is(err, privacy.ErrOptIn) || m != nil {
			t.Errorf("%s is given by name: %v, %v", name, m, err)
		}
		if m, err := mechanisms.OptIn(name, 1_000_000); err != nil || m.Name() != name {
			t.Errorf("%s: %v, %v", name, m, err)
		}
		if m, err := mechanisms.OptIn(name, 0); !errors.Is(err, privacy.ErrEpsilon) || m != nil {
			t.Errorf("%s at ε = 0: %v, %v", name, m, err)
		}
	}
}

// TestNothingAllocates draws and scores with every mechanism, also with those that take an opt-in.
func TestNothingAllocates(t *testing.T) {
	check := func(m privacy.Mechanism, err error) {
		if err != nil {
			t.Fatal(err)
		}
		src := privacy.NewSeeded(1)
		if n := testing.AllocsPerRun(200, func() {
			code, err := m.Randomise(m.Levels()/2, src)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.Score(code); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per report", m.Name(), n)
		}
	}
	for _, e := range []privacy.Epsilon{100_000, 1_000_000, 4_000_000} {
		for _, name := range mechanisms.Names() {
			check(mechanisms.ByName(name, e))
		}
		for _, name := range mechanisms.OptIns() {
			check(mechanisms.OptIn(name, e))
		}
	}
}

// BenchmarkReport is the time of one report, the secure source apart.
func BenchmarkReport(b *testing.B) {
	report := func(m privacy.Mechanism, err error) {
		if err != nil {
			b.Fatal(err)
		}
		b.Run(m.Name(), func(b *testing.B) {
			b.ReportAllocs()
			src := privacy.NewSeeded(1)
			for b.Loop() {
				if _, err := m.Randomise(m.Levels()/2, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, name := range mechanisms.Names() {
		report(mechanisms.ByName(name, 1_000_000))
	}
	for _, name := range mechanisms.OptIns() {
		report(mechanisms.OptIn(name, 1_000_000))
	}
}

func TestRefusals(t *testing.T) {
	if m, err := mechanisms.ByName("laplace", 1_000_000); !errors.Is(err, privacy.ErrMechanism) || m != nil {
		t.Errorf("unknown name gave %v, %v", m, err)
	}
	for _, name := range mechanisms.Names() {
		for _, e := range []privacy.Epsilon{0, privacy.MaxEpsilon + 1} {
			if m, err := mechanisms.ByName(name, e); !errors.Is(err, privacy.ErrEpsilon) || m != nil {
				t.Errorf("%s at %d gave %v, %v", name, e, m, err)
			}
		}
	}
	each(t, func(t *testing.T, m privacy.Mechanism) {
		if _, err := m.Randomise(m.Levels()+1, privacy.NewSeeded(1)); !errors.Is(err, privacy.ErrInput) {
			t.Errorf("input above the levels: %v", err)
		}
		if _, err := m.Score(m.Codes()); !errors.Is(err, privacy.ErrCode) {
			t.Errorf("code out of range: %v", err)
		}
		if p := m.Probability(m.Codes(), 0); p.Sign() != 0 {
			t.Errorf("code out of range has probability %v", p)
		}
		if p := m.Probability(0, m.Levels()+1); p.Sign() != 0 {
			t.Errorf("input out of range has probability %v", p)
		}
	})
}
