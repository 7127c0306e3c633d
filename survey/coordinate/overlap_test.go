package coordinate

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/quadrat-dev/quadrat/survey"
)

// unit is a device of the simulated fleet: its values in two windows, and whether it lies in the domain.
type unit struct {
	before, now float64
	inside      bool
}

// driftingFleet is three strata of devices whose values drift a little between two windows.
func driftingFleet(r *rand.Rand) [][]unit {
	var strata [][]unit
	for h, size := range []int{900, 600, 500} {
		units := make([]unit, size)
		for i := range units {
			level := 20 + float64(h) + 3*r.NormFloat64()
			units[i] = unit{before: level, now: level + 0.4 + 0.6*r.NormFloat64(), inside: r.Float64() < 0.4}
		}
		strata = append(strata, units)
	}
	return strata
}

// panelOf asks the first n units of each stratum, in either window; one in ten is silent, independently. With apart the second
// window asks others.
func panelOf(r *rand.Rand, strata [][]unit, n int, sigma float64, domain, apart bool) (first, second []survey.Sample, both []Overlap) {
	for _, units := range strata {
		r.Shuffle(len(units), func(i, j int) { units[i], units[j] = units[j], units[i] })
		a := survey.Sample{Population: int64(len(units)), Panel: int64(n)}
		b, overlap := a, Overlap{}
		for i, u := range units[:2*n] {
			saidFirst, saidSecond := i < n && r.Float64() < 0.9, (i >= n) == apart && r.Float64() < 0.9
			x, y := u.before+sigma*r.NormFloat64(), u.now+sigma*r.NormFloat64()
			inside := u.inside || !domain
			if saidFirst {
				a.Responses++
				if inside {
					a.Domain.Add(x, sigma*sigma)
				}
			}
			if saidSecond {
				b.Responses++
				if inside {
					b.Domain.Add(y, sigma*sigma)
				}
			}
			if saidFirst && saidSecond {
				overlap.Common++
				if inside {
					overlap.Domain.Add(x, y)
				}
			}
		}
		first, second, both = append(first, a), append(second, b), append(both, overlap)
	}
	return first, second, both
}

func truthOf(strata [][]unit, scale Scale, domain bool) float64 {
	sum, count := 0.0, 0.0
	for _, units := range strata {
		for _, u := range units {
			if u.inside || !domain {
				sum += u.now - u.before
				count++
			}
		}
	}
	if scale == Mean {
		return sum / count
	}
	return sum
}

// The interval of the change of a fixed panel covers as it should, with silence and without and with noise, for means and totals, over all
// units and in a domain; its variance is right on average.
func TestBetweenCovers(t *testing.T) {
	const runs = 3000
	for _, c := range []struct {
		name   string
		scale  Scale
		domain bool
		sigma  float64
	}{
		{"mean", Mean, false, 0},
		{"noisy mean", Mean, false, 4},
		{"domain mean", Mean, true, 0},
		{"noisy domain mean", Mean, true, 4},
		{"total", Total, false, 0},
		{"domain total", Total, true, 4},
	} {
		r := rand.New(rand.NewPCG(3, 17))
		strata := driftingFleet(r)
		truth := truthOf(strata, c.scale, c.domain)
		covered, squares, estimated := 0, 0.0, 0.0
		for range runs {
			first, second, both := panelOf(r, strata, 60, c.sigma, c.domain, false)
			got, err := Between(c.scale, first, second, both, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			if got.Low <= truth && truth <= got.High {
				covered++
			}
			squares += (got.Value - truth) * (got.Value - truth) / runs
			estimated += got.StdError * got.StdError / runs
		}
		share := 100 * float64(covered) / runs
		t.Logf("%s: coverage %.2f %%, variance %.4g, estimate %.4g", c.name, share, squares, estimated)
		if share < 93.5 || share > 96.5 {
			t.Errorf("%s: coverage %.2f %%", c.name, share)
		}
		// As in TestVarianceOfChange; linearisation is right to a few percent at 180 answers.
		if slack := limit(6)*math.Sqrt(2./runs) + 0.05; math.Abs(estimated/squares-1) > slack {
			t.Errorf("%s: variance %g, estimate %g", c.name, squares, estimated)
		}
	}
}

// Where readings hardly move, the same devices tell the change far better than others; where the noise rules, a little.
func TestBetweenBeatsOtherDevices(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 23))
	strata := driftingFleet(r)
	mean := func(sigma float64, apart bool) float64 {
		sum := 0.0
		for range 40 {
			first, second, both := panelOf(r, strata, 60, sigma, false, apart)
			got, err := Between(Mean, first, second, both, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			sum += got.StdError / 40
		}
		return sum
	}
	if ratio := mean(0, false) / mean(0, true); ratio > 0.4 {
		t.Errorf("without noise the fixed panel's standard error is %.2f of that of others", ratio)
	}
	if ratio := mean(4, false) / mean(4, true); ratio < 0.6 || ratio > 0.95 {
		t.Errorf("with noise the fixed panel's standard error is %.2f of that of others", ratio)
	}
}

