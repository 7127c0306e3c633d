package coordinate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"

	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// limit is the number of standard errors that so many comparisons exceed together with probability 1e-6.
func limit(comparisons int) float64 {
	return distuv.UnitNormal.Quantile(1 - 1e-6/2/float64(comparisons))
}

func draws(r *rand.Rand, n int) []panel.Number {
	out := make([]panel.Number, n)
	for i := range out {
		out[i] = panel.Number(r.Uint64())
	}
	return out
}

// A day of 288 windows of 200 from 4000 units. The spread and the most of the wakes of a device are those of the reference's
// table (0.49/15, 0.77/16, 1.50/15), where samples of fixed size step by ranks and where devices follow the circle themselves.
// Samples of fixed size from origins at equal angles don't keep the bound: the origins of each lap fall on the same points,
// and who lives in a sparse part of the circle is asked twice in every lap.
func TestADayOfWindows(t *testing.T) {
	const population, n, windows = 4000, 200, 288
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		overlap float64
		sd      float64
		most    int64
	}{{0, 0.49, 15}, {0.5, 0.77, 16}, {0.8, 1.5, 15}} {
		f := NewFrame(draws(r, population))
		shift, err1 := Shift(population, n, c.overlap)
		cycle, err2 := NewCycle(population, n, int(c.overlap*n))
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		pi, origin := float64(n)/population, panel.Number(r.Uint64())
		for name, window := range map[string]func(w int64) ([]int, error){
			"ranks": func(w int64) ([]int, error) { return cycle.Window(f, w) },
			"devices": func(w int64) ([]int, error) {
				var units []int
				for i, number := range f.numbers {
					if Due(number, origin+panel.Number(w)*shift, pi) {
						units = append(units, f.units[i])
					}
				}
				return units, nil
			},
			"angles": func(w int64) ([]int, error) { return f.Follow(origin+panel.Number(w)*shift, n) },
		} {
			sd, most, common := aDay(t, population, windows, window)
			bound := WakesMost(windows, pi, shift)
			t.Logf("overlap %g, %s: wakes sd %.2f, most %d, bound %d; common units %.1f", c.overlap, name, sd, most, bound, common)
			if want := ExpectedOverlap(population, n, shift); math.Abs(want-c.overlap*n) > 1e-6 || math.Abs(common-want) > 8 {
				t.Errorf("overlap %g, %s: %g common units, want %g", c.overlap, name, common, want)
			}
			if bound != c.most || cycle.WakesMost(windows) != c.most {
				t.Errorf("overlap %g: bounds %d and %d, want %d", c.overlap, bound, cycle.WakesMost(windows), c.most)
			}
			if name == "angles" {
				continue
			}
			// Over devices, the spread of 4000 wakes has the standard error 0.0112 sd at most; 1e-6 is 5.2 of it.
			if most > bound || math.Abs(sd/c.sd-1) > 0.06 {
				t.Errorf("overlap %g, %s: wakes sd %g, most %d", c.overlap, name, sd, most)
			}
		}
	}
}

// aDay returns the spread and the most of the wakes over the units, and the mean overlap of neighbouring windows.
func aDay(t *testing.T, population int, windows int64, window func(int64) ([]int, error)) (sd float64, most int64, common float64) {
	t.Helper()
	wakes := make([]int64, population)
	var before []int
	all := 0.0
	for w := range windows {
		units, err := window(w)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(units)
		for _, k := range units {
			wakes[k]++
			all++
			if _, ok := slices.BinarySearch(before, k); ok {
				common += 1 / float64(windows-1)
			}
		}
		before = units
	}
	mean, squares := all/float64(population), 0.0
	for _, w := range wakes {
		squares += (float64(w) - mean) * (float64(w) - mean)
	}
	return math.Sqrt(squares / float64(population)), slices.Max(wakes), common
}

// The estimated variance of change is right on average, for no overlap, half, four fifths and a fixed panel, with and
// without noise; and so is the covariance formula.
func TestVarianceOfChange(t *testing.T) {
	const population, n, runs = 1000, 60, 2000
	r := rand.New(rand.NewPCG(2, 2))
	first, second := make([]float64, population), make([]float64, population)
	for k := range first {
		level := 3 * r.NormFloat64()
		first[k], second[k] = level+r.NormFloat64(), 0.5+level+r.NormFloat64()
	}
	var whole Pairs
	for k := range first {
		whole.Add(first[k], second[k])
	}
	truth := whole.MeanSecond - whole.MeanFirst
	s := whole.Cross / (population - 1)
	between := func(m2 float64) float64 { return (1 - n/float64(population)) * m2 / (population - 1) / n }
	for _, overlap := range []int{0, 30, 48, 60} {
		for _, sigma := range []float64{0, 2} {
			c, err := NewCycle(population, n, overlap)
			if err != nil {
				t.Fatal(err)
			}
			formula := between(whole.M2First) + between(whole.M2Second) - 2*Covariance(population, n, n, int64(overlap), s) +
				2*sigma*sigma/n
			bias, variance, estimated := 0.0, 0.0, 0.0
			for range runs {
				change := oneChange(t, r, c, first, second, sigma)
				bias += (change.Value - truth) / runs
				variance += (change.Value - truth) * (change.Value - truth) / runs
				estimated += change.StdError * change.StdError / runs
				if change.Common != int64(overlap) || change.VariancePrivacy > 2*sigma*sigma/n+1e-12 {
					t.Fatalf("%+v", change)
				}
			}
			t.Logf("overlap %d, noise %g: variance %.4f, estimate %.4f, formula %.4f", overlap, sigma, variance, estimated, formula)
			// A variance of 2000 near-normal values has the relative standard error √(2/2000); 16 comparisons.
			slack := limit(16) * math.Sqrt(2./runs)
			if math.Abs(variance/formula-1) > slack || math.Abs(estimated/formula-1) > slack {
				t.Errorf("overlap %d, noise %g: variance %g, estimate %g, formula %g", overlap, sigma, variance, estimated, formula)
			}
			if math.Abs(bias) > limit(16)*math.Sqrt(formula/runs) {
				t.Errorf("overlap %d: bias %g", overlap, bias)
			}
		}
	}
}

func oneChange(t *testing.T, r *rand.Rand, c Cycle, first, second []float64, sigma float64) Change {
	t.Helper()
	f := NewFrame(draws(r, len(first)))
	a, err1 := c.Window(f, 0)
	b, err2 := c.Window(f, 1)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	s := Stratum{Population: int64(len(first))}
	scores := map[int]float64{}
	for _, k := range a {
		scores[k] = first[k] + sigma*r.NormFloat64()
		s.First.Add(scores[k], sigma*sigma)
	}
	for _, k := range b {
		y := second[k] + sigma*r.NormFloat64()
		s.Second.Add(y, sigma*sigma)
		if x, ok := scores[k]; ok {
			s.Both.Add(x, y)
		}
	}
	change, err := MeanChange([]Stratum{s}, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	return change
}

// Ranks round the circle keep their overlap, at every lag, and their bound on wakes; each unit is asked as often as any other.
func TestCycleKeepsItsLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		population := rapid.IntRange(1, 60).Draw(t, "population")
		n := rapid.IntRange(1, population).Draw(t, "n")
		overlap := rapid.IntRange(0, n).Draw(t, "overlap")
		c, err := NewCycle(population, n, overlap)
		if err != nil {
			if survey.CodeOf(err) != survey.Infeasible {
				t.Fatal(err)
			}
			return
		}
		f := NewFrame(draws(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), population))
		windows := rapid.Int64Range(1, 90).Draw(t, "windows")
		start := rapid.Int64Range(-50, 50).Draw(t, "start")
		wakes := make([]int64, population)
		var rows [][]int
		for w := range windows {
			units, err := c.Window(f, start+w)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(units)
			if len(units) != n || len(slices.Compact(units)) != n {
				t.Fatalf("%v", units)
			}
			for _, k := range units {
				wakes[k]++
			}
			rows = append(rows, units)
		}
		for lag, units := range rows {
			common := 0
			for _, k := range units {
				if _, ok := slices.BinarySearch(rows[0], k); ok {
					common++
				}
			}
			if common != c.Overlap(int64(lag)) {
				t.Fatalf("lag %d: %d units in common, want %d", lag, common, c.Overlap(int64(lag)))
			}
			if lag == 1 && common != overlap {
				t.Fatalf("%d units in common, want %d", common, overlap)
			}
		}
		if most := slices.Max(wakes); most > c.WakesMost(windows) {
			t.Fatalf("%d wakes, at most %d", most, c.WakesMost(windows))
		}
	})
}