// Without silence and domain, Between is MeanChange; a total of a population is its mean times its size.
func TestBetweenIsMeanChange(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	var first, second []survey.Sample
	var both []Overlap
	var want []Stratum
	for _, population := range []int64{200, 90, 1} {
		s := Stratum{Population: population}
		for i := range min(population, 40) {
			x := r.NormFloat64()
			y := 1 + x + 0.5*r.NormFloat64()
			if i < 30 || population == 1 {
				s.First.Add(x, 0.3)
			}
			if i >= 5 || population == 1 {
				s.Second.Add(y, 0.3)
			}
			if i >= 5 && i < 30 || population == 1 {
				s.Both.Add(x, y)
			}
		}
		want = append(want, s)
		first = append(first, survey.Sample{Population: population, Panel: s.First.Count, Responses: s.First.Count, Domain: s.First})
		second = append(second, survey.Sample{Population: population, Panel: s.Second.Count, Responses: s.Second.Count, Domain: s.Second})
		both = append(both, Overlap{Common: s.Both.Count, Domain: s.Both})
	}
	oracle, err := MeanChange(want, 0.9)
	if err != nil {
		t.Fatal(err)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-12*(math.Abs(a)+math.Abs(b)) }
	mean, err := Between(Mean, first, second, both, 0.9)
	if err != nil || !near(mean.Value, oracle.Value) || !near(mean.StdError, oracle.StdError) ||
		!near(mean.VariancePrivacy, oracle.VariancePrivacy) || !near(mean.Covariance, oracle.Covariance) || mean.Common != oracle.Common {
		t.Errorf("mean: %+v, %v, want %+v", mean, err, oracle)
	}
	total, err := Between(Total, first, second, both, 0.9)
	if err != nil || !near(total.Value, 291*oracle.Value) || !near(total.StdError, 291*oracle.StdError) {
		t.Errorf("total: %+v, %v", total, err)
	}
}

func TestBetweenRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	strata := driftingFleet(r)
	for name, change := range map[string]func(first, second []survey.Sample, both []Overlap) (Scale, []Overlap){
		"scale":   func(_, _ []survey.Sample, both []Overlap) (Scale, []Overlap) { return 0, both },
		"length":  func(_, _ []survey.Sample, both []Overlap) (Scale, []Overlap) { return Mean, both[1:] },
		"domain":  func(_, _ []survey.Sample, both []Overlap) (Scale, []Overlap) { both[0].Common = 1; return Mean, both },
		"answers": func(_, _ []survey.Sample, both []Overlap) (Scale, []Overlap) { both[0].Common = 900; return Mean, both },
		"not a sum": func(_, _ []survey.Sample, both []Overlap) (Scale, []Overlap) {
			both[0].Domain.Cross = math.NaN()
			return Mean, both
		},
		"first": func(first, _ []survey.Sample, both []Overlap) (Scale, []Overlap) {
			first[1].Responses = 901
			return Mean, both
		},
		"second": func(_, second []survey.Sample, both []Overlap) (Scale, []Overlap) {
			second[1].Responses = 901
			return Mean, both
		},
	} {
		first, second, both := panelOf(r, strata, 30, 1, false, false)
		scale, both := change(first, second, both)
		if got, err := Between(scale, first, second, both, 0.95); survey.CodeOf(err) != survey.Invalid {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	first, second, both := panelOf(r, strata, 30, 1, false, false)
	known, err := Between(Mean, first, second, both, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	for i := range both {
		both[i] = Overlap{}
	}
	if got, err := Between(Mean, first, second, both, 0.95); err != nil || got.StdError <= known.StdError {
		t.Errorf("without common units: %+v, %v", got, err)
	}
}