// A device that follows the rule is never asked more often than the bound, and in the long run as often as pi says.
func TestDueKeepsItsBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pi := rapid.OneOf(rapid.Float64Range(0.001, 1), rapid.SampledFrom([]float64{0.05, 0.25, 1})).Draw(t, "pi")
		shift := panel.Number(rapid.Uint64Range(1<<50, math.MaxUint64).Draw(t, "shift"))
		if rapid.Bool().Draw(t, "whole") {
			var err error
			if shift, err = Shift(1000, 50, rapid.SampledFrom([]float64{0, 0.5, 0.8}).Draw(t, "overlap")); err != nil {
				t.Fatal(err)
			}
		}
		windows := rapid.Int64Range(1, 400).Draw(t, "windows")
		device, origin := panel.Number(rapid.Uint64().Draw(t, "device")), panel.Number(rapid.Uint64().Draw(t, "origin"))
		wakes := int64(0)
		for range windows {
			if Due(device, origin, pi) {
				wakes++
			}
			origin += shift
		}
		if most := WakesMost(windows, pi, shift); wakes > most {
			t.Fatalf("%d wakes, at most %d", wakes, most)
		}
	})
	if Due(5, 5, 0) || Due(5, 5, math.NaN()) || !Due(4, 5, 1) || !Due(5, 5, 1e-3) || Due(4, 5, 0.999) {
		t.Error("limits")
	}
	if WakesMost(10, 0.1, 0) != 10 || WakesMost(0, 0.1, 5) != 0 || WakesMost(9, 0, 5) != 0 {
		t.Error("limits of the bound")
	}
}

// The shifted start draws every unit with π = n/N: any set of n neighbours on the circle is as likely as any other.
func TestFollowIsASimpleRandomSample(t *testing.T) {
	const population, n, runs = 6, 2, 60_000
	r := rand.New(rand.NewPCG(5, 5))
	pairs := map[[2]int]float64{}
	for range runs {
		units, err := NewFrame(draws(r, population)).Follow(1<<60, n)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(units)
		pairs[[2]int(units)]++
	}
	square := 0.0
	for _, count := range pairs {
		square += (count - runs/15) * (count - runs/15) / (runs / 15)
	}
	if bound := (distuv.ChiSquared{K: 14}).Quantile(1 - 1e-6); len(pairs) != 15 || square > bound {
		t.Errorf("%d pairs, χ² = %g, at most %g", len(pairs), square, bound)
	}
}

func TestPairsMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-100, 100), 2, 60).Draw(t, "values")
		cut := rapid.IntRange(0, len(values)).Draw(t, "cut")
		fill := func(from, to int) Pairs {
			var p Pairs
			for i := from; i < to; i++ {
				p.Add(values[i], values[len(values)-1-i]+values[i]/2)
			}
			return p
		}
		whole, left := fill(0, len(values)), fill(0, cut)
		left.Merge(fill(cut, len(values)))
		for _, d := range [][3]float64{
			{left.M2First, whole.M2First, whole.M2First},
			{left.M2Second, whole.M2Second, whole.M2Second},
			{left.Cross, whole.Cross, whole.M2First + whole.M2Second},
		} {
			if left.Count != whole.Count || math.Abs(d[0]-d[1]) > 1e-12*d[2]+1e-9 {
				t.Fatalf("%+v, want %+v", left, whole)
			}
		}
	})
}

// Any state that scores can have gives a finite interval round the value.
func TestMeanChangeRefuses(t *testing.T) {
	good := func() Stratum {
		var s Stratum
		s.Population = 10
		for i := range 4 {
			s.First.Add(float64(i), 1)
			s.Second.Add(float64(i*i), 1)
			s.Both.Add(float64(i), float64(i*i))
		}
		return s
	}
	for name, c := range map[string]struct {
		code   survey.Code
		change func(*Stratum)
	}{
		"no answer":         {survey.NoReports, func(s *Stratum) { s.First, s.Both = survey.Moments{}, Pairs{} }},
		"one answer":        {survey.Lonely, func(s *Stratum) { s.First, s.Both = survey.Moments{Count: 1}, Pairs{} }},
		"more than units":   {survey.Invalid, func(s *Stratum) { s.Population = 3 }},
		"too few in common": {survey.Invalid, func(s *Stratum) { s.Population, s.Both = 7, Pairs{} }},
		"too many":          {survey.Invalid, func(s *Stratum) { s.Both.Count = 5 }},
		"NaN":               {survey.Invalid, func(s *Stratum) { s.First.Mean = math.NaN() }},
		"negative noise":    {survey.Invalid, func(s *Stratum) { s.Second.Noise = -1 }},
		"NaN pairs":         {survey.Invalid, func(s *Stratum) { s.Both.Cross = math.NaN() }},
		"beyond floats":     {survey.Range, func(s *Stratum) { s.First.Mean, s.Second.Mean = -1.6e308, 1.6e308 }},
		"one of one": {survey.NoFreedom, func(s *Stratum) {
			*s = Stratum{Population: 1, First: survey.Moments{Count: 1}, Second: survey.Moments{Count: 1}, Both: Pairs{Count: 1}}
		}},
	} {
		s := good()
		c.change(&s)
		if got, err := MeanChange([]Stratum{s}, 0.95); survey.CodeOf(err) != c.code {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := MeanChange([]Stratum{good()}, 1); survey.CodeOf(err) != survey.Invalid {
		t.Error("confidence of 1")
	}
	census := good()
	census.Population = 4
	c, err := MeanChange([]Stratum{census}, 0.95)
	if err != nil || c.VarianceSampling > 1e-15 || math.Abs(c.VariancePrivacy-0.5) > 1e-12 || c.Low >= c.Value {
		t.Errorf("a census has the noise's variance alone: %+v, %v", c, err)
	}
	apart := good()
	apart.Both = Pairs{}
	together, _ := MeanChange([]Stratum{good()}, 0.95)
	if c, err := MeanChange([]Stratum{apart}, 0.95); err != nil || c.StdError <= together.StdError {
		t.Errorf("without common units: %+v, %v", c, err)
	}
	for _, c := range [][3]int{{10, 4, 5}, {10, 0, 0}, {10, 11, 0}, {10, 4, -1}} {
		if _, err := NewCycle(c[0], c[1], c[2]); survey.CodeOf(err) != survey.Invalid {
			t.Errorf("%v: %v", c, err)
		}
	}
	if _, err := Shift(10, 4, math.NaN()); survey.CodeOf(err) != survey.Invalid {
		t.Error("shift")
	}
	if _, err := NewFrame(nil).Follow(0, 1); survey.CodeOf(err) != survey.Infeasible {
		t.Error("an empty frame")
	}
	if _, err := (Cycle{}).Window(NewFrame(nil), 0); survey.CodeOf(err) != survey.Invalid {
		t.Error("an empty cycle")
	}
}
